//! The handle to a running node: what a program calls, and what the node's tasks share.

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use wire_core::connection::{CloseReason, Local};
use wire_core::message::ping::Ping;

use crate::admission::Gatekeeper;
use crate::clock::Clock;
use crate::connections::Connections;
use crate::even_types::AllowedEvenTypes;
use crate::events::Hub;
use crate::handshakes::Handshakes;
use crate::identity::SecretBase;
use crate::onion::OnionTraffic;
use crate::onion::relay::Relay;
use crate::peer::dial::{self, Attempts};
use crate::peer::handle::PeerHandle;
use crate::peer::turn::LongTurns;
use crate::registry::Registry;
use crate::stop::Stop;
use crate::{
    ConnectError, Direction, DisconnectError, Epoch, EvenTypesGuard, EventFilter, FeatureSet, Limits,
    MessageType, Network, NodeBuilder, NodeId, PeerInfo, PingError, RecoverableSignature, ResumeError,
    Secret, SendError, Subscription,
};

/// A running node. Cheap to clone; when the last handle is dropped the node stops, as by [`Node::shutdown`] but without
/// anybody waiting for it.
#[derive(Clone)]
pub struct Node {
    owner: Arc<Owner>,
}

/// Held by handles only, never by tasks: its end is the end of the node.
struct Owner {
    shared: Arc<Shared>,
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.shared.stop();
    }
}

/// What all tasks of a node share.
pub(crate) struct Shared {
    pub(crate) local: Arc<Local>,
    pub(crate) secrets: SecretBase,
    pub(crate) network: Network,
    pub(crate) limits: Limits,
    pub(crate) listening: Vec<SocketAddr>,
    pub(crate) clock: Clock,
    pub(crate) registry: Registry,
    pub(crate) connections: Arc<Connections>,
    /// What strangers may have us compute.
    pub(crate) handshakes: Handshakes,
    pub(crate) attempts: Attempts,
    pub(crate) hub: Arc<Hub>,
    /// The line of the peers that send much.
    pub(crate) long_turns: LongTurns,
    pub(crate) even_types: Arc<AllowedEvenTypes>,
    pub(crate) onions: Relay,
    /// Who is asked whether a peer may stay.
    pub(crate) gatekeeper: Option<Arc<dyn Gatekeeper>>,
    pub(crate) stop: Stop,
}

impl Node {
    /// Starts to describe a node.
    pub fn builder() -> NodeBuilder {
        NodeBuilder::default()
    }

    pub(crate) fn new(shared: Arc<Shared>) -> Node {
        Node { owner: Arc::new(Owner { shared }) }
    }

    /// The node's id: its public key.
    pub fn id(&self) -> NodeId {
        self.shared().id()
    }

    /// The network it belongs to.
    pub fn network(&self) -> Network {
        self.shared().network
    }

    /// The addresses it listens on, with real ports, in the order they were given to the builder.
    pub fn listening(&self) -> &[SocketAddr] {
        &self.shared().listening
    }

    /// The feature bits that our `init` offers (BOLT 9).
    pub fn features(&self) -> FeatureSet {
        self.shared().local.features
    }

    /// The limits it was started with.
    pub fn limits(&self) -> &Limits {
        &self.shared().limits
    }

    /// Connects to a peer and waits until `init` has been exchanged. When it is connected already, that connection's
    /// information is the answer. Calls for the same id at the same time share one attempt, and a call that is dropped
    /// does not end it.
    ///
    /// # Errors
    /// [`ConnectError`] says how far the attempt came and why it failed.
    pub async fn connect(&self, id: NodeId, address: SocketAddr) -> Result<PeerInfo, ConnectError> {
        let peer = dial::connect(self.shared(), id, address).await?;
        if peer.direction == Direction::Out {
            self.shared().onions.learn_address(id, peer.address);
        }
        Ok(peer)
    }

    /// Sends what is queued for the peer (for at most [`Limits::drain`]), closes the connection and returns when it is
    /// gone. What could not be sent in time is in the event that tells of the end. No onion message has it connected again.
    ///
    /// # Errors
    /// [`DisconnectError::NotConnected`].
    pub async fn disconnect(&self, id: &NodeId) -> Result<(), DisconnectError> {
        self.shared().onions.forget_address(id);
        let peer = self.shared().registry.get(id).ok_or(DisconnectError::NotConnected)?;
        peer.close(CloseReason::LocalDisconnect);
        peer.gone().await;
        Ok(())
    }

