//! `blinded-onion-message-onion-test.json`.

use wire_core::{
    cursor::Writer,
    limits::{ONION_AREA_LEN, ONION_OVERHEAD},
    message::{
        kind,
        onion_message::OnionMessage,
        tlv::{TlvRecord, TlvWriter},
    },
    onion::{
        BlindedPath, Hop, SharedSecret,
        blinded_path::{self, Blinder, Introduction, PathNode},
        construct,
        message::{Composed, Contents, Keys, NextHop, Received, Route, compose, receive},
    },
    secret::StaticKey,
};

use crate::vectors::{array, hex, key, list, load, point, session, session_key, static_key};

#[test]
fn blinded_onion_message_onion_test_generate() {
    let vector = load("bolt04-blinded-onion-message-onion-test.json");
    let mut route = Vec::new();
    let mut path_key = None;
    for hop in list(&vector["generate"]["hops"]) {
        // Alice stands before a path of Dave's, which starts with a key of its own.
        let mut blinder = Blinder::new(session_key(&hop["path_key_secret"]));
        path_key.get_or_insert(blinder.path_key());
        assert_eq!(blinder.path_key(), point(&hop["E"]));
        let node = match hop["alias"].as_str().unwrap() {
            "Alice" => key([0x41; 32]),
            "Bob" => key([0x42; 32]),
            "Carol" => key([0x43; 32]),
            _ => key([0x44; 32]),
        };
        let mut data = hex(&hop["encrypted_data_tlv"]);
        let (id, tag) = blinder.blind(&node.node_id(), &mut data).unwrap();
        data.extend(tag);
        assert_eq!(id, point(&hop["blinded_node_id"]));
        assert_eq!(data, hex(&hop["encrypted_recipient_data"]));
        route.push((id, data));
    }
    assert_eq!(path_key, Some(point(&vector["route"]["first_path_key"])));

    let hello = hex(&vector["onionmessage"]["unknown_tag_1"]);
    let payloads: Vec<_> =
        (1..).zip(&route).map(|(number, (_, data))| payload(number == 4, &hello, data)).collect();
    let hops: Vec<_> =
        route.iter().zip(&payloads).map(|((node, _), payload)| Hop { node: *node, payload }).collect();
    let mut packet = vec![0; ONION_OVERHEAD + ONION_AREA_LEN];
    let mut secrets: Vec<_> = hops.iter().map(|_| SharedSecret::default()).collect();
    construct(session_key(&vector["generate"]["session_key"]), &hops, &[], &mut packet, &mut secrets)
        .unwrap();
    assert_eq!(packet, hex(&vector["onionmessage"]["onion_message_packet"]));
}

fn payload(last: bool, hello: &[u8], data: &[u8]) -> Vec<u8> {
    let mut room = vec![0; 300];
    let mut writer = Writer::new(&mut room);
    let mut records = TlvWriter::new(&mut writer);
    if last {
        records.record(1, hello).unwrap();
    }
    records.record(4, data).unwrap();
    writer.into_written().to_vec()
}

#[test]
fn blinded_onion_message_onion_test_decrypt() {
    let vector = load("bolt04-blinded-onion-message-onion-test.json");
    let hops = list(&vector["decrypt"]["hops"]);
    let mut arriving = hex(&hops[0]["onion_message"]);
    for hop in hops {
        assert_eq!(arriving, hex(&hop["onion_message"]));
        let (_, payload) = kind::split(&arriving).unwrap();
        let message = OnionMessage::decode(payload).unwrap();
        let mut packet = message.packet.to_vec();
        match receive(&static_key(&hop["privkey"]), &message.path_key, &mut packet).unwrap() {
            Received::Forward(forward) => {
                assert_eq!(forward.next, NextHop::Node(point(&hop["next_node_id"])));
                let next = OnionMessage { path_key: forward.path_key, packet: forward.packet };
                let mut room = [0; 2000];
                let mut writer = Writer::new(&mut room);
                next.encode(&mut writer).unwrap();
                arriving = writer.into_written().to_vec();
            }
            Received::Deliver(delivery) => {
                assert_eq!(hop["alias"], "Dave");
                let path_id = &list(&vector["generate"]["hops"])[3]["tlvs"]["path_id"];
                assert_eq!(delivery.path_id, Some(array::<32>(path_id).as_slice()));
                assert!(delivery.reply_path.is_none());
                let hello = hex(&hop["tlvs"]["unknown_tag_1"]);
                let records: Vec<_> = delivery.records().collect();
                assert_eq!(records, [TlvRecord { kind: 1, value: &hello }]);
                return;
            }
        }
    }
    panic!("nobody was the last");
}

/// What came to the end of a route.
struct Arrived {
    hops: usize,
    records: Vec<(u64, Vec<u8>)>,
    reply_path: Option<Vec<u8>>,
    path_id: Option<Vec<u8>>,
}

