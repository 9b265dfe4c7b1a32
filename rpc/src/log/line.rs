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

use super::{Filter, Head, Level, Log, Timestamps};
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
        if Level::of(metadata) >= self.filter.lowest() { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        Level::of(metadata) >= self.filter.lowest()
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(match self.filter.lowest() {
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
        if self.filter.passes(level, &source) {
            // The whole line is built before a lock is taken: what a field prints may itself log.
            self.log
                .append(format_line(&self.head, SystemTime::now(), level, &source, &fields.text).as_bytes());
        }
    }
}

/// One line with its end. Levels are padded to seven characters; `io` shows none.
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
    let shown = |c: char| if c == ' ' || c.is_ascii_graphic() { c } else { '?' };
    line.extend(text.chars().take(MAX_LOG_TEXT).map(shown));
    if text.chars().nth(MAX_LOG_TEXT).is_some() {
        line.push_str("...");
    }
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
        match &self.peer {
            Some(peer) => format!("{peer}-{source}"),
            None => source.to_owned(),
        }
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "source" => self.source = Some(value.to_owned()),
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