    /// Queues a message of the caller's own type. Returns at once: the peer's task sends it. Messages to one peer keep
    /// the order in which the calls returned.
    ///
    /// No lock is taken, and nothing is allocated but the queue's own room for the message.
    ///
    /// A message that was accepted is delivered once, to this peer alone, behind those that were accepted before it. If the
    /// connection ends before it has gone out, it moves to a newer connection of the same peer that takes the place of this
    /// one, or its sender is told: it is in the event of the end ([`Event::Disconnected`](crate::Event::Disconnected),
    /// [`Event::Unsent`](crate::Event::Unsent)). What was written to a connection that ends before the peer has read it is
    /// gone, and nobody on this side can know: whoever has to know has the peer answer.
    ///
    /// # Errors
    /// [`SendError`]; nothing was queued then. The type is looked at first, then the peer, then the length.
    pub fn send_custom_message(
        &self,
        id: &NodeId,
        kind: MessageType,
        payload: &[u8],
    ) -> Result<(), SendError> {
        not_internal(kind)?;
        self.shared()
            .registry
            .with(id, |peer| peer.send(kind, payload))
            .unwrap_or(Err(SendError::NotConnected))
    }

    /// As [`Self::send_custom_message`], for a payload that is made on the spot: `write` puts it where it will be
    /// encrypted, into `payload_len` bytes that are zero. What it answers is passed on; if that is an error, nothing was
    /// queued.
    ///
    /// # Errors
    /// As [`Self::send_custom_message`]; `write` was not called then.
    pub fn send_custom_message_with<E>(
        &self,
        id: &NodeId,
        kind: MessageType,
        payload_len: usize,
        write: impl FnOnce(&mut [u8]) -> Result<(), E>,
    ) -> Result<Result<(), E>, SendError> {
        not_internal(kind)?;
        self.shared()
            .registry
            .with(id, |peer| peer.send_with(kind, payload_len, write))
            .unwrap_or(Err(SendError::NotConnected))
    }

    /// As [`Self::send_custom_message`], but where that would answer `Full` this waits until there is room: in line with all
    /// others who wait for the same peer, served in the order in which they came. While somebody is in line, those who
    /// do not wait get `Full`.
    ///
    /// May be dropped at any time; nothing is queued then.
    ///
    /// # Errors
    /// [`SendError`], [`SendError::Closing`] also while waiting. `Full` only if 4,096 are in line.
    pub async fn send_custom_message_in_turn(
        &self,
        id: &NodeId,
        kind: MessageType,
        payload: &[u8],
    ) -> Result<(), SendError> {
        not_internal(kind)?;
        let peer = self.shared().registry.get(id).ok_or(SendError::NotConnected)?;
        peer.send_in_turn(kind, payload).await
    }

