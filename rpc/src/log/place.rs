//! One place that log lines go to: a bounded backlog, and a thread that writes it out.
//!
//! Whoever logs only appends to the backlog; nobody waits for a disk or for whoever reads our standard output. Lines that do
//! not fit, and lines that the place refuses (a full disk, a closed pipe), are counted, and a line where they are missing
//! says how many as soon as one can be written.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use super::line::format_line;
use super::{Head, Level, LogError, wall_clock};
use crate::limits::MAX_LOG_BACKLOG;

/// A place and the lines that wait for it. Dropping it ends its thread once these are written.
pub(super) struct Place {
    /// `None` is standard output.
    path: Option<PathBuf>,
    backlog: Arc<Backlog>,
}

/// Where a place's bytes go.
pub(super) type Sink = Box<dyn Write + Send>;

#[derive(Default)]
struct Backlog {
    state: Mutex<State>,
    /// There is something to write for the thread, or it has written what there was.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Whole lines.
    lines: Vec<u8>,
    /// Lines that did not fit behind these.
    missed: u64,
    /// From this position in `lines` on another sink is to be used.
    switch: Option<(usize, Sink)>,
    /// The thread has taken lines and not written them all.
    is_writing: bool,
    is_closed: bool,
}

impl Place {
    /// Opens a file for appending, or standard output for `-`. Lines about lost lines begin like all lines.
    ///
    /// # Errors
    /// If the file cannot be opened, or the system gives us no thread.
    pub(super) fn open(path: &Path, head: &Head) -> Result<Place, LogError> {
        if path.as_os_str() == "-" {
            Place::start(None, Box::new(io::stdout()), head)
        } else {
            Place::start(Some(path.to_owned()), Box::new(open_file(path)?), head)
        }
    }

    pub(super) fn start(path: Option<PathBuf>, sink: Sink, head: &Head) -> Result<Place, LogError> {
        let backlog = Arc::new(Backlog::default());
        let writer =
            Writer { backlog: Arc::clone(&backlog), sink, head: head.clone(), lost: 0, is_mid_line: false };
        let started = thread::Builder::new().name("log".to_owned()).spawn(move || writer.run());
        started.map_err(LogError::Thread)?;
        Ok(Place { path, backlog })
    }

    pub(super) fn is_file(&self) -> bool {
        self.path.is_some()
    }

    /// Opens the file anew, for the lines that follow. Standard output stays as it is.
    ///
    /// # Errors
    /// If the file cannot be opened; the old one stays in use.
    pub(super) fn reopen(&self) -> Result<(), LogError> {
        let Some(path) = &self.path else { return Ok(()) };
        let file = open_file(path)?;
        let mut state = self.backlog.lock();
        state.switch = Some((state.lines.len(), Box::new(file)));
        drop(state);
        self.backlog.changed.notify_all();
        Ok(())
    }

    /// Appends a line with its end, if there is room. Never waits.
    pub(super) fn append(&self, line: &[u8]) {
        let mut state = self.backlog.lock();
        if state.lines.len().saturating_add(line.len()) > MAX_LOG_BACKLOG {
            state.missed = state.missed.saturating_add(1);
            return;
        }
        let is_idle = state.lines.is_empty() && !state.is_writing;
        state.lines.extend_from_slice(line);
        drop(state);
        if is_idle {
            self.backlog.changed.notify_all();
        }
    }

    /// Waits until everything is written, but not beyond the deadline.
    pub(super) fn flush(&self, deadline: Instant) {
        let left = deadline.saturating_duration_since(Instant::now());
        let is_behind = |state: &mut State| state.is_writing || state.has_news();
        // Whether it is done or too late, there is nothing else to do about it.
        drop(self.backlog.changed.wait_timeout_while(self.backlog.lock(), left, is_behind));
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.backlog.lock().is_closed = true;
        self.backlog.changed.notify_all();
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place").field("path", &self.path).finish_non_exhaustive()
    }
}

/// One that is made is not for everybody to read: at level io it has what peers say to each other.
fn open_file(path: &Path) -> Result<File, LogError> {
    let opened = OpenOptions::new().append(true).create(true).mode(0o640).open(path);
    opened.map_err(|error| LogError::Open { path: path.to_owned(), error })
}

impl Backlog {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn has_news(&self) -> bool {
        !self.lines.is_empty() || self.missed > 0 || self.switch.is_some()
    }
}

/// The thread of a place.
struct Writer {
    backlog: Arc<Backlog>,
    sink: Sink,
    head: Head,
    /// Lines that are missing where the next one would stand.
    lost: u64,
    /// What was written last was not whole.
    is_mid_line: bool,
}

impl Writer {
    fn run(mut self) {
        const KEPT: usize = 64 * 1024;
        let mut lines = Vec::new();
        while let Some((missed, switch)) = self.take(&mut lines) {
            let (before, sink) = match switch {
                Some((position, sink)) => (position, Some(sink)),
                None => (lines.len(), None),
            };
            let (before, after) = lines.split_at_checked(before).unwrap_or((&lines, &[]));
            self.write(before);
            if let Some(sink) = sink {
                self.sink = sink;
                self.is_mid_line = false;
            }
            self.write(after);
            self.lost = self.lost.saturating_add(missed);
            self.tell_loss();
            lines.clear();
            lines.shrink_to(KEPT);
        }
    }

    /// Waits for something to do and takes it; `None` at the end.
    fn take(&self, lines: &mut Vec<u8>) -> Option<(u64, Option<(usize, Sink)>)> {
        let mut state = self.backlog.lock();
        state.is_writing = false;
        // Whoever flushes waits for this.
        self.backlog.changed.notify_all();
        let is_idle = |state: &mut State| !state.has_news() && !state.is_closed;
        state = self.backlog.changed.wait_while(state, is_idle).unwrap_or_else(PoisonError::into_inner);
        if !state.has_news() {
            return None;
        }
        state.is_writing = true;
        std::mem::swap(&mut state.lines, lines);
        Some((std::mem::take(&mut state.missed), state.switch.take()))
    }

    fn write(&mut self, lines: &[u8]) {
        if lines.is_empty() {
            return;
        }
        self.tell_loss();
        let rest = lines.get(self.put(lines)..).unwrap_or_default();
        let count = memchr::memchr_iter(b'\n', rest).count();
        self.lost = self.lost.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
    }

    fn tell_loss(&mut self) {
        if self.lost == 0 {
            return;
        }
        let text = format!(
            "{} lines of the log are missing here: it was not read or written fast enough",
            self.lost
        );
        let line = format_line(&self.head, wall_clock(), Level::Unusual, "lightningd", &text);
        // Not behind half a line.
        let line = if self.is_mid_line { format!("\n{line}") } else { line };
        if self.put(line.as_bytes()) == line.len() {
            self.lost = 0;
        }
    }

    /// Writes as much as the place takes. A disk that fills up takes a part.
    fn put(&mut self, bytes: &[u8]) -> usize {
        let mut written = 0;
        while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
            match self.sink.write(rest) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(0) | Err(_) => break,
                Ok(more) => written = written.saturating_add(more),
            }
        }
        if self.sink.flush().is_err() {
            written = 0;
        }
        if let Some(last) = bytes.get(..written).and_then(<[u8]>::last) {
            self.is_mid_line = *last != b'\n';
        }
        written
    }
}
