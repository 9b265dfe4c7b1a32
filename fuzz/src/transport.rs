//! One connection between Oddwire and LDK, by a script: bytes in any split, messages of any length both ways, pings, damage.
//!
//! LDK is driven through its `PeerManager`, which does no I/O itself, with its true cipher. Its encryptor alone can only be
//! had in a build with `--cfg fuzzing`, which replaces ChaCha20 and Poly1305 by stubs: nothing would be compared.
//!
//! Held: whoever dials, both end with each other's id and `init`; each message arrives at the other side once, in order and
//! unchanged, over changes of keys too; a damaged byte ends the connection, and of what stands before it everything is
//! delivered, behind it nothing.

mod ldk;

use std::collections::VecDeque;
use std::time::Duration;

use wire_core::connection::{
    ANY_LENGTH, CloseReason, Connection, Deadlines, Event, Local, NoEvenTypes, Phase, Timestamp,
};
use wire_core::limits::{FRAME_OVERHEAD, HEADER_LEN, MAX_FRAME_LEN};
use wire_core::message::features::FeatureSet;
use wire_core::message::ping::Ping;

use self::ldk::Ldk;
use crate::script::{INITIATOR, RESPONDER, Script, ephemeral_key, static_key};

/// Operations of one input, of which one may be a flood of messages.
const OPERATIONS: usize = 96;
/// A flood changes the key twice (BOLT 8, "Lightning Message Key Rotation": after 1,000 nonces, two to a message).
const FLOOD: usize = 1100;
/// The type of all messages: odd, and nobody's.
const KIND: u16 = 0x8001;

/// Who dials; then a byte for each operation and what it needs.
pub fn run(data: &[u8]) {
    let mut script = Script::new(data);
    let mut world = World::new(script.byte() & 1 == 0);
    // Most scripts begin with a connection that stands.
    if script.byte() != 0 {
        world.settle();
        assert_eq!(world.ours.phase(), Phase::Open);
        assert!(world.ldk.is_connected());
    }
    for _ in 0..OPERATIONS {
        if script.is_over() {
            break;
        }
        world.step(&mut script);
    }
    world.settle();
    world.holds();
}

struct World {
    now: Timestamp,
    ours: Connection<Local>,
    ldk: Ldk,
    /// What LDK has written and we have not been shown.
    to_us: VecDeque<u8>,
    /// What we were shown and have not taken.
    inbox: Vec<u8>,
    /// What we have written and LDK has not been shown.
    to_ldk: VecDeque<u8>,
    /// Messages on their way to us, and how many of them stand before a damage.
    for_us: Line,
    for_ldk: Line,
    had_flood: bool,
}

/// Messages on their way in one direction.
#[derive(Default)]
struct Line {
    expected: VecDeque<Vec<u8>>,
    is_damaged: bool,
}

impl Line {
    fn arrived(&mut self, message: &[u8]) {
        let sent = self.expected.pop_front();
        assert_eq!(sent.as_deref(), Some(message), "another message arrived");
    }
}

impl World {
    fn new(we_dial: bool) -> Self {
        let now = Timestamp::from_millis(1_000);
        let local = |fill: u8| Local {
            key: static_key(fill),
            features: FeatureSet::DEFAULT,
            chain_hash: [6; 32],
            deadlines: Deadlines::DEFAULT,
            longest_message: ANY_LENGTH,
        };
        let (ours, ldk) = if we_dial {
            let ldk = Ldk::listening();
            (Connection::initiator(local(INITIATOR[0]), Ldk::id(), ephemeral_key(INITIATOR[1]), now), ldk)
        } else {
            let ours = local(RESPONDER[0]);
            let ldk = Ldk::dialing(&ours.key.node_id());
            (Connection::responder(ours, None, ephemeral_key(RESPONDER[1]), now), ldk)
        };
        Self {
            now,
            ours,
            ldk,
            to_us: VecDeque::new(),
            inbox: Vec::new(),
            to_ldk: VecDeque::new(),
            for_us: Line::default(),
            for_ldk: Line::default(),
            had_flood: false,
        }
    }

    fn step(&mut self, script: &mut Script<'_>) {
        match script.byte() % 12 {
            0 => self.transmit(),
            1 => self.deliver_to_ldk(usize::from(script.number())),
            2 => self.deliver_to_ldk(usize::from(script.byte() & 0x1f)),
            3 => self.deliver_to_us(usize::from(script.number())),
            4 => self.deliver_to_us(usize::from(script.byte() & 0x1f)),
            5 => self.send(usize::from(script.number()), 1),
            6 => self.hear(usize::from(script.number()), 1),
            7 => self.ping(script),
            8 => {
                damage(&mut self.to_ldk, &mut self.for_ldk, script);
            }
            9 => {
                damage(&mut self.to_us, &mut self.for_us, script);
            }
            10 if !self.had_flood => {
                self.had_flood = true;
                // Rarely a flood, which takes a hundred times as long as all the rest.
                let length = usize::from(script.byte());
                let count = if length < 8 { FLOOD } else { length % 8 };
                if script.byte() & 1 == 0 { self.send(length, count) } else { self.hear(length, count) }
            }
            _ => {
                self.settle();
                self.now = self.now.after(Duration::from_millis(u64::from(script.number())));
                if self.ours.poll_timeout().is_some_and(|at| at <= self.now) {
                    self.ours.handle_timeout(self.now);
                }
                self.ldk.tick();
                self.settle();
            }
        }
    }

