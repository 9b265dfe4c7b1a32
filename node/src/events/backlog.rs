//! What waits for one subscriber: bounded, in order, with gaps told in their place.

use std::collections::VecDeque;

use super::history::Numbered;
use crate::limits::{CALM_BYTES, CALM_EVENTS};
use crate::{Delivery, Event};

/// An empty backlog keeps room for as many events: those of one read of small messages. More would be given back and asked for
/// with every burst.
const KEPT_ROOM: usize = 1024;

/// The waiting events of one subscription.
#[derive(Debug)]
pub(super) struct Backlog {
    limits: BacklogLimits,
    waiting: VecDeque<Waiting>,
    /// Weight of what waits, in bytes.
    bytes: usize,
    /// Events that did not fit since the last one that did.
    missed: u64,
    pace: Pace,
}

/// How a subscriber gets on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pace {
    /// Little waits for it.
    KeepsUp,
    /// Much waits for it, and nothing is missing yet.
    Behind,
    /// It has missed something, and not caught up since.
    Lost,
}

/// Something that waits. Messages are by far the most, so they set its size.
#[derive(Debug)]
pub(super) enum Waiting {
    Message(Numbered),
    Event(Box<Event>),
    Gap { missed: u64 },
}

impl Waiting {
    pub(super) fn event(event: Event) -> Waiting {
        Waiting::Event(Box::new(event))
    }

    fn into_delivery(self) -> Delivery {
        match self {
            Waiting::Message(message) => Delivery::Event(message.into_event()),
            Waiting::Event(event) => Delivery::Event(*event),
            Waiting::Gap { missed } => Delivery::Gap { missed },
        }
    }

    fn weight(&self) -> usize {
        match self {
            Waiting::Message(message) => message.content_len(),
            Waiting::Event(event) => event.weight(),
            Waiting::Gap { .. } => 0,
        }
    }
}

/// See the fields of [`crate::Limits`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct BacklogLimits {
    pub(crate) events: usize,
    pub(crate) bytes: usize,
}

/// How much of a backlog an event may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    /// What the limits say.
    Usual,
    /// As much again. For what is rare and what a subscriber would miss for long: who has come and who has gone.
    WithReserve,
}

impl Backlog {
    pub(super) fn new(limits: BacklogLimits) -> Backlog {
        Backlog { limits, waiting: VecDeque::new(), bytes: 0, missed: 0, pace: Pace::KeepsUp }
    }

    /// Counts events as missed that were never offered.
    pub(super) fn miss(&mut self, missed: u64) {
        self.missed = self.missed.saturating_add(missed);
    }

    /// Whether an event of this weight fits now; if not, it is counted as missed and need not be made.
    pub(super) fn admits(&mut self, weight: usize, room: Room) -> bool {
        let times = if room == Room::WithReserve { 2 } else { 1 };
        // A backlog that is empty takes any one event, so that one larger than the limit is not out of reach for ever.
        let fits = self.waiting.is_empty()
            || (self.waiting.len() < self.limits.events.saturating_mul(times)
                && self.bytes.saturating_add(weight) <= self.limits.bytes.saturating_mul(times));
        if !fits {
            self.missed += 1;
            self.pace = Pace::Lost;
        }
        fits
    }

    /// Stores an event that was admitted. Answers whether nothing waited before, so that somebody may wait for it.
    pub(super) fn store(&mut self, event: Waiting, weight: usize) -> bool {
        let was_empty = self.waiting.is_empty();
        if let Some(gap) = self.take_gap() {
            self.waiting.push_back(gap);
        }
        self.bytes = self.bytes.saturating_add(weight);
        self.waiting.push_back(event);
        if self.pace == Pace::KeepsUp && !self.is_calm() {
            self.pace = Pace::Behind;
        }
        was_empty
    }

    /// Whether those who send much had better wait for it.
    pub(super) fn is_behind(&self) -> bool {
        self.pace == Pace::Behind
    }

    pub(super) fn next(&mut self) -> Option<Delivery> {
        let Some(waiting) = self.waiting.pop_front() else {
            return self.take_gap().map(Waiting::into_delivery);
        };
        self.bytes = self.bytes.saturating_sub(waiting.weight());
        if self.pace != Pace::KeepsUp && self.is_calm() {
            self.pace = Pace::KeepsUp;
        }
        if self.waiting.is_empty() {
            // After a burst: an idle subscription does not hold what a full one needs.
            self.waiting.shrink_to(KEPT_ROOM);
        }
        Some(waiting.into_delivery())
    }

    /// Events and bytes.
    #[cfg(all(test, not(oddwire_loom)))]
    pub(super) fn size(&self) -> (usize, usize) {
        (self.waiting.len(), self.bytes)
    }

    /// Empties it.
    pub(super) fn take_all(&mut self) -> VecDeque<Waiting> {
        self.bytes = 0;
        self.pace = Pace::KeepsUp;
        std::mem::take(&mut self.waiting)
    }

    /// Whether little waits, one event at least.
    fn is_calm(&self) -> bool {
        self.waiting.len() <= CALM_EVENTS.min(self.limits.events / 4).max(1)
            && self.bytes <= CALM_BYTES.min(self.limits.bytes / 4)
    }

    fn take_gap(&mut self) -> Option<Waiting> {
        let missed = std::mem::take(&mut self.missed);
        (missed > 0).then_some(Waiting::Gap { missed })
    }
}
