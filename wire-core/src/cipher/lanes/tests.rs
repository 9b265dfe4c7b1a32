//! RFC 8439's block, and every width against the portable twin.

use std::{vec, vec::Vec};

use proptest::prelude::*;

use super::*;

/// RFC 8439, 2.3.2 has a nonce that BOLT 8 never has, so this is A.1, numbers 1 and 2: key and nonce zero, counters 0 and 1.
#[test]
fn blocks_of_the_zero_key() {
    let begins =
        [[0x76, 0xb8, 0xe0, 0xad, 0xa0, 0xf1, 0x3d, 0x90], [0x9f, 0x07, 0xe7, 0xbe, 0x55, 0x51, 0x38, 0x7a]];
    for lanes in Lanes::available() {
        let mut blocks = [[0; BLOCK_LEN]; 2];
        lanes.blocks(&[0; 32], &[0, 1].map(|counter| Place { nonce: 0, counter }), &mut blocks);
        assert_eq!(blocks.map(|block| *block.first_chunk().unwrap()), begins, "{lanes:?}");
    }
}

#[test]
fn the_portable_twin_is_always_there_and_the_best_comes_last() {
    let all: Vec<Lanes> = Lanes::available().collect();
    assert_eq!((all.first(), all.last()), (Some(&Lanes::PORTABLE), Some(&Lanes::best())));
    assert!(all.is_sorted_by_key(|lanes| lanes.count()));
}

fn places() -> impl Strategy<Value = Vec<Place>> {
    let counter = prop_oneof![0..4_u32, Just(u32::MAX), any::<u32>()];
    let place = (any::<u16>(), counter).prop_map(|(nonce, counter)| Place { nonce, counter });
    proptest::collection::vec(place, 0..40)
}

proptest! {
    /// Every lane has its own nonce and counter, and stays in its place.
    #[test]
    fn every_width_makes_the_same_blocks(key: [u8; 32], places in places()) {
        let made = |lanes: Lanes| {
            let mut room = vec![[0xee; BLOCK_LEN]; places.len()];
            lanes.blocks(&key, &places, &mut room);
            room
        };
        let expected = made(Lanes::PORTABLE);
        for lanes in Lanes::available() {
            prop_assert!(made(lanes) == expected, "{:?}", lanes);
        }
    }

    #[test]
    fn every_width_makes_the_same_stream(
        key: [u8; 32],
        nonce: u16,
        counter in prop_oneof![Just(1_u32), u32::MAX - 40..=u32::MAX, any::<u32>()],
        text in proptest::collection::vec(any::<u8>(), 0..4000),
    ) {
        let made = |lanes: Lanes| {
            let mut text = text.clone();
            lanes.xor(&key, Place { nonce, counter }, &mut text);
            text
        };
        let expected = made(Lanes::PORTABLE);
        for lanes in Lanes::available() {
            prop_assert!(made(lanes) == expected, "{:?}", lanes);
        }
    }
}
