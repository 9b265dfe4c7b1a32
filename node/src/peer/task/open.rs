//! What a connection has from its arrival to its end: its entry in the registry, its send queue, its two events.
//!
//! The end is told exactly once, also if the task panics or is dropped with its runtime: nobody may wait for a
//! connection that nobody serves.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::oneshot;
use wire_core::connection::CloseReason;
use wire_core::limits::FRAME_OVERHEAD;

use crate::UnsentMessage;
use crate::events::Event;
use crate::node::Shared;
use crate::peer::handle::PeerHandle;
use crate::send_queue::{Consumer, Unsent};

/// The newer connection of the same peer, which gets what was not sent.
pub(super) type Heir = oneshot::Sender<Vec<Unsent>>;

/// A connection that is its peer's.
pub(super) struct Open {
    shared: Arc<Shared>,
    pub(super) handle: Arc<PeerHandle>,
    pub(super) queue: Consumer,
    /// What an older connection of the same peer had not sent: goes out before the queue.
    pub(super) inherited: Option<Consumer>,
    /// Whether its beginning was told, so that its end has to be.
    pub(super) is_announced: bool,
    has_left: bool,
}

impl Open {
    /// For a connection that was admitted to the registry.
    pub(super) fn new(shared: Arc<Shared>, handle: Arc<PeerHandle>, queue: Consumer) -> Open {
        Open { shared, handle, queue, inherited: None, is_announced: false, has_left: false }
    }

    /// Where the next messages come from: what was inherited, until that is written.
    pub(super) fn next_queue(&mut self) -> &mut Consumer {
        if self.inherited.as_mut().is_some_and(|inherited| inherited.take().is_empty()) {
            self.inherited = None;
        }
        match &mut self.inherited {
            Some(inherited) => inherited,
            None => &mut self.queue,
        }
    }

    /// Leaves the registry, hands over or reports what was not sent, and tells the subscribers.
    pub(super) fn leave(&mut self, reason: CloseReason, heir: Option<Heir>) {
        self.has_left = true;
        self.handle.note_end(reason);
        let mut unsent = self.inherited.take().map(|mut inherited| inherited.close()).unwrap_or_default();
        unsent.extend(self.queue.close());
        let moving = if heir.is_some() { self.take_movable(&mut unsent) } else { Vec::new() };
        let id = self.handle.peer.id;
        // A log that panics is one of the few things that can end a task like this, and a second panic ends the process.
        if !unsent.is_empty() && !std::thread::panicking() {
            tracing::warn!(peer = %id, "{} messages were not sent: {reason}", unsent.len());
        }
        let unsent: Arc<[UnsentMessage]> = unsent.iter().map(describe).collect();
        let hub = &self.shared.hub;
        self.shared.registry.leave(&self.handle, || {
            if self.is_announced {
                hub.publish(&Event::Disconnected { id, reason, unsent });
            } else if !unsent.is_empty() {
                hub.publish(&Event::Unsent { id, reason, unsent });
            }
        });
        // The newer connection announces itself when it has what it inherits: after this. One that is gone has a task that
        // panicked or went with its runtime.
        if let Some(Err(lost)) = heir.map(|heir| heir.send(moving))
            && !lost.is_empty()
        {
            tracing::warn!(peer = %id, "{} messages were not sent: {reason}", lost.len());
            hub.publish(&Event::Unsent { id, reason, unsent: lost.iter().map(describe).collect() });
        }
    }

    /// Takes out what can go out on the newer connection: what is still plain, the oldest first, up to the limits of one
    /// queue. Without those, a backlog could grow with every connection that a peer makes and does not read from.
    fn take_movable(&self, unsent: &mut Vec<Unsent>) -> Vec<Unsent> {
        let limits = self.shared.limits.queue();
        let (mut messages, mut bytes) = (0, 0);
        let mut fits = |message: &Unsent| {
            messages += 1;
            bytes += message.message_len() + FRAME_OVERHEAD;
            messages <= limits.messages && bytes <= limits.bytes
        };
        let begun = unsent.iter().take_while(|message| message.payload().is_none()).count();
        let moving =
            unsent.iter().skip(begun).take_while(|message| message.payload().is_some() && fits(message));
        let end = begun + moving.count();
        unsent.drain(begun..end).collect()
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if !self.has_left {
            let has_panicked = std::thread::panicking();
            self.leave(if has_panicked { CloseReason::Transport } else { CloseReason::Shutdown }, None);
        }
        self.handle.set_gone();
    }
}

fn describe(message: &Unsent) -> UnsentMessage {
    UnsentMessage {
        kind: message.kind(),
        message_len: message.message_len(),
        payload: message.payload().map(Bytes::copy_from_slice),
    }
}
