//! What happened in a run, line by line, with the simulated time: the same seed gives the same lines.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;

/// The story of one run, and what was found wrong in it.
#[derive(Debug)]
pub(super) struct Trace {
    begun: Instant,
    state: Mutex<Story>,
}

/// What is left of a run.
#[derive(Debug, Default, Clone)]
pub(super) struct Story {
    pub(super) lines: Vec<String>,
    /// Promises that were broken.
    pub(super) violations: Vec<String>,
}

impl Trace {
    pub(super) fn begin() -> Trace {
        Trace { begun: Instant::now(), state: Mutex::default() }
    }

    pub(super) fn note(&self, what: fmt::Arguments<'_>) {
        let after = self.begun.elapsed();
        let line = format!("{:>4}.{:03} {what}", after.as_secs(), after.subsec_millis());
        tracing::info!("{line}");
        self.with(|story| story.lines.push(line));
    }

    /// Notes that something is not as promised.
    pub(super) fn violation(&self, what: fmt::Arguments<'_>) {
        self.note(format_args!("WRONG: {what}"));
        self.with(|story| story.violations.push(what.to_string()));
    }

    pub(super) fn is_spoilt(&self) -> bool {
        self.with(|story| !story.violations.is_empty())
    }

    pub(super) fn story(&self) -> Story {
        self.with(|story| story.clone())
    }

    fn with<T>(&self, with: impl FnOnce(&mut Story) -> T) -> T {
        with(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
