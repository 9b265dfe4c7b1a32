//! Waiting for other programs, with an end: a deadline, or the user's Ctrl-C.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// Between two looks. What is waited for are processes and sockets of other programs; they send no signal that std hears.
const PAUSE: Duration = Duration::from_millis(10);

/// Every such wait goes through one of these.
pub(crate) struct Patience {
    limit: Duration,
    interrupted: Arc<AtomicBool>,
}

impl Patience {
    /// Waits for so long. A signal that ends this process ends it.
    pub(crate) fn new(limit: Duration) -> Self {
        Self { limit, interrupted: Arc::default() }
    }

    /// The same, but from here on the signals that would end this process end its next wait instead, so that its owner cleans
    /// up.
    pub(crate) fn until_interrupted(limit: Duration) -> Result<Self> {
        let patience = Self::new(limit);
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            signal_hook::flag::register(signal, Arc::clone(&patience.interrupted))
                .context("could not watch for Ctrl-C")?;
        }
        Ok(patience)
    }

    /// Asks `ready` until it has an answer.
    ///
    /// # Errors
    /// `ready` failed, the limit passed, or the user interrupted.
    pub(crate) fn wait_for<T>(&self, what: &str, mut ready: impl FnMut() -> Result<Option<T>>) -> Result<T> {
        let deadline = Instant::now() + self.limit;
        loop {
            if let Some(answer) = ready()? {
                return Ok(answer);
            }
            if self.interrupted.load(Ordering::Relaxed) {
                bail!("interrupted while waiting for {what}");
            }
            if Instant::now() >= deadline {
                bail!("{what}: nothing for {} s", self.limit.as_secs());
            }
            thread::sleep(PAUSE);
        }
    }
}
