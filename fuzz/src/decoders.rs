//! Our decoders beside LDK's, for every message and field that both know, on the same bytes.
//!
//! Held: both accept or both refuse, and what they accept has the same values. Where they differ on purpose, the difference
//! is written down at its place here, and nothing else may be behind it:
//!
//! - `error` and `warning`: LDK refuses a text that is not UTF-8. BOLT 1 has it as bytes, so we take it, and never print it
//!   raw.
//! - `init`: LDK refuses the whole message for an address that it cannot read, or with bytes behind it. BOLT 7 has such
//!   addresses ignored, so we ignore it: a bad hint is no reason to close a connection.
//! - addresses: LDK takes port 0 and onion services of version 2, which BOLT 7 has given up, and host names without a
//!   character; of host names it takes letters, digits, `.`, `-` and `_` alone, where we take what BOLT 7 says, ASCII.
//! - `onion_message`: LDK looks into the onion at once and refuses one that is too short or whose key is no point; we do so a
//!   step later, when it is peeled, and then refuse unknown versions as well.

use lightning::blinded_path::IntroductionNode;
use lightning::blinded_path::message::BlindedMessagePath;
use lightning::decode_tlv_stream;
use lightning::ln::msgs::{self, DecodeError, SocketAddress};
use lightning::util::ser::{BigSize, LengthReadable, Readable, Writeable};
use wire_core::cursor::{Reader, Writer};
use wire_core::message::address::Address;
use wire_core::message::bigsize;
use wire_core::message::error::{ErrorMessage, WarningMessage};
use wire_core::message::init::Init;
use wire_core::message::onion_message::OnionMessage;
use wire_core::message::ping::{Ping, Pong};
use wire_core::message::tlv::{TlvError, TlvStream, TlvWriter};
use wire_core::onion::blinded_path::Introduction;
use wire_core::onion::{BlindedPath, Packet};

/// The first byte chooses what the rest is.
pub fn run(data: &[u8]) {
    let Some((choice, bytes)) = data.split_first() else { return };
    match choice % 10 {
        0 => init(bytes),
        1 => error(bytes),
        2 => warning(bytes),
        3 => ping(bytes),
        4 => pong(bytes),
        5 => onion_message(bytes),
        6 => blinded_path(bytes),
        7 => address(bytes),
        8 => number(bytes),
        _ => records(bytes),
    }
}

/// What LDK makes of the beginning of `bytes`, and how many bytes it leaves.
fn ldk<T: LengthReadable>(bytes: &[u8]) -> Result<(T, usize), DecodeError> {
    let mut rest = bytes;
    let value = T::read_from_fixed_length_buffer(&mut rest)?;
    Ok((value, rest.len()))
}

fn init(bytes: &[u8]) {
    let ours = Init::decode(bytes);
    let theirs = ldk::<msgs::Init>(bytes);
    let (ours, theirs) = match (ours, theirs) {
        (Err(_), Err(_)) => return,
        (Ok(ours), Ok((theirs, _))) => (ours, theirs),
        (Ok(ours), Err(theirs)) => {
            let (plain, _) = ldk::<msgs::Init>(&without_address(bytes, &ours))
                .unwrap_or_else(|again| panic!("LDK refuses, {theirs:?}, without an address too: {again:?}"));
            (Init { remote_addr: None, ..ours }, plain)
        }
        (Err(ours), Ok(_)) => panic!("LDK takes what we refuse: {ours}"),
    };
    assert_eq!(set_bits(&ours), big_endian(&theirs.features.encode()));
    let networks = ours.networks.map(|networks| networks.iter().copied().collect::<Vec<_>>());
    let their_networks = theirs.networks.map(|hashes| hashes.iter().map(|hash| hash.to_bytes()).collect());
    assert_eq!(networks, their_networks);
    match (ours.remote_addr, theirs.remote_network_address) {
        (None, None) => {}
        (None, Some(theirs)) => assert!(is_for_ldk_alone(&theirs), "{theirs:?}"),
        (Some(ours), Some(theirs)) => assert_eq!(encoded(&ours), theirs.encode()),
        (Some(ours), None) => panic!("LDK has no address, we have {ours}"),
    }
}

