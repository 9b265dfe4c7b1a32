//! `onion_message` (BOLT 4, "Onion Messages"): an onion between two neighbours and the path key that goes with it.
//!
//! What the onion holds is [`onion::message`](crate::onion::message)'s.

use core::fmt;

use super::kind::MessageType;
use crate::{
    cursor::{NoRoom, Reader, Truncated, Writer},
    limits::PUBLIC_KEY_LEN,
    node_id::NodeId,
};

/// An `onion_message`, type 513.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OnionMessage<'a> {
    /// The path key for the receiver.
    pub path_key: NodeId,
    /// The onion, of any length.
    pub packet: &'a [u8],
}

impl<'a> OnionMessage<'a> {
    /// Reads the payload of an `onion_message`. Bytes behind the onion are ignored, as everywhere (BOLT 1).
    ///
    /// # Errors
    /// [`OnionMessageError`].
    pub fn decode(payload: &'a [u8]) -> Result<Self, OnionMessageError> {
        let mut reader = Reader::new(payload);
        let path_key = NodeId::from_bytes(reader.take(PUBLIC_KEY_LEN, "path_key")?)
            .map_err(|_| OnionMessageError::PathKeyNotAPoint)?;
        let packet = reader.take_with_u16_len("onion_message_packet")?;
        Ok(Self { path_key, packet })
    }

    /// Writes the message, type included: 37 bytes and the onion.
    ///
    /// # Errors
    /// [`NoRoom`] if `writer` has fewer.
    pub fn encode(&self, writer: &mut Writer<'_>) -> Result<(), NoRoom> {
        writer.put_u16(MessageType::ONION_MESSAGE.get())?;
        self.encode_payload(writer)
    }

    /// Writes the message without its type: 35 bytes and the onion.
    ///
    /// # Errors
    /// [`NoRoom`] if `writer` has fewer.
    pub fn encode_payload(&self, writer: &mut Writer<'_>) -> Result<(), NoRoom> {
        writer.put(self.path_key.as_bytes())?;
        writer.put_with_u16_len(self.packet)
    }
}

/// Why a payload is no `onion_message`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum OnionMessageError {
    /// It ends inside a field.
    Truncated(Truncated),
    /// The path key is no point of the curve.
    PathKeyNotAPoint,
}

impl From<Truncated> for OnionMessageError {
    fn from(error: Truncated) -> Self {
        Self::Truncated(error)
    }
}

impl fmt::Display for OnionMessageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated(error) => error.fmt(f),
            Self::PathKeyNotAPoint => f.write_str("`path_key` is no point of secp256k1"),
        }
    }
}

impl core::error::Error for OnionMessageError {}