/// Carries a message along `keys`, each node knowing only what it is told.
fn carried(keys: &[StaticKey], composed: &Composed<'_>) -> Arrived {
    let Introduction::Node(mut node) = composed.first else { panic!("no node to begin with") };
    let (mut path_key, mut packet) = (composed.path_key, composed.packet.to_vec());
    for hops in 1.. {
        let key = keys.iter().find(|key| key.node_id() == node).unwrap();
        let mut bytes = packet.clone();
        match receive(key, &path_key, &mut bytes).unwrap() {
            Received::Forward(forward) => {
                let NextHop::Node(next) = forward.next else { panic!("no channel was asked for") };
                (node, path_key, packet) = (next, forward.path_key, forward.packet.to_vec());
            }
            Received::Deliver(delivery) => {
                let records = delivery.records().map(|record| (record.kind, record.value.to_vec())).collect();
                let reply_path = delivery.reply_path.map(|path| {
                    let mut wire = vec![0; path.encoded_len()];
                    path.encode(&mut Writer::new(&mut wire)).unwrap();
                    wire
                });
                let path_id = delivery.path_id.map(<[u8]>::to_vec);
                return Arrived { hops, records, reply_path, path_id };
            }
        }
    }
    unreachable!()
}

#[test]
fn a_message_and_its_answer() {
    let keys: Vec<_> = (1..=4).map(|seed| key([seed; 32])).collect();
    let ids: Vec<_> = keys.iter().map(StaticKey::node_id).collect();

    // A wants an answer by way of C and B, and names the path for itself.
    let mut back = [PathNode::new(ids[2]), PathNode::new(ids[1]), PathNode::new(ids[0])];
    back[2].data.path_id = Some(&[9; 32]);
    let mut path_room = [0; 1000];
    let reply_path = blinded_path::create(session([5; 32]), &back, &mut path_room).unwrap();
    let way = [PathNode::new(ids[1]), PathNode::new(ids[2]), PathNode::new(ids[3])];
    let records = [TlvRecord { kind: 1, value: b"odd" }, TlvRecord { kind: 65_537, value: b"hello" }];
    let contents = Contents { reply_path: Some(reply_path), records: &records };
    let (mut scratch, mut packet) = (vec![0; 40_000], vec![0; 40_000]);
    let keys_of = |seed: u8| Keys { onion: session([seed; 32]), path: session([seed + 1; 32]) };
    let route = Route { nodes: &way, path: None };
    let composed = compose(keys_of(6), &route, &contents, &mut scratch, &mut packet).unwrap();
    assert_eq!(composed.packet.len(), ONION_OVERHEAD + ONION_AREA_LEN);
    let arrived = carried(&keys, &composed);
    assert_eq!((arrived.hops, arrived.path_id), (3, None));
    assert_eq!(arrived.records, [(1, b"odd".to_vec()), (65_537, b"hello".to_vec())]);

    // D answers over the path, by way of B first, with more than the smaller onion holds.
    let reply = arrived.reply_path.unwrap();
    let path = BlindedPath::decode(&reply).unwrap();
    let long = vec![0xab; 20_000];
    let records = [TlvRecord { kind: 65_539, value: &long }];
    let contents = Contents { reply_path: None, records: &records };
    let to_b = [PathNode::new(ids[1])];
    let route = Route { nodes: &to_b, path: Some(path) };
    let composed = compose(keys_of(8), &route, &contents, &mut scratch, &mut packet).unwrap();
    assert_eq!(composed.packet.len(), ONION_OVERHEAD + 32_768);
    let arrived = carried(&keys, &composed);
    assert_eq!((arrived.hops, arrived.reply_path, arrived.path_id), (4, None, Some(vec![9; 32])));
    assert_eq!(arrived.records, [(65_539, long.clone())]);

    // Or straight into it, its first node being a neighbour.
    let route = Route { nodes: &[], path: Some(path) };
    let composed = compose(keys_of(10), &route, &contents, &mut scratch, &mut packet).unwrap();
    assert_eq!(composed.first, Introduction::Node(ids[2]));
    assert_eq!(carried(&keys, &composed).hops, 3);
}

#[test]
fn messages_are_the_payloads_of_their_type() {
    let message = OnionMessage { path_key: key([1; 32]).node_id(), packet: &[1, 2, 3] };
    let mut room = [0; 60];
    let mut writer = Writer::new(&mut room);
    message.encode(&mut writer).unwrap();
    let written = writer.into_written();
    assert_eq!(written[..2], 513_u16.to_be_bytes());
    assert_eq!(OnionMessage::decode(&written[2..]), Ok(message));
    for len in 0..written.len() - 2 {
        assert!(OnionMessage::decode(&written[2..2 + len]).is_err());
    }
    written[2] = 4;
    assert!(OnionMessage::decode(&written[2..]).is_err());
}
