//! Whether the subscribers keep up with what arrives.
//!
//! Peers that send much look here before they go on, and wait a little for a subscriber that is behind: so a program that
//! reads gets all of a flood at its own pace, and what others send it meanwhile does not wait behind that flood. Nobody waits
//! for a subscriber that has missed events already, until it has caught up: it is told of the gap and costs nobody else.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// How many subscribers are behind.
#[derive(Debug, Default)]
pub(crate) struct Calm {
    behind: AtomicUsize,
    /// Nobody is behind any more.
    news: Notify,
}

impl Calm {
    /// Whether all keep up.
    pub(crate) fn is_here(&self) -> bool {
        self.behind.load(Ordering::Relaxed) == 0
    }

    /// Waits until all keep up.
    pub(crate) async fn comes(&self) {
        loop {
            let news = self.news.notified();
            tokio::pin!(news);
            // In line before the look, so that a change right after it is not missed.
            news.as_mut().enable();
            if self.is_here() {
                return;
            }
            news.await;
        }
    }

    /// Notes what has become of one subscriber. To be called under its lock, or its changes could be counted out of order.
    pub(crate) fn note(&self, was_behind: bool, is_behind: bool) {
        match (was_behind, is_behind) {
            (false, true) => {
                self.behind.fetch_add(1, Ordering::Relaxed);
            }
            // `Notify` orders this before the look of whoever it wakes.
            (true, false) if self.behind.fetch_sub(1, Ordering::Relaxed) == 1 => self.news.notify_waiters(),
            _ => {}
        }
    }
}
