//! Onion messages of our own.

use std::sync::Arc;

use core::time::Duration;

use tokio::time::{Instant, timeout_at};
use wire_core::limits::{LARGE_ONION_AREA_LEN, ONION_OVERHEAD};
use wire_core::message::onion_message::OnionMessage as Wire;
use wire_core::message::tlv::TlvRecord;
use wire_core::onion::blinded_path::{self, CreateError, Introduction, PathNode};
use wire_core::onion::message::{ComposeError, Contents, Keys, MAX_HOPS, Route, compose};
use wire_core::onion::{BlindedIdentity, BlindedPath, Packet, SharedSecret};

use super::relay::{self, payload_of, process};
use super::replies::PathId;
use super::{Arrived, OnionDrop, OnionRecord, ReplyPath};
use crate::limits::ONION_REPLIES;
use crate::node::Shared;
use crate::peer::dial::fresh_ephemeral;
use crate::system::random_bytes;
use crate::{Node, NodeId};

/// An onion message to be sent.
#[derive(Debug, Clone)]
pub struct OutgoingOnion {
    /// Who gets it.
    pub to: OnionDestination,
    /// The way there.
    pub via: Via,
    /// What it says: records with rising types, other than 2 and 4; at most one of type 64 or above.
    pub records: Vec<OnionRecord>,
}

/// Who gets a message.
#[derive(Debug, Clone)]
pub enum OnionDestination {
    /// The node with this id.
    Node(NodeId),
    /// Whoever is at the end of this path.
    Path(ReplyPath),
}

/// The way of a message.
#[derive(Debug, Clone)]
pub enum Via {
    /// Over these nodes in their order, then to the destination or to the first node of its path. None: straight to it.
    Nodes(Vec<NodeId>),
    /// Straight to it if it is a peer, or one whose address is known; else over the peer that has been connected for the
    /// longest and takes onion messages. This node knows no map of the network: whether that peer knows the next node
    /// shows only by an answer.
    Auto,
}

/// An onion message was not sent, or its answer did not come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OnionSendError {
    /// There is no peer to send it over.
    #[error("no peer takes onion messages; connect to one, or name the hops")]
    NoPeer,
    /// The first node of the route is not connected.
    #[error("the first hop {0} is not connected")]
    NotConnected(NodeId),
    /// The path begins at a channel, and this node knows none.
    #[error(
        "the path begins at channel {0}, and this node knows no channels; name the hops to the node there"
    )]
    UnknownChannel(u64),
    /// The way has a node twice in a row, which would be asked to send the message to itself.
    #[error(
        "the way leads from {0} to itself; the hops are without the destination, and without the first node of its path"
    )]
    Repeated(NodeId),
    /// It cannot be composed.
    #[error("{0}")]
    Compose(ComposeError),
    /// The path for the answer cannot be made.
    #[error("the path for the answer: {0}")]
    ReplyPath(CreateError),
    /// The first hop, which may be this node, does not take it.
    #[error("{0}")]
    FirstHop(OnionDrop),
    /// As many answers are waited for as the limits allow.
    #[error("{limit} answers are waited for already, which is the limit")]
    TooManyWaiting {
        /// How many that is.
        limit: usize,
    },
    /// No answer came in time.
    #[error("no answer came within {} ms", .within.as_millis())]
    NoAnswer {
        /// How long was waited.
        within: Duration,
    },
    /// The system has no random numbers.
    #[error("the system gives no random numbers")]
    NoRandomness,
}

/// What stands for a time that the clock cannot name: longer than nodes run.
const LONGEST_WAIT: Duration = Duration::from_hours(30 * 365 * 24);

impl Node {
    /// Sends an onion message and returns its first hop. Nothing tells whether it arrives.
    ///
    /// # Errors
    /// [`OnionSendError`]; nothing was sent then.
    pub async fn send_onion_message(&self, message: &OutgoingOnion) -> Result<NodeId, OnionSendError> {
        let shared = self.shared();
        let way = way(shared, message).await?;
        send(shared, message, &way, None)
    }

    /// Sends an onion message with a path for an answer and waits for that. The path leads back over the same nodes, is
    /// good for one answer and for `within`.
    ///
    /// # Errors
    /// [`OnionSendError`]; after [`OnionSendError::NoAnswer`] the message may have arrived all the same.
    pub async fn ask_over_onion(
        &self,
        message: &OutgoingOnion,
        within: Duration,
    ) -> Result<Arc<super::OnionMessage>, OnionSendError> {
        let shared = self.shared();
        let now = Instant::now();
        let until = now.checked_add(within).unwrap_or(now + LONGEST_WAIT);
        let mut number = [0; 16];
        random_bytes(&mut number).map_err(|_| OnionSendError::NoRandomness)?;
        let late = |_| OnionSendError::NoAnswer { within };
        let way = timeout_at(until, way(shared, message)).await.map_err(late)??;
        let expected = shared.onions.replies.open(&shared.secrets, number, until);
        let mut expected = expected.ok_or(OnionSendError::TooManyWaiting { limit: ONION_REPLIES })?;
        send(shared, message, &way, Some(&expected.path_id))?;
        match timeout_at(until, &mut expected.answer).await {
            Ok(Ok(answer)) => Ok::<Arrived, _>(answer),
            _ => Err(OnionSendError::NoAnswer { within }),
        }
    }

    /// Does with an onion what would be done had a peer sent it, but for the limits: for programs that make their onions
    /// themselves.
    ///
    /// # Errors
    /// Why it goes no further.
    pub fn inject_onion_message(&self, path_key: &NodeId, packet: &[u8]) -> Result<(), OnionDrop> {
        process(self.shared(), path_key, packet, None).map_err(|stop| stop.reason)
    }

