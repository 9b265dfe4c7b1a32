//! Two connections and the wire between them, driven by a script of operations: bytes in any split, damage, time, pings,
//! messages, drains, closes.
//!
//! Held, against a small model: what was sealed arrives once, in order and unchanged, up to a damage or an end, and nothing
//! else arrives, nor more of a message than its receiver has room for; a reason stands exactly when a connection is ending or
//! has ended; a closed connection owes nothing and wants no timeout; a step that neither takes bytes nor reports anything wants
//! more.

use std::collections::VecDeque;
use std::time::Duration;

use wire_core::connection::{
    ANY_LENGTH, CloseReason, Connection, Deadlines, Event, Local, NoEvenTypes, Phase, Timestamp,
};
use wire_core::limits::{FRAME_OVERHEAD, HEADER_LEN, MAX_FRAME_LEN};
use wire_core::message::features::FeatureSet;
use wire_core::message::ping::Ping;

use crate::script::{INITIATOR, RESPONDER, Script, ephemeral_key, static_key};

/// What a side with little memory receives whole, in bytes. The `init` of either side is shorter.
const FEW: u16 = 200;
/// Operations of one input; more say nothing new and make a slow input.
const OPERATIONS: usize = 256;

/// How to begin; then a byte for each operation, whose lowest bit says on which side, and what the operation needs.
pub fn run(data: &[u8]) {
    let mut script = Script::new(data);
    let beginning = script.byte();
    let mut world = World::new(if beginning >= 0x80 { FEW } else { ANY_LENGTH });
    // Most scripts begin with a connection that stands.
    if beginning & 0x7f != 0 {
        world.settle();
    }
    for _ in 0..OPERATIONS {
        if script.is_over() {
            break;
        }
        world.step(&mut script);
        world.sides.iter().for_each(Side::holds);
    }
    world.settle();
    world.sides.iter().for_each(Side::holds);
    world.sides.iter().for_each(Side::lost_nothing);
}

struct World {
    now: Timestamp,
    sides: [Side; 2],
    room: Vec<u8>,
}

struct Side {
    connection: Connection<Local>,
    /// Messages of up to so many bytes are received whole.
    longest: usize,
    /// What the other side has written and this one not yet been shown.
    wire: VecDeque<u8>,
    /// What this one was shown and has not taken.
    inbox: Vec<u8>,
    /// What the other side sealed and this one has not reported.
    expected: VecDeque<Vec<u8>>,
    /// The wire was damaged: from some point on nothing arrives any more.
    damaged: bool,
}

impl World {
    /// `longest` is for the side that was dialled.
    fn new(longest: u16) -> Self {
        let now = Timestamp::from_millis(1_000);
        let local = |fill: u8, longest_message: u16| Local {
            key: static_key(fill),
            features: FeatureSet::DEFAULT,
            chain_hash: [6; 32],
            deadlines: Deadlines::DEFAULT,
            longest_message,
        };
        let answerer =
            Connection::responder(local(RESPONDER[0], longest), None, ephemeral_key(RESPONDER[1]), now);
        let their_id = static_key(RESPONDER[0]).node_id();
        let dialer = Connection::initiator(
            local(INITIATOR[0], ANY_LENGTH),
            their_id,
            ephemeral_key(INITIATOR[1]),
            now,
        );
        let sides = [Side::new(dialer, ANY_LENGTH), Side::new(answerer, longest)];
        Self { now, sides, room: vec![0; MAX_FRAME_LEN] }
    }

