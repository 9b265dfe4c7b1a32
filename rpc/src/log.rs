//! The daemon's log: `tracing` events printed as the lines that users of Core Lightning know, and that their tools wait for.
//!
//! ```text
//! PREFIX2026-11-21T01:02:03.004Z INFO    lightningd: Server started with public key ...
//! PREFIX2026-11-21T01:02:03.004Z 02ab..-connectd: [OUT] 0010...          (level io: no level is printed)
//! ```
//!
//! This module decides which lines are wanted and where they go; `line` turns an event into a line. Whoever logs writes
//! an ordinary `tracing` event and says the rest with fields:
//!
//! - `source = "jsonrpc#3"` names the source; without it the event's module does (`oddwire_node` is `connectd`, the rest is
//!   `lightningd`);
//! - `peer = %node_id` puts the peer's id in front of the source;
//! - the target [`IO_TARGET`] marks the level `io`, which `tracing` does not have.
//!
//! The newest lines are also kept in memory (`book`), down to level debug whatever the user wants to see.
//!
//! Each `place` has a backlog and a thread that writes it at once, whole lines at a time. A reader of standard output that
//! stalls, or a disk, stops nothing: lines that cannot be kept are counted, and the log says how many are missing.

use std::io;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use tracing::Metadata;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::limits::LOG_FLUSH;
use place::Place;

mod book;
mod line;
mod place;
#[cfg(test)]
mod tests;

pub use book::{LogBook, LogFeed, LogNews, LogRecord};

/// Target of the events that show raw bytes: messages from and to peers, requests and answers. They pass at level `io` only.
pub const IO_TARGET: &str = "io";

/// How much a line matters, in Core Lightning's words and order.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Every message and request as hex or text.
    Io,
    /// Details that only the developers of the daemon need.
    Trace,
    /// What happens, step by step.
    Debug,
    /// What a user wants to know. The default.
    Info,
    /// Something that should not happen, but which the daemon can handle.
    Unusual,
    /// A fault of the daemon itself.
    Broken,
}

impl Level {
    /// Its name, as `--log-level` takes it.
    pub fn name(self) -> &'static str {
        match self {
            Level::Io => "io",
            Level::Trace => "trace",
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Unusual => "unusual",
            Level::Broken => "broken",
        }
    }

    /// Its name in capital letters, as lines and `getlog` show it.
    pub(crate) fn shown(self) -> &'static str {
        match self {
            Level::Io => "IO",
            Level::Trace => "TRACE",
            Level::Debug => "DEBUG",
            Level::Info => "INFO",
            Level::Unusual => "UNUSUAL",
            Level::Broken => "BROKEN",
        }
    }

    /// The level of a `tracing` event.
    pub fn of(metadata: &Metadata<'_>) -> Level {
        if metadata.target() == IO_TARGET {
            return Level::Io;
        }
        match *metadata.level() {
            tracing::Level::TRACE => Level::Trace,
            tracing::Level::DEBUG => Level::Debug,
            tracing::Level::INFO => Level::Info,
            tracing::Level::WARN => Level::Unusual,
            tracing::Level::ERROR => Level::Broken,
        }
    }
}

/// The name is none of a level's.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown log level: it is one of io, trace, debug, info, unusual, broken")]
pub struct UnknownLevel;

impl FromStr for Level {
    type Err = UnknownLevel;

    /// Either case; `warn` and `error` are other names of `unusual` and `broken`.
    fn from_str(name: &str) -> Result<Level, UnknownLevel> {
        const NAMES: [(&str, Level); 8] = [
            ("io", Level::Io),
            ("trace", Level::Trace),
            ("debug", Level::Debug),
            ("info", Level::Info),
            ("unusual", Level::Unusual),
            ("broken", Level::Broken),
            ("warn", Level::Unusual),
            ("error", Level::Broken),
        ];
        NAMES
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, level)| *level)
            .ok_or(UnknownLevel)
    }
}

/// One `--log-level=LEVEL[:SUBSYSTEM]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LevelRule {
    /// Lines of this level and above are printed.
    pub level: Level,
    /// Only for lines whose source contains this text; for all lines if it is missing.
    pub subsystem: Option<String>,
}

impl FromStr for LevelRule {
    type Err = UnknownLevel;

    fn from_str(rule: &str) -> Result<LevelRule, UnknownLevel> {
        let (level, subsystem) = match rule.split_once(':') {
            Some((level, subsystem)) => (level, Some(subsystem.to_owned())),
            None => (rule, None),
        };
        Ok(LevelRule { level: level.parse()?, subsystem })
    }
}