    /// The secret that the sender of an onion shares with this node, with which its layer for us comes off. For programs
    /// that look into onions themselves.
    pub fn onion_secret(&self, packet: &Packet<'_>) -> SharedSecret {
        packet.shared_secret(&self.shared().local.key)
    }

    /// Who this node is as a hop of a blinded path, for one path key. `None` cannot be brought about by anybody.
    pub fn blinded_identity(&self, path_key: &NodeId) -> Option<BlindedIdentity> {
        BlindedIdentity::new(&self.shared().local.key, path_key)
    }
}

/// The nodes before the destination, or before the first node of its path.
async fn way(shared: &Arc<Shared>, message: &OutgoingOnion) -> Result<Vec<NodeId>, OnionSendError> {
    if let Via::Nodes(nodes) = &message.via {
        return Ok(nodes.clone());
    }
    let end = match &message.to {
        OnionDestination::Node(id) => Some(*id),
        OnionDestination::Path(path) => introduction(path.decode().as_ref()),
    };
    if let Some(end) = end {
        if end == shared.id() || shared.registry.get(&end).is_some() {
            return Ok(Vec::new());
        }
        if relay::connect_if_known(shared, end).await {
            return Ok(Vec::new());
        }
    }
    let peers = shared.registry.all();
    let eldest = peers.iter().filter(|peer| relay::takes_onions(peer)).min_by_key(|peer| peer.opened);
    eldest.map(|peer| vec![peer.peer.id]).ok_or(OnionSendError::NoPeer)
}

/// Composes and hands to the first hop.
fn send(
    shared: &Arc<Shared>,
    message: &OutgoingOnion,
    way: &[NodeId],
    path_id: Option<&PathId>,
) -> Result<NodeId, OnionSendError> {
    let path = match &message.to {
        OnionDestination::Node(_) => None,
        OnionDestination::Path(path) => path.decode(),
    };
    let mut nodes: Vec<PathNode<'_>> = way.iter().copied().map(PathNode::new).collect();
    if let OnionDestination::Node(id) = &message.to {
        nodes.push(PathNode::new(*id));
    }
    let ids = nodes.iter().map(|node| node.node).chain(introduction(path.as_ref()));
    if let Some((node, _)) = ids.clone().zip(ids.skip(1)).find(|(node, next)| node == next) {
        return Err(OnionSendError::Repeated(node));
    }
    let mut room = vec![0; ONION_OVERHEAD + LARGE_ONION_AREA_LEN];
    let reply_path = path_id.map(|id| reply_path(shared, way, path.as_ref(), id, &mut room)).transpose()?;
    let records: Vec<TlvRecord<'_>> = (message.records.iter())
        .map(|record| TlvRecord { kind: record.kind, value: &record.value })
        .collect();

    let keys = Keys { onion: fresh_key()?, path: fresh_key()? };
    let contents = Contents { reply_path, records: &records };
    let mut scratch = vec![0; ONION_OVERHEAD + LARGE_ONION_AREA_LEN];
    let mut packet = vec![0; ONION_OVERHEAD + LARGE_ONION_AREA_LEN];
    let composed = compose(keys, &Route { nodes: &nodes, path }, &contents, &mut scratch, &mut packet)
        .map_err(OnionSendError::Compose)?;
    let first = match composed.first {
        Introduction::Node(id) => id,
        Introduction::Channel { short_channel_id, .. } => {
            return Err(OnionSendError::UnknownChannel(short_channel_id));
        }
    };
    if first == shared.id() {
        // A path that begins here, or a message to ourselves.
        process(shared, &composed.path_key, composed.packet, None)
            .map_err(|stop| OnionSendError::FirstHop(stop.reason))?;
        return Ok(first);
    }
    let peer = shared.registry.get(&first).ok_or(OnionSendError::NotConnected(first))?;
    let payload = payload_of(&Wire { path_key: composed.path_key, packet: composed.packet });
    shared.onions.hand_over(&peer, &payload).map_err(OnionSendError::FirstHop)?;
    Ok(first)
}

/// The node at which a path begins, if it is named.
fn introduction(path: Option<&BlindedPath<'_>>) -> Option<NodeId> {
    match path?.introduction {
        Introduction::Node(id) => Some(id),
        Introduction::Channel { .. } => None,
    }
}

/// A path to us for an answer, over the nodes that the message goes over. It begins at the node before the destination, or
/// at the first node of the destination's path: those the destination reaches.
fn reply_path<'r>(
    shared: &Shared,
    way: &[NodeId],
    path: Option<&BlindedPath<'_>>,
    path_id: &PathId,
    room: &'r mut [u8],
) -> Result<BlindedPath<'r>, OnionSendError> {
    let theirs = introduction(path).filter(|id| *id != shared.id());
    let mut nodes: Vec<PathNode<'_>> = theirs.into_iter().map(PathNode::new).collect();
    nodes.extend(way.iter().rev().copied().map(PathNode::new));
    let mut us = PathNode::new(shared.id());
    us.data.path_id = Some(path_id);
    nodes.push(us);
    if nodes.len() > MAX_HOPS {
        return Err(OnionSendError::Compose(ComposeError::TooManyHops { hops: nodes.len() }));
    }
    let key = fresh_key()?;
    blinded_path::create(key, &nodes, room).map_err(OnionSendError::ReplyPath)
}

fn fresh_key() -> Result<wire_core::secret::EphemeralKey, OnionSendError> {
    fresh_ephemeral().map_err(|_| OnionSendError::NoRandomness)
}
