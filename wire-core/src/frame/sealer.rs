//! The sending direction: a body with room around it becomes a frame, in place.

use core::fmt;

use super::long::Unfinished;
use super::{Keystream, OnDemand, SealError};
use crate::{
    cipher::CipherState,
    limits::{FRAME_OVERHEAD, HEADER_LEN, LENGTH_LEN, TAG_LEN},
};

/// Seals the messages of one direction, in the order in which they must be written.
///
/// A frame that was sealed must reach the wire, whole and before the next one: its nonces are spent, and the
/// peer can open nothing that comes after a gap.
#[derive(Debug)]
pub struct Sealer {
    pub(super) cipher: CipherState,
    /// A frame that goes out in pieces and is not at its end.
    pub(super) unfinished: Unfinished,
}

impl Sealer {
    /// A direction at its start. The handshake makes one:
    /// [`Transport::split`](crate::noise::Transport::split).
    pub fn new(cipher: CipherState) -> Self {
        Self { cipher, unfinished: Unfinished::none() }
    }

    /// Makes a frame of a whole buffer: 18 bytes of room, the body (type and payload), 16 bytes of room.
    ///
    /// What was in the two rooms is overwritten. The work is one pass over the buffer.
    ///
    /// # Errors
    /// [`SealError`]; the buffer is as it was, and the next frame can still be sealed.
    pub fn seal(&mut self, frame: &mut [u8]) -> Result<(), SealError> {
        self.seal_ahead(&mut OnDemand, frame)
    }

    /// As [`Self::seal`], with keystream out of `ahead`. What is not prepared there is made for this one frame.
    ///
    /// # Errors
    /// As [`Self::seal`].
    pub fn seal_ahead(&mut self, ahead: &mut impl Keystream, frame: &mut [u8]) -> Result<(), SealError> {
        self.seal_next_of(ahead, 1, frame)
    }

    /// Begins a run of frames that are all there: their keystream is made for several at once.
    ///
    /// `frames` says how many will come. With fewer some keystream was made for nothing, with more the rest costs what a
    /// frame alone costs.
    pub fn run<'r, A: Keystream>(&'r mut self, ahead: &'r mut A, frames: usize) -> SealRun<'r, A> {
        SealRun { sealer: self, ahead, left: frames }
    }

    /// Makes the keystream of the next frames, at most as many as `ahead` has room for, unless some is there already.
    ///
    /// Nothing but `ahead` changes, and not even that while a frame goes out in pieces. For an idle moment: a frame that is then sealed with [`Self::seal_ahead`] costs no
    /// `ChaCha20` if its body is not longer than what `ahead` keeps for it.
    pub fn prepare(&self, ahead: &mut impl Keystream) {
        if self.unfinished() == 0 {
            ahead.prepare(&self.cipher, usize::MAX);
        }
    }

    /// Seals a frame which `frames - 1` others will follow.
    pub(super) fn seal_next_of(
        &mut self,
        ahead: &mut impl Keystream,
        frames: usize,
        frame: &mut [u8],
    ) -> Result<(), SealError> {
        if self.unfinished() > 0 {
            return Err(SealError::Unfinished);
        }
        let body_len = frame.len().checked_sub(FRAME_OVERHEAD).ok_or(SealError::TooShort)?;
        let mut length = u16::try_from(body_len).map_err(|_| SealError::TooLong)?.to_be_bytes();
        let (header, body_and_tag) =
            frame.split_first_chunk_mut::<HEADER_LEN>().ok_or(SealError::TooShort)?;
        let (body, tag) = body_and_tag.split_last_chunk_mut::<TAG_LEN>().ok_or(SealError::TooShort)?;

        let [length_tag, body_tag] = match ahead.for_frame(&self.cipher, frames, body_len) {
            Some([for_length, for_body]) => {
                let length_tag = self.cipher.seal_with(for_length, &mut length);
                let body_tag = self.cipher.seal_with(for_body, body);
                ahead.spend();
                [length_tag, body_tag]
            }
            None => self.cipher.seal_two([&mut length, body]),
        };
        *tag = body_tag;
        let (length_room, length_tag_room) = header.split_at_mut(LENGTH_LEN);
        length_room.copy_from_slice(&length);
        length_tag_room.copy_from_slice(&length_tag);
        Ok(())
    }
}

/// Frames that are sealed one after another, with keystream that is made for several of them at once.
///
/// It may be dropped at any time: what was made and not spent stays in the [`Ahead`](super::Ahead), for the next run of
/// the same direction.
#[derive(Debug)]
pub struct SealRun<'r, A> {
    sealer: &'r mut Sealer,
    ahead: &'r mut A,
    /// Frames still to come.
    left: usize,
}

impl<A: Keystream> SealRun<'_, A> {
    /// Seals the next frame where it lies, as [`Sealer::seal`].
    ///
    /// # Errors
    /// As [`Sealer::seal`].
    pub fn seal(&mut self, frame: &mut [u8]) -> Result<(), SealError> {
        self.sealer.seal_next_of(self.ahead, self.left.max(1), frame)?;
        self.left = self.left.saturating_sub(1);
        Ok(())
    }

    /// Seals the next frames, each where it lies, as [`Self::seal`] one after another would; small ones in less time, if the
    /// machine has lanes for the tags of several. More than [`TOGETHER`](super::TOGETHER) at a time gain nothing.
    ///
    /// # Errors
    /// [`SealManyError`]: the frames before the refused one are sealed and must be written, it and those behind it are as
    /// they were.
    pub fn seal_many(&mut self, frames: &mut [&mut [u8]]) -> Result<(), SealManyError> {
        let mut sealed = 0;
        while let Some(rest) = frames.get_mut(sealed..).filter(|rest| !rest.is_empty()) {
            let together = self.sealer.seal_together(self.ahead, self.left, rest);
            self.left = self.left.saturating_sub(together);
            sealed += together;
            if together == 0
                && let [frame, ..] = rest
            {
                self.seal(frame).map_err(|reason| SealManyError { sealed, reason })?;
                sealed += 1;
            }
        }
        Ok(())
    }
}

/// Why not all of several frames were sealed.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SealManyError {
    /// How many at the front were sealed.
    pub sealed: usize,
    /// What was the matter with the one behind them.
    pub reason: SealError,
}

impl fmt::Display for SealManyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "of several frames {} were sealed, but not the next: {}", self.sealed, self.reason)
    }
}

impl core::error::Error for SealManyError {}
