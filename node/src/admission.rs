//! Who may stay: the node's owner can look at every peer before it counts as connected.
//!
//! The question is asked when the handshake is done, `init` has been exchanged and the registry has the connection, so
//! that messages can be sent to the peer while it is being answered. Until then nobody is told of the peer, and its
//! custom messages are held back; its pings and the like are answered as ever. An answer that takes longer
//! than [`Limits::admission`](crate::Limits::admission) is not waited for: the peer stays.

use core::future::Future;
use core::pin::Pin;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use tokio::time::timeout;

use crate::limits::{HELD_BYTES, HELD_MESSAGES};
use crate::peer::mailbox::Mailbox;
use crate::system::spawn;
use crate::{Limits, MessageType, PeerInfo};

/// Decides which peers may stay. Given to [`NodeBuilder::gatekeeper`](crate::NodeBuilder::gatekeeper).
pub trait Gatekeeper: Send + Sync {
    /// Begins to think about a peer. `None` when there is nothing to think about: then it stays, and nobody waits.
    fn consider(&self, peer: &PeerInfo) -> Option<Consideration>;
}

/// A verdict that will come.
pub type Consideration = Pin<Box<dyn Future<Output = Verdict> + Send>>;

/// What a [`Gatekeeper`] says of a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The peer stays.
    Welcome,
    /// The connection closes.
    TurnAway {
        /// What the peer is told in a `warning` before that, if anything.
        warning: Option<String>,
    },
}

/// Waits for the verdict, for as long as the limits allow, and has the peer's task told.
pub(crate) fn await_verdict(consideration: Consideration, limits: &Limits, mailbox: Arc<Mailbox>) {
    let limit = limits.admission;
    spawn(async move {
        let verdict = timeout(limit, consideration).await.unwrap_or_else(|_| {
            tracing::warn!("no word on a peer's admission within {} s: it stays", limit.as_secs());
            Verdict::Welcome
        });
        mailbox.decide(verdict);
    });
}

/// Custom messages of a peer on which there is no verdict yet.
#[derive(Debug, Default)]
pub(crate) struct Held {
    messages: Vec<HeldMessage>,
    bytes: usize,
}

#[derive(Debug)]
pub(crate) struct HeldMessage {
    pub(crate) kind: MessageType,
    pub(crate) payload: Bytes,
    pub(crate) received: SystemTime,
}

impl Held {
    pub(crate) fn hold(&mut self, kind: MessageType, payload: &[u8], received: SystemTime) {
        self.bytes = self.bytes.saturating_add(payload.len());
        self.messages.push(HeldMessage { kind, payload: Bytes::copy_from_slice(payload), received });
    }

    /// Whether nothing more of the peer may be read before the verdict.
    pub(crate) fn is_full(&self) -> bool {
        self.messages.len() >= HELD_MESSAGES || self.bytes >= HELD_BYTES
    }

    pub(crate) fn len(&self) -> usize {
        self.messages.len()
    }

    /// In the order in which they came.
    pub(crate) fn into_messages(self) -> Vec<HeldMessage> {
        self.messages
    }
}
