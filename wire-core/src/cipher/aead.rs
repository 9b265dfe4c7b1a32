//! ChaCha20-Poly1305 as BOLT 8 uses it: 32-byte key, a counter as nonce, in place, tag apart.
//!
//! A thin layer over the `chacha20poly1305` crate and the only place that names it. Callers know keys,
//! counters and texts; they never see a keystream, so another way of making it changes this file alone.
//!
//! Constant time: all of it, apart from the length of the text; tags are compared in constant time. Wiping: the
//! crates wipe their copies of the key, the cipher's state and the authenticator's (their features `zeroize`).

use core::fmt;

use chacha20poly1305::{AeadInOut as _, ChaCha20Poly1305, KeyInit as _, Nonce, Tag};
// Not called from here: the dependency is there to turn on the wiping of Poly1305's state.
use poly1305 as _;
use zeroize::Zeroize as _;

use crate::{
    limits::{KEY_LEN, TAG_LEN},
    secret::Secret,
};

/// The tag does not belong to this text under this key and nonce: it was altered, moved, or sealed by another
/// key.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct WrongTag;

impl fmt::Display for WrongTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the tag does not belong to this text: close the connection")
    }
}

impl core::error::Error for WrongTag {}

/// Encrypts `text` where it lies; returns the tag over it and over `associated`.
///
/// A key and a counter must never meet twice with different texts.
pub(crate) fn seal(key: &Secret<KEY_LEN>, counter: u64, associated: &[u8], text: &mut [u8]) -> [u8; TAG_LEN] {
    let cipher = ChaCha20Poly1305::new(key.expose().into());
    if let Ok(tag) = cipher.encrypt_inout_detached(&nonce(counter), associated, (&mut *text).into()) {
        return tag.into();
    }
    // Refused are only texts of 256 GiB and more; ours end at 64 KiB. Should it happen, no plaintext may go
    // out: the other side finds a wrong tag.
    text.zeroize();
    [0; TAG_LEN]
}

/// Decrypts `text` where it lies if `tag` is the one over it and over `associated`.
///
/// # Errors
/// [`WrongTag`]; the text is as it was.
pub(crate) fn open(
    key: &Secret<KEY_LEN>,
    counter: u64,
    associated: &[u8],
    text: &mut [u8],
    tag: &[u8; TAG_LEN],
) -> Result<(), WrongTag> {
    let tag: &Tag = tag.into();
    ChaCha20Poly1305::new(key.expose().into())
        .decrypt_inout_detached(&nonce(counter), associated, text.into(), tag)
        .map_err(|_| WrongTag)
}

/// BOLT 8, "Handshake State": 32 zero bits, then the counter in 64 bits, little endian.
fn nonce(counter: u64) -> Nonce {
    let mut nonce = Nonce::default();
    let (_, low) = nonce.split_at_mut(4);
    low.copy_from_slice(&counter.to_le_bytes());
    nonce
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counter_is_little_endian_after_four_zeros() {
        assert_eq!(nonce(0x0102).as_slice(), &[0, 0, 0, 0, 2, 1, 0, 0, 0, 0, 0, 0]);
        assert_eq!(nonce(u64::MAX).as_slice(), &[0, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255]);
    }

    #[test]
    fn every_input_counts_and_a_refused_text_stays() {
        let key = Secret::new([7; 32]);
        let mut sealed = *b"odd";
        let tag = seal(&key, 5, b"with", &mut sealed);
        assert_ne!(&sealed, b"odd");

        let mut text = sealed;
        assert_eq!(open(&key, 6, b"with", &mut text, &tag), Err(WrongTag));
        assert_eq!(open(&key, 5, b"without", &mut text, &tag), Err(WrongTag));
        assert_eq!(open(&Secret::new([8; 32]), 5, b"with", &mut text, &tag), Err(WrongTag));
        for bit in 0..128 {
            let mut other = tag;
            other[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(open(&key, 5, b"with", &mut text, &other), Err(WrongTag));
        }
        assert_eq!(text, sealed);
        assert_eq!(open(&key, 5, b"with", &mut text, &tag), Ok(()));
        assert_eq!(&text, b"odd");
    }
}
