//! `--hsm-passphrase`: asks for the passphrase that the `hsm_secret` file's mnemonic was made with, on the terminal without
//! showing it, or from whatever standard input is.

use std::io::{self, Write};
use std::os::fd::BorrowedFd;

use rustix::termios::{LocalModes, OptionalActions, Termios, isatty, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use crate::limits::MAX_PASSPHRASE_LEN;

/// Reads one line from standard input, without its end, or returns what ended first. Either way the terminal shows again what
/// is typed; in the latter case a thread still reads from it.
///
/// # Errors
/// Standard input cannot be read, ends at once, or gives what is no text or is too long.
pub(super) async fn ask<T>(ended: impl Future<Output = T>) -> io::Result<Result<Zeroizing<String>, T>> {
    let input = rustix::stdio::stdin();
    let _silence = if isatty(input) {
        let mut prompt = io::stderr();
        write!(prompt, "Passphrase of the hsm_secret: ")?;
        prompt.flush()?;
        Some(Silence::keep(input)?)
    } else {
        None
    };
    tokio::select! {
        line = tokio::task::spawn_blocking(read_line) => line.map_err(io::Error::other)?.map(Ok),
        end = ended => Ok(Err(end)),
    }
}

fn read_line() -> io::Result<Zeroizing<String>> {
    let input = rustix::stdio::stdin();
    // Its room is there from the start: growing would leave copies of the passphrase behind.
    let mut line = Zeroizing::new(Vec::with_capacity(MAX_PASSPHRASE_LEN));
    loop {
        let mut byte = Zeroizing::new([0; 1]);
        // Byte by byte: a reader with a buffer would keep a copy.
        if rustix::io::read(input, byte.as_mut_slice())? == 0 || *byte == *b"\n" {
            break;
        }
        if line.len() == MAX_PASSPHRASE_LEN {
            let what = format!("the passphrase is longer than {MAX_PASSPHRASE_LEN} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
        line.extend_from_slice(byte.as_slice());
    }
    if line.is_empty() {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "no passphrase was given"));
    }
    match str::from_utf8(&line) {
        Ok(text) => Ok(Zeroizing::new(text.to_owned())),
        Err(_) => Err(io::Error::new(io::ErrorKind::InvalidData, "the passphrase is no text in UTF-8")),
    }
}

/// A terminal that does not show what is typed, until this is dropped.
struct Silence<'a> {
    terminal: BorrowedFd<'a>,
    before: Termios,
}

impl Silence<'_> {
    fn keep(terminal: BorrowedFd<'_>) -> io::Result<Silence<'_>> {
        let before = tcgetattr(terminal)?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(terminal, OptionalActions::Flush, &silent)?;
        Ok(Silence { terminal, before })
    }
}

impl Drop for Silence<'_> {
    fn drop(&mut self) {
        // A terminal that is gone shows nothing either.
        let _ = tcsetattr(self.terminal, OptionalActions::Flush, &self.before);
        let _ = writeln!(io::stderr());
    }
}
