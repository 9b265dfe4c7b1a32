//! Those who wait for a long turn, first come, first served, and how often such a turn begins.

use std::sync::{Arc, Mutex, PoisonError};

use core::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until};

use crate::limits::{MEASURED_TURN_INTERVAL, MEASURED_TURNS_AT_ONCE};

/// One line. As many stand in front of it as may have a turn at the same time, and until theirs is over.
#[derive(Debug)]
pub(super) struct Line {
    front: Arc<Semaphore>,
    /// From one measured turn to the next.
    interval: Duration,
    /// Until then turns are paid for.
    paid_until: Mutex<Instant>,
}

impl Line {
    /// For so many turns at the same time.
    pub(super) fn new(turns: usize) -> Line {
        let turns = turns.max(1);
        let interval = MEASURED_TURN_INTERVAL / u32::try_from(turns).unwrap_or(u32::MAX);
        Line { front: Arc::new(Semaphore::new(turns)), interval, paid_until: Mutex::new(Instant::now()) }
    }

    /// The front of a line in which nobody waits.
    pub(super) fn try_front(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.front).try_acquire_owned().ok()
    }

    /// Stands in line until the front is reached.
    pub(super) async fn front(&self) -> Option<OwnedSemaphorePermit> {
        // Closed never.
        Arc::clone(&self.front).acquire_owned().await.ok()
    }

    /// Pays for a measured turn that costs as much as so many, and waits for its time.
    pub(super) async fn measure(&self, turns: u32) {
        sleep_until(self.pay(turns)).await;
    }

    /// Answers when it begins: at once while fewer than [`MEASURED_TURNS_AT_ONCE`] are ahead of their time.
    fn pay(&self, turns: u32) -> Instant {
        let mut paid_until = self.paid_until.lock().unwrap_or_else(PoisonError::into_inner);
        *paid_until = (*paid_until).max(Instant::now()) + self.interval * turns;
        // The clock goes back farther than a few milliseconds.
        paid_until.checked_sub(self.interval * MEASURED_TURNS_AT_ONCE).unwrap_or(*paid_until)
    }
}
