//! The cipher of one direction of a connection: its key, its nonce, its chaining key, and their rotation.
//!
//! A connection has two of these, one per direction, and they share nothing after the handshake: each rotates
//! by its own count with its own chaining key. (With one chaining key for both, the first rotation still
//! agrees with that of a right peer, and the next one, in the other direction, does not. The published
//! vectors have one direction and cannot tell.)
//!
//! - [`CipherState`]: what the two ends must keep in step. Which text is a length and which a body is the
//!   business of [`frame`](crate::frame).
//! - `key_schedule`: HKDF and the chaining key. Also used by the handshake.
//! - `aead`: one text, one key, one nonce, with keystream that is made on the spot or was there before.
//! - `lanes`: ChaCha20, several blocks side by side where the machine can. The nonces are known ahead of the texts, so
//!   keystream for several frames is made at once; where it waits for them is the business of [`frame`](crate::frame).
//! - `poly1305`: the tag.
//! - `piecewise`: a text that no buffer holds whole.
//!
//! Constant time: everything but the lengths of texts and whether a tag held. Wiping: both keys, when
//! replaced and when dropped.

pub(crate) mod aead;
pub(crate) mod key_schedule;
#[cfg_attr(
    any(target_arch = "x86_64", target_arch = "aarch64"),
    expect(unsafe_code, reason = "vector instructions; each block says why it is sound")
)]
pub(crate) mod lanes;
pub(crate) mod piecewise;
pub(crate) mod poly1305;

pub use aead::WrongTag;
pub use lanes::Lanes;

use crate::{
    limits::{KEY_LEN, NONCES_PER_KEY, TAG_LEN},
    secret::Secret,
};
use aead::{Pad, Under};
use key_schedule::ChainingKey;
use lanes::{Block, Place};

/// One direction's key, nonce and chaining key.
///
/// Each text sealed or opened takes the next nonce; after [`NONCES_PER_KEY`] texts the key is replaced. The
/// two ends stay in step because each text is opened in the order in which it was sealed.
#[derive(Debug)]
pub struct CipherState {
    key: Secret<KEY_LEN>,
    chaining_key: ChainingKey,
    /// Of the next text; always less than [`NONCES_PER_KEY`].
    nonce: u16,
    /// Which changes the speed and nothing else.
    lanes: Lanes,
}

impl CipherState {
    /// A direction at its start: nonce 0. Both values come out of the handshake; a key must never be used
    /// here twice.
    pub fn new(key: Secret<KEY_LEN>, chaining_key: Secret<KEY_LEN>) -> Self {
        Self { key, chaining_key: ChainingKey::new(chaining_key), nonce: 0, lanes: Lanes::best() }
    }

    /// The same with lanes of the caller's choice, for tests and measurements; [`Self::new`] takes the best.
    #[must_use]
    pub fn with_lanes(mut self, lanes: Lanes) -> Self {
        self.lanes = lanes;
        self
    }

    /// Encrypts a text where it lies and returns its tag.
    pub fn seal(&mut self, text: &mut [u8]) -> [u8; TAG_LEN] {
        let tag = aead::seal(self.under(), &[], text);
        self.advance();
        tag
    }

    /// Checks the tag and, if it holds, decrypts the text where it lies.
    ///
    /// # Errors
    /// [`WrongTag`]: the text is as it was and the nonce not used up. There is no way to go on: what came is
    /// not what was sent, and nobody knows where the next text begins.
    pub fn open(&mut self, text: &mut [u8], tag: &[u8; TAG_LEN]) -> Result<(), WrongTag> {
        aead::open(self.under(), &[], text, tag)?;
        self.advance();
        Ok(())
    }

    /// As [`Self::seal`], with the pad of the next text.
    pub(crate) fn seal_with(&mut self, pad: Pad<'_>, text: &mut [u8]) -> [u8; TAG_LEN] {
        let tag = aead::seal_with(self.under(), pad, &[], text);
        self.advance();
        tag
    }

    /// Encrypts or decrypts the next text with its pad, when tags are made and checked elsewhere, of several texts at once.
    pub(crate) fn apply(&mut self, pad: Pad<'_>, text: &mut [u8]) {
        aead::apply(self.under(), pad, text);
        self.advance();
    }

    /// The lanes that it was given.
    pub(crate) fn lanes(&self) -> Lanes {
        self.lanes
    }

    /// Encrypts the next two texts, the first of at most 64 bytes, for which keystream is made together; returns their tags.
    ///
    /// The key is never replaced between them: [`NONCES_PER_KEY`] is even, and texts come in pairs.
    pub(crate) fn seal_two(&mut self, texts: [&mut [u8]; 2]) -> [[u8; TAG_LEN]; 2] {
        let tags = aead::seal_two(self.under(), texts);
        self.advance();
        self.advance();
        tags
    }

    /// As [`Self::open`], with the pad of the next text.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub(crate) fn open_with(
        &mut self,
        pad: Pad<'_>,
        text: &mut [u8],
        tag: &[u8; TAG_LEN],
    ) -> Result<(), WrongTag> {
        aead::open_with(self.under(), pad, &[], text, tag)?;
        self.advance();
        Ok(())
    }

    /// Keystream under the present key, at places that the caller names.
    pub(crate) fn keystream(&self, places: &[Place], room: &mut [Block]) {
        self.lanes.blocks(self.key.expose(), places, room);
    }

    /// The nonce of the next text.
    pub(crate) fn nonce(&self) -> u16 {
        self.nonce
    }

    /// The present key, for who must know whether it is still the same.
    pub(crate) fn key(&self) -> &Secret<KEY_LEN> {
        &self.key
    }

    fn under(&self) -> Under<'_> {
        Under { lanes: self.lanes, key: &self.key, nonce: self.nonce }
    }

    #[inline]
    fn advance(&mut self) {
        self.nonce += 1;
        if self.nonce == NONCES_PER_KEY {
            self.rotate();
        }
    }

    /// BOLT 8, "Lightning Message Key Rotation": ck', k' = HKDF(ck, k), and the nonce starts again at 0.
    #[cold]
    fn rotate(&mut self) {
        self.key = self.chaining_key.mix(self.key.expose());
        self.nonce = 0;
    }
}

#[cfg(test)]
impl CipherState {
    /// Key, chaining key and nonce, to compare with published values.
    pub(crate) fn inner(&self) -> (&[u8; KEY_LEN], &[u8; KEY_LEN], u16) {
        (self.key.expose(), self.chaining_key.expose(), self.nonce)
    }
}