    fn step(&mut self, script: &mut Script<'_>) {
        let operation = script.byte();
        let side = usize::from(operation & 1);
        let now = self.now;
        match operation >> 1 & 0x0f {
            0 => self.transmit(side),
            1 => self.deliver(side, usize::from(script.number())),
            2 => self.deliver(side, usize::from(script.byte() & 0x1f)),
            3 => self.send(side, script),
            4 => self.send_short(side, script),
            5 => self.ping(side, script),
            6 => {
                let (place, change) = (usize::from(script.number()), script.byte());
                self.sides[side].damage(place, change);
            }
            7 => {
                let garbage = script.byte() & 0x3f;
                let garbage = script.bytes(usize::from(garbage));
                self.sides[side].damaged |= !garbage.is_empty();
                self.sides[side].wire.extend(garbage);
            }
            8 => {
                self.now = now.after(Duration::from_millis(u64::from(script.number())));
                self.tick();
            }
            9 => self.sides[side].connection.drain(now, CloseReason::LocalDisconnect),
            10 => self.sides[side].connection.close_with_warning(now, CloseReason::TooManyPeers),
            11 if script.byte() == 0 => self.sides[side].connection.input_ended(),
            12 if script.byte() == 0 => self.sides[side].connection.finish(),
            13 if script.byte() == 0 => self.sides[side].connection.abort(CloseReason::Transport),
            14 => self.small_room(side, usize::from(script.byte())),
            _ => self.settle(),
        }
    }

    /// All that `side` owes goes onto the wire.
    fn transmit(&mut self, side: usize) {
        while let Some(length) = self.sides[side].connection.poll_transmit(&mut self.room) {
            assert!(length > 0);
            self.sides[1 - side].wire.extend(&self.room[..length]);
        }
        assert!(!self.sides[side].connection.has_transmit());
    }

    /// Less room than the protocol may need: the connection may end, and must not write beyond it.
    fn small_room(&mut self, side: usize, room: usize) {
        if let Some(length) = self.sides[side].connection.poll_transmit(&mut self.room[..room]) {
            assert!(length <= room);
            self.sides[1 - side].wire.extend(&self.room[..length]);
        }
    }

    fn deliver(&mut self, side: usize, count: usize) {
        self.sides[side].take_from_wire(count);
        self.sides[side].read(self.now);
    }

    fn send(&mut self, side: usize, script: &mut Script<'_>) {
        let length = usize::from(script.number());
        // An odd type that nobody knows, so that it is reported as it came.
        let mut message = vec![0x77, 0x77];
        message.extend((0_u8..=255).cycle().take(length.min(2048)));
        self.seal(side, &message);
    }

    fn send_short(&mut self, side: usize, script: &mut Script<'_>) {
        let length = script.byte() & 0x0f;
        let message = script.bytes(usize::from(length));
        self.seal(side, message);
    }

    fn seal(&mut self, side: usize, message: &[u8]) {
        // Frames reach the wire in the order in which they were sealed.
        self.transmit(side);
        let mut frame = vec![0; message.len() + FRAME_OVERHEAD];
        frame[HEADER_LEN..HEADER_LEN + message.len()].copy_from_slice(message);
        let sealed = self.sides[side].connection.seal(&mut frame);
        let may = matches!(self.sides[side].connection.phase(), Phase::Open | Phase::Draining);
        assert_eq!(sealed.is_ok(), may, "{sealed:?}");
        if may {
            self.sides[1 - side].wire.extend(&frame);
            self.sides[1 - side].expected.push_back(message.to_vec());
        }
    }

    fn ping(&mut self, side: usize, script: &mut Script<'_>) {
        let ping = Ping { num_pong_bytes: script.number(), byteslen: script.number() };
        let was_open = self.sides[side].connection.phase() == Phase::Open;
        let answer = self.sides[side].connection.ping(self.now, ping);
        assert!(was_open || answer.is_err());
    }

    fn tick(&mut self) {
        for side in &mut self.sides {
            if side.connection.poll_timeout().is_some_and(|at| at <= self.now) {
                side.connection.handle_timeout(self.now);
                let next = side.connection.poll_timeout();
                assert!(next.is_none_or(|at| at > self.now), "a timeout that was handled is over");
            }
        }
    }

    /// Both sides talk until neither has anything more to say.
    fn settle(&mut self) {
        loop {
            let mut quiet = true;
            for side in [0, 1] {
                self.transmit(side);
                quiet &= self.sides[1 - side].wire.is_empty();
                self.deliver(1 - side, usize::MAX);
            }
            if quiet {
                return;
            }
        }
    }
}

