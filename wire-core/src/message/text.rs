//! Bytes of a peer made fit for logs, terminals and error messages.

use core::fmt::{self, Write as _};

/// Shows bytes of a peer so that they cannot do harm where they are shown.
///
/// Printable ASCII (32 to 126) passes, every other byte becomes `\xNN` (BOLT 1, `error` and `warning`: such data should
/// not be printed verbatim). After [`Printable::MAX_LEN`] bytes only the number of the bytes left out follows, so that
/// what is printed stays under 4.2 kB however much a peer sends.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Printable<'a>(&'a [u8]);

impl<'a> Printable<'a> {
    /// The longest text that is shown whole, in bytes of the peer's.
    pub const MAX_LEN: usize = 1024;

    /// Wraps `bytes`; nothing is copied or looked at before it is printed.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for &byte in self.0.iter().take(Self::MAX_LEN) {
            if (b' '..=b'~').contains(&byte) {
                f.write_char(char::from(byte))?;
            } else {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        match self.0.len().saturating_sub(Self::MAX_LEN) {
            0 => Ok(()),
            more => write!(f, "... ({more} more bytes)"),
        }
    }
}

impl fmt::Debug for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Printable<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "{}", defmt::Display2Format(self));
    }
}
