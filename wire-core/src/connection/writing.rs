//! How what the protocol owes gets into the driver's transmit buffer, whole or, if it is only padding, in pieces.

use crate::cursor::{NoRoom, Writer};
use crate::frame::{Keystream, Sealer};
use crate::limits::{CHANNEL_ID_LEN, FRAME_OVERHEAD, HEADER_LEN, MESSAGE_TYPE_LEN, TAG_LEN};

use super::close::MOST_FAREWELL_LEN;
use super::local::Local;
use super::outbox::Owed;
use super::{Connection, Input, State};

/// The least transmit buffer, in bytes: one warning with the longest text there is, in a frame. All else that the
/// protocol owes is shorter, or is padding and goes out in pieces.
pub const LEAST_TRANSMIT_ROOM: usize =
    FRAME_OVERHEAD + MESSAGE_TYPE_LEN + CHANNEL_ID_LEN + size_of::<u16>() + MOST_FAREWELL_LEN;

impl<L: AsRef<Local>> Connection<L> {
    /// What the next [`poll_transmit`](Self::poll_transmit) is going to seal, in clear, at the front of `room`: its length, or
    /// `None` if that is no message, or if `room` has not [`MAX_MESSAGE_LEN`](crate::limits::MAX_MESSAGE_LEN) bytes and it
    /// does not fit. Changes nothing; for a driver that shows its messages to somebody.
    pub fn next_in_clear(&self, room: &mut [u8]) -> Option<usize> {
        let State::Linked(link) = &self.state else { return None };
        if link.sealer.unfinished() > 0 {
            return None;
        }
        let last_word = || match &link.input {
            Input::Closing(farewell, _) => farewell.clone().map(Owed::LastWord),
            Input::Read(..) => None,
        };
        let owed = self.outbox.clone().take().or_else(last_word)?;
        let mut writer = Writer::new(room);
        owed.encode(self.local.as_ref(), self.remote_addr, &mut writer).ok()?;
        Some(writer.written())
    }
}

pub(super) fn copy_to_front(room: &mut [u8], bytes: &[u8]) -> Result<usize, NoRoom> {
    let mut writer = Writer::new(room);
    writer.put(bytes)?;
    Ok(writer.written())
}

/// Encodes a message behind room for its header and seals the frame; returns the frame's length.
pub(super) fn seal_message(
    sealer: &mut Sealer,
    ahead: &mut impl Keystream,
    room: &mut [u8],
    encode: impl FnOnce(&mut Writer<'_>) -> Result<(), NoRoom>,
) -> Result<usize, NoRoom> {
    let mut writer = Writer::new(room);
    writer.put_zeros(HEADER_LEN)?;
    encode(&mut writer)?;
    writer.put_zeros(TAG_LEN)?;
    let frame = writer.into_written();
    // A frame that we encoded ourselves is never too short, and every message we owe is within the limit.
    sealer.seal_ahead(ahead, frame).map_err(|_| NoRoom { needed: frame.len(), left: 0 })?;
    Ok(frame.len())
}

/// Begins a message that is `fields` and then `padding_len` zeros, and writes its first piece. The fields fit into one.
pub(super) fn begin_padding(
    sealer: &mut Sealer,
    fields: &[u8],
    padding_len: u16,
    room: &mut [u8],
) -> Result<usize, NoRoom> {
    let message_len = u16::try_from(fields.len()).unwrap_or(u16::MAX).saturating_add(padding_len);
    let no_room = NoRoom { needed: LEAST_TRANSMIT_ROOM, left: room.len() };
    if room.len() < LEAST_TRANSMIT_ROOM {
        return Err(no_room);
    }
    let Some((header, behind)) = room.split_first_chunk_mut() else { return Err(no_room) };
    *header = sealer.begin(message_len).map_err(|_| no_room)?;
    Ok(HEADER_LEN + continue_padding(sealer, fields, behind)?)
}

/// Writes the next piece of such a message.
pub(super) fn continue_padding(sealer: &mut Sealer, fields: &[u8], room: &mut [u8]) -> Result<usize, NoRoom> {
    match sealer.continue_with(fields, room) {
        0 => Err(NoRoom { needed: LEAST_TRANSMIT_ROOM, left: room.len() }),
        written => Ok(written),
    }
}
