//! What all connections share: how many requests may run, how many subscriptions there may be, how much memory they may hold.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Semaphore;

use crate::limits::{MAX_MEMORY, MAX_RUNNING, MAX_SUBSCRIPTIONS};

/// What is left of the limits that are for all connections together.
#[derive(Debug, Clone)]
pub(super) struct Quota {
    /// One permit for every request that runs.
    pub(super) running: Arc<Semaphore>,
    /// One permit for every subscription.
    pub(super) subscriptions: Arc<Semaphore>,
    memory: Arc<Memory>,
}

#[derive(Debug)]
struct Memory {
    held: AtomicUsize,
    limit: usize,
}

/// The memory that one connection or one request holds. Dropping it gives it back.
#[derive(Debug)]
pub(super) struct Share {
    memory: Arc<Memory>,
    bytes: usize,
}

/// All connections together hold more than they may.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("The requests and answers of all clients hold more than {MAX_MEMORY} bytes: try again later")]
pub(super) struct MemoryFull;

impl Default for Quota {
    fn default() -> Quota {
        Quota::new(MAX_RUNNING, MAX_SUBSCRIPTIONS, MAX_MEMORY)
    }
}

impl Quota {
    pub(super) fn new(running: usize, subscriptions: usize, memory: usize) -> Quota {
        Quota {
            running: Arc::new(Semaphore::new(running)),
            subscriptions: Arc::new(Semaphore::new(subscriptions)),
            memory: Arc::new(Memory { held: AtomicUsize::new(0), limit: memory }),
        }
    }

    /// A share of nothing yet.
    pub(super) fn share(&self) -> Share {
        Share { memory: Arc::clone(&self.memory), bytes: 0 }
    }
}

impl Share {
    /// From now on so many bytes are held. They count even if they do not fit: then it is for the caller to let go of them,
    /// or not to.
    ///
    /// # Errors
    /// It is more than before, and more than all may hold.
    pub(super) fn hold(&mut self, bytes: usize) -> Result<(), MemoryFull> {
        let before = std::mem::replace(&mut self.bytes, bytes);
        if bytes <= before {
            self.memory.held.fetch_sub(before - bytes, Ordering::Relaxed);
            return Ok(());
        }
        let more = bytes - before;
        let held = self.memory.held.fetch_add(more, Ordering::Relaxed).saturating_add(more);
        if held <= self.memory.limit { Ok(()) } else { Err(MemoryFull) }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.memory.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_let_go_is_there_for_others() {
        let quota = Quota::new(1, 1, 100);
        let (mut one, mut other) = (quota.share(), quota.share());
        assert_eq!(one.hold(60), Ok(()));
        assert_eq!(other.hold(41), Err(MemoryFull));
        assert_eq!(other.hold(40), Ok(()));
        assert_eq!(one.hold(61), Err(MemoryFull));
        drop(one);
        assert_eq!(other.hold(100), Ok(()));
        drop(other);
        assert_eq!(quota.memory.held.load(Ordering::Relaxed), 0);
    }
}
