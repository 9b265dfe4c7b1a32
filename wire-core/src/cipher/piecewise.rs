//! One text that comes or goes in pieces, because no buffer holds it whole: the same ChaCha20-Poly1305 as `aead`, with
//! the work stretched over many calls.
//!
//! - [`Piecewise`] remembers how far it has come and what Poly1305 has gathered; key and nonce are handed in each time by
//!   the cipher that owns them.
//! - Every piece but the last is a multiple of [`PIECE_LEN`], so neither half a block of keystream nor half a block of
//!   Poly1305 is ever kept.
//! - Opening cannot wait for the tag before it decrypts, since the text is gone by then. So only few bytes are decrypted,
//!   and [`CipherState::finish_opening`] must succeed before anybody believes them.
//!
//! Constant time: all but lengths and whether the tag held. Wiping: what Poly1305 has gathered, and the one-time key it
//! is made with, where they lie. There is no state without bytes in it, so nothing of the stack is moved in with one.

use core::fmt;

use subtle::ConstantTimeEq as _;

use super::CipherState;
use super::aead::{FIRST_STREAM_BLOCK, WrongTag};
use super::lanes::{BLOCK_LEN, Blocks, Place};
use super::poly1305::Poly1305;
use crate::limits::{KEY_LEN, TAG_LEN};
use crate::secret::Secret;

/// What every piece of a text but the last is a multiple of, in bytes: a block of ChaCha20. RFC 8439, 2.3.
pub(crate) const PIECE_LEN: usize = BLOCK_LEN;

/// A text under way.
pub(crate) struct Piecewise {
    tag: Poly1305,
    /// How many bytes of the text are done.
    done: usize,
}

impl CipherState {
    /// Begins the next text. Until it is finished the cipher must do nothing else.
    pub(crate) fn begin(&self, text: &mut Piecewise) {
        // RFC 8439, 2.6: the one-time key is the front of the first block of keystream; the text begins with the second.
        let mut first = Blocks::<1>::new();
        self.keystream(&[Place { nonce: self.nonce, counter: 0 }], first.as_mut_slice());
        let mut tag_key = Secret::new([0; KEY_LEN]);
        let bytes = first.as_slice().as_flattened();
        tag_key.expose_mut().iter_mut().zip(bytes).for_each(|(to, byte)| *to = *byte);
        *text = Piecewise { tag: Poly1305::new(tag_key.expose()), done: 0 };
    }

    /// Encrypts the next piece where it lies.
    pub(crate) fn seal_piece(&self, text: &mut Piecewise, piece: &mut [u8]) {
        self.xor(text, piece);
        text.pass(piece);
    }

    /// Takes in the next piece of a sealed text and decrypts as much of its front as `copy` has room for.
    pub(crate) fn open_piece(&self, text: &mut Piecewise, piece: &[u8], copy: &mut [u8]) {
        let copied = copy.len().min(piece.len());
        if let (Some(copy), Some(front)) = (copy.get_mut(..copied), piece.get(..copied)) {
            copy.iter_mut().zip(front).for_each(|(to, byte)| *to = *byte);
            self.xor(text, copy);
        }
        text.pass(piece);
    }

    /// The tag of a text whose pieces are all sealed. The text is spent; it is borrowed so that it is wiped where it lies.
    pub(crate) fn finish_sealing(&mut self, text: &mut Piecewise) -> [u8; TAG_LEN] {
        self.advance();
        text.finish()
    }

    /// Whether `tag` is that of the pieces that came. The text is spent, as in [`finish_sealing`](Self::finish_sealing).
    ///
    /// # Errors
    /// [`WrongTag`]: nothing of what the pieces said is to be believed.
    pub(crate) fn finish_opening(
        &mut self,
        text: &mut Piecewise,
        tag: &[u8; TAG_LEN],
    ) -> Result<(), WrongTag> {
        if !bool::from(text.finish().ct_eq(tag)) {
            return Err(WrongTag);
        }
        self.advance();
        Ok(())
    }

