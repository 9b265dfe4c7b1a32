//! The node's clocks: the one that everything waits by, and the one that people read.
//!
//! The first never jumps. It is tokio's, so tests may pause it. The second is set by hand and over the network; nothing is
//! measured with it (`clippy.toml`).

use core::time::Duration;
use std::time::SystemTime;

use tokio::time::Instant;
use wire_core::connection::Timestamp;

/// What the clock on the wall shows.
#[expect(clippy::disallowed_methods, reason = "shown to people: when a peer connected, when a message came")]
pub(crate) fn wall() -> SystemTime {
    SystemTime::now()
}

/// Milliseconds since the node started.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    epoch: Instant,
}

impl Clock {
    pub(crate) fn start() -> Clock {
        Clock { epoch: Instant::now() }
    }

    pub(crate) fn now(self) -> Timestamp {
        let millis = self.epoch.elapsed().as_millis();
        Timestamp::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
    }

    /// The first instant at which [`Clock::now`] is at least `at`.
    pub(crate) fn instant(self, at: Timestamp) -> Instant {
        // Far beyond any deadline, and still within what the operating system's clock can represent.
        const FOREVER: Duration = Duration::from_hours(10 * 365 * 24);
        self.epoch + Duration::from_millis(at.as_millis()).min(FOREVER)
    }
}
