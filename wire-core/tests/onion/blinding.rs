//! `route-blinding-test.json`, and paths of our own making: they read back, and their hops look alike.

use proptest::prelude::*;
use wire_core::{
    cursor::Writer,
    node_id::NodeId,
    onion::{
        BlindedIdentity, BlindedPath, EncryptedData,
        blinded_path::{self, Blinder, CreateError, Introduction, PathError, PathNode},
    },
};

use wire_core::secret::StaticKey;

use crate::vectors::{array, hex, key, list, load, point, session, session_key, static_key};

#[test]
fn route_blinding_test_generate() {
    let vector = load("bolt04-route-blinding-test.json");
    let mut blinder: Option<Blinder> = None;
    let route = list(&vector["route"]["hops"]);
    let hops = list(&vector["generate"]["hops"]);
    assert_eq!(hops.len(), route.len());
    for (hop, blinded) in hops.iter().zip(route) {
        if let Some(secret) = hop.get("session_key") {
            blinder = Some(Blinder::new(session_key(secret)));
        }
        let blinder = blinder.as_mut().unwrap();
        assert_eq!(blinder.path_key(), point(&hop["path_key"]));
        let mut text = hex(&hop["encoded_tlvs"]);
        let (id, tag) = blinder.blind(&point(&hop["node_id"]), &mut text).unwrap();
        text.extend(tag);
        assert_eq!(id, point(&hop["blinded_node_id"]));
        assert_eq!(text, hex(&hop["encrypted_data"]));
        assert_eq!((id, text), (point(&blinded["blinded_node_id"]), hex(&blinded["encrypted_data"])));
    }
}

#[test]
fn route_blinding_test_encoded_tlvs() {
    let vector = load("bolt04-route-blinding-test.json");
    let mut compared = 0;
    for hop in list(&vector["generate"]["hops"]) {
        let encoded = hex(&hop["encoded_tlvs"]);
        let data = EncryptedData::decode(&encoded).unwrap();
        assert_eq!(data.next_path_key_override, hop["tlvs"].get("next_path_key_override").map(point));
        assert_eq!(data.path_id.map(<[u8]>::to_vec), hop["tlvs"].get("path_id").map(hex));
        // What we do not know we do not write.
        if hop["tlvs"].as_object().unwrap().keys().any(|name| name.starts_with("unknown")) {
            continue;
        }
        let mut room = vec![0; encoded.len()];
        data.encode(&mut Writer::new(&mut room), encoded.len()).unwrap();
        assert_eq!(room, encoded);
        compared += 1;
    }
    assert_eq!(compared, 2);
}

#[test]
fn route_blinding_test_unblind() {
    let vector = load("bolt04-route-blinding-test.json");
    let route = list(&vector["route"]["hops"]);
    let hops = list(&vector["unblind"]["hops"]);
    assert_eq!(hops.len(), route.len());
    for (hop, blinded) in hops.iter().zip(route) {
        let identity =
            BlindedIdentity::new(&static_key(&hop["node_privkey"]), &point(&hop["path_key"])).unwrap();
        assert_eq!(identity.node_id(), static_key(&hop["blinded_privkey"]).node_id());
        assert_eq!(identity.node_id(), point(&blinded["blinded_node_id"]));
        assert_eq!(identity.next_path_key(), point(&hop["next_path_key"]));
        let mut encrypted = hex(&blinded["encrypted_data"]);
        let text = identity.open(&mut encrypted).unwrap();
        assert_eq!(text, hex(&hop["decrypted_data"]));
        let next = EncryptedData::decode(text).unwrap().next_path_key_override;
        assert_eq!(next, hop.get("next_path_key_override").map(point));
    }
}

