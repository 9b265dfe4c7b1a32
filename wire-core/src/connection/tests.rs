//! Two connections, or one and a scripted peer, driven by hand. Time is a number; no sockets.

mod closing;
mod judging;
mod liveness;
mod long;
mod opening;

use std::vec::Vec;
use std::{format, vec};

use super::*;
use crate::frame::{OpenError, Opener};
use crate::limits::{FRAME_OVERHEAD, HEADER_LEN, MAX_FRAME_LEN, MAX_MESSAGE_LEN, TAG_LEN};
use crate::message::features::{Feature, FeatureBit, FeatureSet, MissingDependency};
use crate::message::kind::MessageType;
use crate::noise::HandshakeError;
use crate::secret::{Secret, StaticKey};

const CHAIN: [u8; 32] = [0x06; 32];
const START: Timestamp = Timestamp::from_millis(1_000_000);

fn static_key(fill: u8) -> StaticKey {
    StaticKey::from_bytes(&Secret::new([fill; 32])).unwrap()
}

fn ephemeral(fill: u8) -> EphemeralKey {
    EphemeralKey::from_bytes(Secret::new([fill; 32])).unwrap()
}

fn local(fill: u8) -> Local {
    Local {
        key: static_key(fill),
        features: FeatureSet::DEFAULT,
        chain_hash: CHAIN,
        deadlines: Deadlines::DEFAULT,
        longest_message: ANY_LENGTH,
    }
}

fn later(millis: u64) -> Timestamp {
    Timestamp::from_millis(START.as_millis() + millis)
}

fn after(wait: core::time::Duration) -> Timestamp {
    START.after(wait)
}

/// What an event was, without its borrow.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Seen {
    Authenticated(NodeId),
    Open,
    Message(u16, Vec<u8>),
    Pong(u16, PingOrigin),
    Warning(Vec<u8>),
    Error(Vec<u8>),
    Ignored(u16),
    Onion(Vec<u8>),
    TooLong(u16, u16),
}

/// A connection of ours and the bytes on their way to it.
struct Side {
    connection: Connection<Local>,
    inbox: Vec<u8>,
    seen: Vec<Seen>,
}

impl Side {
    fn new(connection: Connection<Local>) -> Self {
        Self { connection, inbox: Vec::new(), seen: Vec::new() }
    }

    /// All that the protocol owes right now.
    fn transmit(&mut self) -> Vec<u8> {
        let mut wire = Vec::new();
        let mut room = vec![0; MAX_FRAME_LEN];
        while let Some(len) = self.connection.poll_transmit(&mut room) {
            wire.extend_from_slice(&room[..len]);
        }
        wire
    }

    fn hear(&mut self, now: Timestamp, bytes: &[u8]) {
        self.hear_allowing(now, bytes, &NoEvenTypes);
    }

    fn hear_byte_by_byte(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.hear(START, &[*byte]);
        }
    }

    fn hear_allowing(&mut self, now: Timestamp, bytes: &[u8], even_types: &(impl EvenTypes + ?Sized)) {
        self.inbox.extend_from_slice(bytes);
        while self.connection.wants_read() {
            let received = self.connection.receive(now, &mut self.inbox, even_types);
            let consumed = received.consumed;
            let seen = received.event.map(|event| match event {
                Event::Authenticated(id) => Seen::Authenticated(id),
                Event::Open(_) => Seen::Open,
                Event::Message { kind, payload, message } => {
                    assert_eq!(message[..2], kind.get().to_be_bytes());
                    assert_eq!(&message[2..], payload);
                    Seen::Message(kind.get(), payload.to_vec())
                }
                Event::Pong { total_len, asked_by } => Seen::Pong(total_len, asked_by),
                Event::Warning(warning) => Seen::Warning(warning.data.to_vec()),
                Event::Error(error) => Seen::Error(error.data.to_vec()),
                Event::OnionMessage { payload } => Seen::Onion(payload.to_vec()),
                Event::Ignored(kind) => Seen::Ignored(kind.get()),
                Event::TooLong { kind, len } => Seen::TooLong(kind.get(), len),
            });
            self.inbox.drain(..consumed);
            let quiet = seen.is_none();
            self.seen.extend(seen);
            if consumed == 0 && quiet {
                break;
            }
        }
    }

    fn sealed(&mut self, message: &[u8]) -> Vec<u8> {
        let mut frame = vec![0; message.len() + FRAME_OVERHEAD];
        frame[HEADER_LEN..HEADER_LEN + message.len()].copy_from_slice(message);
        self.connection.seal(&mut frame).unwrap();
        frame
    }

    fn take_seen(&mut self) -> Vec<Seen> {
        core::mem::take(&mut self.seen)
    }
}