    /// All that we owe goes onto the wire.
    fn transmit(&mut self) {
        let mut room = vec![0; MAX_FRAME_LEN];
        while let Some(length) = self.ours.poll_transmit(&mut room) {
            self.to_ldk.extend(&room[..length]);
        }
    }

    fn send(&mut self, length: usize, count: usize) {
        self.transmit();
        for number in 0..count {
            let message = message(length, number);
            let mut frame = vec![0; message.len() + FRAME_OVERHEAD];
            frame[HEADER_LEN..HEADER_LEN + message.len()].copy_from_slice(&message);
            if self.ours.seal(&mut frame).is_ok() {
                self.to_ldk.extend(&frame);
                self.for_ldk.expected.push_back(message);
            }
        }
    }

    fn hear(&mut self, length: usize, count: usize) {
        if !self.ldk.is_connected() {
            return;
        }
        let messages: Vec<Vec<u8>> = (0..count).map(|number| message(length, number)).collect();
        self.for_us.expected.extend(messages.iter().cloned());
        self.ldk.send(messages.into_iter().map(|message| message[2..].to_vec()));
        self.ldk.written(&mut self.to_us);
    }

    fn ping(&mut self, script: &mut Script<'_>) {
        let ping = Ping { num_pong_bytes: script.number(), byteslen: script.number() };
        // Refused if one is under way, or the connection is not open.
        let _ = self.ours.ping(self.now, ping);
    }

    fn deliver_to_ldk(&mut self, count: usize) {
        let piece: Vec<u8> = self.to_ldk.drain(..count.min(self.to_ldk.len())).collect();
        self.ldk.read(&piece);
        for message in self.ldk.arrived() {
            self.for_ldk.arrived(&message);
        }
        self.ldk.written(&mut self.to_us);
    }

    fn deliver_to_us(&mut self, count: usize) {
        self.inbox.extend(self.to_us.drain(..count.min(self.to_us.len())));
        while self.ours.wants_read() {
            let received = self.ours.receive(self.now, &mut self.inbox, &NoEvenTypes);
            let (consumed, is_quiet) = (received.consumed, received.event.is_none());
            match received.event {
                Some(Event::Message { message, .. }) => self.for_us.arrived(message),
                Some(Event::Authenticated(id)) => assert_eq!(id, Ldk::id()),
                _ => {}
            }
            self.inbox.drain(..consumed);
            if consumed == 0 && is_quiet {
                break;
            }
        }
    }

    /// Both sides talk until neither has anything more to say.
    fn settle(&mut self) {
        loop {
            self.transmit();
            let is_quiet = self.to_ldk.is_empty() && self.to_us.is_empty();
            self.deliver_to_ldk(usize::MAX);
            self.ldk.written(&mut self.to_us);
            if is_quiet && self.to_us.is_empty() && !self.ours.has_transmit() {
                return;
            }
            self.deliver_to_us(usize::MAX);
        }
    }

    fn holds(&self) {
        let was_damaged = self.for_us.is_damaged || self.for_ldk.is_damaged;
        if !was_damaged {
            if let Some(CloseReason::BadFrame(error)) = self.ours.close_reason() {
                panic!("{error} on a wire without damage");
            }
            assert!(self.ldk.is_connected() || self.ours.close_reason().is_some());
        }
        if self.ours.phase() == Phase::Open && !self.for_us.is_damaged && self.ldk.is_connected() {
            assert!(
                self.for_us.expected.is_empty(),
                "{} messages to us are lost",
                self.for_us.expected.len()
            );
        }
        if self.ldk.is_connected() && !self.for_ldk.is_damaged {
            assert!(
                self.for_ldk.expected.is_empty(),
                "{} messages to LDK are lost",
                self.for_ldk.expected.len()
            );
        }
    }
}

/// The number tells messages of one length apart.
fn message(length: usize, number: usize) -> Vec<u8> {
    let number = number.to_le_bytes();
    let payload = number.iter().copied().cycle().take(length.min(usize::from(u16::MAX) - 2));
    KIND.to_be_bytes().into_iter().chain(payload).collect()
}

/// Changes a byte on its way.
fn damage(wire: &mut VecDeque<u8>, line: &mut Line, script: &mut Script<'_>) {
    let (place, change) = (usize::from(script.number()), script.byte());
    let length = wire.len();
    if change != 0
        && let Some(byte) = wire.get_mut(place % length.max(1))
    {
        *byte ^= change;
        line.is_damaged = true;
    }
}
