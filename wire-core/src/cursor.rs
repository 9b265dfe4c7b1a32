//! Reading and writing of bytes in order: the only place where bytes of a peer are cut into fields.
//!
//! A [`Reader`] lends parts of what it was given and copies nothing but numbers; a [`Writer`] fills a buffer of the
//! caller. Neither can panic and neither indexes: what does not fit is an error that names the field. All numbers on
//! the Lightning wire are big-endian, signed ones in two's complement (BOLT 1, fundamental types).
//!
//! What a field means is none of this module's business: see [`message`](crate::message).

use core::fmt;

use crate::words::{self, Word, Word::Text};

/// Takes fields off the front of a byte string.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    left: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Starts at the front of `bytes`.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { left: bytes }
    }

    /// How many bytes nobody has taken yet.
    pub const fn remaining(&self) -> usize {
        self.left.len()
    }

    /// Whether everything has been taken.
    pub const fn is_empty(&self) -> bool {
        self.left.is_empty()
    }

    /// Takes the next `len` bytes, which are the field called `field`.
    ///
    /// # Errors
    /// [`Truncated`] if fewer are left; nothing is taken then.
    pub const fn take(&mut self, len: usize, field: &'static str) -> Result<&'a [u8], Truncated> {
        match self.left.split_at_checked(len) {
            Some((taken, left)) => {
                self.left = left;
                Ok(taken)
            }
            None => Err(Truncated { field, needed: len, left: self.left.len() }),
        }
    }

    /// Takes the next `N` bytes, which are the field called `field`.
    ///
    /// # Errors
    /// [`Truncated`] if fewer are left; nothing is taken then.
    pub const fn take_array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], Truncated> {
        match self.left.split_first_chunk::<N>() {
            Some((taken, left)) => {
                self.left = left;
                Ok(*taken)
            }
            None => Err(Truncated { field, needed: N, left: self.left.len() }),
        }
    }

    /// Takes a `u16` length and then as many bytes as it says: the shape of every byte string of variable length in
    /// BOLT 1 (`len`, `len*byte`).
    ///
    /// # Errors
    /// [`Truncated`] if the length or the bytes are not all there.
    pub fn take_with_u16_len(&mut self, field: &'static str) -> Result<&'a [u8], Truncated> {
        let len = self.u16(field)?;
        self.take(usize::from(len), field)
    }

    /// Takes everything that is left, which may be nothing.
    pub const fn rest(&mut self) -> &'a [u8] {
        let rest = self.left;
        self.left = &[];
        rest
    }

    /// Takes one byte.
    ///
    /// # Errors
    /// [`Truncated`] if none is left.
    pub fn u8(&mut self, field: &'static str) -> Result<u8, Truncated> {
        self.take_array(field).map(u8::from_be_bytes)
    }

    /// Takes a `u16`, 2 bytes.
    ///
    /// # Errors
    /// [`Truncated`] if fewer are left.
    pub fn u16(&mut self, field: &'static str) -> Result<u16, Truncated> {
        self.take_array(field).map(u16::from_be_bytes)
    }

    /// Takes a `u32`, 4 bytes.
    ///
    /// # Errors
    /// [`Truncated`] if fewer are left.
    pub fn u32(&mut self, field: &'static str) -> Result<u32, Truncated> {
        self.take_array(field).map(u32::from_be_bytes)
    }

    /// Takes a `u64`, 8 bytes.
    ///
    /// # Errors
    /// [`Truncated`] if fewer are left.
    pub fn u64(&mut self, field: &'static str) -> Result<u64, Truncated> {
        self.take_array(field).map(u64::from_be_bytes)
    }

    /// Takes an `s8`, 1 byte.
    ///
    /// # Errors
    /// [`Truncated`] if none is left.
    pub fn i8(&mut self, field: &'static str) -> Result<i8, Truncated> {
        self.take_array(field).map(i8::from_be_bytes)
    }

    /// Takes an `s16`, 2 bytes.
    ///
    /// # Errors
    /// [`Truncated`] if fewer are left.
    pub fn i16(&mut self, field: &'static str) -> Result<i16, Truncated> {
        self.take_array(field).map(i16::from_be_bytes)
    }

    /// Takes an `s32`, 4 bytes.
    ///
    /// # Errors
    /// [`Truncated`] if fewer are left.
    pub fn i32(&mut self, field: &'static str) -> Result<i32, Truncated> {
        self.take_array(field).map(i32::from_be_bytes)
    }

    /// Takes an `s64`, 8 bytes.
    ///
    /// # Errors
    /// [`Truncated`] if fewer are left.
    pub fn i64(&mut self, field: &'static str) -> Result<i64, Truncated> {
        self.take_array(field).map(i64::from_be_bytes)
    }
}

/// Puts fields one behind the other into a buffer of fixed size.
///
/// After an error the buffer holds what was put before it; a caller that gets one throws the whole message away.
#[derive(Debug)]
pub struct Writer<'a> {
    room: &'a mut [u8],
    written: usize,
}

impl<'a> Writer<'a> {
    /// Starts at the front of `room`, whose old content is overwritten piece by piece and never looked at.
    pub const fn new(room: &'a mut [u8]) -> Self {
        Self { room, written: 0 }
    }

    /// How many bytes have been put so far.
    pub const fn written(&self) -> usize {
        self.written
    }

