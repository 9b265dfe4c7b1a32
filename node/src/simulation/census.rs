//! What a node holds at a moment, against what its limits allow and against what it may hold when nobody is connected.

use std::fmt;

use super::trace::Trace;
use crate::limits::{
    ONION_ADDRESSES, ONION_CALLS, ONION_INBOX_BYTES, ONION_INBOX_MESSAGES, ONION_MESSAGES_PER_CALL,
    ONION_OUTBOX_BYTES, ONION_OUTBOX_MESSAGES, ONION_REPLIES,
};
use crate::onion::relay::Held;
use crate::{Limits, Node};

/// The largest message that a peer can send, in bytes, with what an event weighs more.
const ONE_MESSAGE: usize = 66_000;

/// What a node holds.
#[derive(Debug)]
pub(super) struct Census {
    limits: Limits,
    peers: usize,
    arriving: usize,
    settled: usize,
    attempts: usize,
    /// Messages and bytes of each peer's queue.
    queues: Vec<(usize, usize)>,
    backlogs: Vec<(usize, usize)>,
    history: (usize, usize),
    onions: Held,
}

impl Census {
    pub(super) fn of(node: &Node) -> Census {
        let shared = node.shared();
        Census {
            limits: shared.limits,
            peers: shared.registry.len(),
            arriving: shared.connections.arriving(),
            settled: shared.connections.settled(),
            attempts: shared.attempts.count(),
            queues: (shared.registry.all().iter())
                .map(|peer| (peer.queue.queued_messages(), peer.queue.queued_bytes()))
                .collect(),
            backlogs: shared.hub.backlogs(),
            history: shared.hub.kept(),
            onions: shared.onions.held(),
        }
    }

    /// Nothing is above its limit.
    pub(super) fn check_limits(&self, whose: impl fmt::Display, trace: &Trace) {
        let Limits { peers, pending_inbound, send_queue_messages, send_queue_bytes, .. } = self.limits;
        let Limits { backlog_events, backlog_bytes, history_messages, history_bytes, .. } = self.limits;
        let within = |what: &str, (count, bytes): (usize, usize), limits: (usize, usize)| {
            if count > limits.0 || bytes > limits.1 {
                trace.violation(format_args!(
                    "{whose} holds {count} ({bytes} bytes) of {what}, at most {} ({} bytes)",
                    limits.0, limits.1
                ));
            }
        };
        let one = |what: &str, count: usize, limit: usize| within(what, (count, 0), (limit, 0));
        one("peers", self.peers, peers);
        one("strangers", self.arriving, pending_inbound.max(1));
        for queue in &self.queues {
            within("a send queue", *queue, (send_queue_messages, send_queue_bytes));
            if queue.0 == 0 {
                within("an empty send queue", *queue, (0, 0));
            }
        }
        for backlog in &self.backlogs {
            // As much again for who comes and goes; the last may have a gap before it, and one that is alone any size.
            let most = (2 * backlog_events + 2, 2 * backlog_bytes + ONE_MESSAGE + self.largest_report());
            within("a backlog", *backlog, most);
        }
        within("history", self.history, (history_messages, history_bytes));
        let Held { inbox, outbox, buckets, replies, addresses, calls, waiting_for_calls } = self.onions;
        within("the onion inbox", inbox, (ONION_INBOX_MESSAGES, ONION_INBOX_BYTES));
        within("the onion outbox", outbox, (ONION_OUTBOX_MESSAGES, ONION_OUTBOX_BYTES));
        one("buckets", buckets[0].max(buckets[1]), peers);
        one("awaited answers", replies, ONION_REPLIES);
        one("addresses for onions", addresses, ONION_ADDRESSES);
        one("calls for onions", calls, ONION_CALLS);
        one("onions that wait for calls", waiting_for_calls, ONION_CALLS * ONION_MESSAGES_PER_CALL);
    }

    /// The event with all that two queues of a peer had not sent.
    fn largest_report(&self) -> usize {
        2 * (self.limits.send_queue_bytes + 100 * self.limits.send_queue_messages)
    }

    /// Nobody is connected, and nothing is under way.
    pub(super) fn check_empty(&self, whose: impl fmt::Display, trace: &Trace) {
        let left = [
            ("peers", self.peers),
            ("strangers", self.arriving),
            ("connections", self.settled),
            ("attempts", self.attempts),
            ("onions to peel", self.onions.inbox.0),
            ("onions to forward", self.onions.outbox.0),
            ("awaited answers", self.onions.replies),
            ("calls for onions", self.onions.calls),
            ("onions that wait for calls", self.onions.waiting_for_calls),
        ];
        for (what, count) in left.into_iter().filter(|(_, count)| *count > 0) {
            trace.violation(format_args!("{whose} is connected to nobody and still has {count} {what}"));
        }
    }

    /// Whether anybody is connected, or about to be.
    pub(super) fn is_quiet(&self) -> bool {
        self.peers + self.arriving + self.settled + self.attempts == 0
    }
}
