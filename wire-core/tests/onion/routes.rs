//! Random routes: every onion peels at every hop to what was put in, and no bit of it can be altered.

use proptest::prelude::*;
use wire_core::{
    limits::ONION_OVERHEAD,
    onion::{ConstructError, Hop, Packet, PacketError, PeelError, Peeled, SharedSecret, construct},
    secret::StaticKey,
};

use crate::vectors::{key, session};

/// A route: each hop's key and payload, and how much of the area is not used.
fn routes() -> impl Strategy<Value = (Vec<(StaticKey, Vec<u8>)>, usize)> {
    let hop = (1_u8..=0x7f, proptest::collection::vec(any::<u8>(), 2..400))
        .prop_map(|(seed, payload)| (key([seed; 32]), payload));
    (proptest::collection::vec(hop, 1..12), prop_oneof![Just(0_usize), 0..3000_usize])
}

fn wrapped(hops: &[(StaticKey, Vec<u8>)], spare: usize, associated: &[u8]) -> (Vec<u8>, Vec<SharedSecret>) {
    let hops: Vec<_> = hops.iter().map(|(key, payload)| Hop { node: key.node_id(), payload }).collect();
    let area: usize = hops.iter().map(Hop::len).sum();
    let mut packet = vec![0xee; area + spare + ONION_OVERHEAD];
    let mut secrets: Vec<_> = hops.iter().map(|_| SharedSecret::default()).collect();
    construct(session([0x55; 32]), &hops, associated, &mut packet, &mut secrets).unwrap();
    (packet, secrets)
}

/// Our payload, what we share with the sender, and the next onion.
type Layer = (Vec<u8>, SharedSecret, Option<Vec<u8>>);

fn peel(packet: &[u8], key: &StaticKey, associated: &[u8]) -> Result<Layer, PeelError> {
    let mut bytes = packet.to_vec();
    let parsed = Packet::parse(&mut bytes).unwrap();
    let (secret, again) = (parsed.shared_secret(key), parsed.shared_secret(key));
    Ok(match parsed.peel(secret, associated)? {
        Peeled::Forward(mut forward) => {
            let payload = forward.payload().to_vec();
            (payload, again, Some(forward.into_next().to_vec()))
        }
        Peeled::Deliver(deliver) => (deliver.into_payload().to_vec(), again, None),
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_onion_peels_at_every_hop((hops, spare) in routes(), associated: Vec<u8>) {
        let (first, secrets) = wrapped(&hops, spare, &associated);
        let mut packet = Some(first);
        for ((key, payload), secret) in hops.iter().zip(&secrets) {
            let arrived = packet.unwrap();
            let (got, shared, next) = peel(&arrived, key, &associated).unwrap();
            prop_assert_eq!(&got, payload);
            prop_assert_eq!(&shared, secret);
            if let Some(next) = &next {
                prop_assert_eq!(next.len(), arrived.len());
            }
            packet = next;
        }
        prop_assert_eq!(packet, None);
    }

    #[test]
    fn a_flipped_bit_is_refused((hops, spare) in routes(), at: prop::sample::Index, hop: prop::sample::Index) {
        let (mut packet, _) = wrapped(&hops, spare, b"with");
        let hop = hop.index(hops.len());
        for (key, _) in &hops[..hop] {
            packet = peel(&packet, key, b"with").unwrap().2.unwrap();
        }
        prop_assert_eq!(peel(&packet, &hops[hop].0, b"without").err(), Some(PeelError::WrongHmac));
        let bit = at.index(packet.len() * 8);
        packet[bit / 8] ^= 1 << (bit % 8);
        let refused = match Packet::parse(&mut packet.clone()).err() {
            Some(PacketError::UnknownVersion(_)) => bit < 8,
            Some(PacketError::EphemeralKeyNotAPoint) => (8..34 * 8).contains(&bit),
            Some(PacketError::TooShort { .. }) => false,
            None => peel(&packet, &hops[hop].0, b"with").err() == Some(PeelError::WrongHmac),
        };
        prop_assert!(refused);
    }

    #[test]
    fn bytes_of_any_kind_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut bytes = bytes;
        if let Ok(packet) = Packet::parse(&mut bytes) {
            let secret = packet.shared_secret(&key([1; 32]));
            prop_assert_eq!(packet.peel(secret, &[]).err(), Some(PeelError::WrongHmac));
        }
    }
}

#[test]
fn every_bit_of_one_onion_counts() {
    let hops = [(key([1; 32]), vec![1; 40]), (key([2; 32]), vec![2; 40])];
    let (packet, _) = wrapped(&hops, 5, &[]);
    for bit in 0..packet.len() * 8 {
        let mut altered = packet.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        let accepted = Packet::parse(&mut altered.clone()).is_ok() && peel(&altered, &hops[0].0, &[]).is_ok();
        assert!(!accepted, "bit {bit}");
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let node = key([1; 32]).node_id();
    let hops = [Hop { node, payload: &[7; 50] }, Hop { node, payload: &[8; 300] }];
    assert_eq!((hops[0].len(), hops[1].len()), (83, 335));
    let mut secrets = [SharedSecret::default(), SharedSecret::default()];
    let wrap = |len: usize, hops: &[Hop<'_>], secrets: &mut [SharedSecret]| {
        construct(session([3; 32]), hops, &[], &mut vec![0; len], secrets).err()
    };
    assert_eq!(wrap(ONION_OVERHEAD + 418, &hops, &mut secrets), None);
    let too_long = Some(ConstructError::PayloadsTooLong { payloads: 418, area: 417 });
    assert_eq!(wrap(ONION_OVERHEAD + 417, &hops, &mut secrets), too_long);
    assert_eq!(wrap(65, &hops, &mut secrets), Some(ConstructError::PacketTooShort { len: 65 }));
    assert_eq!(wrap(900, &[], &mut secrets), Some(ConstructError::NoHops));
    assert_eq!(wrap(900, &hops, &mut secrets[..1]), Some(ConstructError::TooFewSecrets { hops: 2 }));
}
