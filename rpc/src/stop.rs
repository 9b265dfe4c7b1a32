//! The word to stop, given once and heard by everybody who waits for it.

use std::sync::Arc;

use tokio::sync::watch;

/// A signal that is given at most once and stays given. Clones are the same signal.
#[derive(Clone, Debug)]
pub struct StopSignal {
    given: Arc<watch::Sender<bool>>,
}

impl StopSignal {
    /// A signal that is not given yet.
    pub fn new() -> StopSignal {
        StopSignal { given: Arc::new(watch::Sender::new(false)) }
    }

    /// Gives the signal. Again is the same as once.
    pub fn trigger(&self) {
        self.given.send_replace(true);
    }

    /// It has been given.
    pub fn is_triggered(&self) -> bool {
        *self.given.borrow()
    }

    /// Waits until it is given. May be dropped and waited for again.
    pub async fn triggered(&self) {
        // The sender lives as long as `self`, so there is no error to see.
        let _ = self.given.subscribe().wait_for(|given| *given).await;
    }
}

impl Default for StopSignal {
    fn default() -> StopSignal {
        StopSignal::new()
    }
}
