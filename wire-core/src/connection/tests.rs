//! Two connections, or one and a scripted peer, driven by hand. Time is a number; no sockets.

use std::vec::Vec;
use std::{format, vec};

use super::*;
use crate::frame::Opener;
use crate::limits::{FRAME_OVERHEAD, MAX_FRAME_LEN, MAX_MESSAGE_LEN};
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

    fn hear_allowing(&mut self, now: Timestamp, bytes: &[u8], even_types: &impl EvenTypes) {
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
                Event::Ignored(kind) => Seen::Ignored(kind.get()),
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
        let mut scripted = Self { sealer, opener };
        let said = scripted.read(&side.transmit());
        assert_eq!(said.len(), 1, "its init and nothing else");
        assert_eq!(said[0][..2], MessageType::INIT.get().to_be_bytes());
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

#[test]
fn both_sides_open_and_messages_flow_both_ways() {
    let (mut dialer, mut answerer) = open_pair();
    assert_eq!((dialer.connection.phase(), answerer.connection.phase()), (Phase::Open, Phase::Open));
    for len in [2, 3, 64, 1_000, MAX_MESSAGE_LEN] {
        let mut message = vec![0xaa; len];
        message[..2].copy_from_slice(&32_769_u16.to_be_bytes());
        let frame = dialer.sealed(&message);
        answerer.hear(START, &frame);
        let frame = answerer.sealed(&message);
        dialer.hear(START, &frame);
        assert_eq!(answerer.take_seen(), [Seen::Message(32_769, message[2..].to_vec())]);
        assert_eq!(dialer.take_seen(), [Seen::Message(32_769, message[2..].to_vec())]);
    }
}

#[test]
fn bytes_may_come_one_by_one() {
    let (mut dialer, mut answerer) = pair_with(local(0x22));
    loop {
        let (there, back) = (dialer.transmit(), answerer.transmit());
        if there.is_empty() && back.is_empty() {
            break;
        }
        answerer.hear_byte_by_byte(&there);
        dialer.hear_byte_by_byte(&back);
    }
    let frame = dialer.sealed(&[0x80, 1, 7]);
    answerer.hear_byte_by_byte(&frame);
    assert_eq!(answerer.seen.last(), Some(&Seen::Message(32_769, vec![7])));
}

#[test]
fn says_how_much_it_wants() {
    let (mut dialer, mut answerer) = open_pair();
    let mut frame = dialer.sealed(&[0x80, 1, 7, 8, 9]);
    let received = answerer.connection.receive(START, &mut frame[..10], &NoEvenTypes);
    assert_eq!((received.consumed, received.wanted), (0, 8));
    let received = answerer.connection.receive(START, &mut frame[..20], &NoEvenTypes);
    assert_eq!((received.consumed, received.wanted), (HEADER_LEN, 5 + TAG_LEN - 2));
}

#[test]
fn custom_frames_wait_for_our_init() {
    let (mut dialer, mut answerer) = pair_with(local(0x22));
    answerer.hear(START, &dialer.transmit());
    dialer.hear(START, &answerer.transmit());
    answerer.hear(START, &dialer.transmit());
    // The dialer's init came right behind act three; ours has not been transmitted.
    assert_eq!(answerer.connection.phase(), Phase::Open);
    let mut frame = vec![0; 2 + FRAME_OVERHEAD];
    assert_eq!(answerer.connection.seal(&mut frame), Err(SealRefused::InitFirst));
    answerer.transmit();
    assert_eq!(answerer.connection.seal(&mut frame), Ok(()));
}

#[test]
fn nothing_is_sealed_before_the_connection_is_open() {
    let (mut dialer, _) = pair_with(local(0x22));
    assert_eq!(dialer.connection.seal(&mut [0; 40]), Err(SealRefused::NotOpen));
}

#[test]
fn ping_is_answered_with_the_pong_it_asks_for() {
    let (mut side, mut scripted) = open_to_script();
    for num_pong_bytes in [0_u16, 1, 128, 65_531] {
        let mut ping = vec![0, 18];
        ping.extend_from_slice(&num_pong_bytes.to_be_bytes());
        ping.extend_from_slice(&[0, 3, 9, 9, 9]);
        side.hear(START, &scripted.say(&ping));
        let said = scripted.read(&side.transmit());
        assert_eq!(said.len(), 1);
        assert_eq!(said[0][..2], [0, 19]);
        assert_eq!(said[0][2..4], num_pong_bytes.to_be_bytes());
        assert_eq!(said[0][4..], vec![0; usize::from(num_pong_bytes)]);
    }
}

#[test]
fn ping_for_65532_pong_bytes_and_more_is_not_answered() {
    let (mut side, mut scripted) = open_to_script();
    for num_pong_bytes in [65_532_u16, 65_533, 65_535] {
        let mut ping = vec![0, 18];
        ping.extend_from_slice(&num_pong_bytes.to_be_bytes());
        ping.extend_from_slice(&[0, 0]);
        side.hear(START, &scripted.say(&ping));
        assert!(!side.connection.has_transmit());
        assert_eq!(side.connection.phase(), Phase::Open);
    }
}

#[test]
fn a_flood_of_pings_stops_being_read_and_every_one_is_answered() {
    let (mut side, mut scripted) = open_to_script();
    let flood: Vec<u8> = (0..1_000).flat_map(|_| scripted.say(&[0, 18, 0, 5, 0, 0])).collect();
    side.hear(START, &flood);
    assert!(!side.connection.wants_read());
    assert!(!side.inbox.is_empty());
    // Whoever shows more input all the same is not heard, and nothing is lost by it.
    let mut rest = side.inbox.clone();
    let received = side.connection.receive(START, &mut rest, &NoEvenTypes);
    assert!((received.consumed, received.wanted) == (0, 0) && received.event.is_none());
    assert_eq!(rest, side.inbox);
    let mut pongs = 0;
    while side.connection.has_transmit() {
        pongs += scripted.read(&side.transmit()).len();
        side.hear(START, &[]);
    }
    assert_eq!(pongs, 1_000);
    assert!(side.inbox.is_empty());
}

#[test]
fn our_ping_finds_its_pong() {
    let (mut dialer, mut answerer) = open_pair();
    let ping = Ping { num_pong_bytes: 128, byteslen: 128 };
    assert_eq!(dialer.connection.ping(START, ping), Ok(PingSent::AwaitingPong));
    assert_eq!(dialer.connection.ping(START, ping), Err(PingRefused::AlreadyPending));
    settle(START, &mut dialer, &mut answerer);
    assert_eq!(dialer.take_seen(), [Seen::Pong(132, PingOrigin::Caller)]);
    let long = Ping { num_pong_bytes: 0, byteslen: 65_530 };
    assert_eq!(answerer.connection.ping(START, long), Err(PingRefused::TooLong));
    let longest = Ping { num_pong_bytes: 0, byteslen: 65_529 };
    assert_eq!(answerer.connection.ping(START, longest), Ok(PingSent::AwaitingPong));
    settle(START, &mut dialer, &mut answerer);
    assert_eq!(answerer.take_seen(), [Seen::Pong(4, PingOrigin::Caller)]);
}

#[test]
fn no_ping_takes_the_place_of_one_that_still_waits_to_be_transmitted() {
    let (mut side, mut scripted) = open_to_script();
    let silent = Ping { num_pong_bytes: 65_532, byteslen: 1 };
    let ping = Ping { num_pong_bytes: 7, byteslen: 2 };
    assert_eq!(side.connection.ping(START, silent), Ok(PingSent::NoPongExpected));
    assert_eq!(side.connection.ping(START, ping), Err(PingRefused::AlreadyPending));
    assert_eq!(scripted.read(&side.transmit()), [unhex("0012fffc000100")]);
    assert_eq!(side.connection.ping(START, ping), Ok(PingSent::AwaitingPong));
    assert_eq!(scripted.read(&side.transmit()), [unhex("0012000700020000")]);
}

#[test]
fn pings_of_the_caller_and_of_the_keepalive_are_told_apart() {
    let (mut side, mut scripted) = open_to_script();
    let idle = after(Deadlines::DEFAULT.idle_before_ping);
    side.connection.handle_timeout(idle);
    side.connection.ping(idle, Ping { num_pong_bytes: 9, byteslen: 0 }).unwrap();
    let said = scripted.read(&side.transmit());
    assert_eq!(said, [unhex("001200090000"), unhex("001200010000")]);
    side.hear(idle, &scripted.say(&[0, 19, 0, 1, 0]));
    side.hear(idle, &scripted.say(&[&[0, 19, 0, 9][..], &[0; 9]].concat()));
    side.hear(idle, &scripted.say(&[0, 19, 0, 1, 0]));
    assert_eq!(side.take_seen(), [Seen::Pong(5, PingOrigin::Keepalive), Seen::Pong(13, PingOrigin::Caller)]);
}

#[test]
fn an_unasked_or_wrong_pong_is_ignored() {
    let (mut side, mut scripted) = open_to_script();
    side.hear(START, &scripted.say(&[0, 19, 0, 1, 0]));
    side.connection.ping(START, Ping { num_pong_bytes: 4, byteslen: 0 }).unwrap();
    side.hear(START, &scripted.say(&[0, 19, 0, 2, 0, 0]));
    assert_eq!(side.take_seen(), []);
    side.hear(START, &scripted.say(&[0, 19, 0, 4, 0, 0, 0, 0]));
    assert_eq!(side.take_seen(), [Seen::Pong(8, PingOrigin::Caller)]);
}

#[test]
fn unknown_odd_is_delivered_and_unknown_even_closes_with_a_warning() {
    let (mut side, mut scripted) = open_to_script();
    side.hear(START, &scripted.say(&unhex("8001ff")));
    assert_eq!(side.take_seen(), [Seen::Message(32_769, vec![0xff])]);
    side.hear(START, &scripted.say(&unhex("ad9e0102")));
    assert_eq!(side.take_seen(), []);
    assert_eq!(side.connection.phase(), Phase::Closing);
    assert_eq!(side.connection.close_reason(), Some(CloseReason::UnknownEvenType(MessageType::new(44_446))));
    let said = scripted.read(&side.transmit());
    assert_eq!(said.len(), 1);
    assert_eq!(warning_text(&said[0]), "Invalid unknown even msg ad9e0102");
    side.connection.finish();
    assert_eq!(side.connection.phase(), Phase::Closed);
    assert_eq!(side.connection.close_reason(), Some(CloseReason::UnknownEvenType(MessageType::new(44_446))));
}

#[test]
fn a_long_offending_message_is_quoted_in_part() {
    let (mut side, mut scripted) = open_to_script();
    let mut message = vec![0xab; MAX_MESSAGE_LEN];
    message[..2].copy_from_slice(&[0x80, 0]);
    side.hear(START, &scripted.say(&message));
    let said = scripted.read(&side.transmit());
    let expected = format!("Invalid unknown even msg 8000{}...", "ab".repeat(62));
    assert_eq!(warning_text(&said[0]), expected);
}

#[test]
fn an_allowed_even_type_is_delivered() {
    let (mut side, mut scripted) = open_to_script();
    let allowed = [MessageType::new(44_444)];
    let frame = scripted.say(&unhex("ad9c05"));
    side.inbox.extend_from_slice(&frame);
    let received = side.connection.receive(START, &mut side.inbox, allowed.as_slice());
    assert!(matches!(received.event, Some(Event::Message { kind, payload: [5], .. }) if kind == allowed[0]));
    side.inbox.clear();
    side.hear(START, &scripted.say(&unhex("ad9e05")));
    assert_eq!(side.connection.phase(), Phase::Closing);
}

#[test]
fn peer_storage_is_for_the_driver() {
    let (mut side, mut scripted) = open_to_script();
    side.hear(START, &scripted.say(&unhex("00070002abcd")));
    side.hear(START, &scripted.say(&unhex("00090002abcd")));
    let payload = unhex("0002abcd");
    assert_eq!(side.take_seen(), [Seen::Message(7, payload.clone()), Seen::Message(9, payload)]);
}

/// A message of a known type that starts with `fields` and is as short as the type allows.
fn padded(kind: MessageType, fields: &[u8]) -> Vec<u8> {
    let mut message = [&kind.get().to_be_bytes(), fields].concat();
    message.resize(2 + kind.minimum_payload_len().unwrap(), 0);
    message
}

#[test]
fn gossip_is_ignored_and_channel_messages_are_answered() {
    let (mut side, mut scripted) = open_to_script();
    side.hear(START, &scripted.say(&padded(MessageType::new(265), &CHAIN)));
    assert_eq!(side.take_seen(), [Seen::Ignored(265)]);
    assert!(!side.connection.has_transmit());

    // open_channel: the chain comes before the temporary channel id.
    let ids = [CHAIN, [0x77; 32]].concat();
    side.hear(START, &scripted.say(&padded(MessageType::OPEN_CHANNEL, &ids)));
    let said = scripted.read(&side.transmit());
    assert_eq!(said[0][..2], MessageType::ERROR.get().to_be_bytes());
    assert_eq!(said[0][2..34], [0x77; 32]);

    // channel_reestablish: a peer with money in a channel must not be driven to close it by force.
    side.hear(START, &scripted.say(&padded(MessageType::CHANNEL_REESTABLISH, &[0x78; 32])));
    let said = scripted.read(&side.transmit());
    assert_eq!(said[0][..2], MessageType::WARNING.get().to_be_bytes());
    assert_eq!(said[0][2..34], [0x78; 32]);
    assert_eq!(side.connection.phase(), Phase::Open);
}

#[test]
fn an_error_for_one_channel_is_heard_and_for_all_it_ends_the_connection() {
    let (mut side, mut scripted) = open_to_script();
    let mut error = vec![0, 17];
    error.extend_from_slice(&[1; 32]);
    error.extend_from_slice(&[0, 2, b'h', b'i']);
    side.hear(START, &scripted.say(&error));
    assert_eq!(side.connection.phase(), Phase::Open);
    error[2..34].fill(0);
    side.hear(START, &scripted.say(&error));
    assert_eq!(side.take_seen(), [Seen::Error(b"hi".to_vec()), Seen::Error(b"hi".to_vec())]);
    assert_eq!(side.connection.close_reason(), Some(CloseReason::PeerError));
    assert_eq!(side.connection.phase(), Phase::Closed);
}

#[test]
fn a_warning_is_heard_even_before_init() {
    let mut side = answerer();
    let mut scripted = Scripted::shaken(&mut side);
    let mut warning = vec![0, 1];
    warning.extend_from_slice(&[0; 32]);
    warning.extend_from_slice(&[0, 1, b'!']);
    side.hear(START, &scripted.say(&warning));
    assert_eq!(side.take_seen(), [Seen::Warning(b"!".to_vec())]);
    assert_eq!(side.connection.phase(), Phase::AwaitInit);
}

/// Every message that must end the connection, the reason, and the last word.
#[test]
fn misuse_closes_with_a_reason() {
    let cases: &[(&str, CloseReason, &str)] = &[
        (
            "",
            CloseReason::NoMessageType { len: 0 },
            "Invalid message of 0 bytes: a message starts with its 2-byte type",
        ),
        (
            "80",
            CloseReason::NoMessageType { len: 1 },
            "Invalid message of 1 bytes: a message starts with its 2-byte type",
        ),
        ("0012", CloseReason::MessageTooShort(MessageType::PING), "Invalid ping 0012"),
        ("0012000000", CloseReason::MessageTooShort(MessageType::PING), "Invalid ping 0012000000"),
        ("00120000000501", CloseReason::MessageTooShort(MessageType::PING), "Invalid ping 00120000000501"),
        ("001300", CloseReason::MessageTooShort(MessageType::PONG), "Invalid WIRE_PONG 001300"),
        ("000100", CloseReason::MessageTooShort(MessageType::WARNING), "Invalid WIRE_WARNING 000100"),
        ("001100", CloseReason::MessageTooShort(MessageType::ERROR), "Invalid WIRE_ERROR 001100"),
        (
            "00800102",
            CloseReason::MessageTooShort(MessageType::new(128)),
            "Invalid WIRE_UPDATE_ADD_HTLC 00800102",
        ),
        ("001000000000", CloseReason::InitRepeated, "init message sent twice"),
    ];
    for (message, reason, last_word) in cases {
        let (mut side, mut scripted) = open_to_script();
        side.hear(START, &scripted.say(&unhex(message)));
        assert_eq!(side.connection.close_reason(), Some(*reason), "{message}");
        let said = scripted.read(&side.transmit());
        assert_eq!(warning_text(&said[0]), *last_word, "{message}");
    }
}

/// Every first message that is no acceptable `init`.
#[test]
fn a_bad_first_message_closes_with_a_reason() {
    let zeros = "00".repeat(32);
    let other_chain = format!("0010000000000120{zeros}");
    let cases: &[(&str, CloseReason, &str)] = &[
        ("001200000000", CloseReason::InitNotFirst(MessageType::PING), "18 (WIRE_PING) message before init"),
        ("8001", CloseReason::InitNotFirst(MessageType::new(32_769)), "32769 message before init"),
        (&other_chain, CloseReason::NoCommonChain, "No common network"),
        // Bit 98, required, is assigned to nobody.
        (
            "00100000000d04000000000000000000000000",
            CloseReason::UnknownEvenFeature(FeatureBit::new(98)),
            "Unsupported feature 98",
        ),
        // Bit 17 (basic_mpp) without bit 14 or 15 (payment_secret).
        (
            "001000000003020000",
            CloseReason::MissingFeatureDependency(MissingDependency {
                feature: Feature::BasicMpp,
                needs: Feature::PaymentSecret,
            }),
            "feature basic_mpp is set without payment_secret, which it depends on",
        ),
    ];
    for (message, reason, last_word) in cases {
        let mut side = answerer();
        let mut scripted = Scripted::shaken(&mut side);
        side.hear(START, &scripted.say(&unhex(message)));
        assert_eq!(side.connection.close_reason(), Some(*reason), "{message}");
        let said = scripted.read(&side.transmit());
        assert_eq!(warning_text(&said[0]), *last_word, "{message}");
    }
}

#[test]
fn our_init_goes_out_before_the_warning_about_theirs() {
    let mut theirs = local(0x22);
    theirs.chain_hash = [9; 32];
    let (mut dialer, mut answerer) = pair_with(theirs);
    answerer.hear(START, &dialer.transmit());
    dialer.hear(START, &answerer.transmit());
    // Act three and the unsuitable init come in one piece.
    answerer.hear(START, &dialer.transmit());
    assert_eq!(answerer.connection.phase(), Phase::Closing);
    let wire = answerer.transmit();
    dialer.hear(START, &wire);
    // The dialer closes on our init, which came first; it never saw a warning without an init before it.
    assert_eq!(dialer.connection.close_reason(), Some(CloseReason::NoCommonChain));
}

#[test]
fn an_act_in_one_piece_with_what_follows_is_taken_alone() {
    let (mut dialer, mut answerer) = pair_with(local(0x22));
    let mut input = dialer.transmit();
    input.push(7);
    let received = answerer.connection.receive(START, &mut input[..10], &NoEvenTypes);
    assert_eq!((received.consumed, received.wanted), (0, 40));
    let received = answerer.connection.receive(START, &mut input, &NoEvenTypes);
    assert_eq!((received.consumed, received.wanted), (50, 0));
    let mut input = answerer.transmit();
    input.push(7);
    let received = dialer.connection.receive(START, &mut input, &NoEvenTypes);
    assert_eq!((received.consumed, received.wanted), (50, 0));
    let mut input = dialer.transmit();
    let received = answerer.connection.receive(START, &mut input, &NoEvenTypes);
    assert_eq!((received.consumed, received.wanted), (66, 0));
}

#[test]
fn no_input_is_no_news_in_any_phase() {
    let nothing = |connection: &mut Connection<Local>, wanted| {
        let received = connection.receive(START, &mut [], &NoEvenTypes);
        assert_eq!((received.consumed, received.wanted), (0, wanted));
        assert!(received.event.is_none());
    };
    let mut side = answerer();
    nothing(&mut side.connection, 50);
    let mut scripted = Scripted::shaken(&mut side);
    nothing(&mut side.connection, HEADER_LEN);
    side.hear(START, &scripted.say(BARE_INIT));
    nothing(&mut side.connection, HEADER_LEN);
    side.connection.drain(START, CloseReason::Shutdown);
    nothing(&mut side.connection, HEADER_LEN);
    side.connection.close_with_warning(START, CloseReason::TooManyPeers);
    nothing(&mut side.connection, 1);
    side.connection.finish();
    nothing(&mut side.connection, 1);
}

#[test]
fn an_error_instead_of_init_is_heard_and_ends_the_connection() {
    let mut side = answerer();
    let mut scripted = Scripted::shaken(&mut side);
    let error = [&[0, 17][..], &[0; 32], &[0, 2], b"no"].concat();
    side.hear(START, &[scripted.say(&error), scripted.say(BARE_INIT)].concat());
    assert_eq!(side.take_seen(), [Seen::Error(b"no".to_vec())]);
    assert_eq!(side.connection.close_reason(), Some(CloseReason::PeerError));
    assert!(!side.connection.has_transmit());
}

#[test]
fn misuse_while_draining_is_told_and_the_first_reason_stays() {
    let (mut side, mut scripted) = open_to_script();
    side.connection.drain(START, CloseReason::Shutdown);
    side.hear(START, &scripted.say(&unhex("001200030000")));
    side.hear(START, &[scripted.say(&unhex("8000")), scripted.say(&unhex("8001"))].concat());
    assert_eq!(side.take_seen(), [], "nothing is delivered after the end has begun");
    assert_eq!(side.connection.close_reason(), Some(CloseReason::Shutdown));
    // The pong that was still owed gives way to the last word.
    assert_eq!(side.connection.last_word(), Some("Invalid unknown even msg 8000"));
    let said = scripted.read(&side.transmit());
    assert_eq!(said.len(), 1);
    assert_eq!(warning_text(&said[0]), "Invalid unknown even msg 8000");
    assert_eq!((side.connection.last_word(), side.connection.phase()), (None, Phase::Closing));
    // Whatever comes now, from whomever, changes nothing.
    side.connection.drain(START, CloseReason::LocalDisconnect);
    side.connection.close_with_warning(START, CloseReason::TooManyPeers);
    side.connection.abort(CloseReason::Transport);
    assert_eq!(side.connection.phase(), Phase::Closed);
    assert_eq!(side.connection.close_reason(), Some(CloseReason::Shutdown));
    assert_eq!(side.connection.seal(&mut [0; 40]), Err(SealRefused::NotOpen));
    assert_eq!(side.connection.poll_transmit(&mut [0; 200]), None);
}

#[test]
fn a_last_word_that_nobody_reads_ends_by_itself() {
    let (mut side, _scripted) = open_to_script();
    side.connection.close_with_warning(START, CloseReason::TooManyPeers);
    let end = after(Deadlines::DEFAULT.drain);
    assert_eq!(side.connection.poll_timeout(), Some(end));
    side.connection.handle_timeout(end);
    assert_eq!((side.connection.phase(), side.connection.has_transmit()), (Phase::Closed, false));
}

#[test]
fn the_longest_last_word_is_whole() {
    let (mut side, mut scripted) = open_to_script();
    let longest = (0..=u16::MAX)
        .map(MessageType::new)
        .filter(|kind| kind.is_internal() && kind.minimum_payload_len() > Some(63))
        .max_by_key(|kind| kind.name().map(str::len))
        .unwrap();
    let mut message = longest.get().to_be_bytes().to_vec();
    message.resize(65, 0xcc);
    side.hear(START, &scripted.say(&message));
    let expected = format!("Invalid {} {:04x}{}...", longest.name().unwrap(), longest.get(), "cc".repeat(62));
    assert_eq!(side.connection.last_word(), Some(expected.as_str()));
}

#[test]
fn an_init_as_long_as_a_message_can_be_is_read() {
    for (last_byte, reason) in [(2_u8, None), (0, None), (1, Some(FeatureBit::new(65_529 * 8 - 8)))] {
        let mut side = answerer();
        let mut scripted = Scripted::shaken(&mut side);
        let mut init = [&[0, 16, 0, 0][..], &65_529_u16.to_be_bytes()].concat();
        init.resize(MAX_MESSAGE_LEN, 0);
        init[6] = last_byte;
        side.hear(START, &scripted.say(&init));
        assert_eq!(side.connection.close_reason(), reason.map(CloseReason::UnknownEvenFeature));
    }
}

#[test]
fn one_common_chain_among_several_is_enough() {
    for (position, fits) in [(0, true), (1, true), (2, true), (3, false)] {
        let mut side = answerer();
        let mut scripted = Scripted::shaken(&mut side);
        let mut chains = [[9; 32]; 3];
        if let Some(chain) = chains.get_mut(position) {
            *chain = CHAIN;
        }
        side.hear(START, &scripted.say(&[BARE_INIT, &[1, 96], chains.as_flattened()].concat()));
        assert_eq!(side.connection.phase() == Phase::Open, fits);
    }
    // An empty list names no chain, so none is common.
    let mut side = answerer();
    let mut scripted = Scripted::shaken(&mut side);
    side.hear(START, &scripted.say(&[BARE_INIT, &[1, 0]].concat()));
    assert_eq!(side.connection.close_reason(), Some(CloseReason::NoCommonChain));
}

/// A node that has been about for long may leave out fields that were added later.
#[test]
fn the_old_short_channel_reestablish_is_answered() {
    let (mut side, mut scripted) = open_to_script();
    let old = [&[0, 136][..], &[0x78; 32], &[0; 16]].concat();
    side.hear(START, &scripted.say(&old));
    assert_eq!(side.take_seen(), [Seen::Ignored(136)]);
    assert_eq!(scripted.read(&side.transmit())[0][..34], [&[0, 1][..], &[0x78; 32]].concat());
}

#[test]
fn garbage_instead_of_act_one_is_refused_at_its_first_byte() {
    let mut side = answerer();
    side.hear(START, b"GET / HTTP/1.1\r\n");
    let reason = CloseReason::Handshake(HandshakeError::ActOneBadVersion(b'G'));
    assert_eq!(side.connection.close_reason(), Some(reason));
    assert_eq!(side.connection.phase(), Phase::Closed);
}

#[test]
fn what_came_before_a_damaged_frame_is_delivered() {
    let (mut side, mut scripted) = open_to_script();
    let mut wire = scripted.say(&unhex("8001aa"));
    let good = wire.len();
    wire.extend_from_slice(&scripted.say(&unhex("8003bb")));
    wire[good + HEADER_LEN] ^= 1;
    side.hear(START, &wire);
    assert_eq!(side.take_seen(), [Seen::Message(32_769, vec![0xaa])]);
    assert!(matches!(side.connection.close_reason(), Some(CloseReason::BadFrame(_))));
    assert_eq!(side.connection.phase(), Phase::Closed);
}

#[test]
fn the_bytes_of_a_damaged_frame_are_not_waited_for() {
    let (mut side, _scripted) = open_to_script();
    let mut garbage = [0; 100];
    let received = side.connection.receive(START, &mut garbage, &NoEvenTypes);
    assert_eq!((received.consumed, received.wanted), (0, 0));
    // Bytes behind the end are thrown away.
    let received = side.connection.receive(START, &mut garbage, &NoEvenTypes);
    assert_eq!((received.consumed, received.wanted), (100, 1));
}

#[test]
fn the_driver_may_give_up_at_any_time() {
    let (mut side, _scripted) = open_to_script();
    side.connection.abort(CloseReason::WriteStalled);
    assert_eq!(side.connection.phase(), Phase::Closed);
    assert_eq!(side.connection.close_reason(), Some(CloseReason::WriteStalled));
    side.connection.input_ended();
    assert_eq!(side.connection.close_reason(), Some(CloseReason::WriteStalled));
}

#[test]
fn a_replayed_frame_is_refused() {
    let (mut side, mut scripted) = open_to_script();
    let frame = scripted.say(&unhex("8001aa"));
    side.hear(START, &frame);
    side.hear(START, &frame);
    assert_eq!(side.take_seen().len(), 1);
    assert!(matches!(side.connection.close_reason(), Some(CloseReason::BadFrame(_))));
}

#[test]
fn each_phase_has_its_deadline() {
    let deadlines = Deadlines::DEFAULT;
    let mut side = answerer();
    assert_eq!(side.connection.poll_timeout(), Some(after(deadlines.handshake)));
    side.connection.handle_timeout(later(1));
    assert_eq!(side.connection.phase(), Phase::Handshake);
    side.connection.handle_timeout(after(deadlines.handshake));
    assert_eq!(side.connection.close_reason(), Some(CloseReason::HandshakeTimeout));
    assert_eq!(side.connection.poll_timeout(), None);

    let mut side = answerer();
    Scripted::shaken(&mut side);
    assert_eq!(side.connection.poll_timeout(), Some(after(deadlines.init)));
    side.connection.handle_timeout(after(deadlines.init));
    assert_eq!(side.connection.close_reason(), Some(CloseReason::InitTimeout));
}

#[test]
fn an_idle_peer_is_pinged_and_a_silent_one_is_dropped() {
    let deadlines = Deadlines::DEFAULT;
    let (mut side, mut scripted) = open_to_script();
    let idle = after(deadlines.idle_before_ping);
    assert_eq!(side.connection.poll_timeout(), Some(idle));
    side.connection.handle_timeout(idle);
    assert_eq!(scripted.read(&side.transmit()), [unhex("001200010000")]);
    let dead = idle.after(deadlines.pong);
    assert_eq!(side.connection.poll_timeout(), Some(dead));
    side.connection.handle_timeout(dead);
    assert_eq!(side.connection.close_reason(), Some(CloseReason::PingTimeout));
}

#[test]
fn other_messages_than_the_pong_keep_a_peer_alive() {
    let deadlines = Deadlines::DEFAULT;
    let (mut side, mut scripted) = open_to_script();
    let idle = after(deadlines.idle_before_ping);
    side.connection.handle_timeout(idle);
    side.transmit();
    let heard = idle.after(deadlines.pong / 2);
    side.hear(heard, &scripted.say(&unhex("8001")));
    side.connection.handle_timeout(idle.after(deadlines.pong));
    assert_eq!(side.connection.phase(), Phase::Open);
    assert_eq!(side.connection.poll_timeout(), Some(heard.after(deadlines.idle_before_ping)));
}

#[test]
fn a_frame_that_only_drips_is_no_sign_of_life() {
    let deadlines = Deadlines::DEFAULT;
    let (mut side, mut scripted) = open_to_script();
    let frame = scripted.say(&[0x80; 1_000]);
    let idle = after(deadlines.idle_before_ping);
    side.connection.handle_timeout(idle);
    for (second, byte) in (0_u64..).zip(&frame[..30]) {
        side.hear(idle.after(core::time::Duration::from_secs(second)), &[*byte]);
    }
    side.connection.handle_timeout(idle.after(deadlines.pong));
    assert_eq!(side.connection.close_reason(), Some(CloseReason::PingTimeout));
}

/// What counts is the order of things, not what the clock showed: two of them may happen in one millisecond, and no clock
/// is better than the one who hands it in.
#[test]
fn a_message_after_the_ping_is_a_sign_of_life_at_the_same_time_and_even_before() {
    for heard in [START.as_millis() + 45_000, START.as_millis() + 44_000] {
        let (mut side, mut scripted) = open_to_script();
        let idle = after(Deadlines::DEFAULT.idle_before_ping);
        side.connection.handle_timeout(idle);
        side.transmit();
        side.hear(Timestamp::from_millis(heard), &scripted.say(&unhex("8001")));
        side.connection.handle_timeout(idle.after(Deadlines::DEFAULT.pong));
        assert_eq!(side.connection.phase(), Phase::Open);
    }
}

#[test]
fn warnings_and_errors_are_signs_of_life() {
    for kind in [1, 17] {
        let (mut side, mut scripted) = open_to_script();
        let message = [&[0, kind][..], &[3; 32], &[0, 0]].concat();
        side.hear(later(9), &scripted.say(&message));
        let idle = later(9).after(Deadlines::DEFAULT.idle_before_ping);
        assert_eq!(side.connection.poll_timeout(), Some(idle));
    }
}

#[test]
fn answers_that_are_owed_give_way_to_the_last_word() {
    let (mut side, mut scripted) = open_to_script();
    side.hear(START, &scripted.say(&unhex("001200030000")));
    side.connection.ping(START, Ping { num_pong_bytes: 1, byteslen: 0 }).unwrap();
    side.hear(START, &scripted.say(&padded(MessageType::CHANNEL_REESTABLISH, &[0x78; 32])));
    assert!(!side.connection.wants_read());
    side.connection.close_with_warning(START, CloseReason::TooManyPeers);
    // The peer's bytes are taken and thrown away again, so that it can come to read.
    assert!(side.connection.wants_read());
    let said = scripted.read(&side.transmit());
    assert_eq!(said.len(), 1);
    assert_eq!(warning_text(&said[0]), "too many peers are connected");
}

#[test]
fn a_ping_of_the_caller_gives_a_silent_peer_no_more_time() {
    let deadlines = Deadlines::DEFAULT;
    let (mut side, _scripted) = open_to_script();
    let idle = after(deadlines.idle_before_ping);
    side.connection.handle_timeout(idle);
    side.connection.ping(idle.after(deadlines.pong / 2), Ping { num_pong_bytes: 9, byteslen: 0 }).unwrap();
    assert_eq!(side.connection.poll_timeout(), Some(idle.after(deadlines.pong)));
    side.connection.handle_timeout(idle.after(deadlines.pong));
    assert_eq!(side.connection.close_reason(), Some(CloseReason::PingTimeout));
}

#[test]
fn time_between_two_points_is_never_negative() {
    assert_eq!(later(7).since(later(2)), core::time::Duration::from_millis(5));
    assert_eq!(later(2).since(later(7)), core::time::Duration::ZERO);
    assert_eq!(later(2).after(core::time::Duration::MAX), Timestamp::from_millis(u64::MAX));
}

#[test]
fn times_at_the_ends_of_the_clock_do_no_harm() {
    let end = Timestamp::from_millis(u64::MAX);
    let mut side = Side::new(Connection::responder(local(0x22), None, ephemeral(0x44), end));
    assert_eq!(side.connection.poll_timeout(), Some(end));
    side.connection.handle_timeout(START);
    assert_eq!(side.connection.phase(), Phase::Handshake);
    side.connection.handle_timeout(end);
    assert_eq!(side.connection.close_reason(), Some(CloseReason::HandshakeTimeout));

    let (mut side, mut scripted) = open_to_script();
    side.hear(end, &scripted.say(&unhex("8001")));
    side.connection.handle_timeout(Timestamp::from_millis(0));
    side.hear(Timestamp::from_millis(0), &scripted.say(&unhex("8001")));
    assert_eq!(side.connection.phase(), Phase::Open);
    assert_eq!(side.connection.poll_timeout(), Some(Timestamp::from_millis(45_000)));
}

/// What our `init` says of where we see the peer.
fn told_address(seen_at: &str) -> Option<SocketAddr> {
    let theirs = local(0x22);
    let their_id = theirs.key.node_id();
    let dialer = Connection::initiator(local(0x11), their_id, ephemeral(0x33), START);
    let answerer = Connection::responder(theirs, Some(seen_at.parse().unwrap()), ephemeral(0x44), START);
    let (mut dialer, mut answerer) = (Side::new(dialer), Side::new(answerer));
    answerer.hear(START, &dialer.transmit());
    dialer.hear(START, &answerer.transmit());
    answerer.hear(START, &dialer.transmit());
    let mut wire = answerer.transmit();
    // The header is consumed together with the body, since both are here.
    let received = dialer.connection.receive(START, &mut wire, &NoEvenTypes);
    let Some(Event::Open(init)) = received.event else { panic!("{received:?}") };
    init.remote_addr.and_then(|address| address.socket_addr())
}

#[test]
fn a_peer_is_told_a_public_address_and_no_private_one() {
    for told in
        ["8.8.8.8:1", "100.63.255.255:1", "100.128.0.0:1", "[2600::1]:65535", "127.0.0.1:9735", "[::1]:9735"]
    {
        assert_eq!(told_address(told), Some(told.parse().unwrap()), "{told}");
    }
    assert_eq!(told_address("[::ffff:8.8.4.4]:9735"), Some("8.8.4.4:9735".parse().unwrap()));
    for kept in [
        "10.1.2.3:9735",
        "192.168.0.1:9735",
        "172.16.0.1:9735",
        "169.254.0.1:9735",
        "100.64.0.0:9735",
        "100.127.255.255:9735",
        "0.0.0.0:9735",
        "255.255.255.255:9735",
        "224.0.0.1:9735",
        "8.8.8.8:0",
        "[::ffff:10.1.2.3]:9735",
        "[fc00::1]:9735",
        "[fe80::1]:9735",
        "[::]:9735",
        "[ff02::1]:9735",
    ] {
        assert_eq!(told_address(kept), None, "{kept}");
    }
}

#[test]
fn draining_still_delivers_and_seals_and_then_ends() {
    let (mut side, mut scripted) = open_to_script();
    side.connection.drain(START, CloseReason::LocalDisconnect);
    assert_eq!(side.connection.phase(), Phase::Draining);
    assert_eq!(
        side.connection.ping(START, Ping { num_pong_bytes: 1, byteslen: 0 }),
        Err(PingRefused::NotOpen)
    );
    side.hear(START, &scripted.say(&unhex("8001aa")));
    assert_eq!(side.take_seen().len(), 1);
    let frame = side.sealed(&unhex("8003bb"));
    assert_eq!(scripted.read(&frame), [unhex("8003bb")]);
    let end = after(Deadlines::DEFAULT.drain);
    assert_eq!(side.connection.poll_timeout(), Some(end));
    side.connection.handle_timeout(end);
    assert_eq!(side.connection.phase(), Phase::Closed);
    assert_eq!(side.connection.close_reason(), Some(CloseReason::LocalDisconnect));
}

#[test]
fn a_pong_longer_than_the_room_ends_the_connection() {
    let (mut side, mut scripted) = open_to_script();
    side.hear(START, &scripted.say(&unhex("001203e80000")));
    assert_eq!(side.connection.poll_transmit(&mut [0; 512]), None);
    assert_eq!(side.connection.close_reason(), Some(CloseReason::NoRoomToTransmit));
}

#[test]
fn state_is_small() {
    let size = size_of::<Connection<&Local>>();
    assert!(size <= 700, "a connection takes {size} bytes");
}
