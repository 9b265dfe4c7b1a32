//! TLV streams (BOLT 1, type-length-value format): the part of a message that grows over the years.
//!
//! A record is a type, a length and that many bytes, type and length as [`bigsize`]. Types
//! rise strictly, so each occurs at most once. "It's OK to be odd" holds here too: an unknown even type spoils the
//! stream. [`TlvStream`] checks all that does not depend on which types are known; the decoder of a message is a `match`
//! whose last arm is [`TlvRecord::ignore_unknown`]:
//!
//! ```
//! use wire_core::message::tlv::{TlvError, TlvStream};
//!
//! fn cltv_expiry(extension: &[u8]) -> Result<Option<u32>, TlvError> {
//!     let mut expiry = None;
//!     for record in TlvStream::new(extension) {
//!         let record = record?;
//!         match record.kind {
//!             11 => expiry = Some(record.tu32()?),
//!             _ => record.ignore_unknown()?,
//!         }
//!     }
//!     Ok(expiry)
//! }
//!
//! assert_eq!(cltv_expiry(&[0x0b, 0x02, 0x02, 0x26]), Ok(Some(550)));
//! assert_eq!(cltv_expiry(&[0x0c, 0x00]), Err(TlvError::UnknownEvenType { kind: 12 }));
//! ```

use core::fmt;

use super::bigsize::{self, BigSizeError};
use crate::cursor::{NoRoom, Reader, Writer};
use crate::words::{
    self, Word,
    Word::{Number, Text},
};

/// The records of a stream, in order. After the first error there are no more.
///
/// Each call of `next` looks at one type and one length; the work does not depend on how long the values are.
#[derive(Clone, Debug)]
pub struct TlvStream<'a> {
    reader: Reader<'a>,
    previous: Option<u64>,
}

impl<'a> TlvStream<'a> {
    /// Reads `bytes`, which are the stream and nothing else: it ends where they end.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { reader: Reader::new(bytes), previous: None }
    }

    fn record(&mut self) -> Result<TlvRecord<'a>, TlvError> {
        let kind = bigsize::read(&mut self.reader).map_err(|error| match error {
            BigSizeError::Missing | BigSizeError::Truncated => TlvError::TypeTruncated,
            BigSizeError::NotCanonical => TlvError::TypeNotMinimal,
        })?;
        if let Some(previous) = self.previous.replace(kind)
            && kind <= previous
        {
            return Err(TlvError::NotAscending { kind, previous });
        }
        let length = bigsize::read(&mut self.reader).map_err(|error| match error {
            BigSizeError::Missing => TlvError::LengthMissing { kind },
            BigSizeError::Truncated => TlvError::LengthTruncated { kind },
            BigSizeError::NotCanonical => TlvError::LengthNotMinimal { kind },
        })?;
        let left = self.reader.remaining();
        let value = usize::try_from(length)
            .ok()
            .and_then(|length| self.reader.take(length, "value").ok())
            .ok_or(TlvError::ValueTruncated { kind, length, left })?;
        Ok(TlvRecord { kind, value })
    }
}

impl<'a> Iterator for TlvStream<'a> {
    type Item = Result<TlvRecord<'a>, TlvError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.reader.is_empty() {
            return None;
        }
        let record = self.record();
        if record.is_err() {
            // Where a broken record ends is unknown, so nothing behind it can be read.
            self.reader.rest();
        }
        Some(record)
    }
}

impl core::iter::FusedIterator for TlvStream<'_> {}

/// One record of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct TlvRecord<'a> {
    /// Its type; the number means something else in every kind of message.
    pub kind: u64,
    /// Its value.
    pub value: &'a [u8],
}

impl<'a> TlvRecord<'a> {
    /// What a decoder does with a type that it does not know: an odd one is skipped.
    ///
    /// # Errors
    /// [`TlvError::UnknownEvenType`] for an even one, which spoils the whole stream.
    pub const fn ignore_unknown(&self) -> Result<(), TlvError> {
        if self.kind.is_multiple_of(2) { Err(TlvError::UnknownEvenType { kind: self.kind }) } else { Ok(()) }
    }

