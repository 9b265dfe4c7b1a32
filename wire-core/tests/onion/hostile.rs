//! Onions that are well wrapped and say nonsense inside: every reason of BOLT 4 to ignore a message.

use wire_core::{
    cursor::Writer,
    limits::{ONION_AREA_LEN, ONION_OVERHEAD},
    message::tlv::{TlvError, TlvRecord, TlvWriter},
    node_id::NodeId,
    onion::{
        BlindedIdentity, EncryptedData, Hop, PacketError, PeelError, SharedSecret,
        blinded_path::{Blinder, PathNode},
        construct,
        message::{ComposeError, Contents, Keys, NextHop, ReceiveError, Received, Route, compose, receive},
    },
    secret::StaticKey,
};

use crate::vectors::{key, session};

fn us() -> StaticKey {
    key([1; 32])
}

/// The path key with which messages come here.
fn path_key() -> NodeId {
    Blinder::new(session([2; 32])).path_key()
}

fn encoded(data: &EncryptedData<'_>) -> Vec<u8> {
    let mut room = vec![0; data.encoded_len()];
    data.encode(&mut Writer::new(&mut room), data.encoded_len()).unwrap();
    room
}

fn records(fields: &[(u64, &[u8])]) -> Vec<u8> {
    let mut room = vec![0; 1200];
    let mut writer = Writer::new(&mut room);
    let mut stream = TlvWriter::new(&mut writer);
    for (kind, value) in fields {
        stream.record(*kind, value).unwrap();
    }
    writer.into_written().to_vec()
}

/// Data as the creator of a path encrypts it to us.
fn sealed(mut data: Vec<u8>) -> Vec<u8> {
    let (_, tag) = Blinder::new(session([2; 32])).blind(&us().node_id(), &mut data).unwrap();
    data.extend(tag);
    data
}

/// What comes of an onion with this payload for us; `further` adds a hop behind.
fn outcome(payload: &[u8], further: bool) -> Result<NextHop, ReceiveError> {
    let identity = BlindedIdentity::new(&us(), &path_key()).unwrap();
    let behind = Hop { node: key([9; 32]).node_id(), payload: &[1, 0] };
    let hops = [Hop { node: identity.node_id(), payload }, behind];
    let mut packet = vec![0; ONION_OVERHEAD + ONION_AREA_LEN];
    let mut secrets = [SharedSecret::default(), SharedSecret::default()];
    let hops = if further { &hops[..] } else { &hops[..1] };
    construct(session([3; 32]), hops, &[], &mut packet, &mut secrets).unwrap();
    match receive(&us(), &path_key(), &mut packet)? {
        Received::Forward(forward) => Ok(forward.next),
        Received::Deliver(_) => Ok(NextHop::Node(us().node_id())),
    }
}

#[test]
fn good_ones_pass() {
    let next = key([9; 32]).node_id();
    let onward = EncryptedData { next_node_id: Some(next), ..Default::default() };
    assert_eq!(outcome(&records(&[(4, &sealed(encoded(&onward)))]), true), Ok(NextHop::Node(next)));
    let channel = EncryptedData { short_channel_id: Some(42), ..Default::default() };
    assert_eq!(outcome(&records(&[(4, &sealed(encoded(&channel)))]), true), Ok(NextHop::Channel(42)));
    // The id goes before the channel, padding and unknown odd records say nothing, and no feature is all features.
    let id = next.as_bytes();
    let both = records(&[(1, &[9; 7]), (2, &[0; 8]), (4, id), (14, &[0, 0]), (65_537, b"")]);
    assert_eq!(outcome(&records(&[(4, &sealed(both))]), true), Ok(NextHop::Node(next)));
    // The last hop may be told nothing at all.
    assert_eq!(outcome(&records(&[(65_537, b"hello")]), false), Ok(NextHop::Node(us().node_id())));
}

#[test]
fn another_path_key_goes_before_the_one_that_follows() {
    let (next, other) = (key([9; 32]).node_id(), key([8; 32]).node_id());
    let identity = BlindedIdentity::new(&us(), &path_key()).unwrap();
    for (next_path_key_override, expected) in [(Some(other), other), (None, identity.next_path_key())] {
        let data = EncryptedData { next_node_id: Some(next), next_path_key_override, ..Default::default() };
        let payload = records(&[(4, &sealed(encoded(&data)))]);
        let hops =
            [Hop { node: identity.node_id(), payload: &payload }, Hop { node: next, payload: &[1, 0] }];
        let mut packet = vec![0; ONION_OVERHEAD + ONION_AREA_LEN];
        let mut secrets = [SharedSecret::default(), SharedSecret::default()];
        construct(session([3; 32]), &hops, &[], &mut packet, &mut secrets).unwrap();
        match receive(&us(), &path_key(), &mut packet).unwrap() {
            Received::Forward(forward) => {
                assert_eq!((forward.next, forward.path_key), (NextHop::Node(next), expected));
            }
            Received::Deliver(_) => panic!("there is another hop"),
        }
    }
}

#[test]
fn a_message_has_one_payload() {
    for (fields, second) in [
        (&[(64, &b""[..]), (65_537, b"")][..], 65_537),
        (&[(1, b""), (65, b"a"), (67, b"b"), (69, b"c")], 67),
    ] {
        assert_eq!(outcome(&records(fields), false), Err(ReceiveError::SeveralPayloads { kind: second }));
    }
    assert!(outcome(&records(&[(1, b""), (63, b""), (65_537, b"")]), false).is_ok());
}

