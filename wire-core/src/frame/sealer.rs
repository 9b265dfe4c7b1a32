//! The sending direction: a body with room around it becomes a frame, in place.

use super::SealError;
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
}

impl Sealer {
    /// A direction at its start. The handshake makes one:
    /// [`Transport::split`](crate::noise::Transport::split).
    pub fn new(cipher: CipherState) -> Self {
        Self { cipher }
    }

    /// Makes a frame of a whole buffer: 18 bytes of room, the body (type and payload), 16 bytes of room.
    ///
    /// What was in the two rooms is overwritten. The work is one pass over the buffer.
    ///
    /// # Errors
    /// [`SealError`]; the buffer is as it was, and the next frame can still be sealed.
    pub fn seal(&mut self, frame: &mut [u8]) -> Result<(), SealError> {
        let body_len = frame.len().checked_sub(FRAME_OVERHEAD).ok_or(SealError::TooShort)?;
        let mut length = u16::try_from(body_len).map_err(|_| SealError::TooLong)?.to_be_bytes();
        let (header, body_and_tag) =
            frame.split_first_chunk_mut::<HEADER_LEN>().ok_or(SealError::TooShort)?;
        let (body, tag) = body_and_tag.split_last_chunk_mut::<TAG_LEN>().ok_or(SealError::TooShort)?;

        let length_tag = self.cipher.seal(&mut length);
        let (length_room, length_tag_room) = header.split_at_mut(LENGTH_LEN);
        length_room.copy_from_slice(&length);
        length_tag_room.copy_from_slice(&length_tag);
        *tag = self.cipher.seal(body);
        Ok(())
    }
}