    /// Queues the same message for each of these peers. The payload is copied once for each, and encrypted there.
    ///
    /// Answers one result for each id, in their order: a peer that takes no message keeps no other from getting it.
    pub fn broadcast_custom_message<'i>(
        &self,
        ids: impl IntoIterator<Item = &'i NodeId>,
        kind: MessageType,
        payload: &[u8],
    ) -> Vec<(NodeId, Result<(), SendError>)> {
        ids.into_iter().map(|id| (*id, self.send_custom_message(id, kind, payload))).collect()
    }

    /// Queues the same message for every peer that is connected now, as [`Self::broadcast_custom_message`].
    ///
    /// A peer that comes or goes meanwhile may have got it or not; the answer has a result for each that was seen.
    pub fn broadcast_custom_message_to_all(
        &self,
        kind: MessageType,
        payload: &[u8],
    ) -> Vec<(NodeId, Result<(), SendError>)> {
        let send = |peer: &PeerHandle| {
            let result = not_internal(kind).and_then(|()| peer.send(kind, payload));
            (peer.peer.id, result)
        };
        self.shared().registry.each(send)
    }

    /// Pings the peer with `len` bytes of padding and asks for `pongbytes` in the answer. From 65532 on the peer does
    /// not answer (BOLT 1) and the reply is immediate, with a `totlen` of 0.
    ///
    /// # Errors
    /// [`PingError`]. A ping that is not answered ends with the connection, which does not outlive
    /// [`Limits::pong_timeout`] unless the peer sends other things.
    pub async fn ping(&self, id: &NodeId, len: u16, pongbytes: u16) -> Result<PingReply, PingError> {
        let peer = self.shared().registry.get(id).ok_or(PingError::NotConnected)?;
        peer.ping(Ping { num_pong_bytes: pongbytes, byteslen: len }).await
    }

    /// All connected peers, in no particular order.
    pub fn peers(&self) -> Vec<PeerInfo> {
        self.shared().registry.all().iter().map(|peer| peer.info()).collect()
    }

    /// One connected peer.
    pub fn peer(&self, id: &NodeId) -> Option<PeerInfo> {
        self.shared().registry.get(id).map(|peer| peer.info())
    }

    /// The id that these bytes are, if its peer is connected. Unlike [`NodeId::from_bytes`] it computes no square root to see
    /// whether they are a public key, which takes longer than to queue a message: for callers who have an id as text.
    pub fn connected_id(&self, bytes: &[u8; 33]) -> Option<NodeId> {
        self.shared().registry.id_of(bytes)
    }

    /// How many peers are connected.
    pub fn peer_count(&self) -> usize {
        self.shared().registry.len()
    }

    /// Accepts these even types from peers for as long as the guard lives (BOLT 1: an even type that nobody here
    /// understands closes the connection). Guards add up. Odd types are always accepted, and types that the protocol
    /// itself uses are never affected.
    pub fn allow_even_types(&self, types: impl IntoIterator<Item = MessageType>) -> EvenTypesGuard {
        self.shared().even_types.allow(types)
    }

    /// Opens a stream of what happens from now on.
    pub fn subscribe(&self, filter: EventFilter) -> Subscription {
        self.shared().hub.subscribe(filter)
    }

    /// Opens a stream as [`Node::subscribe`] does, beginning with the messages from number `from` on that are kept
    /// ([`Limits::history_messages`]). A subscriber that saw message 7 last and was away goes on with 8; what is not kept any
    /// more is told as a gap before the others. From the epoch, if it is given, is seen whether the numbers are still the same.
    ///
    /// Messages have numbers from the first subscription to messages on: what came before is neither kept nor counted.
    ///
    /// # Errors
    /// [`ResumeError`]: the node was started anew since, or the number is above that of the next message.
    pub fn resume(
        &self,
        filter: EventFilter,
        epoch: Option<Epoch>,
        from: u64,
    ) -> Result<Subscription, ResumeError> {
        self.shared().hub.resume(filter, epoch, from)
    }

    /// What the running numbers of this node's messages belong to: another start of the node has another one.
    pub fn epoch(&self) -> Epoch {
        self.shared().hub.epoch()
    }

    /// A secret of this node for a purpose of the caller's, named by `info`: the same node and the same `info` always give
    /// the same secret, and nobody can tell it, the node key or another such secret from it. Core Lightning's `makesecret`
    /// gives the same for the same `hsm_secret` file.
    pub fn derive_secret(&self, info: &[u8]) -> Secret<32> {
        self.shared().secrets.derive_secret(info)
    }

    /// Signs a message with the node key, so that [`RecoverableSignature::signer`] finds this node's id from both.
    pub fn sign_message(&self, message: &[u8]) -> RecoverableSignature {
        self.shared().local.key.sign_message(message)
    }

    /// Stops listening and dialling, sends what is queued (for at most [`Limits::drain`]), closes every connection and
    /// returns when all of them are gone. Then subscriptions end. Further calls wait for the same end.
    pub async fn shutdown(&self) {
        self.shared().stop();
        self.shared().stop.heeded().await;
        self.shared().connections.all_gone().await;
        self.shared().hub.close();
    }

    /// As [`Node::shutdown`], but connections that are not gone after this time are closed at once, so that what could not be
    /// sent to peers that do not read is told before the node ends.
    pub async fn shutdown_within(&self, time: Duration) {
        if timeout(time, self.shutdown()).await.is_err() {
            self.shared().connections.abort_all(CloseReason::Shutdown);
            self.shutdown().await;
        }
    }

    /// What was done with onion messages so far.
    pub fn onion_traffic(&self) -> OnionTraffic {
        self.shared().onions.traffic()
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.owner.shared
    }
}

fn not_internal(kind: MessageType) -> Result<(), SendError> {
    if kind.is_internal() { Err(SendError::InternalType(kind)) } else { Ok(()) }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node")
            .field("id", &self.id())
            .field("network", &self.network())
            .field("listening", &self.listening())
            .field("peers", &self.peer_count())
            .finish_non_exhaustive()
    }
}

impl Shared {
    pub(crate) fn id(&self) -> NodeId {
        self.local.key.node_id()
    }

    /// Tells every task that the node ends. May be called often; the first time counts.
    fn stop(&self) {
        if self.stop.ask() {
            self.connections.close(CloseReason::Shutdown);
        }
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stop.is_asked()
    }

    /// Waits until the node is to stop. The stop waits in turn until this is dropped.
    pub(crate) fn stopping(&self) -> impl Future<Output = ()> + use<> {
        self.stop.asked()
    }
}

/// What came back for a ping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PingReply {
    /// Length of the whole pong message in bytes, type included; 0 when no pong was asked for.
    pub totlen: u16,
}
