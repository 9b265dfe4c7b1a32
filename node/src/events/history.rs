//! The last messages, kept so that a subscriber that was away can be told of them.
//!
//! Messages are numbered here, from 1, in the order in which they are published: the number is the node's, the same for all
//! subscribers. The [`Epoch`] tells the numbers of one run of a node from those of the next.

use std::collections::VecDeque;
use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;

use crate::clock;
use crate::{Event, EventFilter, MessageType, NodeId, OnionMessage};

/// One run of a node, within which the numbers of messages have a meaning. Written as 16 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Epoch(u64);

impl Epoch {
    /// Of a node that starts now: nanoseconds since 1970, which differ from one start to the next.
    pub(super) fn of_now() -> Epoch {
        let since = clock::wall().duration_since(UNIX_EPOCH).unwrap_or_default();
        Epoch(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for Epoch {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Epoch, ParseIntError> {
        u64::from_str_radix(text, 16).map(Epoch)
    }
}

/// Why a subscription cannot go on where an earlier one ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResumeError {
    /// The node was started anew since, and what came before is gone.
    #[error(
        "epoch {wanted} is over: the node was started anew and its numbers begin at 1 again, in epoch {current}. What came \
         in between is lost; subscribe from 1 for all that is kept"
    )]
    EpochOver {
        /// The epoch that was asked for.
        wanted: Epoch,
        /// The node's.
        current: Epoch,
    },
    /// No message has this number yet, and it is not the next one either.
    #[error("there is no message {wanted} yet: the next one is number {next}")]
    NotYet {
        /// The number that was asked for.
        wanted: u64,
        /// The number of the next message.
        next: u64,
    },
}

/// See the fields of [`crate::Limits`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct HistoryLimits {
    pub(crate) messages: usize,
    pub(crate) bytes: usize,
}

impl HistoryLimits {
    /// Whether anything is kept at all.
    pub(super) fn keep_any(&self) -> bool {
        self.messages > 0 && self.bytes > 0
    }
}

/// A message with its number.
#[derive(Debug, Clone)]
pub(super) struct Numbered {
    pub(super) number: u64,
    pub(super) from: From,
    pub(super) kind: MessageType,
    pub(super) payload: Bytes,
    pub(super) received: SystemTime,
}

/// Whose message it is.
#[derive(Debug, Clone)]
pub(super) enum From {
    /// A peer's.
    Peer(NodeId),
    /// Nobody knows whose: this onion carried it.
    Afar(Arc<OnionMessage>),
}

impl Numbered {
    pub(super) fn into_event(self) -> Event {
        let Numbered { number, from, kind, payload, received } = self;
        match from {
            From::Peer(peer) => Event::CustomMessage { number, peer, kind, payload, received },
            From::Afar(onion) => Event::MessageFromAfar { number, kind, payload, onion },
        }
    }

    pub(super) fn is_wanted_by(&self, filter: &EventFilter) -> bool {
        match &self.from {
            From::Peer(peer) => filter.wants_message(peer, self.kind),
            From::Afar(_) => filter.wants_message_from_afar(self.kind),
        }
    }

    /// What it counts against a backlog, in bytes.
    pub(super) fn content_len(&self) -> usize {
        match &self.from {
            From::Peer(_) => self.payload.len(),
            // The payload is a part of it.
            From::Afar(onion) => onion.weight(),
        }
    }

    fn weight(&self) -> usize {
        self.content_len().saturating_add(size_of::<Numbered>())
    }
}

#[derive(Debug)]
pub(super) struct History {
    limits: HistoryLimits,
    kept: VecDeque<Numbered>,
    bytes: usize,
    /// The number of the next message.
    next: u64,
}

impl History {
    pub(super) fn new(limits: HistoryLimits) -> History {
        History { limits, kept: VecDeque::new(), bytes: 0, next: 1 }
    }

    pub(super) fn next_number(&self) -> u64 {
        self.next
    }

    /// Gives the next number away.
    pub(super) fn take_number(&mut self) -> u64 {
        let number = self.next;
        self.next = self.next.saturating_add(1);
        number
    }

    /// Keeps the newest message, at the cost of the oldest.
    pub(super) fn keep(&mut self, message: Numbered) {
        self.bytes = self.bytes.saturating_add(message.weight());
        self.kept.push_back(message);
        while self.kept.len() > self.limits.messages || self.bytes > self.limits.bytes {
            let Some(oldest) = self.kept.pop_front() else { return };
            self.bytes = self.bytes.saturating_sub(oldest.weight());
        }
    }

    /// Messages and bytes.
    #[cfg(all(test, not(oddwire_loom)))]
    pub(super) fn size(&self) -> (usize, usize) {
        (self.kept.len(), self.bytes)
    }

    /// What is kept from this number on, and before it how many are not kept any more.
    pub(super) fn from(&self, number: u64) -> (u64, impl Iterator<Item = &Numbered>) {
        let oldest = self.kept.front().map_or(self.next, |message| message.number);
        let missing = oldest.saturating_sub(number.max(1));
        let begin = self.kept.partition_point(|message| message.number < number);
        (missing, self.kept.range(begin..))
    }
}