/// What the user wants of the log.
#[derive(Clone, Debug, Default)]
pub struct LogSettings {
    /// Which lines; the last rule without a subsystem is the level of everything that no other rule names.
    pub rules: Vec<LevelRule>,
    /// Where they go: `-` is standard output, which is also used if there is none.
    pub files: Vec<PathBuf>,
    /// Put in front of every line.
    pub prefix: String,
    /// Whether the time follows.
    pub timestamps: Timestamps,
}

/// Whether lines say when they were written.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum Timestamps {
    /// They do, in UTC with milliseconds.
    #[default]
    Shown,
    /// They do not: `--log-timestamps=false`.
    Left,
}

/// How a line begins.
#[derive(Clone, Debug, Default)]
pub(crate) struct Head {
    prefix: String,
    timestamps: Timestamps,
}

/// Why the log could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// A log file cannot be opened for appending.
    #[error("cannot open the log file {}: {error}. Give --log-file a path that this user may write to", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// There is no thread to write with.
    #[error("the system gives the log no thread: {0}")]
    Thread(io::Error),
}

/// The open log of this process.
#[derive(Clone, Debug)]
pub struct Log {
    places: Arc<[Place]>,
    book: LogBook,
}

impl Log {
    /// Opens the log files and makes this log the process's receiver of `tracing` events.
    /// If the process has a receiver already (a program that embeds the daemon), that one stays.
    ///
    /// # Errors
    /// If a log file cannot be opened.
    pub fn install(settings: &LogSettings) -> Result<Log, LogError> {
        let head = Head { prefix: settings.prefix.clone(), timestamps: settings.timestamps };
        let log = Log::open(&settings.files, &head)?;
        let layer = line::LineLayer::new(Filter::new(&settings.rules), head, log.clone());
        // Fails only when there is a receiver already.
        let _ = tracing_subscriber::registry().with(layer).try_init();
        Ok(log)
    }

    fn open(files: &[PathBuf], head: &Head) -> Result<Log, LogError> {
        let standard_output = [PathBuf::from("-")];
        let files = if files.is_empty() { &standard_output } else { files };
        let places: Result<_, _> = files.iter().map(|path| Place::open(path, head)).collect();
        Ok(Log { places: places?, book: LogBook::default() })
    }

    /// Its newest part in memory.
    pub fn book(&self) -> &LogBook {
        &self.book
    }

    /// Whether some of it goes elsewhere than to standard output.
    pub fn has_files(&self) -> bool {
        self.places.iter().any(Place::is_file)
    }

    /// Opens every log file anew, so that a file that was renamed is let go (log rotation, `SIGHUP`).
    ///
    /// # Errors
    /// If a file cannot be opened; the old one stays in use.
    pub fn reopen(&self) -> Result<(), LogError> {
        self.places.iter().try_for_each(Place::reopen)
    }

    /// Blocks until every line so far is written, but no longer than [`LOG_FLUSH`]: for the end of the process.
    pub fn flush(&self) {
        let deadline = Instant::now() + LOG_FLUSH;
        for place in self.places.iter() {
            place.flush(deadline);
        }
    }

    fn append(&self, line: &[u8]) {
        for place in self.places.iter() {
            place.append(line);
        }
    }
}

/// Logs every panic as a `**BROKEN**` line and sees it written, besides what the process does about it anyway.
pub fn log_panics(log: &Log) {
    let log = log.clone();
    let present = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let text = panic.payload_as_str().unwrap_or("no text");
        tracing::error!(source = "lightningd", "panic at {place}: {text}");
        // It may be the last thing that this process does.
        log.flush();
        present(panic);
    }));
}

/// What the clock on the wall shows: when a line was written.
#[expect(clippy::disallowed_methods, reason = "shown to people")]
fn wall_clock() -> SystemTime {
    SystemTime::now()
}

/// Which lines are wanted.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    default: Level,
    subsystems: Vec<(String, Level)>,
}

impl Filter {
    fn new(rules: &[LevelRule]) -> Filter {
        let mut filter = Filter { default: Level::Info, subsystems: Vec::new() };
        for rule in rules {
            match &rule.subsystem {
                Some(subsystem) => filter.subsystems.push((subsystem.clone(), rule.level)),
                None => filter.default = rule.level,
            }
        }
        filter
    }

    /// The lowest level that any source may log at: decided before a line is built.
    fn lowest(&self) -> Level {
        self.subsystems.iter().map(|(_, level)| *level).fold(self.default, Level::min)
    }

    /// The first rule whose subsystem occurs in the source decides, in either direction.
    fn passes(&self, level: Level, source: &str) -> bool {
        let rule = self.subsystems.iter().find(|(subsystem, _)| source.contains(subsystem.as_str()));
        level >= rule.map_or(self.default, |(_, wanted)| *wanted)
    }
}
