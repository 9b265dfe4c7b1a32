//! ChaCha20-Poly1305 (RFC 8439) as BOLT 8 uses it: 32-byte key, a counter as nonce, in place, tag apart.
//!
//! A text needs a one-time key for its tag, which is the stream's block 0, and the stream from block 1 on. Both depend on
//! key and nonce alone, so they may be there before the text is: that is a [`Pad`]. Without one, [`seal`] and [`open`]
//! make it on the spot.
//!
//! Constant time: all of it, apart from the length of the text; tags are compared in constant time. Wiping: pads that are
//! made here, and the state of the tag; the pad of a caller is the caller's.

use core::fmt;

use subtle::ConstantTimeEq as _;

use super::lanes::{BLOCK_LEN, Block, Blocks, Lanes, MOST_LANES, Place, xor_bytes};
use super::poly1305::Poly1305;
use crate::{
    limits::{KEY_LEN, TAG_LEN},
    secret::Secret,
};

/// The counter of the first block of a text's stream. RFC 8439, 2.8: block 0 makes the key for the tag.
pub(crate) const FIRST_STREAM_BLOCK: u32 = 1;

/// The blocks that are made on the spot for a text, or for a length and its body: keys for tags, and the first of the
/// streams. As many as the widest kernel makes at once; where there are no lanes more would only take up stack.
const ON_THE_SPOT: usize = if MOST_LANES > 4 { MOST_LANES } else { 4 };

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

/// Under what a text is sealed. A key and a nonce must never meet twice with different texts.
#[derive(Clone, Copy)]
pub(crate) struct Under<'a> {
    pub(crate) lanes: Lanes,
    pub(crate) key: &'a Secret<KEY_LEN>,
    pub(crate) nonce: u16,
}

/// What key and nonce give for a text before it is there.
#[derive(Clone, Copy)]
pub struct Pad<'a> {
    /// Block 0: the key for the tag.
    pub(crate) tag_key: &'a [u8; KEY_LEN],
    /// The stream from block 1 on, in whole blocks, or at least as long as the text.
    pub(crate) stream: &'a [u8],
}

/// Encrypts `text` where it lies; returns the tag over it and over `associated`.
pub(crate) fn seal(under: Under<'_>, associated: &[u8], text: &mut [u8]) -> [u8; TAG_LEN] {
    with_pad(under, text.len(), |pad| seal_with(under, pad, associated, text))
}

/// Decrypts `text` where it lies if `tag` is the one over it and over `associated`.
///
/// # Errors
/// [`WrongTag`]; the text is as it was.
pub(crate) fn open(
    under: Under<'_>,
    associated: &[u8],
    text: &mut [u8],
    tag: &[u8; TAG_LEN],
) -> Result<(), WrongTag> {
    with_pad(under, text.len(), |pad| open_with(under, pad, associated, text, tag))
}

/// As [`seal`], with the pad that belongs to this key and nonce.
#[inline]
pub(crate) fn seal_with(under: Under<'_>, pad: Pad<'_>, associated: &[u8], text: &mut [u8]) -> [u8; TAG_LEN] {
    apply(under, pad, text);
    tag_of(under, pad, associated, text)
}

/// As [`open`], with the pad that belongs to this key and nonce.
///
/// # Errors
/// [`WrongTag`]; the text is as it was.
#[inline]
pub(crate) fn open_with(
    under: Under<'_>,
    pad: Pad<'_>,
    associated: &[u8],
    text: &mut [u8],
    tag: &[u8; TAG_LEN],
) -> Result<(), WrongTag> {
    if !same_tag(&tag_of(under, pad, associated, text), tag) {
        return Err(WrongTag);
    }
    apply(under, pad, text);
    Ok(())
}

/// Whether two tags are the same, in a time that does not depend on them. As numbers, since byte by byte it takes as long as
/// a small tag itself.
#[inline]
pub(crate) fn same_tag(one: &[u8; TAG_LEN], other: &[u8; TAG_LEN]) -> bool {
    let [one, other] = [one, other].map(|tag| {
        let (halves, _) = tag.as_chunks();
        [u64::from_ne_bytes(halves[0]), u64::from_ne_bytes(halves[1])]
    });
    one.as_slice().ct_eq(other.as_slice()).into()
}

/// Encrypts two texts that follow each other under one key, the first of at most 64 bytes, with one pass over the lanes for
/// what both need; returns their tags.
pub(crate) fn seal_two(under: Under<'_>, texts: [&mut [u8]; 2]) -> [[u8; TAG_LEN]; 2] {
    let [first, second] = texts;
    let next = Under { nonce: under.nonce + 1, ..under };
    let mut places = [Place { nonce: next.nonce, counter: 0 }; ON_THE_SPOT];
    let (of_first, of_second) = places.split_at_mut(2);
    for (place, counter) in of_first.iter_mut().zip(0..) {
        *place = Place { nonce: under.nonce, counter };
    }
    for (place, counter) in of_second.iter_mut().zip(0..) {
        place.counter = counter;
    }
    let mut blocks = Blocks::<ON_THE_SPOT>::new();
    let count = ON_THE_SPOT.min(3 + second.len().div_ceil(BLOCK_LEN));
    let blocks = &mut blocks.as_mut_slice()[..count];
    under.lanes.blocks(under.key.expose(), &places[..count], blocks);
    let (of_first, of_second) = blocks.split_at(2);
    [seal_with(under, pad_of(of_first), &[], first), seal_with(next, pad_of(of_second), &[], second)]
}

/// Makes the pad for a text of `len` bytes, uses it and wipes it.
fn with_pad<R>(under: Under<'_>, len: usize, use_it: impl FnOnce(Pad<'_>) -> R) -> R {
    let mut blocks = Blocks::<ON_THE_SPOT>::new();
    let mut places = [Place { nonce: under.nonce, counter: 0 }; ON_THE_SPOT];
    for (place, counter) in places.iter_mut().zip(0..) {
        place.counter = counter;
    }
    let count = ON_THE_SPOT.min(1 + len.div_ceil(BLOCK_LEN));
    let blocks = &mut blocks.as_mut_slice()[..count];
    under.lanes.blocks(under.key.expose(), &places[..count], blocks);
    use_it(pad_of(blocks))
}

/// The pad that blocks from block 0 on are. There is at least one.
fn pad_of(blocks: &[Block]) -> Pad<'_> {
    let (first, stream) = blocks.as_flattened().split_at(BLOCK_LEN);
    Pad { tag_key: &first.as_chunks().0[0], stream }
}

/// Xors the text with its stream: first what is there of it, then the rest.
#[inline]
pub(super) fn apply(under: Under<'_>, pad: Pad<'_>, text: &mut [u8]) {
    let (first, rest) = text.split_at_mut(text.len().min(pad.stream.len()));
    xor_bytes(first, pad.stream);
    if rest.is_empty() {
        return;
    }
    let mut place = Place { nonce: under.nonce, counter: FIRST_STREAM_BLOCK };
    for _ in pad.stream.chunks(BLOCK_LEN) {
        place.counter += 1;
    }
    under.lanes.xor(under.key.expose(), place, rest);
}

#[inline]
fn tag_of(under: Under<'_>, pad: Pad<'_>, associated: &[u8], text: &[u8]) -> [u8; TAG_LEN] {
    let mut tag = Poly1305::new(pad.tag_key);
    if !associated.is_empty() {
        tag.absorb(associated);
    }
    tag.absorb_with(under.lanes, text);
    tag.finish(associated.len(), text.len())
}

#[cfg(test)]
mod tests;
