//! The chaining key, and HKDF (RFC 5869) with SHA-256: where every key of a connection comes from.
//!
//! BOLT 8 always asks HKDF for 64 bytes with the chaining key as salt and no info: one half becomes the new
//! chaining key or the first of two keys, the other half a key. That is all there is here.
//!
//! HMAC (RFC 2104) is written out over SHA-256 because the crates for it leave padded keys and extracted keys
//! on the stack, and a chaining key of the past opens the messages of the past. The tests compare with the
//! `hkdf` crate.
//!
//! Constant time: SHA-256 has no secret branches or tables; the lengths here are public. Wiping: pads,
//! extracted key and outputs, by [`Secret`]; the hash states by the `sha2` crate (feature `zeroize`).

use sha2::{Digest as _, Sha256, digest::Output};

use crate::{limits::KEY_LEN, secret::Secret};

/// What SHA-256 takes in at a time, in bytes; HMAC pads its key to it. RFC 2104.
const HASH_BLOCK_LEN: usize = 64;

/// A chaining key: the sum of all that both sides have agreed on so far.
#[derive(Debug)]
pub(crate) struct ChainingKey(Secret<KEY_LEN>);

impl ChainingKey {
    pub(crate) fn new(bytes: Secret<KEY_LEN>) -> Self {
        Self(bytes)
    }

    /// ck, k = HKDF(ck, input): replaces the chaining key and returns the key that goes with the new one.
    ///
    /// The step of BOLT 8 both after each ECDH of the handshake and at each rotation.
    pub(crate) fn mix(&mut self, input: &[u8]) -> Secret<KEY_LEN> {
        let (chaining_key, key) = hkdf(&self.0, input);
        self.0 = chaining_key;
        key
    }

    /// BOLT 8, "Act Three", last step: two keys = HKDF(ck, zero-length). The first is the initiator's for
    /// sending.
    ///
    /// The chaining key does not change by this, and each direction gets it for its own from here on.
    pub(crate) fn split(self) -> [(Secret<KEY_LEN>, Secret<KEY_LEN>); 2] {
        let (first, second) = hkdf(&self.0, &[]);
        let mut copy = Secret::new([0; KEY_LEN]);
        copy.expose_mut().copy_from_slice(self.0.expose());
        [(first, copy), (second, self.0)]
    }
}

#[cfg(test)]
impl ChainingKey {
    pub(crate) fn expose(&self) -> &[u8; KEY_LEN] {
        self.0.expose()
    }
}

/// HKDF-SHA256 with salt and input, without info: its first 64 bytes as two halves.
fn hkdf(salt: &Secret<KEY_LEN>, input: &[u8]) -> (Secret<KEY_LEN>, Secret<KEY_LEN>) {
    // RFC 5869, 2.2: extract.
    let extracted = hmac(salt, &[input]);
    // RFC 5869, 2.3: expand; each output but the first begins with the one before, and all end with their
    // number.
    let first = hmac(&extracted, &[&[1]]);
    let second = hmac(&extracted, &[first.expose(), &[2]]);
    (first, second)
}

/// HMAC-SHA256 of the concatenated parts. Onions are authenticated with it too, and their keys come from it.
pub(crate) fn hmac(key: &Secret<KEY_LEN>, parts: &[&[u8]]) -> Secret<KEY_LEN> {
    let inner = keyed_hash(key, 0x36, parts);
    keyed_hash(key, 0x5c, &[inner.expose()])
}

/// SHA-256 of the padded key, xored with `pad`, and the parts.
fn keyed_hash(key: &Secret<KEY_LEN>, pad: u8, parts: &[&[u8]]) -> Secret<KEY_LEN> {
    let mut block = Secret::new([pad; HASH_BLOCK_LEN]);
    for (padded, byte) in block.expose_mut().iter_mut().zip(key.expose()) {
        *padded ^= byte;
    }
    let mut hash = Sha256::new_with_prefix(block.expose());
    for part in parts {
        hash.update(part);
    }
    let mut digest = Secret::new([0; KEY_LEN]);
    let room: &mut Output<Sha256> = digest.expose_mut().into();
    hash.finalize_into(room);
    digest
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn agrees_with_the_hkdf_crate(salt: [u8; 32], input in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut expected = [0; 64];
            hkdf::Hkdf::<Sha256>::new(Some(&salt), &input).expand(&[], &mut expected).unwrap();
            let (first, second) = hkdf(&Secret::new(salt), &input);
            prop_assert_eq!([*first.expose(), *second.expose()].concat(), expected);
        }
    }

    #[test]
    fn every_hkdf_of_the_handshake_vectors() {
        let notes = crate::noise::tests::handshake_notes();
        let hex = |text: &str| -> [u8; 32] {
            let mut bytes = [0; 32];
            faster_hex::hex_decode(text.trim().trim_start_matches("0x").as_bytes(), &mut bytes).unwrap();
            bytes
        };
        let mut checked = 0;
        // In the vectors each `HKDF(ck,input)` is followed by `ck,temp_kN=first,second`.
        for pair in notes.windows(2) {
            let Some(arguments) = pair[0].strip_prefix("HKDF(").and_then(|rest| rest.strip_suffix(")"))
            else {
                continue;
            };
            let Some((_, results)) =
                pair[1].split_once('=').filter(|(name, _)| name.starts_with("ck,temp_k"))
            else {
                continue;
            };
            let [salt, input]: [&str; 2] = arguments.split(',').collect::<Vec<_>>().try_into().unwrap();
            let [first, second]: [&str; 2] = results.split(',').collect::<Vec<_>>().try_into().unwrap();
            let mut chaining_key = ChainingKey::new(Secret::new(hex(salt)));
            let key = chaining_key.mix(&hex(input));
            assert_eq!((chaining_key.expose(), key.expose()), (&hex(first), &hex(second)));
            checked += 1;
        }
        assert!(checked >= 6, "both roles mix three times; only {checked} steps were found");
    }
}