/// Lets both sides talk until neither has anything more to say.
fn settle(now: Timestamp, one: &mut Side, other: &mut Side) {
    loop {
        let (there, back) = (one.transmit(), other.transmit());
        if there.is_empty() && back.is_empty() {
            return;
        }
        other.hear(now, &there);
        one.hear(now, &back);
    }
}

fn pair_with(theirs: Local) -> (Side, Side) {
    let their_id = theirs.key.node_id();
    let dialer = Connection::initiator(local(0x11), their_id, ephemeral(0x33), START);
    let answerer = Connection::responder(theirs, None, ephemeral(0x44), START);
    (Side::new(dialer), Side::new(answerer))
}

fn open_pair() -> (Side, Side) {
    let (mut dialer, mut answerer) = pair_with(local(0x22));
    settle(START, &mut dialer, &mut answerer);
    assert_eq!(dialer.take_seen(), [Seen::Authenticated(static_key(0x22).node_id()), Seen::Open]);
    assert_eq!(answerer.take_seen(), [Seen::Authenticated(static_key(0x11).node_id()), Seen::Open]);
    (dialer, answerer)
}

/// A peer that does as it is told: past the handshake, with its keys in hand.
struct Scripted {
    sealer: Sealer,
    opener: Opener,
    /// What the other side said first.
    init: Vec<u8>,
}

impl Scripted {
    /// Shakes hands with `side`, a responder, and reads its `init`.
    fn shaken(side: &mut Side) -> Self {
        let key = static_key(0x55);
        let initiator = Initiator::new(&key, static_key(0x22).node_id(), ephemeral(0x66));
        let (act_one, awaiting) = initiator.act_one();
        side.hear(START, &act_one);
        let act_two: [u8; 50] = side.transmit().try_into().unwrap();
        let (act_three, transport) = awaiting.act_two(&key, &act_two).unwrap();
        side.hear(START, &act_three);
        let (sealer, opener) = transport.split();
        let mut scripted = Self { sealer, opener, init: Vec::new() };
        let mut said = scripted.read(&side.transmit());
        assert_eq!(said.len(), 1, "its init and nothing else");
        assert_eq!(said[0][..2], MessageType::INIT.get().to_be_bytes());
        scripted.init = said.remove(0);
        side.take_seen();
        scripted
    }

    fn say(&mut self, message: &[u8]) -> Vec<u8> {
        let mut frame = vec![0; message.len() + FRAME_OVERHEAD];
        frame[HEADER_LEN..HEADER_LEN + message.len()].copy_from_slice(message);
        self.sealer.seal(&mut frame).unwrap();
        frame
    }

    fn read(&mut self, mut wire: &[u8]) -> Vec<Vec<u8>> {
        let mut messages = Vec::new();
        while let Some((header, rest)) = wire.split_first_chunk::<HEADER_LEN>() {
            let len = self.opener.open_header(&mut header.clone()).unwrap();
            let (body, rest) = rest.split_at(len.get() + TAG_LEN);
            wire = rest;
            messages.push(self.opener.open_body(len, &mut body.to_vec()).unwrap().to_vec());
        }
        assert!(wire.is_empty());
        messages
    }
}

const BARE_INIT: &[u8] = &[0, 16, 0, 0, 0, 0];

fn answerer() -> Side {
    Side::new(Connection::responder(local(0x22), None, ephemeral(0x44), START))
}

fn open_to_script() -> (Side, Scripted) {
    let mut side = answerer();
    let mut scripted = Scripted::shaken(&mut side);
    side.hear(START, &scripted.say(BARE_INIT));
    assert_eq!(side.take_seen(), [Seen::Open]);
    (side, scripted)
}

/// The text of the warning that waits to be transmitted.
fn last_word(side: &Side) -> Option<std::string::String> {
    side.connection.last_word().map(|words| format!("{words}"))
}

/// The text of a warning for all channels.
fn warning_text(message: &[u8]) -> &str {
    let text = message.strip_prefix(&[0, 1]).and_then(|rest| rest.strip_prefix(&[0; 32])).unwrap();
    core::str::from_utf8(&text[2..]).unwrap()
}

fn unhex(text: &str) -> Vec<u8> {
    let mut bytes = vec![0; text.len() / 2];
    faster_hex::hex_decode(text.as_bytes(), &mut bytes).unwrap();
    bytes
}

/// A message of a known type that starts with `fields` and is as short as the type allows.
fn padded(kind: MessageType, fields: &[u8]) -> Vec<u8> {
    let mut message = [&kind.get().to_be_bytes(), fields].concat();
    message.resize(2 + kind.minimum_payload_len().unwrap(), 0);
    message
}
