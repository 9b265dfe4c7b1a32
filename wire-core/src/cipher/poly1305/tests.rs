//! The vectors of RFC 8439, A.3, which reach the rare carries, for both arithmetics; and both against each other.

use std::{format, vec::Vec};

use proptest::prelude::*;

use super::{LIMB_LEN, narrow, wide};

/// Key, text and tag as hex: RFC 8439, A.3, numbers 7 to 11, whose texts are whole limbs.
const CARRIES: [[&str; 3]; 5] = [
    [
        "0200000000000000000000000000000000000000000000000000000000000000",
        "ffffffffffffffffffffffffffffffff",
        "03000000000000000000000000000000",
    ],
    [
        "02000000000000000000000000000000ffffffffffffffffffffffffffffffff",
        "02000000000000000000000000000000",
        "03000000000000000000000000000000",
    ],
    [
        "0100000000000000000000000000000000000000000000000000000000000000",
        "fffffffffffffffffffffffffffffffff0ffffffffffffffffffffffffffffff11000000000000000000000000000000",
        "05000000000000000000000000000000",
    ],
    [
        "0100000000000000000000000000000000000000000000000000000000000000",
        "fffffffffffffffffffffffffffffffffbfefefefefefefefefefefefefefefe01010101010101010101010101010101",
        "00000000000000000000000000000000",
    ],
    [
        "0200000000000000000000000000000000000000000000000000000000000000",
        "fdffffffffffffffffffffffffffffff",
        "faffffffffffffffffffffffffffffff",
    ],
];

fn bytes(hex: &str) -> Vec<u8> {
    let mut bytes = std::vec![0; hex.len() / 2];
    faster_hex::hex_decode(hex.as_bytes(), &mut bytes).unwrap();
    bytes
}

fn limbs(text: &[u8]) -> &[[u8; LIMB_LEN]] {
    text.as_chunks().0
}

fn wide_value(point: u128, text: &[u8]) -> u128 {
    let mut sum = wide::Sum::new(point);
    sum.absorb(limbs(text));
    sum.reduced()
}

fn narrow_value(point: u128, text: &[u8]) -> u128 {
    let mut sum = narrow::Sum::new(point);
    sum.absorb(limbs(text));
    sum.reduced()
}

#[test]
fn rare_carries() {
    for [key, text, tag] in CARRIES {
        let number = |hex: &str| u128::from_le_bytes(bytes(hex).try_into().unwrap());
        let (point, mask) = key.split_at(32);
        let (point, mask) = (number(point), number(mask));
        assert_eq!(wide_value(point, &bytes(text)).wrapping_add(mask), number(tag), "{text}");
        assert_eq!(narrow_value(point, &bytes(text)).wrapping_add(mask), number(tag), "{text}");
    }
}

/// Bytes that make carries likely.
fn edges() -> impl Strategy<Value = u8> {
    prop_oneof![4 => Just(0xff), 1 => Just(0), 1 => Just(0xfb), 1 => any::<u8>()]
}

proptest! {
    #[test]
    fn both_arithmetics_agree(
        point in prop_oneof![Just(u128::MAX), Just(1), any::<u128>()],
        text in proptest::collection::vec(edges(), 0..20 * LIMB_LEN),
    ) {
        prop_assert_eq!(wide_value(point, &text), narrow_value(point, &text), "{}", format!("{text:02x?}"));
    }
}

#[test]
fn a_wiped_sum_is_nothing() {
    let (mut wide, mut narrow) = (wide::Sum::new(u128::MAX), narrow::Sum::new(u128::MAX));
    wide.absorb(&[[7; LIMB_LEN]]);
    narrow.absorb(&[[7; LIMB_LEN]]);
    wide.wipe();
    narrow.wipe();
    // A sum without a point stays nothing whatever it takes in.
    wide.absorb(&[[7; LIMB_LEN]]);
    narrow.absorb(&[[7; LIMB_LEN]]);
    assert_eq!((wide.reduced(), narrow.reduced()), (0, 0));
}
