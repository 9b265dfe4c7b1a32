//! Onion messages (BOLT 4): bytes for nodes that are not our peers, over nodes that need to understand nothing but BOLT 4.
//!
//! ```text
//!  peer's task -> bucket of the peer -> inbox (bounded) -> relay: peel -> for us:     reply path, or event
//!                                                                     -> for others: outbox (bounded), bucket, their send queue
//!  send: route, records -> wire_core composes -> first hop;  with a reply path, and somebody who waits for it
//! ```
//!
//! - `bucket`, `inbox`, `outbox`: what strangers may make us do, per peer and in all.
//! - `relay`: what becomes of a message; every one that goes no further is counted, and told with its reason.
//! - `replies`: the paths that we have given out for answers, each good for one.
//! - `addresses`: peers that a message may be worth a call to.
//! - `send`: messages of our own.
//!
//! Nothing is remembered of messages that passed: one that comes again is peeled again and forwarded again, at the expense
//! of the tokens of whoever sends it; an answer that comes again finds its path spent.

mod addresses;
mod bucket;
mod inbox;
mod outbox;
pub(crate) mod relay;
mod replies;
mod send;
#[cfg(test)]
mod tests;

use std::io;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
pub use wire_core::message::onion_message::OnionMessageError;
pub use wire_core::onion::BlindedPath;
pub use wire_core::onion::blinded_path::{Introduction, PathError};
pub use wire_core::onion::message::{ComposeError, NextHop, ReceiveError};
use wire_core::secret::EphemeralKey;

pub(crate) use self::bucket::Pace;
pub use self::send::{OnionDestination, OnionSendError, OutgoingOnion, Via};
use crate::peer::dial::fresh_ephemeral;
use crate::{MessageType, NodeId, SendError};

/// The record that carries a custom message over several hops: its value is a message type, 2 bytes big endian, and what
/// follows it. Odd, so that whoever does not know it ignores it; the letters `ODWI`, so that it meets no other.
pub const CUSTOM_MESSAGE_RECORD: u64 = 0x4f44_5749;

/// A fresh key for an onion that is wrapped with `wire_core` directly.
///
/// # Errors
/// What the system says when it has no random numbers.
pub fn session_key() -> io::Result<EphemeralKey> {
    fresh_ephemeral()
}

/// An onion message that was for us.
#[derive(Debug, Clone)]
pub struct OnionMessage {
    /// The records of its payload, in the order of their types.
    pub records: Vec<OnionRecord>,
    /// What the path that it came over was called when it was made; `None` if the sender chose the way itself. Paths
    /// of this node for answers never show here.
    pub path_id: Option<Bytes>,
    /// The path for an answer, if one is wanted.
    pub reply_path: Option<ReplyPath>,
    /// When it was peeled.
    pub received: SystemTime,
}

impl OnionMessage {
    /// What it holds, in bytes.
    pub(crate) fn weight(&self) -> usize {
        let records: usize =
            self.records.iter().map(|record| size_of::<OnionRecord>() + record.value.len()).sum();
        let path_id = self.path_id.as_ref().map_or(0, Bytes::len);
        records + path_id + self.reply_path.as_ref().map_or(0, |path| path.as_bytes().len())
    }
}

/// One record of a payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnionRecord {
    /// Its type.
    pub kind: u64,
    /// Its value.
    pub value: Bytes,
}

impl OnionRecord {
    /// A custom message as a record.
    pub fn custom_message(kind: MessageType, payload: &[u8]) -> OnionRecord {
        let value = [&kind.get().to_be_bytes(), payload].concat();
        OnionRecord { kind: CUSTOM_MESSAGE_RECORD, value: value.into() }
    }
}

/// A blinded path: known to be one, nothing more. Whose it is only its last node knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplyPath(Bytes);

