//! The end of a soak, for which its threads wait while they rest.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Not come yet, and then come for good.
#[derive(Default)]
pub(super) struct Ending {
    has_come: Mutex<bool>,
    news: Condvar,
}

impl Ending {
    /// Has it come, and wakes all who rest.
    pub(super) fn come(&self) {
        *self.lock() = true;
        self.news.notify_all();
    }

    pub(super) fn has_come(&self) -> bool {
        *self.lock()
    }

    /// Rests for so long, or until it comes. Whether it has come.
    pub(super) fn comes_within(&self, rest: Duration) -> bool {
        let waited = self.news.wait_timeout_while(self.lock(), rest, |has_come| !*has_come);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        self.has_come.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
