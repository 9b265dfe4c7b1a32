//! The vectors of RFC 8439, A.3, which reach the rare carries, for both arithmetics; and both against each other.

use std::{format, vec::Vec};

use proptest::prelude::*;

use super::{LIMB_LEN, Lanes, PAIRS, Pairs, Poly1305, TAG_LEN, narrow, wide};

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

/// The sum that a tag is made of, with the given lanes.
fn value_with(lanes: Lanes, point: u128, text: &[u8]) -> u128 {
    let mut key = [0; 32];
    key[..LIMB_LEN].copy_from_slice(&point.to_le_bytes());
    let mut tag = Poly1305::new(&key);
    tag.absorb_with(lanes, text);
    tag.sum.reduced()
}

/// At the point 1 the sum is that of the limbs: 2^128 - 1 and four times 2^128, of which 2^130 is folded to 5 and carries
/// through all words.
#[test]
fn a_carry_through_all_words() {
    let mut text = [0; 4 * LIMB_LEN];
    text[..LIMB_LEN].fill(0xff);
    assert_eq!(wide_value(1, &text), 4);
    assert_eq!(narrow_value(1, &text), 4);
}

/// Points that leave the words of a sum as they are or move them by whole places, so that words of ones stay words of ones.
fn points() -> impl Strategy<Value = u128> {
    prop_oneof![4 => Just(1), 4 => (0..124_u32).prop_map(|place| 1 << place), 1 => Just(u128::MAX), 1 => any::<u128>()]
}

/// Limbs that make carries likely wherever they are cut into words.
fn full_limbs() -> impl Strategy<Value = Vec<u8>> {
    let limb = prop_oneof![
        6 => Just(u128::MAX),
        2 => Just(0),
        1 => (0..128_u32).prop_map(|place| u128::MAX << place),
        1 => (0..128_u32).prop_map(|place| u128::MAX >> place),
        1 => (0..128_u32).prop_map(|place| u128::MAX - (1 << place)),
    ];
    proptest::collection::vec(limb, 0..130)
        .prop_map(|limbs| limbs.into_iter().flat_map(u128::to_le_bytes).collect())
}

/// What is added to a sum, with a carry through its lower half more often than not.
fn mask() -> impl Strategy<Value = u128> {
    prop_oneof![Just(0), Just(u128::from(u64::MAX)), Just(u128::MAX), any::<u128>()]
}

/// Texts of any small length, whole limbs and others.
fn texts() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![full_limbs(), proptest::collection::vec(edges(), 0..150)]
}

/// Bytes that make carries likely.
fn edges() -> impl Strategy<Value = u8> {
    prop_oneof![4 => Just(0xff), 1 => Just(0), 1 => Just(0xfb), 1 => any::<u8>()]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn every_width_carries_as_the_narrow_arithmetic_does(point in points(), text in full_limbs()) {
        let expected = narrow_value(point, &text);
        prop_assert_eq!(wide_value(point, &text), expected);
        for lanes in Lanes::available() {
            prop_assert_eq!(value_with(lanes, point, &text), expected, "{:?}", lanes);
        }
    }

    #[test]
    fn every_width_makes_the_same_tags(
        pairs in proptest::collection::vec(
            (any::<[u8; 2]>(), [points(), points()], [mask(), mask()], texts()), 0..=PAIRS
        ),
    ) {
        let mut keys = Vec::new();
        for (_, points, masks, _) in &pairs {
            let key = |number: usize| [points[number].to_le_bytes(), masks[number].to_le_bytes()].concat();
            keys.push([key(0), key(1)].map(|key| <[u8; 32]>::try_from(key).unwrap()));
        }
        let mut all = Pairs::new();
        for (place, ((short, _, _, text), [short_key, key])) in pairs.iter().zip(&keys).enumerate() {
            all.put(place, [short_key, key], *short, text);
        }
        let mut expected = [[[0; TAG_LEN]; PAIRS]; 2];
        all.tags(&mut expected);
        for lanes in Lanes::available() {
            let mut tags = [[[0xee; TAG_LEN]; PAIRS]; 2];
            lanes.tags(&all, &mut tags);
            for (tags, expected) in tags.iter().zip(&expected) {
                prop_assert_eq!(&tags[..pairs.len()], &expected[..pairs.len()], "{:?}", lanes);
            }
        }
    }

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
