//! What both roles keep while the acts go by: the handshake hash and the chaining key.
//!
//! The operations are those of BOLT 8, "Handshake State": mix into the hash, mix into the key, encrypt and
//! decrypt with the hash as associated data.

use sha2::{Digest as _, Sha256};

use crate::{
    cipher::{CipherState, Lanes, WrongTag, aead, aead::Under, key_schedule::ChainingKey},
    limits::{KEY_LEN, TAG_LEN},
    node_id::NodeId,
    secret::Secret,
};

/// BOLT 8, "Handshake State Initialization", step 1.
const PROTOCOL_NAME: &[u8] = b"Noise_XK_secp256k1_ChaChaPoly_SHA256";

/// BOLT 8, "Handshake State Initialization", step 3.
const PROLOGUE: &[u8] = b"lightning";

/// The handshake hash `h` and the chaining key `ck`.
#[derive(Debug)]
pub(super) struct Symmetric {
    hash: [u8; KEY_LEN],
    chaining_key: ChainingKey,
}

impl Symmetric {
    /// BOLT 8, "Handshake State Initialization": protocol name, prologue, and the static key of the
    /// responder, which the initiator knows beforehand.
    pub(super) fn new(responder: &NodeId) -> Self {
        // The name is no secret, so neither is the first chaining key.
        let name: [u8; KEY_LEN] = Sha256::digest(PROTOCOL_NAME).into();
        let mut state = Self { hash: name, chaining_key: ChainingKey::new(Secret::new(name)) };
        state.mix_hash(&[PROLOGUE]);
        state.mix_hash(&[responder.as_bytes()]);
        state
    }

    /// h = SHA-256(h || parts).
    pub(super) fn mix_hash(&mut self, parts: &[&[u8]]) {
        let mut hash = Sha256::new_with_prefix(self.hash);
        for part in parts {
            hash.update(part);
        }
        self.hash = hash.finalize().into();
    }

    /// ck, `temp_k` = HKDF(ck, ecdh): the temporary key for the texts until the next ECDH.
    pub(super) fn mix_key(&mut self, ecdh: &Secret<KEY_LEN>) -> Secret<KEY_LEN> {
        self.chaining_key.mix(ecdh.expose())
    }

    /// Encrypts in place with the hash as associated data, then mixes what goes out into the hash.
    pub(super) fn seal(&mut self, temp_key: &Secret<KEY_LEN>, nonce: u16, text: &mut [u8]) -> [u8; TAG_LEN] {
        let tag = aead::seal(under(temp_key, nonce), &self.hash, text);
        self.mix_hash(&[text, &tag]);
        tag
    }

    /// The reverse of [`Self::seal`].
    ///
    /// # Errors
    /// [`WrongTag`]; the handshake is over, as the hash has moved on.
    pub(super) fn open(
        &mut self,
        temp_key: &Secret<KEY_LEN>,
        nonce: u16,
        text: &mut [u8],
        tag: &[u8; TAG_LEN],
    ) -> Result<(), WrongTag> {
        // What came in is mixed before it is decrypted, since both use the same bytes of the buffer.
        let associated = self.hash;
        self.mix_hash(&[text, tag]);
        aead::open(under(temp_key, nonce), &associated, text, tag)
    }

    /// BOLT 8, "Act Three", last step: the ciphers from initiator to responder and from responder to
    /// initiator.
    pub(super) fn split(self) -> [CipherState; 2] {
        self.chaining_key.split().map(|(key, chaining_key)| CipherState::new(key, chaining_key))
    }
}

/// The texts of the acts are so short that every width takes the same time; what was chosen for the machine will do.
fn under(key: &Secret<KEY_LEN>, nonce: u16) -> Under<'_> {
    Under { lanes: Lanes::best(), key, nonce }
}
