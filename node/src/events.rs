//! What a node tells its owner: peers that come and go, messages, warnings.
//!
//! Every subscription has its own backlog, bounded in events and in bytes. What does not fit is counted and told as a
//! gap in its place ([`Delivery::Gap`]). Publishing never waits; peers that send much wait a little for subscribers that are
//! behind (`calm`), and nobody for one that has missed something.
//!
//! Messages have running numbers of the node's, and the last of them are kept, bounded in number and in bytes: a subscriber
//! that was away goes on where it stopped ([`Node::resume`](crate::Node::resume)), and what is not kept any more is told as a
//! gap as well.
//!
//! A message's payload is copied once; all subscriptions and the history share the copy. Until the first subscription to
//! messages nothing is copied, numbered or locked; from then on every message is, also while nobody is subscribed.

mod backlog;
mod calm;
mod filter;
mod history;
mod hub;
mod payload;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;

pub(crate) use self::backlog::BacklogLimits;
pub(crate) use self::calm::Calm;
pub use self::filter::EventFilter;
pub(crate) use self::history::HistoryLimits;
pub use self::history::{Epoch, ResumeError};
pub use self::hub::Subscription;
pub(crate) use self::hub::{Hub, IncomingMessage};

use crate::{
    CloseReason, ConnectError, Direction, MessageType, NodeId, OnionDropped, OnionMessage, PeerInfo,
};

/// Something that happened at the node.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// A peer is connected: handshake done and `init` exchanged. For one peer, this and [`Event::Disconnected`] take turns;
    /// its messages come between them.
    Connected(PeerInfo),
    /// A peer that was connected is not any more.
    Disconnected {
        /// The peer.
        id: NodeId,
        /// Why. What to do about it: [`crate::policy::Treatment::of`].
        reason: CloseReason,
        /// Messages that had been accepted for this peer and did not go out, in their order.
        unsent: Arc<[UnsentMessage]>,
    },
    /// A connection ended that was never told as [`Event::Connected`], since there was no verdict of a
    /// [`Gatekeeper`](crate::Gatekeeper) on it yet, or not that one; and messages had been accepted for its peer.
    Unsent {
        /// The peer.
        id: NodeId,
        /// Why it ended.
        reason: CloseReason,
        /// Those that did not go out, in their order; at least one.
        unsent: Arc<[UnsentMessage]>,
    },
    /// An attempt to connect failed.
    ConnectFailed {
        /// Who was to be reached.
        id: NodeId,
        /// Where.
        address: SocketAddr,
        /// Why not.
        error: ConnectError,
    },
    /// A peer sent a message that the protocol itself has no use for.
    CustomMessage {
        /// The message's running number at this node, from 1, the same for all subscriptions. Those between the numbers that
        /// a subscription sees did not pass its filter, or are in a gap.
        number: u64,
        /// Who sent it.
        peer: NodeId,
        /// Its type.
        kind: MessageType,
        /// What follows the type.
        payload: Bytes,
        /// When it was read from the socket.
        received: SystemTime,
    },
    /// A custom message came over several hops (record [`CUSTOM_MESSAGE_RECORD`](crate::onion::CUSTOM_MESSAGE_RECORD) of
    /// an onion message). Nobody knows who sent it.
    MessageFromAfar {
        /// As for [`Event::CustomMessage`]; both are counted together.
        number: u64,
        /// Its type.
        kind: MessageType,
        /// What follows the type.
        payload: Bytes,
        /// The onion message that carried it, with the path for an answer if there is one.
        onion: Arc<OnionMessage>,
    },
    /// An onion message was for this node, and is no answer that anybody waits for.
    OnionMessage(Arc<OnionMessage>),
    /// An onion message that a peer sent went no further here.
    OnionDropped(Arc<OnionDropped>),
    /// A warning or an error was received or sent (BOLT 1).
    Warning {
        /// The other side.
        id: NodeId,
        /// `In`: the peer sent it; `Out`: we did.
        direction: Direction,
        /// Its text, everything but printable ASCII escaped.
        text: String,
    },
}

impl Event {
    /// Whom it is about; `None` for what came over several hops.
    pub fn peer(&self) -> Option<&NodeId> {
        Some(match self {
            Event::Connected(info) => &info.id,
            Event::Disconnected { id, .. }
            | Event::Unsent { id, .. }
            | Event::ConnectFailed { id, .. }
            | Event::Warning { id, .. } => id,
            Event::CustomMessage { peer, .. } => peer,
            Event::OnionDropped(dropped) => &dropped.source,
            Event::MessageFromAfar { .. } | Event::OnionMessage(_) => return None,
        })
    }

    fn is_onion(&self) -> bool {
        matches!(self, Event::OnionMessage(_) | Event::OnionDropped(_))
    }

    fn has_unsent(&self) -> bool {
        matches!(self, Event::Disconnected { unsent, .. } | Event::Unsent { unsent, .. } if !unsent.is_empty())
    }

    /// What it counts against [`crate::Limits::backlog_bytes`].
    fn weight(&self) -> usize {
        match self {
            Event::CustomMessage { payload, .. } => payload.len(),
            Event::MessageFromAfar { onion, .. } | Event::OnionMessage(onion) => onion.weight(),
            Event::OnionDropped(dropped) => {
                dropped.incoming.len() + dropped.outgoing.as_ref().map_or(0, |(_, onion)| onion.len())
            }
            Event::Warning { text, .. } => text.len(),
            Event::Connected(info) => info.features.len(),
            // Thousands of messages without a payload weigh something too.
            Event::Disconnected { unsent, .. } | Event::Unsent { unsent, .. } => (unsent.iter())
                .map(|message| size_of::<UnsentMessage>() + message.payload.as_ref().map_or(0, Bytes::len))
                .sum(),
            Event::ConnectFailed { .. } => 0,
        }
    }
}

/// A message that was accepted for sending and did not go out: no part of it, or not all of it, was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnsentMessage {
    /// Its type.
    pub kind: MessageType,
    /// Its length in bytes, type included.
    pub message_len: usize,
    /// What follows the type. `None` for the few messages that had been encrypted already, in place, when the connection
    /// ended ([`crate::Limits::frames_per_write`] at most).
    pub payload: Option<Bytes>,
}

/// What [`Subscription::next`] hands out.
#[derive(Debug, Clone)]
pub enum Delivery {
    /// An event.
    Event(Event),
    /// Here events are missing: the subscriber was too slow and its backlog was full, or, at the beginning of a subscription
    /// that was [resumed](crate::Node::resume), they are not kept any more.
    Gap {
        /// How many. At the beginning of a resumed subscription, how many at most: whether what is not kept would have
        /// passed the filter cannot be told.
        missed: u64,
    },
}