impl Side {
    fn new(connection: Connection<Local>, longest: u16) -> Self {
        Self {
            connection,
            longest: longest.into(),
            wire: VecDeque::new(),
            inbox: Vec::new(),
            expected: VecDeque::new(),
            damaged: false,
        }
    }

    fn take_from_wire(&mut self, count: usize) {
        self.inbox.extend(self.wire.drain(..count.min(self.wire.len())));
    }

    fn damage(&mut self, place: usize, change: u8) {
        let length = self.wire.len();
        if change != 0
            && let Some(byte) = self.wire.get_mut(place % length.max(1))
        {
            *byte ^= change;
            self.damaged = true;
        }
    }

    /// Shows the connection its inbox until it neither takes nor reports anything.
    fn read(&mut self, now: Timestamp) {
        while self.connection.wants_read() {
            let before = self.connection.phase();
            let shown = self.inbox.len();
            let received = self.connection.receive(now, &mut self.inbox, &NoEvenTypes);
            assert!(received.consumed <= shown);
            let (consumed, quiet) = (received.consumed, received.event.is_none());
            let wanted = received.wanted;
            match received.event {
                Some(Event::Message { kind, message, .. }) => {
                    assert!(message.len() <= self.longest);
                    let was_sent = was_sent(&mut self.expected, |sent| sent == message);
                    assert!(was_sent, "{kind} arrived and was never sent");
                }
                Some(Event::TooLong { kind, len }) => {
                    let len = usize::from(len);
                    assert!(len > self.longest);
                    let is_it =
                        |sent: &[u8]| sent.len() == len && sent.starts_with(&kind.get().to_be_bytes());
                    assert!(was_sent(&mut self.expected, is_it), "a long {kind} was never sent");
                }
                Some(Event::Authenticated(id)) => {
                    assert_eq!(self.connection.their_id(), Some(id));
                    assert_eq!(before, Phase::Handshake);
                }
                Some(Event::Open(_)) => assert_eq!(before, Phase::AwaitInit),
                _ => {}
            }
            self.inbox.drain(..consumed);
            if consumed == 0 && quiet {
                let ended = matches!(self.connection.phase(), Phase::Closing | Phase::Closed);
                assert!(wanted > 0 || ended || !self.connection.wants_read());
                break;
            }
        }
    }

    fn holds(&self) {
        let phase = self.connection.phase();
        let ending = matches!(phase, Phase::Draining | Phase::Closing | Phase::Closed);
        assert_eq!(self.connection.close_reason().is_some(), ending, "{phase:?}");
        assert_eq!(self.connection.poll_timeout().is_none(), phase == Phase::Closed);
        assert!(phase != Phase::Closed || !self.connection.has_transmit());
        if let Some(CloseReason::BadFrame(error)) = self.connection.close_reason() {
            assert!(self.damaged, "{error} on a wire without damage");
        }
    }

    /// When both sides have said everything, an open connection has heard everything.
    fn lost_nothing(&self) {
        if self.connection.phase() == Phase::Open && !self.damaged {
            let lost = self.expected.iter().filter(|message| arrives_as_message(message)).count();
            assert_eq!(lost, 0, "{} bytes are in the inbox", self.inbox.len());
        }
    }
}

/// Takes off what was sealed up to the message that has arrived. Other kinds that were sealed are the protocol's own and reported
/// in another way, or not at all.
fn was_sent(expected: &mut VecDeque<Vec<u8>>, is_it: impl Fn(&[u8]) -> bool) -> bool {
    while let Some(sent) = expected.pop_front() {
        if is_it(&sent) {
            return true;
        }
        assert!(!arrives_as_message(&sent), "{sent:?} was lost");
    }
    false
}

/// Whether the message is reported as [`Event::Message`] or [`Event::TooLong`], as far as its type alone says.
fn arrives_as_message(message: &[u8]) -> bool {
    message.starts_with(&[0x77, 0x77])
}
