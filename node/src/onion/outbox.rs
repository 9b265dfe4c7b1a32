//! Forwarded messages that wait until the next node may be sent one more: bounded, in the order in which they came.
//!
//! What a node is sent has its pace (`bucket`), whoever it comes from. Were the rest dropped, whoever is loudest would get
//! most of the tokens; so it waits for a moment, and when too many wait for a node, or in all, the peer that has the most of
//! them loses its newest.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::inbox::Waiting;
use crate::NodeId;

/// The queue behind the relay.
#[derive(Debug)]
pub(super) struct Outbox {
    limits: OutboxLimits,
    queue: Mutex<VecDeque<Departing>>,
    /// Wakes whoever waits for the next.
    news: Notify,
}

/// How much may wait.
#[derive(Debug, Clone, Copy)]
pub(super) struct OutboxLimits {
    /// For one next node.
    pub(super) messages_per_node: usize,
    pub(super) messages: usize,
    pub(super) bytes: usize,
}

/// A message on its way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Departing {
    pub(super) next: NodeId,
    /// As it came.
    pub(super) incoming: Waiting,
    /// The payload of the `onion_message` for the next node.
    pub(super) outgoing: Vec<u8>,
}

impl Departing {
    fn len(&self) -> usize {
        self.incoming.payload.len().saturating_add(self.outgoing.len())
    }
}

impl Outbox {
    pub(super) fn new(limits: OutboxLimits) -> Outbox {
        Outbox { limits, queue: Mutex::default(), news: Notify::new() }
    }

    /// Adds a message. What has to go for it comes back, perhaps the message itself.
    pub(super) fn push(&self, message: Departing) -> Vec<Departing> {
        let OutboxLimits { messages_per_node, messages, bytes } = self.limits;
        let next = message.next;
        let mut queue = self.lock();
        queue.push_back(message);
        let mut dropped = Vec::new();
        if queue.iter().filter(|waiting| waiting.next == next).count() > messages_per_node {
            dropped.extend(take_newest_of_loudest(&mut queue, |waiting| waiting.next == next));
        }
        while queue.len() > messages || queue.iter().map(Departing::len).sum::<usize>() > bytes {
            let Some(newest) = take_newest_of_loudest(&mut queue, |_| true) else { break };
            dropped.push(newest);
        }
        drop(queue);
        self.news.notify_one();
        dropped
    }

    /// Whether something waits for this node, so that whatever comes for it has to wait too.
    pub(super) fn holds_for(&self, next: &NodeId) -> bool {
        self.lock().iter().any(|waiting| waiting.next == *next)
    }

    /// The oldest message whose next node may be sent one, once there is such a message. `ready_at` says from when on that
    /// is. May be dropped while it waits; nothing is lost by that.
    pub(super) async fn next(&self, ready_at: impl Fn(&NodeId) -> Instant) -> Departing {
        loop {
            let news = self.news.notified();
            let earliest = {
                let now = Instant::now();
                let mut queue = self.lock();
                // Of those that are ready the first is taken, since the clock makes them equal.
                let times = queue.iter().map(|waiting| ready_at(&waiting.next).max(now)).enumerate();
                let earliest = times.min_by_key(|(_, ready)| *ready);
                match earliest {
                    Some((index, ready)) if ready <= now => {
                        if let Some(message) = queue.remove(index) {
                            return message;
                        }
                        None
                    }
                    other => other.map(|(_, ready)| ready),
                }
            };
            match earliest {
                Some(ready) => tokio::select! {
                    biased;
                    () = news => {}
                    () = sleep_until(ready) => {}
                },
                None => news.await,
            }
        }
    }

