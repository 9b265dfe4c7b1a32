//! Two connections and everything that may happen between them, in random order, against a model of what must hold:
//! what one end sealed arrives at the other whole, once and in order, up to the place where the stream was cut; nothing
//! is heard before its time or after the end; and both come to an end by themselves when nobody drives them any more.

#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may fail")]

use core::time::Duration;

use proptest::prelude::*;
use wire_core::connection::{
    ANY_LENGTH, CloseReason, Connection, Deadlines, Event, Local, NoEvenTypes, Phase, PingOrigin, PingSent,
    SealRefused, Timestamp,
};
use wire_core::limits::{FRAME_OVERHEAD, HEADER_LEN, MAX_FRAME_LEN};
use wire_core::message::features::FeatureSet;
use wire_core::message::ping::Ping;
use wire_core::secret::{EphemeralKey, Secret, StaticKey};

/// Which end a step is about.
#[derive(Clone, Copy, Debug)]
enum Who {
    Dialer,
    Answerer,
}

#[derive(Clone, Debug)]
enum Step {
    /// So many bytes reach this end.
    Deliver(Who, usize),
    /// All that is on its way reaches this end.
    DeliverAll(Who),
    /// One act or frame leaves this end.
    Transmit(Who),
    /// So many custom messages of this length leave this end.
    Send(Who, usize, u8),
    Ping(Who, u16, u16),
    Wait(u64),
    Drain(Who),
    Finish(Who),
    CloseWithWarning(Who),
    /// The stream to this end is cut where it is.
    End(Who),
}

fn who() -> impl Strategy<Value = Who> {
    prop_oneof![Just(Who::Dialer), Just(Who::Answerer)]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (who(), 0_usize..200).prop_map(|(who, len)| Step::Deliver(who, len)),
        12 => who().prop_map(Step::DeliverAll),
        12 => who().prop_map(Step::Transmit),
        8 => (who(), 2_usize..300, 1_u8..20).prop_map(|(who, len, count)| Step::Send(who, len, count)),
        4 => (who(), prop_oneof![Just(0), Just(1), 0..2_000_u16, Just(65_532)], 0..100_u16)
            .prop_map(|(who, pong, ping)| Step::Ping(who, pong, ping)),
        3 => prop_oneof![0..20_000_u64, Just(45_000)].prop_map(Step::Wait),
        1 => who().prop_map(Step::Drain),
        1 => who().prop_map(Step::Finish),
        1 => who().prop_map(Step::CloseWithWarning),
        1 => who().prop_map(Step::End),
    ]
}

/// One end, what is on its way to it, and what has happened to it.
struct End {
    connection: Connection<Local>,
    inbox: Vec<u8>,
    /// Bytes that have left the other end and are not here yet.
    coming: Vec<u8>,
    sealed: Vec<Vec<u8>>,
    heard: Vec<Vec<u8>>,
    pings_awaiting_pong: usize,
    pongs: usize,
    is_authenticated: bool,
    is_open: bool,
}

fn local(fill: u8) -> Local {
    Local {
        key: StaticKey::from_bytes(&Secret::new([fill; 32])).unwrap(),
        features: FeatureSet::DEFAULT,
        chain_hash: [6; 32],
        deadlines: Deadlines::DEFAULT,
        longest_message: ANY_LENGTH,
    }
}

fn ephemeral(fill: u8) -> EphemeralKey {
    EphemeralKey::from_bytes(Secret::new([fill; 32])).unwrap()
}

impl End {
    fn new(connection: Connection<Local>) -> End {
        End {
            connection,
            inbox: Vec::new(),
            coming: Vec::new(),
            sealed: Vec::new(),
            heard: Vec::new(),
            pings_awaiting_pong: 0,
            pongs: 0,
            is_authenticated: false,
            is_open: false,
        }
    }

    fn is_over(&self) -> bool {
        matches!(self.connection.phase(), Phase::Closing | Phase::Closed)
    }

