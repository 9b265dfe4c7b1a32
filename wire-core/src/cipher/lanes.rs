//! ChaCha20 in as many lanes as the machine has, chosen at run time, and the portable twin for where it has none.
//!
//! A block of keystream depends on a key, a nonce and a counter alone, so blocks of one text, or of several texts whose
//! nonces are known ahead, are computed side by side: each lane of a vector register is one block.
//!
//! - [`Lanes`]: a width that this machine has. It cannot be made otherwise, so whoever holds one may use it.
//! - [`Lanes::blocks`]: keystream for places that the caller names; [`Lanes::xor`]: the stream of one long text.
//! - `portable`: one block at a time, for every machine; small, as firmware uses it.
//!
//! What is a length, a body or a tag is known above ([`aead`](super::aead)).
//!
//! Constant time: no branch and no address depends on key, keystream or text. Wiping: what the kernels spill to memory
//! is wiped where it is named here; keystream that is handed out belongs to the caller.

mod portable;

use core::fmt;

use zeroize::Zeroize as _;

use crate::limits::KEY_LEN;

/// What ChaCha20 makes at a time, in bytes. RFC 8439, 2.3.
pub(crate) const BLOCK_LEN: usize = 64;

/// One block of keystream: secret until it is spent, and wiped by its owner.
pub(crate) type Block = [u8; BLOCK_LEN];

/// Blocks of keystream on the way to where they are used; wiped when dropped.
#[repr(align(64))]
pub(crate) struct Blocks<const N: usize>([Block; N]);

impl<const N: usize> Blocks<N> {
    pub(crate) const fn new() -> Self {
        Self([[0; BLOCK_LEN]; N])
    }

    pub(crate) fn as_slice(&self) -> &[Block] {
        &self.0
    }

    pub(crate) fn as_mut_slice(&mut self) -> &mut [Block] {
        &mut self.0
    }
}

impl<const N: usize> Drop for Blocks<N> {
    fn drop(&mut self) {
        wipe(self.0.as_flattened_mut());
    }
}

/// Overwrites bytes in a way that the optimizer must keep. `zeroize` goes byte by byte, which takes longer than the cipher.
pub(crate) fn wipe(bytes: &mut [u8]) {
    bytes.fill(0);
    zeroize::optimization_barrier(bytes);
}

/// Where a block belongs: RFC 8439, 2.3. The nonces of BOLT 8 end at 999, and no text has 2^32 blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) nonce: u16,
    pub(crate) counter: u32,
}

/// How many blocks of ChaCha20 are computed side by side, and with which instructions.
///
/// A value is the proof that this machine has them: it comes out of [`Lanes::best`] or [`Lanes::available`].
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Lanes(Width);

#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
enum Width {
    Portable,
}

/// From the narrowest to the widest.
const WIDTHS: &[Width] = &[Width::Portable];

impl Lanes {
    /// One block at a time, without vector instructions: what every machine has.
    pub const PORTABLE: Self = Self(Width::Portable);

    /// The widest that this machine has.
    pub fn best() -> Self {
        Self::available().last().unwrap_or(Self::PORTABLE)
    }

    /// All that this machine has, the widest last.
    pub fn available() -> impl Iterator<Item = Self> {
        WIDTHS.iter().copied().filter(|width| width.is_here()).map(Self)
    }

    /// A name to tell it from the others by, in lower case.
    pub fn name(self) -> &'static str {
        match self.0 {
            Width::Portable => "portable",
        }
    }

    /// Blocks that are computed side by side at most.
    pub fn count(self) -> usize {
        match self.0 {
            Width::Portable => 1,
        }
    }

    /// Computes the block of each place. There are as many places as there is room.
    pub(crate) fn blocks(self, key: &[u8; KEY_LEN], places: &[Place], room: &mut [Block]) {
        debug_assert_eq!(places.len(), room.len());
        let mut key = words(key);
        match self.0 {
            Width::Portable => {
                for (place, block) in places.iter().zip(room) {
                    portable::block(&key, *place, block);
                }
            }
        }
        key.zeroize();
    }

    /// Xors the stream of one text, from the block `place` on, into `text`.
    pub(crate) fn xor(self, key: &[u8; KEY_LEN], place: Place, text: &mut [u8]) {
        let mut key = words(key);
        match self.0 {
            Width::Portable => portable::xor(&key, place, text),
        }
        key.zeroize();
    }
}

impl fmt::Debug for Lanes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lanes({})", self.name())
    }
}

impl Width {
    fn is_here(self) -> bool {
        match self {
            Self::Portable => true,
        }
    }
}

/// Xors as many bytes as both have.
pub(crate) fn xor_bytes(text: &mut [u8], stream: &[u8]) {
    for (byte, key) in text.iter_mut().zip(stream) {
        *byte ^= key;
    }
}

/// Key bytes as the words of the cipher's state. RFC 8439, 2.3.
fn words(key: &[u8; KEY_LEN]) -> [u32; KEY_LEN / 4] {
    let mut words = [0; KEY_LEN / 4];
    for (word, bytes) in words.iter_mut().zip(key.as_chunks().0) {
        *word = u32::from_le_bytes(*bytes);
    }
    words
}

#[cfg(test)]
mod tests;
