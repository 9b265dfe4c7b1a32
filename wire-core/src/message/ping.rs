//! `ping` and `pong` (BOLT 1, control messages): padding, liveness and nothing else.
//!
//! Only the lengths are kept: the padding of a peer is never looked at, ours is zeros.

use super::kind::MessageType;
use crate::{
    cursor::{NoRoom, Reader, Truncated, Writer},
    limits::NO_PONG_BYTES,
};

/// A `ping`, type 18.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Ping {
    /// How many bytes of padding the `pong` shall have; from [`NO_PONG_BYTES`] on, none shall come.
    pub num_pong_bytes: u16,
    /// Length of the padding of this message, in bytes; at most
    /// [`MAX_PING_PADDING`](crate::limits::MAX_PING_PADDING) fit into a message.
    pub byteslen: u16,
}

impl Ping {
    /// Reads the payload of a `ping`.
    ///
    /// # Errors
    /// [`Truncated`] if it is shorter than its own `byteslen` says.
    pub fn decode(payload: &[u8]) -> Result<Self, Truncated> {
        let mut reader = Reader::new(payload);
        let num_pong_bytes = reader.u16("num_pong_bytes")?;
        let ignored = Pong::read(&mut reader)?;
        Ok(Self { num_pong_bytes, byteslen: ignored.byteslen })
    }

    /// Writes the message, type included: `byteslen` + 6 bytes.
    ///
    /// # Errors
    /// [`NoRoom`] if `writer` has fewer.
    pub fn encode(&self, writer: &mut Writer<'_>) -> Result<(), NoRoom> {
        writer.put(&self.fields())?;
        writer.put_zeros(usize::from(self.byteslen))
    }

    /// The message without its padding.
    pub(crate) fn fields(self) -> [u8; 6] {
        let mut fields = [0; 6];
        let numbers = [MessageType::PING.get(), self.num_pong_bytes, self.byteslen];
        for (field, number) in fields.as_chunks_mut().0.iter_mut().zip(numbers) {
            *field = number.to_be_bytes();
        }
        fields
    }

    /// Whether the receiver has to answer.
    pub const fn expects_pong(&self) -> bool {
        self.num_pong_bytes < NO_PONG_BYTES
    }

    /// The answer that this `ping` asks for, if it asks for one.
    pub const fn reply(&self) -> Option<Pong> {
        if self.expects_pong() { Some(Pong { byteslen: self.num_pong_bytes }) } else { None }
    }
}

/// A `pong`, type 19.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Pong {
    /// Length of the padding, in bytes: what the `ping` asked for.
    pub byteslen: u16,
}

impl Pong {
    /// Reads the payload of a `pong`.
    ///
    /// # Errors
    /// [`Truncated`] if it is shorter than its own `byteslen` says.
    pub fn decode(payload: &[u8]) -> Result<Self, Truncated> {
        Self::read(&mut Reader::new(payload))
    }

    /// Writes the message, type included: `byteslen` + 4 bytes.
    ///
    /// # Errors
    /// [`NoRoom`] if `writer` has fewer.
    pub fn encode(&self, writer: &mut Writer<'_>) -> Result<(), NoRoom> {
        writer.put(&self.fields())?;
        writer.put_zeros(usize::from(self.byteslen))
    }

    /// The message without its padding.
    pub(crate) fn fields(self) -> [u8; 4] {
        let [[a, b], [c, d]] = [MessageType::PONG.get(), self.byteslen].map(u16::to_be_bytes);
        [a, b, c, d]
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Truncated> {
        let byteslen = reader.u16("byteslen")?;
        reader.take(usize::from(byteslen), "ignored")?;
        Ok(Self { byteslen })
    }
}
