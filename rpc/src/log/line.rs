//! From a `tracing` event to one line of text. The format is in the parent's documentation.
//!
//! Text in a line may come from a peer or client: every character that is not printable ASCII becomes `?`, so that nobody
//! outside can start a new line or send control characters to a terminal; and what is beyond [`MAX_LOG_TEXT`] is cut off.

use std::fmt::{self, Write};
use std::time::SystemTime;

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::{Filter, Head, Level, Log, LogRecord, Timestamps, wall_clock};
use crate::limits::MAX_LOG_TEXT;

/// The receiver of events: filter, format, write.
#[derive(Debug)]
pub(super) struct LineLayer {
    filter: Filter,
    head: Head,
    log: Log,
}

impl LineLayer {
    pub(super) fn new(filter: Filter, head: Head, log: Log) -> LineLayer {
        LineLayer { filter, head, log }
    }
}

impl<S: Subscriber> Layer<S> for LineLayer {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        // A statement below every wanted level costs one load from then on.
        if Level::of(metadata) >= self.lowest() { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        Level::of(metadata) >= self.lowest()
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(match self.lowest() {
            Level::Io | Level::Trace => LevelFilter::TRACE,
            Level::Debug => LevelFilter::DEBUG,
            Level::Info => LevelFilter::INFO,
            Level::Unusual => LevelFilter::WARN,
            Level::Broken => LevelFilter::ERROR,
        })
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let level = Level::of(event.metadata());
        let mut fields = Fields::default();
        event.record(&mut fields);
        let source = fields.source(event.metadata().target());
        let full_source = match &fields.peer {
            Some(peer) => format!("{peer}-{source}"),
            None => source.clone(),
        };
        let is_printed = self.filter.passes(level, &full_source);
        if !is_printed && level < KEPT {
            return;
        }
        let time = wall_clock();
        let text = printable(&fields.text);
        if is_printed {
            // The whole line is built before a lock is taken: what a field prints may itself log.
            self.log.append(format_line(&self.head, time, level, &full_source, &text).as_bytes());
        }
        self.log.book.write(LogRecord { level, time, source, peer: fields.peer, text }, is_printed);
    }
}

/// Lines of this level and above are kept in memory, even if they are not printed.
const KEPT: Level = Level::Debug;

impl LineLayer {
    /// The lowest level that anybody wants.
    fn lowest(&self) -> Level {
        self.filter.lowest().min(KEPT)
    }
}

/// Text without what could start a line or steer a terminal, and not longer than a line may be.
pub(super) fn printable(text: &str) -> String {
    let shown = |c: char| if c == ' ' || c.is_ascii_graphic() { c } else { '?' };
    let mut printable: String = text.chars().take(MAX_LOG_TEXT).map(shown).collect();
    if text.chars().nth(MAX_LOG_TEXT).is_some() {
        printable.push_str("...");
    }
    printable
}

/// One line with its end, of text that is printable. Levels are padded to seven characters; `io` shows none.
pub(super) fn format_line(head: &Head, time: SystemTime, level: Level, source: &str, text: &str) -> String {
    let shown = match level {
        Level::Io => "",
        Level::Trace => "TRACE   ",
        Level::Debug => "DEBUG   ",
        Level::Info => "INFO    ",
        Level::Unusual => "UNUSUAL ",
        Level::Broken => "**BROKEN** ",
    };
    let prefix = &head.prefix;
    let mut line = match head.timestamps {
        Timestamps::Shown => {
            format!("{prefix}{} {shown}{source}: ", humantime::format_rfc3339_millis(time))
        }
        Timestamps::Left => format!("{prefix}{shown}{source}: "),
    };
    line.push_str(text);
    line.push('\n');
    line
}

/// What an event carries: the message, then every other field as ` name=value`.
#[derive(Debug, Default)]
struct Fields {
    source: Option<String>,
    peer: Option<String>,
    text: String,
}

impl Fields {
    fn source(&self, target: &str) -> String {
        let source = self.source.as_deref().unwrap_or(match target {
            // The daemon of Core Lightning that owns the peer connections; tools look for the name.
            target if target.starts_with("oddwire_node") || target.starts_with("wire_core") => "connectd",
            _ => "lightningd",
        });
        source.to_owned()
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            // A plugin is called after its file, whose name may have anything in it.
            "source" => self.source = Some(printable(value)),
            "peer" => self.peer = Some(value.to_owned()),
            // The message stands first, whatever the order in which the fields were written.
            "message" => self.text.insert_str(0, value),
            name => {
                let _ = write!(self.text, " {name}={value}");
            }
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}
