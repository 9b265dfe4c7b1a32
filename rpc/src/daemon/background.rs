//! `--daemon`: the process that was started waits until the node runs, or says why it does not, and a second process goes on
//! without terminal and session.
//!
//! Core Lightning forks. A program with threads cannot do that safely, so the first process starts the program again, with
//! the same arguments behind [`MARK`], and watches it: the second one sends a zero byte on its standard output when it is
//! ready, and lets go of the terminal then. Until that byte everything that it prints goes where it always goes.

use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::process::{Command, ExitCode, Stdio};

/// The first argument of the second process. Not an option: nobody gives it by hand.
const MARK: &str = "--in-background";

/// Sent when the node has started. Log lines are printable text, so it cannot be part of one.
const READY: u8 = 0;

/// Which of the two processes this is.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// The one that the user started.
    Started,
    /// The one that runs the node in the background.
    Background,
}

/// Finds out which process this is and takes the mark out of its arguments.
pub(super) fn role(arguments: &mut Vec<OsString>) -> Role {
    if arguments.get(1).map(OsString::as_os_str) == Some(OsStr::new(MARK)) {
        arguments.remove(1);
        Role::Background
    } else {
        Role::Started
    }
}

/// Starts the second process and waits until it is ready or has ended. Its status is ours if it has ended.
///
/// # Errors
/// It cannot be started.
pub(super) fn start(arguments: &[OsString]) -> io::Result<ExitCode> {
    let mut background = Command::new(std::env::current_exe()?)
        .arg(MARK)
        .args(arguments.get(1..).unwrap_or_default())
        .stdout(Stdio::piped())
        .spawn()?;
    if let Some(mut output) = background.stdout.take() {
        let mut buffer = [0; 4096];
        loop {
            let length = output.read(&mut buffer)?;
            let printed = buffer.get(..length).unwrap_or_default();
            let ready = printed.iter().position(|byte| *byte == READY);
            // Nobody may read it; the node starts all the same.
            let _ = io::stdout().write_all(printed.get(..ready.unwrap_or(length)).unwrap_or_default());
            if ready.is_some() {
                return Ok(ExitCode::SUCCESS);
            }
            if length == 0 {
                break;
            }
        }
    }
    let status = background.wait()?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from))
}

/// Leaves the session of the terminal: its end, and Ctrl-C in it, are no longer our business. Whatever has to be asked on the
/// terminal has been asked by now.
///
/// # Errors
/// The system refuses.
pub(super) fn leave_session() -> io::Result<()> {
    rustix::process::setsid()?;
    Ok(())
}

/// Tells the first process that the node runs, and lets go of standard input, output and error.
///
/// # Errors
/// The system refuses.
pub(super) fn let_go() -> io::Result<()> {
    // The first process may have been killed meanwhile; the node is wanted all the same.
    let mut output = io::stdout();
    let _ = output.write_all(&[READY]).and_then(|()| output.flush());
    let (input, output): (File, File) =
        (File::open("/dev/null")?, OpenOptions::new().write(true).open("/dev/null")?);
    rustix::stdio::dup2_stdin(&input)?;
    rustix::stdio::dup2_stdout(&output)?;
    rustix::stdio::dup2_stderr(&output)?;
    Ok(())
}
