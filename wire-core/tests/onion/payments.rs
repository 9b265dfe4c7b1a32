//! `onion-test.json` and `blinded-payment-onion-test.json`: onions of payments, wrapped and peeled.

use serde_json::Value;
use wire_core::{
    limits::{ONION_AREA_LEN, ONION_OVERHEAD},
    onion::{
        BlindedIdentity, EncryptedData, Hop, Packet, Peeled, SharedSecret, construct,
        encrypted_data::{PaymentConstraints, PaymentRelay},
    },
};

use crate::vectors::{hex, list, load, point, session_key, static_key};

/// The payload behind its length, which these vectors have in front.
fn without_length(payload: &[u8]) -> &[u8] {
    match payload[0] {
        0xfd => &payload[3..],
        _ => &payload[1..],
    }
}

/// Wraps an onion for hops that are objects with `pubkey` and `payload`.
fn wrapped(generate: &Value, hops: &Value) -> Vec<u8> {
    let payloads: Vec<_> = list(hops).iter().map(|hop| hex(&hop["payload"])).collect();
    let hops: Vec<_> = list(hops)
        .iter()
        .zip(&payloads)
        .map(|(hop, payload)| Hop { node: point(&hop["pubkey"]), payload: without_length(payload) })
        .collect();
    let mut packet = vec![0xee; ONION_OVERHEAD + ONION_AREA_LEN];
    let mut secrets: Vec<_> = hops.iter().map(|_| SharedSecret::default()).collect();
    let session = session_key(&generate["session_key"]);
    construct(session, &hops, &hex(&generate["associated_data"]), &mut packet, &mut secrets).unwrap();
    packet
}

#[test]
fn onion_test() {
    let vector = load("bolt04-onion-test.json");
    let generate = &vector["generate"];
    let mut packet = wrapped(generate, &generate["hops"]);
    assert_eq!(packet, hex(&vector["onion"]));

    let keys = list(&vector["decode"]);
    for (index, (hop, private)) in list(&generate["hops"]).iter().zip(keys).enumerate() {
        let mut bytes = packet.clone();
        let parsed = Packet::parse(&mut bytes).unwrap();
        let secret = parsed.shared_secret(&static_key(private));
        let payload = hex(&hop["payload"]);
        match parsed.peel(secret, &hex(&generate["associated_data"])).unwrap() {
            Peeled::Forward(mut forward) => {
                assert!(index + 1 < keys.len());
                assert_eq!(forward.payload(), without_length(&payload));
                packet = forward.into_next().to_vec();
            }
            Peeled::Deliver(mut deliver) => {
                assert_eq!(index + 1, keys.len());
                assert_eq!(deliver.payload(), without_length(&payload));
            }
        }
    }
}

#[test]
fn blinded_payment_onion_test_generate() {
    let vector = load("bolt04-blinded-payment-onion-test.json");
    let generate = &vector["generate"];
    assert_eq!(wrapped(generate, &generate["full_route"]["hops"]), hex(&generate["onion"]));
}

#[test]
fn blinded_payment_onion_test_decrypt() {
    let vector = load("bolt04-blinded-payment-onion-test.json");
    let generate = &vector["generate"];
    let associated = hex(&generate["associated_data"]);
    let route = list(&generate["full_route"]["hops"]);
    let hops = list(&vector["decrypt"]["hops"]);
    assert_eq!(hops.len(), route.len());
    let mut packet = hex(&generate["onion"]);
    // The path key that arrives beside the onion; the first blinded hop finds it in its payload instead.
    let mut beside = None;
    for (hop, planned) in hops.iter().zip(route) {
        assert_eq!(packet, hex(&hop["onion"]));
        let key = static_key(&hop["node_privkey"]);
        let mut bytes = packet.clone();
        let parsed = Packet::parse(&mut bytes).unwrap();
        if !hop["next_path_key"].is_null() || beside.is_some() {
            let path_key = beside.unwrap_or_else(|| point(&generate["blinded_route"]["first_path_key"]));
            let identity = BlindedIdentity::new(&key, &path_key).unwrap();
            let secret = match beside {
                Some(_) => parsed.blinded_shared_secret(&identity),
                None => parsed.shared_secret(&key),
            };
            let payload = hex(&planned["payload"]);
            let peeled = parsed.peel(secret, &associated).unwrap();
            beside = Some(opened(&identity, &payload, planned));
            match peeled {
                Peeled::Forward(mut forward) => {
                    assert_eq!(forward.payload(), without_length(&payload));
                    assert_eq!(beside, Some(point(&hop["next_path_key"])));
                    packet = forward.into_next().to_vec();
                }
                Peeled::Deliver(mut deliver) => assert_eq!(deliver.payload(), without_length(&payload)),
            }
        } else {
            let secret = parsed.shared_secret(&key);
            let Peeled::Forward(forward) = parsed.peel(secret, &associated).unwrap() else {
                panic!("the first hop is not the last")
            };
            packet = forward.into_next().to_vec();
        }
    }
}

/// Decrypts and compares `encrypted_recipient_data`, record 10 of the payload; returns the next path key.
fn opened(identity: &BlindedIdentity, payload: &[u8], planned: &Value) -> wire_core::node_id::NodeId {
    let mut stream = wire_core::message::tlv::TlvStream::new(without_length(payload));
    let record = stream.find(|record| record.unwrap().kind == 10).unwrap().unwrap();
    let mut encrypted = record.value.to_vec();
    let text = identity.open(&mut encrypted).unwrap();
    let data = EncryptedData::decode(text).unwrap();
    let expected = &planned["tlvs"]["encrypted_recipient_data"];
    let number = |value: &Value| value.as_u64().unwrap_or_default();
    assert_eq!(
        data.payment_relay,
        expected.get("payment_relay").map(|relay| PaymentRelay {
            cltv_expiry_delta: number(&relay["cltv_expiry_delta"]).try_into().unwrap(),
            fee_proportional_millionths: number(&relay["fee_proportional_millionths"]).try_into().unwrap(),
            fee_base_msat: number(&relay["fee_base_msat"]).try_into().unwrap(),
        })
    );
    assert_eq!(
        data.payment_constraints,
        expected.get("payment_constraints").map(|bounds| PaymentConstraints {
            max_cltv_expiry: number(&bounds["max_cltv_expiry"]).try_into().unwrap(),
            htlc_minimum_msat: number(&bounds["htlc_minimum_msat"]),
        })
    );
    assert_eq!(data.next_path_key_override, expected.get("next_path_key_override").map(point));
    assert_eq!(data.path_id.map(<[u8]>::to_vec), expected.get("path_id").map(hex));
    data.next_path_key_override.unwrap_or_else(|| identity.next_path_key())
}
