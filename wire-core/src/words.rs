//! Words with numbers in them, put together without the formatting of `core::fmt`.
//!
//! What a connection tells its peer goes through here, so that firmware, which may have no other use for it, links no
//! formatting at all: 4 kB of flash. `Display` of the same types says the same, since it writes with the same functions.
//! The trait [`fmt::Write`] alone is no machinery: it is how a text takes what is written.

use core::fmt::{self, Write};

/// A part of a sentence.
#[derive(Clone, Copy)]
pub(crate) enum Word<'a> {
    Text(&'a str),
    /// In decimal digits.
    Number(u64),
    /// Each byte as two lower-case digits.
    Hex(&'a [u8]),
}

impl Word<'_> {
    /// The number of bytes, or of anything that lies in memory. No machine has more than 64 bits of address.
    pub(crate) fn count(count: usize) -> Self {
        Word::Number(u64::try_from(count).unwrap_or(u64::MAX))
    }
}

/// Writes one word behind the other.
pub(crate) fn write(to: &mut impl Write, words: &[Word<'_>]) -> fmt::Result {
    words.iter().try_for_each(|word| match *word {
        Word::Text(text) => to.write_str(text),
        Word::Number(number) => decimal(to, number),
        Word::Hex(bytes) => bytes.iter().try_for_each(|byte| hex(to, *byte)),
    })
}

fn decimal(to: &mut impl Write, number: u64) -> fmt::Result {
    // 2^64 has 20 digits.
    let mut digits = [b'0'; 20];
    let mut left = number.to_be_bytes();
    for digit in digits.iter_mut().rev() {
        *digit = digit_of(divide_by_ten(&mut left));
    }
    let leading = digits.iter().take_while(|digit| **digit == b'0').count();
    // Zero itself keeps its one digit.
    let shown = digits.iter().skip(leading.min(digits.len() - 1));
    shown.into_iter().try_for_each(|digit| to.write_char(char::from(*digit)))
}

/// Divides a big-endian number and returns what is left over, byte by byte as on paper: a processor of 32 bits would need a
/// library to divide all of it at once.
fn divide_by_ten(number: &mut [u8; 8]) -> u8 {
    let mut rest = 0;
    for byte in number {
        let dividend = u16::from(rest) << 8 | u16::from(*byte);
        // Both are small: what is carried is less than ten.
        *byte = u8::try_from(dividend / 10).unwrap_or(0);
        rest = u8::try_from(dividend % 10).unwrap_or(0);
    }
    rest
}

fn hex(to: &mut impl Write, byte: u8) -> fmt::Result {
    [byte >> 4, byte & 15].into_iter().try_for_each(|half| to.write_char(char::from(digit_of(half))))
}

/// The digit of a number below 16.
fn digit_of(number: u8) -> u8 {
    match number {
        below_ten @ 0..10 => b'0' + below_ten,
        rest => (b'a' - 10).wrapping_add(rest),
    }
}

#[cfg(test)]
mod tests {
    use std::format;
    use std::string::String;
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_same_as_core_fmt(number: u64, small in 0_u64..1_100, bytes: Vec<u8>) {
            for number in [number, small, 0, u64::MAX] {
                let mut words = String::new();
                write(&mut words, &[Word::Text("a "), Word::Number(number), Word::Hex(&bytes)]).unwrap();
                let hex = bytes.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
                prop_assert_eq!(words, format!("a {number}{hex}"));
            }
        }
    }
}
