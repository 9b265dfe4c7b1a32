//! `onion-error-test.json`, and what it does not ask: any hop can fail, and nobody can be blamed for another.

use proptest::prelude::*;
use wire_core::{
    onion::{
        SharedSecret,
        failure::{self, UnwrapError},
    },
    secret::Secret,
};

use crate::vectors::{array, hex, list, load};

fn secrets_of(bytes: &[[u8; 32]]) -> Vec<SharedSecret> {
    bytes.iter().map(|secret| SharedSecret::new(Secret::new(*secret))).collect()
}

#[test]
fn onion_error_test() {
    let vector = load("bolt04-onion-error-test.json");
    let hops = list(&vector["generate"]["hops"]);
    let secrets = secrets_of(&hops.iter().map(|hop| array(&hop["hop_shared_secret"])).collect::<Vec<_>>());
    let message = hex(&vector["generate"]["failure_message"]);

    let mut room = [0xee; 400];
    let (failing, before) = secrets.split_last().unwrap();
    let packet = failure::create(failing, &message, &mut room).unwrap();
    assert_eq!(packet.len(), failure::packet_len(message.len()));
    for secret in before.iter().rev() {
        failure::wrap(secret, packet);
    }
    assert_eq!(packet, hex(&vector["errorpacket"]));

    let mut copy = [0; 400];
    let found = failure::unwrap(&secrets, packet, &mut copy).unwrap();
    assert_eq!((found.hop, found.message), (4, message.as_slice()));
}

proptest! {
    #[test]
    fn the_failing_hop_is_found(
        bytes in proptest::collection::vec(any::<[u8; 32]>(), 1..30),
        failing: prop::sample::Index,
        message in proptest::collection::vec(any::<u8>(), 0..400),
        flipped: prop::sample::Index,
    ) {
        let secrets = secrets_of(&bytes);
        let failing = failing.index(secrets.len());
        let mut room = vec![0; failure::packet_len(message.len())];
        failure::create(&secrets[failing], &message, &mut room).unwrap();
        secrets[..failing].iter().rev().for_each(|secret| failure::wrap(secret, &mut room));
        let mut altered = room.clone();
        let mut copy = vec![0; room.len()];
        let found = failure::unwrap(&secrets, &mut room, &mut copy).unwrap();
        prop_assert_eq!((found.hop, found.message), (failing, message.as_slice()));

        let bit = flipped.index(altered.len() * 8);
        altered[bit / 8] ^= 1 << (bit % 8);
        let found = failure::unwrap(&secrets, &mut altered, &mut copy);
        prop_assert_eq!(found, Err(UnwrapError::Unattributed));
    }
}

/// BOLT 4, "Returning Errors": the loop goes on behind the hop that failed, up to the longest route there is.
#[test]
fn as_many_layers_are_opened_wherever_it_failed() {
    let none = SharedSecret::default();
    for (hops, failing) in [(1_usize, 0), (2, 0), (2, 1), (20, 3), (27, 26), (30, 1)] {
        let secrets: Vec<_> = (1..).take(hops).map(|seed| [seed; 32]).collect();
        let secrets = secrets_of(&secrets);
        let mut packet = vec![0; failure::packet_len(4)];
        failure::create(&secrets[failing], b"fail", &mut packet).unwrap();
        secrets[..failing].iter().rev().for_each(|secret| failure::wrap(secret, &mut packet));

        let mut expected = packet.clone();
        let dummies = (hops..27).map(|_| &none);
        secrets.iter().chain(dummies).for_each(|secret| failure::wrap(secret, &mut expected));
        let found = failure::unwrap(&secrets, &mut packet, &mut vec![0; 300]).map(|failure| failure.hop);
        assert_eq!(found, Ok(failing));
        assert_eq!(packet, expected, "{hops} hops, failed at {failing}");
    }
}

#[test]
fn what_is_no_error_is_refused() {
    let secrets = secrets_of(&[[1; 32]]);
    let unwrap = |bytes: &mut [u8]| failure::unwrap(&secrets, bytes, &mut [0; 64]).err();
    assert_eq!(unwrap(&mut [0; 31]), Some(UnwrapError::TooShort { len: 31 }));
    assert_eq!(unwrap(&mut [0; 32]), Some(UnwrapError::Unattributed));
    assert!(matches!(unwrap(&mut [0; 65]), Some(UnwrapError::NoRoom(_))));
    assert!(failure::create(&secrets[0], &[0; 10], &mut [0; 291]).is_err());
    assert!(failure::create(&secrets[0], &[0; 10], &mut [0; 292]).is_ok());
}
