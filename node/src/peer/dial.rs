//! Outgoing connections: one attempt per peer at a time, which everybody who wants that peer shares.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::net::TcpStream;
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::time::timeout;
use wire_core::connection::Connection;
use wire_core::secret::{EphemeralKey, Secret};

use super::task::{Origin, PeerTask};
use crate::error::{ConnectStage, SystemError};
use crate::events::Event;
use crate::node::Shared;
use crate::{ConnectError, Direction, NodeId, PeerInfo};

/// The attempts that are under way.
#[derive(Debug)]
pub(crate) struct Attempts {
    under_way: Mutex<HashMap<NodeId, Attempt>>,
    /// Permits to run.
    slots: Semaphore,
}

#[derive(Debug, Clone)]
struct Attempt {
    address: SocketAddr,
    outcome: watch::Receiver<Option<Result<PeerInfo, ConnectError>>>,
}

impl Attempts {
    pub(crate) fn new(limit: usize) -> Attempts {
        let slots = Semaphore::new(limit.clamp(1, Semaphore::MAX_PERMITS));
        Attempts { under_way: Mutex::default(), slots }
    }

    /// Each step under the lock is complete, so a panic elsewhere does not spoil the map.
    fn lock(&self) -> MutexGuard<'_, HashMap<NodeId, Attempt>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// See [`crate::Node::connect`].
pub(crate) async fn connect(
    shared: &Arc<Shared>,
    id: NodeId,
    address: SocketAddr,
) -> Result<PeerInfo, ConnectError> {
    if id == shared.id() {
        return Err(ConnectError::OwnId);
    }
    loop {
        if let Some(peer) = shared.registry.get(&id) {
            if !peer.is_closing() {
                return Ok(peer.info());
            }
            // On its way out: a new connection now would be taken for a second one.
            peer.gone().await;
        }
        let Some(mut attempt) = join_or_start(shared, id, address) else { continue };
        let outcome = match attempt.outcome.wait_for(Option::is_some).await {
            Ok(outcome) => outcome.clone(),
            // The attempt went without an outcome: the runtime is shutting down.
            Err(_) => None,
        };
        match outcome.unwrap_or(Err(ConnectError::ShuttingDown)) {
            // Somebody else's attempt, at another address: ours has yet to be tried.
            Err(_) if attempt.address != address && !shared.is_stopping() => {}
            outcome => return outcome,
        }
    }
}

/// The attempt under way, or a new one; `None` if the peer has become connected.
fn join_or_start(shared: &Arc<Shared>, id: NodeId, address: SocketAddr) -> Option<Attempt> {
    match shared.attempts.lock().entry(id) {
        Entry::Occupied(entry) => Some(entry.get().clone()),
        // An attempt leaves the map after its peer is in the registry, so one that was under way a moment ago shows here.
        Entry::Vacant(_) if shared.registry.get(&id).is_some() => None,
        Entry::Vacant(entry) => {
            let (sender, outcome) = watch::channel(None);
            let attempt = Attempt { address, outcome };
            entry.insert(attempt.clone());
            // A task of its own: whoever asked first may give up waiting, others may have joined.
            tokio::spawn(run(Running { shared: Arc::clone(shared), id }, address, sender));
            Some(attempt)
        }
    }
}

/// An attempt's entry in the map, removed however the attempt ends.
struct Running {
    shared: Arc<Shared>,
    id: NodeId,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shared.attempts.lock().remove(&self.id);
    }
}

async fn run(
    running: Running,
    address: SocketAddr,
    sender: watch::Sender<Option<Result<PeerInfo, ConnectError>>>,
) {
    let Running { shared, id } = &running;
    let mut outcome = tokio::select! {
        biased;
        () = shared.stopping() => Err(ConnectError::ShuttingDown),
        outcome = attempt(shared, *id, address) => outcome,
    };
    if outcome.is_err() {
        // Both sides may have dialled at once, and the peer closed this connection in favour of its own, which we are
        // about to see complete.
        shared.connections.while_arriving(id).await;
        if let Some(peer) = shared.registry.get(id) {
            outcome = Ok(peer.info());
        }
    }
    if let Err(error) = &outcome {
        tracing::debug!(peer = %id, "Failed connected out: {error}");
        shared.hub.publish(&Event::ConnectFailed { id: *id, address, error: error.clone() });
    }
    // Out of the map before it is told: who asks again from here on starts anew.
    drop(running);
    sender.send_replace(Some(outcome));
}

async fn attempt(shared: &Arc<Shared>, id: NodeId, address: SocketAddr) -> Result<PeerInfo, ConnectError> {
    let system = |error: &io::Error| {
        let (stage, error) = (ConnectStage::Establishment, SystemError::from(error));
        ConnectError::System { address, stage, error }
    };
    let connected = async {
        // Closed never: an error would only mean that nobody limits us.
        let slot = shared.attempts.slots.acquire().await.ok();
        TcpStream::connect(address).await.map(|stream| (slot, stream))
    };
    let (_slot, stream) = match timeout(shared.limits.connect_timeout, connected).await {
        Ok(connected) => connected.map_err(|error| system(&error))?,
        Err(_) => return Err(ConnectError::Timeout { address }),
    };
    // Small messages go out when they are sent, not when the peer has acknowledged the last.
    stream.set_nodelay(true).map_err(|error| system(&error))?;
    let ephemeral = fresh_ephemeral().map_err(|error| system(&error))?;
    tracing::debug!(peer = %id, "Connected out, starting crypto");

    let place = shared.connections.admit_outbound().ok_or(ConnectError::ShuttingDown)?;
    let connection = Connection::initiator(Arc::clone(&shared.local), id, ephemeral, shared.clock.now());
    let (outcome, opened) = oneshot::channel();
    let origin = Origin { direction: Direction::Out, address, outcome: Some(outcome) };
    tokio::spawn(PeerTask::new(Arc::clone(shared), stream, origin, connection, place).run());
    opened.await.unwrap_or(Err(ConnectError::ShuttingDown))
}

/// A key for one handshake.
///
/// # Errors
/// The system has no random numbers.
pub(crate) fn fresh_ephemeral() -> io::Result<EphemeralKey> {
    loop {
        let mut bytes = zeroize::Zeroizing::new([0; 32]);
        getrandom::fill(bytes.as_mut()).map_err(io::Error::other)?;
        // One draw in 2^127 is no key.
        if let Ok(key) = EphemeralKey::from_bytes(Secret::new(*bytes)) {
            return Ok(key);
        }
    }
}
