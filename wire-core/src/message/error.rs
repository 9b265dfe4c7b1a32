//! `error` and `warning` (BOLT 1, setup messages): what a node says when something is wrong.
//!
//! Both have the same fields. An `error` ends the channel it names, or all of them and with them the connection; a
//! `warning` ends nothing by itself. The text is the peer's: show it with [`Printable`] only.

use super::{kind::MessageType, text::Printable};
use crate::{
    cursor::{NoRoom, Reader, Truncated, Writer},
    limits::CHANNEL_ID_LEN,
};

/// The channel id that stands for every channel and for the connection as a whole: 32 zero bytes.
pub const ALL_CHANNELS: [u8; CHANNEL_ID_LEN] = [0; CHANNEL_ID_LEN];

/// An `error`, type 17.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ErrorMessage<'a> {
    /// The channel that has failed, or [`ALL_CHANNELS`].
    pub channel_id: [u8; CHANNEL_ID_LEN],
    /// What the sender says about it: any bytes, perhaps none.
    pub data: &'a [u8],
}

impl<'a> ErrorMessage<'a> {
    /// Reads the payload of an `error`.
    ///
    /// # Errors
    /// [`Truncated`] if it is shorter than its own `len` says.
    pub fn decode(payload: &'a [u8]) -> Result<Self, Truncated> {
        let (channel_id, data) = decode_fields(payload)?;
        Ok(Self { channel_id, data })
    }

    /// Writes the message, type included: 36 bytes and the data.
    ///
    /// # Errors
    /// [`NoRoom`] if `writer` has fewer or the data is longer than 65,535 bytes.
    pub fn encode(&self, writer: &mut Writer<'_>) -> Result<(), NoRoom> {
        encode_fields(MessageType::ERROR, &self.channel_id, self.data, writer)
    }

    /// Whether it is about all channels, and so about the connection.
    pub fn is_for_all_channels(&self) -> bool {
        self.channel_id == ALL_CHANNELS
    }

    /// The data in a form that is safe to print.
    pub const fn text(&self) -> Printable<'a> {
        Printable::new(self.data)
    }
}

/// A `warning`, type 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct WarningMessage<'a> {
    /// The channel it is about, or [`ALL_CHANNELS`].
    pub channel_id: [u8; CHANNEL_ID_LEN],
    /// What the sender says about it: any bytes, perhaps none.
    pub data: &'a [u8],
}

impl<'a> WarningMessage<'a> {
    /// Reads the payload of a `warning`.
    ///
    /// # Errors
    /// [`Truncated`] if it is shorter than its own `len` says.
    pub fn decode(payload: &'a [u8]) -> Result<Self, Truncated> {
        let (channel_id, data) = decode_fields(payload)?;
        Ok(Self { channel_id, data })
    }

    /// Writes the message, type included: 36 bytes and the data.
    ///
    /// # Errors
    /// [`NoRoom`] if `writer` has fewer or the data is longer than 65,535 bytes.
    pub fn encode(&self, writer: &mut Writer<'_>) -> Result<(), NoRoom> {
        encode_fields(MessageType::WARNING, &self.channel_id, self.data, writer)
    }

    /// Whether it is about no channel in particular.
    pub fn is_for_all_channels(&self) -> bool {
        self.channel_id == ALL_CHANNELS
    }

    /// The data in a form that is safe to print.
    pub const fn text(&self) -> Printable<'a> {
        Printable::new(self.data)
    }
}

fn decode_fields(payload: &[u8]) -> Result<([u8; CHANNEL_ID_LEN], &[u8]), Truncated> {
    let mut reader = Reader::new(payload);
    let channel_id = reader.take_array("channel_id")?;
    let data = reader.take_with_u16_len("data")?;
    Ok((channel_id, data))
}

fn encode_fields(
    kind: MessageType,
    channel_id: &[u8; CHANNEL_ID_LEN],
    data: &[u8],
    writer: &mut Writer<'_>,
) -> Result<(), NoRoom> {
    writer.put_u16(kind.get())?;
    writer.put(channel_id)?;
    writer.put_with_u16_len(data)
}
