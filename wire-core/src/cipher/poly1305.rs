//! Poly1305 (RFC 8439, 2.5): the tag of one text under a key that is used once.
//!
//! A text is a number with one limb per 16 bytes, and the tag is that polynomial at a secret point, modulo 2^130 - 5.
//! The arithmetic is `wide` (64-bit words) or `narrow` (32-bit words, for firmware), which do the same and are held against
//! each other in the tests. Long texts go through the vector arithmetic of [`lanes`](super::lanes) first.
//!
//! Constant time: but for the length of the text. Wiping: point, sum and mask when dropped.

#[cfg(any(test, not(any(target_pointer_width = "64", target_arch = "x86_64"))))]
mod narrow;
#[cfg(any(test, target_pointer_width = "64", target_arch = "x86_64"))]
mod wide;

#[cfg(not(any(target_pointer_width = "64", target_arch = "x86_64")))]
pub(super) use narrow::Sum;
#[cfg(any(target_pointer_width = "64", target_arch = "x86_64"))]
pub(super) use wide::Sum;

use zeroize::Zeroize as _;

use super::lanes::{Lanes, PAIRS};
use crate::limits::{KEY_LEN, TAG_LEN};

/// What is taken in at a time, in bytes.
pub(super) const LIMB_LEN: usize = 16;

/// A tag that is being computed.
pub(crate) struct Poly1305 {
    sum: Sum,
    /// Added to the sum in the end; nothing can be learnt of the point from a tag because of it.
    mask: u128,
}

impl Poly1305 {
    /// Begins with a key that has never been used.
    #[inline]
    pub(crate) fn new(key: &[u8; KEY_LEN]) -> Self {
        let mut halves = [0; 2];
        for (half, bytes) in halves.iter_mut().zip(key.as_chunks().0) {
            *half = u128::from_le_bytes(*bytes);
        }
        let [point, mask] = halves;
        let this = Self { sum: Sum::new(point), mask };
        halves.zeroize();
        this
    }

    /// Takes in a part of what is authenticated, filled up with zeros to a multiple of 16 bytes as RFC 8439, 2.8 has it.
    ///
    /// A text may be taken in in pieces, if all but the last are multiples of 16 bytes.
    #[inline]
    pub(crate) fn absorb(&mut self, part: &[u8]) {
        let (limbs, rest) = part.as_chunks();
        self.sum.absorb(limbs);
        if !rest.is_empty() {
            self.sum.absorb(&[filled_up(rest)]);
        }
    }

    /// As [`Self::absorb`], with lanes for as much of a long part as fills them.
    #[inline]
    pub(crate) fn absorb_with(&mut self, lanes: Lanes, part: &[u8]) {
        let (limbs, _) = part.as_chunks();
        let done = lanes.absorb(&mut self.sum, limbs) * LIMB_LEN;
        self.absorb(&part[done..]);
    }

    /// Takes in the two lengths, in bytes, that end the input, and gives the tag. RFC 8439, 2.8.
    #[inline]
    pub(crate) fn finish(&mut self, associated_len: usize, text_len: usize) -> [u8; TAG_LEN] {
        // Our lengths end at 65,535: a `usize` always fits.
        let lengths = (text_len as u128) << 64 | associated_len as u128;
        self.sum.absorb(&[lengths.to_le_bytes()]);
        self.sum.reduced().wrapping_add(self.mask).to_le_bytes()
    }
}

impl Drop for Poly1305 {
    fn drop(&mut self) {
        self.sum.wipe();
        self.mask = 0;
        zeroize::optimization_barrier(self);
    }
}

/// Bytes of a short text.
pub(super) const SHORT_LEN: usize = 2;

/// Pairs of texts without associated data, each under a key of its own that has never been used: a short one of two bytes,
/// and one of any length. Where none is put there are empty ones, and what is made of them means nothing.
pub(crate) struct Pairs<'a> {
    pub(super) short_keys: [&'a [u8; KEY_LEN]; PAIRS],
    /// Their two bytes as a number, little-endian.
    pub(super) short: [u64; PAIRS],
    pub(super) keys: [&'a [u8; KEY_LEN]; PAIRS],
    pub(super) texts: [&'a [u8]; PAIRS],
    /// How long they are, in bytes.
    pub(super) lens: [u64; PAIRS],
}

impl<'a> Pairs<'a> {
    pub(crate) fn new() -> Self {
        const NONE: &[u8; KEY_LEN] = &[0; KEY_LEN];
        Self {
            short_keys: [NONE; PAIRS],
            short: [0; PAIRS],
            keys: [NONE; PAIRS],
            texts: [&[]; PAIRS],
            lens: [0; PAIRS],
        }
    }

    /// Puts a pair at a place: the keys, and the texts.
    #[inline]
    pub(crate) fn put(
        &mut self,
        place: usize,
        [short_key, key]: [&'a [u8; KEY_LEN]; 2],
        short: [u8; SHORT_LEN],
        text: &'a [u8],
    ) {
        self.short_keys[place] = short_key;
        self.short[place] = u16::from_le_bytes(short).into();
        self.keys[place] = key;
        self.texts[place] = text;
        self.lens[place] = text.len() as u64;
    }

    /// The tags of all short texts, and of all others, one after another.
    pub(super) fn tags(&self, room: &mut [[[u8; TAG_LEN]; PAIRS]; 2]) {
        let [short_tags, tags] = room;
        for (place, (short_tag, tag)) in short_tags.iter_mut().zip(tags).enumerate() {
            let short = self.short[place].to_le_bytes();
            *short_tag = Self::tag(self.short_keys[place], &short[..SHORT_LEN]);
            *tag = Self::tag(self.keys[place], self.texts[place]);
        }
    }

    fn tag(key: &[u8; KEY_LEN], text: &[u8]) -> [u8; TAG_LEN] {
        let mut tag = Poly1305::new(key);
        tag.absorb(text);
        tag.finish(0, text.len())
    }
}

/// A limb of fewer than 16 bytes and zeros. Piece by piece, since a call to copy a few bytes takes longer than they do.
#[inline]
pub(super) fn filled_up(mut rest: &[u8]) -> [u8; LIMB_LEN] {
    let (mut limb, mut shift) = (0, 0);
    if let Some((eight, behind)) = rest.split_first_chunk() {
        limb = u128::from(u64::from_le_bytes(*eight));
        (rest, shift) = (behind, 64);
    }
    if let Some((four, behind)) = rest.split_first_chunk() {
        limb |= u128::from(u32::from_le_bytes(*four)) << shift;
        (rest, shift) = (behind, shift + 32);
    }
    if let Some((two, behind)) = rest.split_first_chunk() {
        limb |= u128::from(u16::from_le_bytes(*two)) << shift;
        (rest, shift) = (behind, shift + 16);
    }
    if let Some(byte) = rest.first() {
        limb |= u128::from(*byte) << shift;
    }
    limb.to_le_bytes()
}

/// RFC 8439, 2.5: these bits of the point are zero, which keeps the arithmetic below free of overflow.
const CLAMP: u128 = 0x0fff_fffc_0fff_fffc_0fff_fffc_0fff_ffff;

#[cfg(test)]
mod tests;