    fn deliver(&mut self, len: usize, now: Timestamp) {
        self.inbox.extend(self.coming.drain(..len.min(self.coming.len())));
        while self.connection.wants_read() {
            let was_over = self.is_over();
            let shown = self.inbox.len();
            let received = self.connection.receive(now, &mut self.inbox, &NoEvenTypes);
            assert!(received.consumed <= shown);
            assert!(received.wanted <= MAX_FRAME_LEN);
            let (consumed, is_quiet) = (received.consumed, received.event.is_none());
            assert!(!was_over || is_quiet, "nothing is heard after the end");
            match received.event {
                None => {}
                Some(Event::Authenticated(_)) => {
                    assert!(!self.is_authenticated && !self.is_open);
                    self.is_authenticated = true;
                }
                Some(Event::Open(_)) => {
                    assert!(self.is_authenticated && !self.is_open);
                    self.is_open = true;
                }
                Some(Event::Message { message, .. }) => {
                    assert!(self.is_open);
                    self.heard.push(message.to_vec());
                }
                Some(Event::Pong { asked_by, .. }) => {
                    self.pongs += usize::from(asked_by == PingOrigin::Caller);
                    assert!(self.pongs <= self.pings_awaiting_pong);
                }
                Some(Event::Warning(warning)) => assert_eq!(warning.data, b"too many peers are connected"),
                Some(other) => panic!("nobody sent that: {other:?}"),
            }
            self.inbox.drain(..consumed);
            if consumed == 0 && is_quiet {
                break;
            }
        }
    }

    /// The next act or frame that the protocol owes, if any.
    fn transmit(&mut self) -> Option<Vec<u8>> {
        let mut room = vec![0xee; MAX_FRAME_LEN];
        let was_owing = self.connection.has_transmit();
        let len = self.connection.poll_transmit(&mut room);
        assert_eq!(was_owing, len.is_some(), "{:?}", self.connection);
        len.map(|len| room[..len].to_vec())
    }

    fn send(&mut self, len: usize) -> Vec<u8> {
        let mut message = vec![u8::try_from(self.sealed.len() % 251).unwrap(); len];
        message[..2].copy_from_slice(&32_769_u16.to_be_bytes());
        let mut frame = vec![0; len + FRAME_OVERHEAD];
        frame[HEADER_LEN..HEADER_LEN + len].copy_from_slice(&message);
        let may_send = matches!(self.connection.phase(), Phase::Open | Phase::Draining);
        match self.connection.seal(&mut frame) {
            Ok(()) => {
                assert!(may_send);
                self.sealed.push(message);
                frame
            }
            Err(SealRefused::InitFirst) => {
                assert!(may_send && self.connection.has_transmit());
                Vec::new()
            }
            Err(SealRefused::NotOpen) => {
                assert!(!may_send);
                Vec::new()
            }
            Err(refused) => panic!("{refused}"),
        }
    }
}

struct World {
    ends: [End; 2],
    now: Timestamp,
    was_disturbed: bool,
}

impl World {
    fn new() -> World {
        let now = Timestamp::from_millis(1_000);
        let their_id = local(0x22).key.node_id();
        let dialer = Connection::initiator(local(0x11), their_id, ephemeral(0x33), now);
        let answerer = Connection::responder(local(0x22), None, ephemeral(0x44), now);
        World { ends: [dialer, answerer].map(End::new), now, was_disturbed: false }
    }

    fn pair(&mut self, who: Who) -> (&mut End, &mut End) {
        let [dialer, answerer] = &mut self.ends;
        match who {
            Who::Dialer => (dialer, answerer),
            Who::Answerer => (answerer, dialer),
        }
    }

