//! Waiting, with an end: a deadline, or the user's Ctrl-C.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// Between two looks. What is waited for are processes and sockets of other programs; they send no signal that std hears.
const PAUSE: Duration = Duration::from_millis(10);

/// Every wait of the demo goes through one of these.
pub(super) struct Patience {
    limit: Duration,
    interrupted: Arc<AtomicBool>,
}

impl Patience {
    /// From here on, the signals that would end this process end its next wait instead, so that the demo cleans up.
    pub(super) fn new(limit: Duration) -> Result<Self> {
        let interrupted = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            signal_hook::flag::register(signal, Arc::clone(&interrupted))
                .context("could not watch for Ctrl-C")?;
        }
        Ok(Self { limit, interrupted })
    }

    /// Asks `ready` until it has an answer.
    ///
    /// # Errors
    /// `ready` failed, the limit passed, or the user interrupted.
    pub(super) fn wait_for<T>(&self, what: &str, mut ready: impl FnMut() -> Result<Option<T>>) -> Result<T> {
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
