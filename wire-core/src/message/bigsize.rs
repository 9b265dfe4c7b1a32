//! BigSize (BOLT 1, appendix A): an unsigned number in 1, 3, 5 or 9 bytes, like Bitcoin's `CompactSize` but big-endian.
//!
//! Below 253 a number is its own byte; 253, 254 and 255 say that 2, 4 or 8 bytes follow. Only the shortest form of a
//! number is valid.

use core::fmt;

use crate::cursor::{NoRoom, Reader, Writer};

/// The longest form, in bytes.
pub const MAX_LEN: usize = 9;

/// The first byte that stands for a `u16` behind it.
const TWO_BYTES: u8 = 0xfd;
/// The first byte that stands for a `u32` behind it.
const FOUR_BYTES: u8 = 0xfe;
/// The first byte that stands for a `u64` behind it.
const EIGHT_BYTES: u8 = 0xff;

/// Takes one number off `reader`.
///
/// # Errors
/// [`BigSizeError`], and `reader` then stands at an undefined place inside the number.
pub fn read(reader: &mut Reader<'_>) -> Result<u64, BigSizeError> {
    let truncated = |_| BigSizeError::Truncated;
    let (value, least) = match reader.u8("bigsize").map_err(|_| BigSizeError::Missing)? {
        TWO_BYTES => (u64::from(reader.u16("bigsize").map_err(truncated)?), u64::from(TWO_BYTES)),
        FOUR_BYTES => (u64::from(reader.u32("bigsize").map_err(truncated)?), 1 << 16),
        EIGHT_BYTES => (reader.u64("bigsize").map_err(truncated)?, 1 << 32),
        byte => (u64::from(byte), 0),
    };
    if value < least {
        return Err(BigSizeError::NotCanonical);
    }
    Ok(value)
}

/// Puts `value` in its shortest form.
///
/// # Errors
/// [`NoRoom`] if `writer` has less than [`encoded_len`] bytes left.
pub fn write(writer: &mut Writer<'_>, value: u64) -> Result<(), NoRoom> {
    if let Ok(byte @ 0..TWO_BYTES) = u8::try_from(value) {
        writer.put_u8(byte)
    } else if let Ok(value) = u16::try_from(value) {
        writer.put_u8(TWO_BYTES)?;
        writer.put_u16(value)
    } else if let Ok(value) = u32::try_from(value) {
        writer.put_u8(FOUR_BYTES)?;
        writer.put_u32(value)
    } else {
        writer.put_u8(EIGHT_BYTES)?;
        writer.put_u64(value)
    }
}

/// How many bytes [`write()`] puts for `value`: 1, 3, 5 or 9.
pub const fn encoded_len(value: u64) -> usize {
    match value {
        0..0xfd => 1,
        0xfd..=0xffff => 3,
        0x1_0000..=0xffff_ffff => 5,
        0x1_0000_0000.. => MAX_LEN,
    }
}

/// Why bytes are no BigSize.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum BigSizeError {
    /// There is not a single byte.
    Missing,
    /// The bytes end inside the number.
    Truncated,
    /// The number has a shorter form.
    NotCanonical,
}

impl fmt::Display for BigSizeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "a BigSize number is missing",
            Self::Truncated => "a BigSize number is cut short",
            Self::NotCanonical => "a BigSize number is not in its shortest form",
        })
    }
}

impl core::error::Error for BigSizeError {}
