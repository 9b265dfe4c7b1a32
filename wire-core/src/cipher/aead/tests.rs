use std::vec;

use chacha20poly1305::{AeadInOut as _, ChaCha20Poly1305, KeyInit as _};
use proptest::prelude::*;

use super::*;

fn under(lanes: Lanes, key: &Secret<KEY_LEN>, nonce: u16) -> Under<'_> {
    Under { lanes, key, nonce }
}

/// BOLT 8, "Handshake State": the nonce is 32 zero bits, then the counter in 64 bits, little endian. The crate is the
/// reference here and in all that follows.
fn reference(key: &[u8; 32], nonce: u16, associated: &[u8], text: &mut [u8]) -> [u8; TAG_LEN] {
    let mut bytes = [0; 12];
    bytes[4..6].copy_from_slice(&nonce.to_le_bytes());
    let cipher = ChaCha20Poly1305::new(key.into());
    cipher.encrypt_inout_detached(&bytes.into(), associated, text.into()).unwrap().into()
}

fn agrees(key: [u8; 32], nonce: u16, associated: &[u8], text: &[u8]) {
    let mut expected = text.to_vec();
    let tag = reference(&key, nonce, associated, &mut expected);
    let key = Secret::new(key);
    for lanes in Lanes::available() {
        let under = under(lanes, &key, nonce);
        let mut sealed = text.to_vec();
        assert_eq!(seal(under, associated, &mut sealed), tag, "{lanes:?}, {} bytes", text.len());
        assert!(sealed == expected, "{lanes:?}, {} bytes", text.len());
        assert_eq!(open(under, associated, &mut sealed, &tag), Ok(()));
        assert!(sealed == text, "{lanes:?}, {} bytes", text.len());
    }
}

#[test]
fn every_length_up_to_2048_is_as_the_crate_has_it() {
    let text: vec::Vec<u8> = (0..=255).cycle().take(2048).collect();
    for len in 0..=2048_u16 {
        agrees([len.to_le_bytes()[0]; 32], len % 1000, &[], &text[..usize::from(len)]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_text_is_as_the_crate_has_it(
        key: [u8; 32],
        nonce in 0..1000_u16,
        associated in proptest::collection::vec(any::<u8>(), 0..80),
        text in proptest::collection::vec(any::<u8>(), 0..3000),
    ) {
        agrees(key, nonce, &associated, &text);
    }

    #[test]
    fn long_texts_are_as_the_crate_has_them(key: [u8; 32], nonce in 0..1000_u16, fill: u8, len in 2048..65_536_usize) {
        agrees(key, nonce, &[], &vec![fill; len]);
    }
}

#[test]
fn the_longest_text_is_as_the_crate_has_it() {
    agrees([0x5a; 32], 999, &[], &vec![0xff; 65_535]);
}

#[test]
fn every_input_counts_and_a_refused_text_stays() {
    for lanes in Lanes::available() {
        let key = Secret::new([7; 32]);
        let mut sealed = *b"odd";
        let tag = seal(under(lanes, &key, 5), b"with", &mut sealed);
        assert_ne!(&sealed, b"odd");

        let mut text = sealed;
        assert_eq!(open(under(lanes, &key, 6), b"with", &mut text, &tag), Err(WrongTag));
        assert_eq!(open(under(lanes, &key, 5), b"without", &mut text, &tag), Err(WrongTag));
        let other = Secret::new([8; 32]);
        assert_eq!(open(under(lanes, &other, 5), b"with", &mut text, &tag), Err(WrongTag));
        for bit in 0..128 {
            let mut other = tag;
            other[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(open(under(lanes, &key, 5), b"with", &mut text, &other), Err(WrongTag));
        }
        assert_eq!(text, sealed);
        assert_eq!(open(under(lanes, &key, 5), b"with", &mut text, &tag), Ok(()));
        assert_eq!(&text, b"odd");
    }
}
