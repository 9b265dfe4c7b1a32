//! The newest part of the log in memory, for `getlog`, and the feed of lines for whoever wants to hear of them at once.
//!
//! Both are bounded and neither keeps anybody waiting: the oldest records make room for new ones and are counted; a listener
//! that is too slow is told how many lines it has missed. Messages and requests in full (level `io`) are not fed: whoever
//! passes the feed on makes such lines by it, and would feed them to itself for ever.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::broadcast;

use super::{Level, wall_clock};
use crate::json_writer::{ArrayWriter, ObjectWriter, object};
use crate::limits::{MAX_LOG_FEED, MAX_LOG_MEMORY};

/// The newest records. Clones are the same book.
#[derive(Clone, Debug)]
pub struct LogBook {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    opened: SystemTime,
    kept: Mutex<Kept>,
    feed: broadcast::Sender<Arc<LogRecord>>,
}

#[derive(Debug, Default)]
struct Kept {
    records: VecDeque<Arc<LogRecord>>,
    /// What they weigh, in bytes.
    weight: usize,
    /// Records that have made room for newer ones.
    dropped: u64,
}

/// One line of the log, in its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRecord {
    /// How much it matters.
    pub level: Level,
    /// When it was written.
    pub time: SystemTime,
    /// The part of the daemon that it comes from: `lightningd`, `connectd`, `plugin-NAME`.
    pub source: String,
    /// The node id of the peer that it is about.
    pub peer: Option<String>,
    /// What it says.
    pub text: String,
}

/// Lines of the log as they are written, from the moment on when [`LogBook::feed`] was called.
#[derive(Debug)]
pub struct LogFeed {
    lines: broadcast::Receiver<Arc<LogRecord>>,
}

/// What [`LogFeed::next`] brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogNews {
    /// A line.
    Line(Arc<LogRecord>),
    /// So many lines are missing here: the listener was too slow.
    Missed(u64),
}

impl LogFeed {
    /// Waits for the next line. `None` when there is no log any more. May be dropped and called again.
    pub async fn next(&mut self) -> Option<LogNews> {
        match self.lines.recv().await {
            Ok(line) => Some(LogNews::Line(line)),
            Err(broadcast::error::RecvError::Lagged(missed)) => Some(LogNews::Missed(missed)),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}

impl Default for LogBook {
    fn default() -> LogBook {
        let shared = Shared {
            opened: wall_clock(),
            kept: Mutex::default(),
            feed: broadcast::Sender::new(MAX_LOG_FEED),
        };
        LogBook { shared: Arc::new(shared) }
    }
}

impl LogBook {
    /// Lines from now on that pass `--log-level`, except those of level `io`.
    pub fn feed(&self) -> LogFeed {
        LogFeed { lines: self.shared.feed.subscribe() }
    }

    /// Keeps a record. `is_printed` says whether it also passes `--log-level`.
    pub(super) fn write(&self, record: LogRecord, is_printed: bool) {
        let record = Arc::new(record);
        if is_printed && record.level > Level::Io && self.shared.feed.receiver_count() > 0 {
            // An error says that the last listener has just gone.
            let _ = self.shared.feed.send(Arc::clone(&record));
        }
        let mut kept = self.lock();
        kept.weight = kept.weight.saturating_add(record.weight());
        kept.records.push_back(record);
        while kept.weight > MAX_LOG_MEMORY {
            let Some(oldest) = kept.records.pop_front() else { break };
            kept.weight = kept.weight.saturating_sub(oldest.weight());
            kept.dropped = kept.dropped.saturating_add(1);
        }
    }

    /// The answer of `getlog`: the records of this level and above, oldest first.
    pub(crate) fn listing(&self, lowest: Level) -> String {
        let (records, weight, dropped) = {
            let kept = self.lock();
            (kept.records.iter().cloned().collect::<Vec<_>>(), kept.weight, kept.dropped)
        };
        object(|result| {
            result.string("created_at", seconds(since_epoch(self.shared.opened)));
            result.bare("bytes_used", weight);
            result.bare("bytes_max", MAX_LOG_MEMORY);
            result.array("log", |log| {
                let mut skipped = dropped;
                for record in records {
                    if record.level < lowest {
                        skipped = skipped.saturating_add(1);
                        continue;
                    }
                    say_skipped(log, std::mem::take(&mut skipped));
                    log.object(|entry| record.describe(self.shared.opened, entry));
                }
                say_skipped(log, skipped);
            });
        })
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.shared.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn say_skipped(log: &mut ArrayWriter<'_>, skipped: u64) {
    if skipped > 0 {
        log.object(|entry| {
            entry.string("type", "SKIPPED");
            entry.bare("num_skipped", skipped);
        });
    }
}

impl LogRecord {
    /// What Core Lightning's notification `log` says of a line: a JSON object.
    pub fn notification(&self) -> String {
        self.notification_at(self.level.name())
    }

    /// The same with another word for the level, as in Core Lightning's notification `warning`.
    pub(crate) fn notification_at(&self, level: &str) -> String {
        object(|log| {
            log.string("level", level);
            log.string("time", seconds(since_epoch(self.time)));
            log.string("timestamp", humantime::format_rfc3339_millis(self.time));
            log.string("source", &self.source);
            log.string("log", &self.text);
        })
    }

    /// An element of `getlog`'s `log`.
    fn describe(&self, opened: SystemTime, entry: &mut ObjectWriter<'_>) {
        // The text of a line of level `io` is what it is about, its direction, and the bytes in hex.
        let bytes = |mark: &str| self.text.split_once(mark).filter(|_| self.level == Level::Io);
        let (kind, text, data) = match (bytes("[IN] "), bytes("[OUT] ")) {
            (Some((about, data)), _) => ("IO_IN", about, Some(data)),
            (None, Some((about, data))) => ("IO_OUT", about, Some(data)),
            (None, None) => (self.level.shown(), self.text.as_str(), None),
        };
        entry.string("type", kind);
        entry.string("time", seconds(self.time.duration_since(opened).unwrap_or_default()));
        if let Some(peer) = &self.peer {
            entry.string("node_id", peer);
        }
        entry.string("source", &self.source);
        entry.string("log", text);
        if let Some(data) = data.filter(|data| !data.is_empty()) {
            entry.string("data", data);
        }
    }

    fn weight(&self) -> usize {
        let peer = self.peer.as_ref().map_or(0, String::len);
        size_of::<LogRecord>()
            .saturating_add(self.source.len())
            .saturating_add(peer)
            .saturating_add(self.text.len())
    }
}

fn since_epoch(time: SystemTime) -> Duration {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

/// Seconds with nine decimals, as Core Lightning writes times.
fn seconds(time: Duration) -> String {
    format!("{}.{:09}", time.as_secs(), time.subsec_nanos())
}
