//! Frames longer than the buffer at hand: opened without keeping them, sealed without having them whole.
//!
//! Both work in pieces of [`PIECE_LEN`] bytes or a multiple of it. What was begun must be ended before anything else is
//! opened or sealed in that direction, so the opener and the sealer remember it themselves.

use super::{BodyLen, OpenError, Opener, SealError, Sealer};
use crate::cipher::piecewise::{PIECE_LEN, Piecewise};
use crate::limits::{CHAIN_HASH_LEN, CHANNEL_ID_LEN, HEADER_LEN, LENGTH_LEN, MESSAGE_TYPE_LEN, TAG_LEN};

/// How much of the front of a message that is passed over is kept, in bytes: the type and, for every message about a
/// channel, the channel's id. In `open_channel` a chain hash stands before it (BOLT 2).
pub(crate) const HEAD_LEN: usize = MESSAGE_TYPE_LEN + CHAIN_HASH_LEN + CHANNEL_ID_LEN;

/// A message that was longer than the receiver wants: read through, its tag found right, and dropped but for its front.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PassedOver {
    head: [u8; HEAD_LEN],
    len: u16,
}

impl PassedOver {
    /// The length of the whole message in bytes, type included.
    pub fn len(&self) -> u16 {
        self.len
    }

    /// Whether the message had no byte at all, which only a receiver that wants less than nothing is told.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The front of the message, type included: 66 bytes, or all of it.
    pub fn head(&self) -> &[u8] {
        self.head.get(..usize::from(self.len)).unwrap_or(&self.head)
    }
}

impl core::fmt::Debug for PassedOver {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("PassedOver").field("len", &self.len).finish_non_exhaustive()
    }
}

/// A body that is being passed over, or none. Always as large as if there were one, and initialized: what a compiler moves
/// along in unused room may be the remains of a key.
#[derive(Debug)]
pub(super) struct Passing {
    text: Piecewise,
    message: PassedOver,
    left: u16,
    under_way: bool,
}

/// How far a call came with such a body.
#[derive(Debug)]
pub(super) struct Passed {
    pub(super) consumed: usize,
    /// How many bytes more the next step needs; 0 when the message is through.
    pub(super) wanted: usize,
}

impl Passing {
    pub(super) fn none() -> Self {
        let message = PassedOver { head: [0; HEAD_LEN], len: 0 };
        Self { text: Piecewise::none(), message, left: 0, under_way: false }
    }

    pub(super) fn is_under_way(&self) -> bool {
        self.under_way
    }

    #[expect(clippy::needless_pass_by_value, reason = "the token is spent: one header, one body")]
    pub(super) fn begin(&mut self, opener: &Opener, len: BodyLen) -> Result<(), OpenError> {
        opener.cipher.as_ref().ok_or(OpenError::Dead)?.begin(&mut self.text);
        self.message = PassedOver { head: [0; HEAD_LEN], len: len.as_u16() };
        self.left = len.as_u16();
        self.under_way = true;
        Ok(())
    }

    /// Forgets it, for there is no key any more.
    pub(super) fn forget(&mut self) {
        self.text.forget();
        self.message.head = [0; HEAD_LEN];
        self.under_way = false;
    }

    /// Takes as much of the body from the front of `bytes` as may be taken; the tag is not part of it.
    pub(super) fn pass(&mut self, opener: &Opener, bytes: &[u8]) -> Result<Passed, OpenError> {
        let cipher = opener.cipher.as_ref().ok_or(OpenError::Dead)?;
        let left = usize::from(self.left);
        let taken = if bytes.len() < left { bytes.len() - bytes.len() % PIECE_LEN } else { left };
        let piece = bytes.get(..taken).unwrap_or_default();
        if !piece.is_empty() {
            let done = usize::from(self.message.len) - left;
            cipher.open_piece(&mut self.text, piece, self.message.head.get_mut(done..).unwrap_or_default());
            self.left = u16::try_from(left - taken).unwrap_or(0);
        }
        let (behind, left) = (bytes.len() - taken, usize::from(self.left));
        let wanted = if left == 0 { TAG_LEN.saturating_sub(behind) } else { left.min(PIECE_LEN) - behind };
        Ok(Passed { consumed: taken, wanted })
    }

    /// The end of the body: is it what the peer has sealed?
    pub(super) fn finish(
        &mut self,
        opener: &mut Opener,
        tag: &[u8; TAG_LEN],
    ) -> Result<PassedOver, OpenError> {
        self.under_way = false;
        let cipher = opener.cipher.as_mut().ok_or(OpenError::Dead)?;
        match cipher.finish_opening(&mut self.text, tag) {
            Ok(()) => Ok(self.message),
            Err(_) => Err(opener.die(OpenError::BodyTag)),
        }
    }
}

/// A frame whose header is sealed and whose body is not, or not all of it; or none. Always initialized, as [`Passing`].
#[derive(Debug)]
pub(super) struct Unfinished {
    text: Piecewise,
    left: u16,
    under_way: bool,
}

impl Unfinished {
    pub(super) fn none() -> Self {
        Self { text: Piecewise::none(), left: 0, under_way: false }
    }
}

impl Sealer {
    /// Seals the header of a frame whose body of `body_len` bytes follows in pieces.
    ///
    /// # Errors
    /// [`SealError::Unfinished`] if the frame before is not ended.
    pub(crate) fn begin(&mut self, body_len: u16) -> Result<[u8; HEADER_LEN], SealError> {
        if self.unfinished() > 0 {
            return Err(SealError::Unfinished);
        }
        let mut header = [0; HEADER_LEN];
        let (length, tag) = header.split_at_mut(LENGTH_LEN);
        length.copy_from_slice(&body_len.to_be_bytes());
        tag.copy_from_slice(&self.cipher.seal(length));
        self.cipher.begin(&mut self.unfinished.text);
        self.unfinished.left = body_len;
        self.unfinished.under_way = true;
        Ok(header)
    }

    /// How many bytes of the body that was begun are to come, tag included; 0 if none was begun.
    pub(crate) fn unfinished(&self) -> usize {
        if self.unfinished.under_way { usize::from(self.unfinished.left) + TAG_LEN } else { 0 }
    }

    /// Fills the front of `room` with the next bytes of the frame that was begun: pieces of its body, which are `fields`
    /// and then zeros, and behind the last the tag. Returns how many.
    ///
    /// 80 bytes of room are enough to come further. Nothing is written if nothing was begun.
    pub(crate) fn continue_with(&mut self, fields: &[u8], room: &mut [u8]) -> usize {
        let frame = &mut self.unfinished;
        if !frame.under_way {
            return 0;
        }
        let left = usize::from(frame.left);
        let taken = if room.len() < left { room.len() - room.len() % PIECE_LEN } else { left };
        let Some((piece, behind)) = room.split_at_mut_checked(taken) else { return 0 };
        if !piece.is_empty() {
            piece.fill(0);
            piece.iter_mut().zip(fields).for_each(|(byte, from)| *byte = *from);
            self.cipher.seal_piece(&mut frame.text, piece);
            frame.left = u16::try_from(left - taken).unwrap_or(0);
        }
        if frame.left == 0
            && let Some(tag) = behind.first_chunk_mut::<TAG_LEN>()
        {
            *tag = self.cipher.finish_sealing(&mut frame.text);
            frame.under_way = false;
            return taken + TAG_LEN;
        }
        taken
    }
}

#[cfg(test)]
mod tests;