    /// The value of a record whose value always has `N` bytes.
    ///
    /// # Errors
    /// [`TlvError::InvalidValue`] if it has more or fewer (BOLT 1: the length has to be exactly the required one).
    pub fn array<const N: usize>(&self) -> Result<&'a [u8; N], TlvError> {
        self.value.try_into().map_err(|_| self.invalid(ValueFault::wrong_length(self.value.len(), N)))
    }

    /// A truncated integer of up to 2 bytes.
    ///
    /// # Errors
    /// [`TlvError::InvalidValue`] if it has more bytes or begins with a zero byte.
    pub fn tu16(&self) -> Result<u16, TlvError> {
        self.truncated_integer().map(u16::from_be_bytes)
    }

    /// A truncated integer of up to 4 bytes.
    ///
    /// # Errors
    /// [`TlvError::InvalidValue`] if it has more bytes or begins with a zero byte.
    pub fn tu32(&self) -> Result<u32, TlvError> {
        self.truncated_integer().map(u32::from_be_bytes)
    }

    /// A truncated integer of up to 8 bytes.
    ///
    /// # Errors
    /// [`TlvError::InvalidValue`] if it has more bytes or begins with a zero byte.
    pub fn tu64(&self) -> Result<u64, TlvError> {
        self.truncated_integer().map(u64::from_be_bytes)
    }

    /// The error that says that this record's value is faulty, for decoders of other encodings.
    pub const fn invalid(&self, fault: ValueFault) -> TlvError {
        TlvError::InvalidValue { kind: self.kind, fault }
    }

    /// The value, with the zero bytes put back that a truncated integer leaves out in front.
    fn truncated_integer<const N: usize>(&self) -> Result<[u8; N], TlvError> {
        if self.value.len() > N {
            return Err(self.invalid(ValueFault::TooLong));
        }
        if self.value.first() == Some(&0) {
            return Err(self.invalid(ValueFault::NotMinimal));
        }
        let mut bytes = [0; N];
        bytes.iter_mut().rev().zip(self.value.iter().rev()).for_each(|(to, from)| *to = *from);
        Ok(bytes)
    }
}

/// Writes a stream, record by record.
#[derive(Debug)]
pub struct TlvWriter<'w, 'a> {
    writer: &'w mut Writer<'a>,
    previous: Option<u64>,
}

impl<'w, 'a> TlvWriter<'w, 'a> {
    /// Starts a stream where `writer` stands.
    pub const fn new(writer: &'w mut Writer<'a>) -> Self {
        Self { writer, previous: None }
    }

    /// Puts one record.
    ///
    /// # Errors
    /// [`TlvWriteError::NotAscending`] if a record with this or a higher type has been put before;
    /// [`TlvWriteError::NoRoom`] if the record does not fit.
    pub fn record(&mut self, kind: u64, value: &[u8]) -> Result<(), TlvWriteError> {
        if let Some(previous) = self.previous
            && kind <= previous
        {
            return Err(TlvWriteError::NotAscending { kind, previous });
        }
        let length = u64::try_from(value.len()).map_err(|_| NoRoom { needed: value.len(), left: 0 })?;
        bigsize::write(self.writer, kind)?;
        bigsize::write(self.writer, length)?;
        self.writer.put(value)?;
        self.previous = Some(kind);
        Ok(())
    }

    /// Puts a truncated integer: the bytes of `value` without the zero bytes in front, none at all for 0. It serves for
    /// `tu16` and `tu32` as well.
    ///
    /// # Errors
    /// As [`TlvWriter::record`].
    pub fn truncated_integer(&mut self, kind: u64, value: u64) -> Result<(), TlvWriteError> {
        let bytes = value.to_be_bytes();
        let zeros = bytes.iter().take_while(|&&byte| byte == 0).count();
        self.record(kind, bytes.get(zeros..).unwrap_or_default())
    }
}