impl ReplyPath {
    /// Takes `blinded_path` as BOLT 4 encodes it.
    ///
    /// # Errors
    /// [`PathError`].
    pub fn from_bytes(bytes: impl Into<Bytes>) -> Result<ReplyPath, PathError> {
        let bytes = bytes.into();
        BlindedPath::decode(&bytes)?;
        Ok(ReplyPath(bytes))
    }

    /// As BOLT 4 encodes it.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Its fields. `None` cannot happen: they were read when it was made.
    pub fn decode(&self) -> Option<BlindedPath<'_>> {
        BlindedPath::decode(&self.0).ok()
    }
}

/// An onion message that went no further here.
#[derive(Debug, Clone)]
pub struct OnionDropped {
    /// The peer that sent it.
    pub source: NodeId,
    /// Why.
    pub reason: OnionDrop,
    /// The path key that came with it, if that could be read.
    pub path_key: Option<NodeId>,
    /// The onion as it came; empty if it could not be read.
    pub incoming: Bytes,
    /// If it was to be forwarded: to whom, and the onion for them.
    pub outgoing: Option<(NextHop, Bytes)>,
}

/// Why an onion message went no further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OnionDrop {
    /// The peer sends more than its share. Told once until its bucket has filled up again.
    #[error("the peer sends onion messages faster than one per {interval_ms} ms")]
    TooFast {
        /// [`crate::Limits::onion_in_interval`], in milliseconds.
        interval_ms: u128,
    },
    /// More wait to be peeled than the limits allow, and this peer has the most of them.
    #[error("too many onion messages wait here, and most of them are this peer's")]
    Busy,
    /// It is no `onion_message`.
    #[error("{0}")]
    Unreadable(OnionMessageError),
    /// BOLT 4 has it ignored.
    #[error("{0}")]
    Refused(ReceiveError),
    /// Its data names the next node by a channel, and this node has none.
    #[error("the next node is named by channel {0}, and this node has no channels")]
    UnknownChannel(u64),
    /// The next node is this one again.
    #[error("the next node is this one again")]
    BackToUs,
    /// The next node is not connected, and no address of it is known.
    #[error("the next node {0} is not connected, and no address of it is known")]
    NotConnected(NodeId),
    /// The next node could not be connected to, now or a moment ago; or too many others are being connected to for the sake
    /// of messages.
    #[error("the next node {0} could not be connected to")]
    NotReached(NodeId),
    /// The next node does not offer onion messages.
    #[error("the next node {0} does not take onion messages")]
    NotOffered(NodeId),
    /// The next node has had its share. Those that come from peers wait for a moment; this one was one too many.
    #[error("the next node {0} has been sent onion messages as fast as nodes allow")]
    TooFastForNext(NodeId),
    /// The queue to the next node does not take it.
    #[error("to the next node: {0}")]
    Send(SendError),
    /// It came over a path of ours that was used already, or has expired.
    #[error("it came over a reply path that was used already, or has expired")]
    SpentPath,
    /// It has a record of an even type that nobody here understands.
    #[error("its record of type {0} is even and unknown")]
    EvenRecord(u64),
    /// It carries a custom message of an even type that nobody here allows.
    #[error("it carries a message of the even type {}, which nobody allows", .0.get())]
    EvenType(MessageType),
    /// It carries a message of a type that the protocol itself uses.
    #[error("it carries a message of type {}, which the protocol itself uses", .0.get())]
    InternalType(MessageType),
    /// Its custom message is shorter than a type.
    #[error("it carries a custom message that is shorter than its type")]
    NoType,
}

/// What a node has done with onion messages since its start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OnionTraffic {
    /// Peers sent them, those that were dropped included.
    pub received: u64,
    /// They were for us.
    pub delivered: u64,
    /// They were handed to the next node's queue.
    pub forwarded: u64,
    /// They went no further, for whatever reason.
    pub dropped: u64,
}

/// Shared by all who get the same message.
pub(crate) type Arrived = Arc<OnionMessage>;