    /// Messages and bytes.
    #[cfg(all(test, not(oddwire_loom)))]
    pub(super) fn size(&self) -> (usize, usize) {
        let queue = self.lock();
        (queue.len(), queue.iter().map(Departing::len).sum())
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Departing>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Of those among the messages, takes the newest of the peer that has the most; of several such peers, the newest of all
/// theirs.
fn take_newest_of_loudest(
    queue: &mut VecDeque<Departing>,
    among: impl Fn(&Departing) -> bool,
) -> Option<Departing> {
    let mut shares: HashMap<NodeId, usize> = HashMap::new();
    for waiting in queue.iter().filter(|waiting| among(waiting)) {
        *shares.entry(waiting.incoming.peer).or_default() += 1;
    }
    let candidates = queue.iter().enumerate().filter(|(_, waiting)| among(waiting));
    let (newest, _) = candidates.max_by_key(|(_, waiting)| shares.get(&waiting.incoming.peer))?;
    queue.remove(newest)
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;
    use crate::onion::tests::node;

    fn message(source: u8, next: u8, len: usize) -> Departing {
        let incoming = Waiting { peer: node(source), payload: vec![0; len].into() };
        Departing { next: node(next), incoming, outgoing: vec![source] }
    }

    fn outbox(messages_per_node: usize, messages: usize, bytes: usize) -> Outbox {
        Outbox::new(OutboxLimits { messages_per_node, messages, bytes })
    }

    #[test]
    fn a_loud_peer_makes_room_for_a_quiet_one() {
        let outbox = outbox(3, 5, 1000);
        for _ in 0..3 {
            assert_eq!(outbox.push(message(1, 9, 1)), []);
        }
        assert_eq!(outbox.push(message(1, 9, 7)), [message(1, 9, 7)], "its own newest");
        assert_eq!(outbox.push(message(2, 9, 1)), [message(1, 9, 1)]);
        assert_eq!(outbox.push(message(3, 9, 1)), [message(1, 9, 1)]);
        // All are equally loud now.
        assert_eq!(outbox.push(message(4, 9, 1)), [message(4, 9, 1)]);
        assert!(outbox.holds_for(&node(9)) && !outbox.holds_for(&node(8)));
        // Over all next nodes.
        assert_eq!(outbox.push(message(1, 8, 1)), []);
        assert_eq!(outbox.push(message(1, 7, 1)), []);
        assert_eq!(outbox.push(message(5, 6, 1)), [message(1, 7, 1)]);
    }

    #[test]
    fn bytes_are_bounded_too() {
        let outbox = outbox(9, 9, 100);
        assert_eq!(outbox.push(message(1, 9, 40)), []);
        assert_eq!(outbox.push(message(1, 8, 40)), []);
        assert_eq!(outbox.push(message(2, 7, 40)), [message(1, 8, 40)]);
        assert_eq!(outbox.push(message(2, 7, 200)), [message(2, 7, 200)]);
    }

    #[tokio::test(start_paused = true)]
    async fn each_goes_when_its_next_node_is_ready() {
        let outbox = outbox(9, 9, 1000);
        let start = Instant::now();
        let later = start + Duration::from_secs(5);
        let ready_at = |next: &NodeId| if *next == node(9) { later } else { start };
        for message in [message(1, 9, 1), message(1, 8, 1), message(2, 9, 2), message(2, 7, 1)] {
            assert_eq!(outbox.push(message), []);
        }
        assert_eq!(outbox.next(ready_at).await, message(1, 8, 1));
        assert_eq!(outbox.next(ready_at).await, message(2, 7, 1));
        assert_eq!(start.elapsed(), Duration::ZERO);
        assert_eq!(outbox.next(ready_at).await, message(1, 9, 1));
        assert_eq!(start.elapsed(), Duration::from_secs(5));
        assert_eq!(outbox.next(ready_at).await, message(2, 9, 2));

        // One that comes while another is waited for.
        let waiting = async {
            assert_eq!(outbox.next(|_| start).await, message(3, 1, 1));
        };
        let coming = async { assert_eq!(outbox.push(message(3, 1, 1)), []) };
        tokio::join!(waiting, coming);
    }
}