    fn xor(&self, text: &Piecewise, piece: &mut [u8]) {
        if piece.is_empty() {
            return;
        }
        // A message has at most 65,535 bytes.
        let blocks = u32::try_from(text.done / BLOCK_LEN).unwrap_or(u32::MAX);
        let place = Place { nonce: self.nonce, counter: FIRST_STREAM_BLOCK.saturating_add(blocks) };
        self.lanes.xor(self.key.expose(), place, piece);
    }
}

impl Piecewise {
    /// No text.
    pub(crate) fn none() -> Self {
        Self { tag: Poly1305::new(&[0; KEY_LEN]), done: 0 }
    }

    /// Wipes what was gathered.
    pub(crate) fn forget(&mut self) {
        *self = Self::none();
    }

    fn pass(&mut self, sealed: &[u8]) {
        self.tag.absorb(sealed);
        self.done = self.done.saturating_add(sealed.len());
    }

    fn finish(&mut self) -> [u8; TAG_LEN] {
        core::mem::replace(&mut self.tag, Poly1305::new(&[0; KEY_LEN])).finish(0, self.done)
    }
}

impl fmt::Debug for Piecewise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Piecewise").field("done", &self.done).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    fn cipher() -> CipherState {
        CipherState::new(Secret::new([7; 32]), Secret::new([8; 32]))
    }

    fn begun(cipher: &CipherState) -> Piecewise {
        let mut text = Piecewise::none();
        cipher.begin(&mut text);
        text
    }

    /// Where a text is cut: anywhere that is a multiple of a piece.
    fn cuts(text: &[u8], sizes: &[usize]) -> Vec<usize> {
        let mut sizes = sizes.iter().cycle();
        let mut left = text.len();
        let mut cuts = Vec::new();
        while left > 0 {
            let size = left.min(sizes.next().unwrap() * PIECE_LEN);
            cuts.push(size);
            left -= size;
        }
        cuts
    }

    proptest! {
        #[test]
        fn pieces_make_what_the_whole_makes(
            text in proptest::collection::vec(any::<u8>(), 0..700),
            sizes in proptest::collection::vec(1..4_usize, 1..4),
            wanted in 0..100_usize,
        ) {
            let mut whole = text.clone();
            let (mut at_once, mut in_pieces, mut opening) = (cipher(), cipher(), cipher());
            let tag = at_once.seal(&mut whole);

            let mut sealed = text.clone();
            let mut under_way = begun(&in_pieces);
            let mut rest = sealed.as_mut_slice();
            for size in cuts(&text, &sizes) {
                let (piece, behind) = rest.split_at_mut(size);
                in_pieces.seal_piece(&mut under_way, piece);
                rest = behind;
            }
            prop_assert_eq!((in_pieces.finish_sealing(&mut under_way), &sealed), (tag, &whole));
            prop_assert_eq!(in_pieces.inner(), at_once.inner());

            let wanted = wanted.min(text.len());
            let mut front = std::vec![0; wanted];
            let mut under_way = begun(&opening);
            let (mut rest, mut done) = (sealed.as_slice(), 0);
            for size in cuts(&text, &sizes) {
                let (piece, behind) = rest.split_at(size);
                opening.open_piece(&mut under_way, piece, &mut front[done.min(wanted)..]);
                done += size;
                rest = behind;
            }
            prop_assert_eq!(opening.finish_opening(&mut under_way, &tag), Ok(()));
            prop_assert_eq!(&front, &text[..wanted]);
            prop_assert_eq!(opening.inner(), at_once.inner());
        }
    }

    #[test]
    fn a_changed_piece_or_tag_is_found() {
        let mut sealed = [1; 100];
        let tag = cipher().seal(&mut sealed);
        for (place, bit) in [(0, 1), (63, 128), (64, 2), (99, 1), (100, 1), (115, 128)] {
            let (mut sealed, mut tag) = (sealed, tag);
            if let Some(byte) = sealed.get_mut(place) {
                *byte ^= bit;
            } else {
                tag[place - 100] ^= bit;
            }
            let mut cipher = cipher();
            let mut text = begun(&cipher);
            cipher.open_piece(&mut text, &sealed[..64], &mut []);
            cipher.open_piece(&mut text, &sealed[64..], &mut []);
            assert_eq!(cipher.finish_opening(&mut text, &tag), Err(WrongTag), "byte {place}");
        }
    }
}