    /// The front part of the buffer, as far as it has been written.
    pub fn into_written(self) -> &'a mut [u8] {
        // `written` never exceeds the length of `room`, so the whole written part is always returned.
        self.room.get_mut(..self.written).unwrap_or_default()
    }

    /// Puts `bytes` as they are.
    ///
    /// # Errors
    /// [`NoRoom`] if they do not fit; nothing is put then.
    pub fn put(&mut self, bytes: &[u8]) -> Result<(), NoRoom> {
        // As long as each other, and compiled to a plain copy; `copy_from_slice` has a panic that firmware may be left with.
        self.claim(bytes.len())?.iter_mut().zip(bytes).for_each(|(to, byte)| *to = *byte);
        Ok(())
    }

    /// Puts `len` zero bytes, the padding of `ping` and `pong` (BOLT 1: anything else could leak memory).
    ///
    /// # Errors
    /// [`NoRoom`] if they do not fit; nothing is put then.
    pub fn put_zeros(&mut self, len: usize) -> Result<(), NoRoom> {
        self.claim(len)?.fill(0);
        Ok(())
    }

    /// Puts the length of `bytes` as a `u16` and then `bytes`, the counterpart of [`Reader::take_with_u16_len`].
    ///
    /// # Errors
    /// [`NoRoom`] if they do not fit or are more than the 65,535 bytes that a `u16` can count.
    pub fn put_with_u16_len(&mut self, bytes: &[u8]) -> Result<(), NoRoom> {
        let Ok(len) = u16::try_from(bytes.len()) else {
            return Err(NoRoom { needed: bytes.len(), left: usize::from(u16::MAX) });
        };
        self.put_u16(len)?;
        self.put(bytes)
    }

    /// Puts one byte.
    ///
    /// # Errors
    /// [`NoRoom`] if it does not fit.
    pub fn put_u8(&mut self, value: u8) -> Result<(), NoRoom> {
        self.put(&value.to_be_bytes())
    }

    /// Puts a `u16`, 2 bytes.
    ///
    /// # Errors
    /// [`NoRoom`] if it does not fit.
    pub fn put_u16(&mut self, value: u16) -> Result<(), NoRoom> {
        self.put(&value.to_be_bytes())
    }

    /// Puts a `u32`, 4 bytes.
    ///
    /// # Errors
    /// [`NoRoom`] if it does not fit.
    pub fn put_u32(&mut self, value: u32) -> Result<(), NoRoom> {
        self.put(&value.to_be_bytes())
    }

    /// Puts a `u64`, 8 bytes.
    ///
    /// # Errors
    /// [`NoRoom`] if it does not fit.
    pub fn put_u64(&mut self, value: u64) -> Result<(), NoRoom> {
        self.put(&value.to_be_bytes())
    }

    /// Puts an `s8`, 1 byte.
    ///
    /// # Errors
    /// [`NoRoom`] if it does not fit.
    pub fn put_i8(&mut self, value: i8) -> Result<(), NoRoom> {
        self.put(&value.to_be_bytes())
    }

    /// Puts an `s16`, 2 bytes.
    ///
    /// # Errors
    /// [`NoRoom`] if it does not fit.
    pub fn put_i16(&mut self, value: i16) -> Result<(), NoRoom> {
        self.put(&value.to_be_bytes())
    }

    /// Puts an `s32`, 4 bytes.
    ///
    /// # Errors
    /// [`NoRoom`] if it does not fit.
    pub fn put_i32(&mut self, value: i32) -> Result<(), NoRoom> {
        self.put(&value.to_be_bytes())
    }

    /// Puts an `s64`, 8 bytes.
    ///
    /// # Errors
    /// [`NoRoom`] if it does not fit.
    pub fn put_i64(&mut self, value: i64) -> Result<(), NoRoom> {
        self.put(&value.to_be_bytes())
    }

    /// The next `len` bytes of the buffer, counted as written, for the caller to fill.
    ///
    /// # Errors
    /// [`NoRoom`] if there are fewer; nothing is counted then.
    pub(crate) fn claim(&mut self, len: usize) -> Result<&mut [u8], NoRoom> {
        let left = self.room.len().saturating_sub(self.written);
        let part = self
            .room
            .get_mut(self.written..)
            .and_then(|free| free.get_mut(..len))
            .ok_or(NoRoom { needed: len, left })?;
        self.written = self.written.saturating_add(len);
        Ok(part)
    }
}

/// A message ended inside a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Truncated {
    /// The name of the field, as the BOLTs spell it.
    pub field: &'static str,
    /// Bytes that the field takes.
    pub needed: usize,
    /// Bytes that were left for it.
    pub left: usize,
}

impl fmt::Display for Truncated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.say(f)
    }
}

impl Truncated {
    /// What `Display` shows, without formatting.
    pub(crate) fn say(&self, to: &mut impl fmt::Write) -> fmt::Result {
        let (needed, left) = (Word::count(self.needed), Word::count(self.left));
        let field = Word::Text(self.field);
        words::write(
            to,
            &[
                Text("`"),
                field,
                Text("` is cut short: it takes "),
                needed,
                Text(" bytes and "),
                left,
                Text(" are left"),
            ],
        )
    }
}

impl core::error::Error for Truncated {}

/// A buffer was too small for what was to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct NoRoom {
    /// Bytes that were to be written.
    pub needed: usize,
    /// Bytes that were free.
    pub left: usize,
}

impl fmt::Display for NoRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { needed, left } = self;
        write!(f, "no room for {needed} bytes where {left} are free: hand in a larger buffer")
    }
}

impl core::error::Error for NoRoom {}