/// Why bytes are no valid TLV stream. Each is a reason to close the connection (BOLT 1, message format).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum TlvError {
    /// The stream ends inside a type.
    TypeTruncated,
    /// A type is not in its shortest form.
    TypeNotMinimal,
    /// A type is not higher than the one before it.
    NotAscending {
        /// The type.
        kind: u64,
        /// The one before it.
        previous: u64,
    },
    /// The stream ends behind a type.
    LengthMissing {
        /// The type.
        kind: u64,
    },
    /// The stream ends inside a length.
    LengthTruncated {
        /// The type of the record.
        kind: u64,
    },
    /// A length is not in its shortest form.
    LengthNotMinimal {
        /// The type of the record.
        kind: u64,
    },
    /// The stream ends before the end of a value.
    ValueTruncated {
        /// The type of the record.
        kind: u64,
        /// The length that the record claims, in bytes.
        length: u64,
        /// What the stream still has, in bytes; perhaps nothing.
        left: usize,
    },
    /// A type is even and the decoder does not know it.
    UnknownEvenType {
        /// The type.
        kind: u64,
    },
    /// The type is known, but its value is not what it has to be.
    InvalidValue {
        /// The type of the record.
        kind: u64,
        /// What is wrong with the value.
        fault: ValueFault,
    },
}

impl fmt::Display for TlvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.say(f)
    }
}

impl TlvError {
    /// What `Display` shows, without formatting.
    pub(crate) fn say(&self, to: &mut impl fmt::Write) -> fmt::Result {
        let (before, kind, behind) = match *self {
            Self::TypeTruncated => return to.write_str("the TLV stream ends inside a type"),
            Self::TypeNotMinimal => return to.write_str("a TLV type is not in its shortest form"),
            Self::NotAscending { kind, previous } => {
                let previous = [Text(" stands behind type "), Number(previous)];
                words::write(to, &[Text("TLV type "), Number(kind)])?;
                words::write(to, &previous)?;
                return to.write_str(", but types have to rise");
            }
            Self::ValueTruncated { kind, length, left } => {
                words::write(to, &[Text("TLV type "), Number(kind), Text(" claims "), Number(length)])?;
                let left = [Text(" bytes where "), Word::count(left), Text(" are left")];
                return words::write(to, &left);
            }
            Self::LengthMissing { kind } => ("TLV type ", kind, " has no length"),
            Self::LengthTruncated { kind } => ("the TLV stream ends inside the length of type ", kind, ""),
            Self::LengthNotMinimal { kind } => {
                ("the length of TLV type ", kind, " is not in its shortest form")
            }
            Self::UnknownEvenType { kind } => ("TLV type ", kind, " is unknown and even"),
            Self::InvalidValue { kind, fault } => {
                words::write(to, &[Text("the value of TLV type "), Number(kind), Text(" is ")])?;
                return to.write_str(fault.words());
            }
        };
        words::write(to, &[Text(before), Number(kind), Text(behind)])
    }
}

impl core::error::Error for TlvError {}

/// What is wrong with the value of a record whose type is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ValueFault {
    /// It has fewer bytes than its encoding takes.
    TooShort,
    /// It has more bytes than its encoding takes.
    TooLong,
    /// It is an integer with zero bytes in front that have to be left out.
    NotMinimal,
    /// It has the right length but stands for nothing that exists, such as a point that is not on the curve.
    NotValid,
}

impl ValueFault {
    /// The fault of a value of `len` bytes where another length is required.
    const fn wrong_length(len: usize, required: usize) -> Self {
        if len < required { Self::TooShort } else { Self::TooLong }
    }
}

impl fmt::Display for ValueFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

impl ValueFault {
    fn words(self) -> &'static str {
        match self {
            Self::TooShort => "too short",
            Self::TooLong => "too long",
            Self::NotMinimal => "an integer that is not in its shortest form",
            Self::NotValid => "not a valid one",
        }
    }
}

/// Why a record could not be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum TlvWriteError {
    /// The type is not higher than the one before it: put records in the order of their types, each once.
    NotAscending {
        /// The type.
        kind: u64,
        /// The one before it.
        previous: u64,
    },
    /// The buffer is too small.
    NoRoom(NoRoom),
}

impl From<NoRoom> for TlvWriteError {
    fn from(error: NoRoom) -> Self {
        Self::NoRoom(error)
    }
}

impl fmt::Display for TlvWriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAscending { kind, previous } => {
                write!(f, "TLV type {kind} cannot follow type {previous}: put records in rising order")
            }
            Self::NoRoom(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for TlvWriteError {}