#[test]
fn a_hop_that_forwards_is_told_where_to_and_nothing_else() {
    let next = Some(key([9; 32]).node_id());
    let onward = EncryptedData { next_node_id: next, ..Default::default() };
    let data = sealed(encoded(&onward));
    assert_eq!(
        outcome(&records(&[(4, &data), (65_537, b"x")]), true),
        Err(ReceiveError::MoreThanData { kind: 65_537 })
    );
    assert_eq!(
        outcome(&records(&[(2, b"x"), (4, &data)]), true),
        Err(ReceiveError::MoreThanData { kind: 2 })
    );
    assert_eq!(outcome(&records(&[]), true), Err(ReceiveError::Peel(PeelError::LengthReserved(0))));
    let nowhere = sealed(encoded(&EncryptedData::default()));
    assert_eq!(outcome(&records(&[(4, &nowhere)]), true), Err(ReceiveError::NoNextNode));
    let named = EncryptedData { path_id: Some(&[1; 32]), ..onward };
    assert_eq!(
        outcome(&records(&[(4, &sealed(encoded(&named)))]), true),
        Err(ReceiveError::PathIdBeforeTheEnd)
    );
}

#[test]
fn data_that_is_not_ours_or_not_understood() {
    let next = Some(key([9; 32]).node_id());
    let onward = EncryptedData { next_node_id: next, ..Default::default() };
    for further in [true, false] {
        let mut altered = sealed(encoded(&onward));
        altered[0] ^= 1;
        assert_eq!(outcome(&records(&[(4, &altered)]), further), Err(ReceiveError::DataNotForUs));
        assert_eq!(outcome(&records(&[(4, b"short")]), further), Err(ReceiveError::DataNotForUs));
        let unknown = sealed(records(&[(16, b"")]));
        let even = ReceiveError::Data(TlvError::UnknownEvenType { kind: 16 });
        assert_eq!(outcome(&records(&[(4, &unknown)]), further), Err(even));
        let featured = EncryptedData { allowed_features: Some(&[0, 2]), ..onward };
        let featured = sealed(encoded(&featured));
        assert_eq!(outcome(&records(&[(4, &featured)]), further), Err(ReceiveError::UnknownFeature));
    }
    assert!(matches!(outcome(&[4, 200, 0], false), Err(ReceiveError::Payload(_))));
    assert!(matches!(outcome(&records(&[(2, b"no path")]), false), Err(ReceiveError::ReplyPath(_))));
}

#[test]
fn what_is_no_onion() {
    let outcome = |bytes: &mut [u8]| receive(&us(), &path_key(), bytes).err();
    assert_eq!(outcome(&mut []), Some(ReceiveError::Packet(PacketError::TooShort { len: 0 })));
    assert_eq!(outcome(&mut [0; 65]), Some(ReceiveError::Packet(PacketError::TooShort { len: 65 })));
    assert_eq!(outcome(&mut [1; 66]), Some(ReceiveError::Packet(PacketError::UnknownVersion(1))));
    assert_eq!(outcome(&mut [0; 66]), Some(ReceiveError::Packet(PacketError::EphemeralKeyNotAPoint)));
    let mut bytes = vec![0; 1366];
    bytes[1..34].copy_from_slice(us().node_id().as_bytes());
    assert_eq!(outcome(&mut bytes), Some(ReceiveError::Peel(PeelError::WrongHmac)));
}

#[test]
fn contents_that_cannot_be_sent() {
    let nodes = [PathNode::new(us().node_id())];
    let outcome = |nodes: &[_], records: &[TlvRecord<'_>]| {
        let keys = Keys { onion: session([3; 32]), path: session([4; 32]) };
        let contents = Contents { reply_path: None, records };
        let (mut scratch, mut packet) = (vec![0; 70_000], vec![0; 70_000]);
        compose(keys, &Route { nodes, path: None }, &contents, &mut scratch, &mut packet).err()
    };
    let record = |kind| TlvRecord { kind, value: b"x" };
    assert_eq!(outcome(&nodes, &[record(1), record(3), record(5)]), None);
    assert_eq!(outcome(&nodes, &[record(2)]), Some(ComposeError::Records { kind: 2 }));
    assert_eq!(outcome(&nodes, &[record(4)]), Some(ComposeError::Records { kind: 4 }));
    assert_eq!(outcome(&nodes, &[record(7), record(7)]), Some(ComposeError::Records { kind: 7 }));
    assert_eq!(outcome(&nodes, &[record(7), record(5)]), Some(ComposeError::Records { kind: 5 }));
    assert_eq!(outcome(&nodes, &[record(63), record(64)]), None);
    let two = outcome(&nodes, &[record(63), record(64), record(65)]);
    assert_eq!(two, Some(ComposeError::SeveralPayloads { kind: 65 }));
    assert_eq!(outcome(&[], &[]), Some(ComposeError::NoHops));
    assert_eq!(outcome(&vec![nodes[0]; 33], &[]), Some(ComposeError::TooManyHops { hops: 33 }));
    let long = vec![0; 33_000];
    let refused = outcome(&nodes, &[TlvRecord { kind: 9, value: &long }]);
    assert!(matches!(refused, Some(ComposeError::TooLong { .. })));
}