#[test]
fn data_for_another_hop_or_altered_does_not_open() {
    let vector = load("bolt04-route-blinding-test.json");
    let hop = &list(&vector["unblind"]["hops"])[0];
    let identity = BlindedIdentity::new(&static_key(&hop["node_privkey"]), &point(&hop["path_key"])).unwrap();
    let data = hex(&list(&vector["route"]["hops"])[0]["encrypted_data"]);
    for bit in 0..data.len() * 8 {
        let mut altered = data.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        assert!(identity.open(&mut altered).is_err());
    }
    assert!(identity.open(&mut hex(&list(&vector["route"]["hops"])[1]["encrypted_data"])).is_err());
    assert!(identity.open(&mut [0; 15]).is_err());
    assert_eq!(array::<32>(&hop["node_privkey"]), [0x42; 32]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_path_leads_to_its_end(
        seeds in proptest::collection::vec(1_u8..=0x7f, 1..6),
        path_id in proptest::collection::vec(any::<u8>(), 0..600),
        start in 1_u8..=0x7f,
    ) {
        let keys: Vec<_> = seeds.iter().map(|seed| key([*seed; 32])).collect();
        let mut nodes: Vec<_> = keys.iter().map(|key| PathNode::new(key.node_id())).collect();
        nodes.last_mut().unwrap().data.path_id = Some(&path_id);
        let mut room = [0; 8000];
        let path = blinded_path::create(session([start; 32]), &nodes, &mut room).unwrap();

        // It travels.
        let mut wire = [0; 8200];
        let mut writer = Writer::new(&mut wire);
        path.encode(&mut writer).unwrap();
        prop_assert_eq!(writer.written(), path.encoded_len());
        let read = BlindedPath::decode(writer.into_written()).unwrap();
        prop_assert_eq!(read, path);
        prop_assert_eq!(read.introduction, Introduction::Node(keys[0].node_id()));
        prop_assert_eq!((read.hop_count(), read.hops().count()), (keys.len(), keys.len()));

        // Each hop finds its own data, and all data is of one length.
        let mut path_key = read.first_path_key;
        let len = read.hops().next().unwrap().encrypted_recipient_data.len();
        for (index, (hop, key)) in read.hops().zip(&keys).enumerate() {
            let identity = BlindedIdentity::new(key, &path_key).unwrap();
            prop_assert_eq!(hop.node_id, identity.node_id());
            prop_assert_eq!(hop.encrypted_recipient_data.len(), len);
            let mut encrypted = hop.encrypted_recipient_data.to_vec();
            let data = EncryptedData::decode(identity.open(&mut encrypted).unwrap()).unwrap();
            let next = keys.get(index + 1).map(StaticKey::node_id);
            prop_assert_eq!(data.next_node_id, next);
            prop_assert_eq!(data.path_id, next.is_none().then_some(path_id.as_slice()));
            path_key = identity.next_path_key();
        }
    }

    #[test]
    fn bytes_of_any_kind_are_a_path_or_refused(bytes: Vec<u8>) {
        if let Ok(path) = BlindedPath::decode(&bytes) {
            prop_assert!(path.hops().count() > 0);
        }
    }
}

#[test]
fn what_is_no_path_is_refused() {
    let nodes = [PathNode::new(key([1; 32]).node_id()), PathNode::new(key([2; 32]).node_id())];
    let mut room = [0; 500];
    let path = blinded_path::create(session([3; 32]), &nodes, &mut room).unwrap();
    let mut wire = vec![0; path.encoded_len()];
    path.encode(&mut Writer::new(&mut wire)).unwrap();

    for len in 0..wire.len() {
        assert!(matches!(BlindedPath::decode(&wire[..len]), Err(PathError::Truncated(_))), "{len}");
    }
    let mut longer = wire.clone();
    longer.push(0);
    assert_eq!(BlindedPath::decode(&longer), Err(PathError::BytesLeft { left: 1 }));
    let altered = |at: usize, byte: u8| {
        let mut altered = wire.clone();
        altered[at] = byte;
        BlindedPath::decode(&altered).err()
    };
    assert_eq!(altered(66, 0), Some(PathError::NoHops));
    assert_eq!(altered(0, 4), Some(PathError::NotAPoint { field: "first_node_id" }));
    assert_eq!(altered(33, 4), Some(PathError::NotAPoint { field: "first_path_key" }));
    assert_eq!(altered(67, 4), Some(PathError::NotAPoint { field: "blinded_node_id" }));

    assert_eq!(blinded_path::create(session([3; 32]), &[], &mut room).err(), Some(CreateError::NoNodes));
    let many = vec![nodes[0]; 256];
    let refused = blinded_path::create(session([3; 32]), &many, &mut room).err();
    assert_eq!(refused, Some(CreateError::TooManyNodes { nodes: 256 }));
    assert!(matches!(
        blinded_path::create(session([3; 32]), &nodes, &mut [0; 10]).err(),
        Some(CreateError::NoRoom(_))
    ));
}

#[test]
fn a_path_may_begin_at_a_channel() {
    let mut wire = vec![1, 0, 0, 1, 0, 0, 2, 0, 3];
    wire.extend(key([1; 32]).node_id().as_bytes());
    wire.push(1);
    wire.extend(key([2; 32]).node_id().as_bytes());
    wire.extend([0, 2, 0xaa, 0xbb]);
    let path = BlindedPath::decode(&wire).unwrap();
    let expected = Introduction::Channel { direction: 1, short_channel_id: 0x0000_0100_0002_0003 };
    assert_eq!(path.introduction, expected);
    let mut again = vec![0; path.encoded_len()];
    path.encode(&mut Writer::new(&mut again)).unwrap();
    assert_eq!(again, wire);
}

#[test]
fn padding_never_misses_its_length() {
    let node: NodeId = key([1; 32]).node_id();
    for len in 0..700 {
        let path_id = vec![7; len];
        let mut nodes = [PathNode::new(node), PathNode::new(node), PathNode::new(node)];
        nodes[1].data.payment_constraints = Some(wire_core::onion::encrypted_data::PaymentConstraints {
            max_cltv_expiry: 1,
            htlc_minimum_msat: 1,
        });
        nodes[2].data.path_id = Some(&path_id);
        let mut room = [0; 4000];
        let path = blinded_path::create(session([3; 32]), &nodes, &mut room);
        let lens: Vec<_> = path.unwrap().hops().map(|hop| hop.encrypted_recipient_data.len()).collect();
        assert_eq!(lens, [lens[0]; 3], "{len}");
    }
}