/// The same `init`, without the record of the address.
fn without_address(bytes: &[u8], init: &Init<'_>) -> Vec<u8> {
    let fields = init.globalfeatures.len() + init.features.len() + 4;
    let (fields, stream) = bytes.split_at(fields);
    let mut room = vec![0; stream.len()];
    let mut writer = Writer::new(&mut room);
    let mut others = TlvWriter::new(&mut writer);
    for record in TlvStream::new(stream).filter_map(Result::ok).filter(|record| record.kind != 3) {
        others.record(record.kind, record.value).expect("it came out of as many bytes");
    }
    [fields, writer.into_written()].concat()
}

/// All features of an `init`, big-endian, without zero bytes in front.
fn set_bits(init: &Init<'_>) -> Vec<u8> {
    let bytes: Vec<u8> = init.combined_features().bytes().collect();
    bytes.into_iter().skip_while(|byte| *byte == 0).collect()
}

/// LDK writes features behind their length, in two bytes.
fn big_endian(features: &[u8]) -> Vec<u8> {
    features[2..].iter().copied().skip_while(|byte| *byte == 0).collect()
}

fn error(bytes: &[u8]) {
    let ours = ErrorMessage::decode(bytes).ok().map(|error| (error.channel_id, error.data));
    let theirs = ldk::<msgs::ErrorMessage>(bytes).ok().map(|(error, _)| (error.channel_id.0, error.data));
    same_words(ours, theirs.as_ref());
}

fn warning(bytes: &[u8]) {
    let ours = WarningMessage::decode(bytes).ok().map(|warning| (warning.channel_id, warning.data));
    let theirs =
        ldk::<msgs::WarningMessage>(bytes).ok().map(|(warning, _)| (warning.channel_id.0, warning.data));
    same_words(ours, theirs.as_ref());
}

fn same_words(ours: Option<([u8; 32], &[u8])>, theirs: Option<&([u8; 32], String)>) {
    let as_theirs = ours.and_then(|(id, data)| Some((id, String::from_utf8(data.to_vec()).ok()?)));
    assert_eq!(as_theirs.as_ref(), theirs);
}

fn ping(bytes: &[u8]) {
    let ours = Ping::decode(bytes).ok().map(|ping| (ping.num_pong_bytes, ping.byteslen));
    let theirs = ldk::<msgs::Ping>(bytes).ok().map(|(ping, _)| (ping.ponglen, ping.byteslen));
    assert_eq!(ours, theirs);
}

fn pong(bytes: &[u8]) {
    let ours = Pong::decode(bytes).ok().map(|pong| pong.byteslen);
    assert_eq!(ours, ldk::<msgs::Pong>(bytes).ok().map(|(pong, _)| pong.byteslen));
}

fn onion_message(bytes: &[u8]) {
    let ours = OnionMessage::decode(bytes);
    let parses = ours.is_ok_and(|message| Packet::parse(&mut message.packet.to_vec()).is_ok());
    match ldk::<msgs::OnionMessage>(bytes) {
        Ok((theirs, _)) => {
            let ours = ours.expect("LDK takes it");
            assert_eq!(ours.path_key.as_bytes(), &theirs.blinding_point.serialize());
            assert_eq!(ours.packet, theirs.onion_routing_packet.encode());
            assert_eq!(parses, theirs.onion_routing_packet.version == 0);
        }
        Err(refusal) => assert!(!parses, "LDK refuses: {refusal:?}"),
    }
}

fn blinded_path(bytes: &[u8]) {
    let ours = BlindedPath::decode(bytes);
    // A path is all of a record, and LDK refuses a record with bytes behind it, too.
    let theirs = ldk::<BlindedMessagePath>(bytes).ok().filter(|(_, left)| *left == 0);
    assert_eq!(ours.is_ok(), theirs.is_some(), "{ours:?}");
    let (Ok(ours), Some((theirs, _))) = (ours, theirs) else { return };
    assert_eq!(theirs.encode(), bytes);
    match (ours.introduction, theirs.introduction_node()) {
        (Introduction::Node(ours), IntroductionNode::NodeId(theirs)) => {
            assert_eq!(ours.as_bytes(), &theirs.serialize());
        }
        (Introduction::Channel { short_channel_id, .. }, IntroductionNode::DirectedShortChannelId(_, id)) => {
            assert_eq!(short_channel_id, *id);
        }
        (ours, theirs) => panic!("{ours:?} is not {theirs:?}"),
    }
    assert_eq!(ours.first_path_key.as_bytes(), &theirs.blinding_point().serialize());
    let hops = theirs.blinded_hops();
    assert_eq!(ours.hop_count(), hops.len());
    for (ours, theirs) in ours.hops().zip(hops) {
        assert_eq!(ours.node_id.as_bytes(), &theirs.blinded_node_id.serialize());
        assert_eq!(ours.encrypted_recipient_data, theirs.encrypted_payload);
    }
}