    fn step(&mut self, step: &Step) {
        let now = self.now;
        match *step {
            Step::Deliver(who, len) => self.pair(who).0.deliver(len, now),
            Step::DeliverAll(who) => self.pair(who).0.deliver(usize::MAX, now),
            Step::Transmit(who) => {
                let (end, other) = self.pair(who);
                other.coming.extend(end.transmit().unwrap_or_default());
            }
            Step::Send(who, len, count) => {
                let (end, other) = self.pair(who);
                (0..count).for_each(|_| other.coming.extend(end.send(len)));
            }
            Step::Ping(who, num_pong_bytes, byteslen) => {
                let (end, _) = self.pair(who);
                let sent = end.connection.ping(now, Ping { num_pong_bytes, byteslen });
                end.pings_awaiting_pong += usize::from(sent == Ok(PingSent::AwaitingPong));
            }
            Step::Wait(millis) => self.wait(Duration::from_millis(millis)),
            Step::Drain(who) => self.disturb(who, |end| end.drain(now, CloseReason::LocalDisconnect)),
            Step::Finish(who) => self.disturb(who, Connection::finish),
            Step::CloseWithWarning(who) => {
                self.disturb(who, |end| end.close_with_warning(now, CloseReason::TooManyPeers));
            }
            Step::End(who) => self.disturb(who, Connection::input_ended),
        }
        self.check();
    }

    fn disturb(&mut self, who: Who, act: impl FnOnce(&mut Connection<Local>)) {
        let end = self.pair(who).0;
        let reason = end.connection.close_reason();
        act(&mut end.connection);
        assert!(end.connection.close_reason().is_some());
        if reason.is_some() {
            assert_eq!(end.connection.close_reason(), reason, "the first reason stays");
        }
        self.was_disturbed = true;
    }

    fn wait(&mut self, wait: Duration) {
        self.now = self.now.after(wait);
        for end in &mut self.ends {
            end.connection.handle_timeout(self.now);
            self.was_disturbed |= end.is_over();
        }
    }

    /// What holds at every moment.
    fn check(&self) {
        let [dialer, answerer] = &self.ends;
        for (from, to) in [(dialer, answerer), (answerer, dialer)] {
            assert!(from.sealed.starts_with(&to.heard), "messages arrive whole, once and in order");
            assert_eq!(to.connection.phase() == Phase::Closed, to.connection.poll_timeout().is_none());
            assert_eq!(
                to.connection.close_reason().is_some(),
                to.is_over() || to.connection.phase() == Phase::Draining
            );
            assert!(to.connection.phase() != Phase::Closed || !to.connection.has_transmit());
        }
    }

    /// Lets both ends talk until neither has anything to say.
    fn settle(&mut self) {
        loop {
            let mut is_quiet = true;
            for who in [Who::Dialer, Who::Answerer] {
                let now = self.now;
                let (end, other) = self.pair(who);
                while let Some(frame) = end.transmit() {
                    other.coming.extend(frame);
                }
                is_quiet &=
                    other.coming.is_empty() && other.inbox.is_empty() || !other.connection.wants_read();
                let before = (other.inbox.len(), other.coming.len());
                other.deliver(usize::MAX, now);
                is_quiet &= before == (other.inbox.len(), other.coming.len());
            }
            if is_quiet && self.ends.iter().all(|end| !end.connection.has_transmit()) {
                return;
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens(opens_first: bool, steps in proptest::collection::vec(step(), 0..120)) {
        let mut world = World::new();
        if opens_first {
            world.settle();
            assert!(world.ends.iter().all(|end| end.is_open));
        }
        for step in &steps {
            world.step(step);
        }

        world.settle();
        world.check();
        if !world.was_disturbed {
            let [dialer, answerer] = &world.ends;
            for (from, to) in [(dialer, answerer), (answerer, dialer)] {
                assert!(to.is_open);
                assert_eq!(&from.sealed, &to.heard, "all that was sealed has arrived");
                assert_eq!(to.pings_awaiting_pong, to.pongs, "all pings were answered");
            }
        }

        // Nobody transmits or delivers any more: time alone ends both, by the times that they ask for.
        for end in &mut world.ends {
            for _ in 0..4 {
                if let Some(at) = end.connection.poll_timeout() {
                    end.connection.handle_timeout(at.max(world.now));
                }
            }
            assert_eq!(end.connection.phase(), Phase::Closed);
        }
    }
}
