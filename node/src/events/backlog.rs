//! What waits for one subscriber: bounded, in order, with gaps told in their place.

use std::collections::VecDeque;

use crate::{Delivery, Event};

/// The waiting events of one subscription.
#[derive(Debug)]
pub(super) struct Backlog {
    limits: BacklogLimits,
    waiting: VecDeque<Delivery>,
    /// Weight of what waits, in bytes.
    bytes: usize,
    /// Events that did not fit since the last one that did.
    missed: u64,
}

/// See the fields of [`crate::Limits`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct BacklogLimits {
    pub(crate) events: usize,
    pub(crate) bytes: usize,
}

impl Backlog {
    pub(super) fn new(limits: BacklogLimits) -> Backlog {
        Backlog { limits, waiting: VecDeque::new(), bytes: 0, missed: 0 }
    }

    /// Counts events as missed that were never offered.
    pub(super) fn miss(&mut self, missed: u64) {
        self.missed = self.missed.saturating_add(missed);
    }

    /// Whether an event of this weight fits now; if not, it is counted as missed and need not be made.
    pub(super) fn admits(&mut self, weight: usize) -> bool {
        // A backlog that is empty takes any one event, so that one larger than the limit is not out of reach for ever.
        let fits = self.waiting.is_empty()
            || (self.waiting.len() < self.limits.events
                && self.bytes.saturating_add(weight) <= self.limits.bytes);
        if !fits {
            self.missed += 1;
        }
        fits
    }

    /// Stores an event that was admitted.
    pub(super) fn store(&mut self, event: Event, weight: usize) {
        if let Some(gap) = self.take_gap() {
            self.waiting.push_back(gap);
        }
        self.bytes = self.bytes.saturating_add(weight);
        self.waiting.push_back(Delivery::Event(event));
    }

    pub(super) fn next(&mut self) -> Option<Delivery> {
        let Some(delivery) = self.waiting.pop_front() else { return self.take_gap() };
        if let Delivery::Event(event) = &delivery {
            self.bytes = self.bytes.saturating_sub(event.weight());
        }
        if self.waiting.is_empty() {
            // After a burst: an idle subscription holds next to nothing.
            self.waiting.shrink_to(64);
        }
        Some(delivery)
    }

    /// Empties it.
    pub(super) fn take_all(&mut self) -> VecDeque<Delivery> {
        self.bytes = 0;
        std::mem::take(&mut self.waiting)
    }

    fn take_gap(&mut self) -> Option<Delivery> {
        let missed = std::mem::take(&mut self.missed);
        (missed > 0).then_some(Delivery::Gap { missed })
    }
}