fn address(bytes: &[u8]) {
    let ours = Address::decode(bytes);
    let theirs = ldk::<SocketAddress>(bytes).ok().filter(|(_, left)| *left == 0);
    match (ours, theirs) {
        (Ok(ours), Some((theirs, _))) => assert_eq!(encoded(&ours), theirs.encode()),
        (Err(_), None) => {}
        (Err(refusal), Some((theirs, _))) => {
            assert!(is_for_ldk_alone(&theirs), "we refuse {theirs}: {refusal}");
        }
        (Ok(Address::Dns { hostname, .. }), None) => {
            let is_usual = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-".contains(byte);
            assert!(!hostname.iter().all(is_usual), "{hostname:?}");
        }
        (Ok(ours), None) => panic!("LDK refuses {ours}"),
    }
}

/// What LDK takes for an address and we do not.
fn is_for_ldk_alone(address: &SocketAddress) -> bool {
    match address {
        SocketAddress::OnionV2(_) => true,
        SocketAddress::TcpIpV4 { port, .. }
        | SocketAddress::TcpIpV6 { port, .. }
        | SocketAddress::OnionV3 { port, .. } => *port == 0,
        SocketAddress::Hostname { hostname, port } => *port == 0 || hostname.is_empty(),
    }
}

fn encoded(address: &Address<'_>) -> Vec<u8> {
    let mut room = [0; wire_core::message::address::MAX_LEN];
    let mut writer = Writer::new(&mut room);
    address.encode(&mut writer).expect("a descriptor has no more");
    writer.into_written().to_vec()
}

fn number(bytes: &[u8]) {
    let mut reader = Reader::new(bytes);
    let ours = bigsize::read(&mut reader).ok().map(|value| (value, reader.remaining()));
    let mut rest = bytes;
    let theirs = <BigSize as Readable>::read(&mut rest).ok().map(|value| (value.0, rest.len()));
    assert_eq!(ours, theirs);
}

/// A stream of which nodes know three records: integers of 8, 4 and 2 bytes. (LDK's truncated integers are not public; ours
/// are the target `tlv`'s.) All other types, of both parities, are unknown.
#[derive(Debug, Default, PartialEq, Eq)]
struct Known {
    long: Option<u64>,
    middle: Option<u32>,
    short: Option<u16>,
}

fn records(bytes: &[u8]) {
    let ours = our_records(bytes);
    let theirs = their_records(bytes);
    assert_eq!(ours.as_ref().ok(), theirs.as_ref().ok(), "{ours:?}, {theirs:?}");
}

fn our_records(bytes: &[u8]) -> Result<Known, TlvError> {
    let mut known = Known::default();
    for record in TlvStream::new(bytes) {
        let record = record?;
        match record.kind {
            1 => known.long = Some(u64::from_be_bytes(*record.array()?)),
            2 => known.middle = Some(u32::from_be_bytes(*record.array()?)),
            254 => known.short = Some(u16::from_be_bytes(*record.array()?)),
            _ => record.ignore_unknown()?,
        }
    }
    Ok(known)
}

#[expect(clippy::drop_non_drop, reason = "LDK's macro does that")]
fn their_records(mut bytes: &[u8]) -> Result<Known, DecodeError> {
    let mut long: Option<u64> = None;
    let mut middle: Option<u32> = None;
    let mut short: Option<u16> = None;
    decode_tlv_stream!(&mut bytes, {
        (1, long, option),
        (2, middle, option),
        (254, short, option),
    });
    Ok(Known { long, middle, short })
}
