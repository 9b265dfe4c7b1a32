//! Onion messages that wait to be peeled: bounded, in the order in which they came.
//!
//! Peeling takes a few scalar multiplications, so one task does it for all peers, one message after the other. When there
//! are too many, the peer that has the most of them waiting loses its newest: a loud peer crowds out itself.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;

use crate::NodeId;

/// The queue before the relay.
#[derive(Debug)]
pub(super) struct Inbox {
    limits: InboxLimits,
    state: Mutex<State>,
    /// Wakes the relay.
    news: Notify,
}

/// How much may wait.
#[derive(Debug, Clone, Copy)]
pub(super) struct InboxLimits {
    pub(super) messages: usize,
    pub(super) bytes: usize,
}

impl InboxLimits {
    /// What a message counts in its peer's share: a short one takes a place as any other, so it counts as one that is as
    /// long as all may be when both limits are reached together.
    fn weight(&self, message: &Waiting) -> usize {
        let place = self.bytes.checked_div(self.messages).unwrap_or_default();
        message.payload.len().max(place).max(1)
    }
}

/// A message as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Waiting {
    pub(super) peer: NodeId,
    pub(super) payload: Bytes,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Waiting>,
    bytes: usize,
    /// What waits, by peer, as [`InboxLimits::weight`] has it; nobody has 0.
    shares: BTreeMap<NodeId, usize>,
}

impl Inbox {
    pub(super) fn new(limits: InboxLimits) -> Inbox {
        Inbox { limits, state: Mutex::default(), news: Notify::new() }
    }

    /// Adds a message. What has to go for it comes back, perhaps the message itself.
    pub(super) fn push(&self, message: Waiting) -> Vec<Waiting> {
        let mut state = self.lock();
        state.add(message, &self.limits);
        let mut dropped = Vec::new();
        while state.queue.len() > self.limits.messages || state.bytes > self.limits.bytes {
            let Some(newest) = state.take_newest_of_loudest(&self.limits) else { break };
            dropped.push(newest);
        }
        drop(state);
        self.news.notify_one();
        dropped
    }

    /// The oldest message. May be dropped while it waits; nothing is lost by that.
    pub(super) async fn next(&self) -> Waiting {
        loop {
            let oldest = self.lock().take_oldest(&self.limits);
            if let Some(message) = oldest {
                return message;
            }
            self.news.notified().await;
        }
    }

    /// Messages and bytes.
    #[cfg(all(test, not(oddwire_loom)))]
    pub(super) fn size(&self) -> (usize, usize) {
        let state = self.lock();
        (state.queue.len(), state.bytes)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn add(&mut self, message: Waiting, limits: &InboxLimits) {
        self.bytes += message.payload.len();
        *self.shares.entry(message.peer).or_default() += limits.weight(&message);
        self.queue.push_back(message);
    }

    fn take_oldest(&mut self, limits: &InboxLimits) -> Option<Waiting> {
        let message = self.queue.pop_front()?;
        self.forget(&message, limits);
        Some(message)
    }

    fn take_newest_of_loudest(&mut self, limits: &InboxLimits) -> Option<Waiting> {
        let (&loudest, _) = self.shares.iter().max_by_key(|(_, share)| **share)?;
        let newest = self.queue.iter().rposition(|message| message.peer == loudest)?;
        let message = self.queue.remove(newest)?;
        self.forget(&message, limits);
        Some(message)
    }

    fn forget(&mut self, message: &Waiting, limits: &InboxLimits) {
        self.bytes = self.bytes.saturating_sub(message.payload.len());
        if let Some(share) = self.shares.get_mut(&message.peer) {
            *share = share.saturating_sub(limits.weight(message));
            if *share == 0 {
                self.shares.remove(&message.peer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onion::tests::node;

    fn message(peer: u8, content: u8) -> Waiting {
        Waiting { peer: node(peer), payload: vec![content; 10].into() }
    }

    #[tokio::test]
    async fn the_newest_of_the_loudest_goes() {
        let inbox = Inbox::new(InboxLimits { messages: 4, bytes: 1000 });
        for (peer, content) in [(1, 1), (2, 2), (1, 3), (1, 4)] {
            assert_eq!(inbox.push(message(peer, content)), []);
        }
        // The quiet one gets in, the loud one pays.
        assert_eq!(inbox.push(message(2, 5)), [message(1, 4)]);
        // The loud one pays for its own.
        assert_eq!(inbox.push(message(1, 6)), [message(1, 6)]);
        assert_eq!(inbox.push(message(3, 7)).len(), 1);
        let mut order = Vec::new();
        for _ in 0..4 {
            order.push(inbox.next().await.payload[0]);
        }
        assert_eq!(order[..2], [1, 2]);
        assert_eq!(order[3], 7);
        assert!(inbox.lock().shares.is_empty() && inbox.lock().bytes == 0);
    }

    #[test]
    fn many_short_ones_are_louder_than_a_long_one() {
        let inbox = Inbox::new(InboxLimits { messages: 4, bytes: 1000 });
        let quiet = Waiting { peer: node(2), payload: vec![0; 200].into() };
        assert_eq!(inbox.push(quiet), []);
        let empty = Waiting { peer: node(1), payload: Bytes::new() };
        for _ in 0..3 {
            assert_eq!(inbox.push(empty.clone()), []);
        }
        assert_eq!(inbox.push(empty.clone()), [empty]);
    }

    #[tokio::test]
    async fn bytes_are_bounded_too() {
        let inbox = Inbox::new(InboxLimits { messages: 100, bytes: 35 });
        let dropped: usize = (0..50).map(|content| inbox.push(message(1, content)).len()).sum();
        assert_eq!(dropped, 47);
        assert_eq!(inbox.push(message(2, 9)), [message(1, 2)]);
        assert_eq!(inbox.next().await, message(1, 0));
    }
}
