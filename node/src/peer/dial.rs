//! Outgoing connections: one attempt per peer at a time, which everybody who wants that peer shares.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;
use wire_core::connection::Connection;
use wire_core::secret::{EphemeralKey, Secret};

use super::task::{Origin, PeerTask};
use crate::error::{ConnectStage, SystemError};
use crate::events::Event;
use crate::node::Shared;
use crate::system::{TcpStream, prepare, random_bytes, spawn};
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
    outcome: Arc<Outcome>,
}

/// What becomes of an attempt, for everybody who waits for it.
#[derive(Debug)]
struct Outcome {
    result: OnceLock<Result<PeerInfo, ConnectError>>,
    /// Closed when the attempt is over; nobody ever gets a permit.
    over: Semaphore,
}

impl Outcome {
    async fn wait(&self) -> Result<PeerInfo, ConnectError> {
        // An error, always: the semaphore has no permits and is closed at the end.
        let _ = self.over.acquire().await;
        // The attempt went without an outcome: the runtime is shutting down.
        self.result.get().cloned().unwrap_or(Err(ConnectError::ShuttingDown))
    }
}

impl Attempts {
    pub(crate) fn new(limit: usize) -> Attempts {
        let slots = Semaphore::new(limit.clamp(1, Semaphore::MAX_PERMITS));
        Attempts { under_way: Mutex::default(), slots }
    }

    #[cfg(all(test, not(oddwire_loom)))]
    pub(crate) fn count(&self) -> usize {
        self.lock().len()
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
        let Some(attempt) = join_or_start(shared, id, address) else { continue };
        match attempt.outcome.wait().await {
            // Somebody else's attempt, at another address: ours has yet to be tried.
            Err(_) if attempt.address != address && !shared.is_stopping() => {}
            outcome => return outcome,
        }
    }
}

/// The attempt under way, or a new one; `None` if the peer has become connected.
fn join_or_start(shared: &Arc<Shared>, id: NodeId, address: SocketAddr) -> Option<Attempt> {
    let attempt = match shared.attempts.lock().entry(id) {
        Entry::Occupied(entry) => return Some(entry.get().clone()),
        // An attempt leaves the map after its peer is in the registry, so one that was under way a moment ago shows here.
        Entry::Vacant(_) if shared.registry.get(&id).is_some() => return None,
        Entry::Vacant(entry) => {
            let outcome = Arc::new(Outcome { result: OnceLock::new(), over: Semaphore::const_new(0) });
            entry.insert(Attempt { address, outcome }).clone()
        }
    };
    // A task of its own: whoever asked first may give up waiting, others may have joined. Not under the lock: a runtime
    // that is shutting down drops the task at once, and that removes the entry.
    spawn(run(Running { shared: Arc::clone(shared), id, attempt: attempt.clone() }));
    Some(attempt)
}

/// An attempt that runs. However it ends, its entry in the map goes, and then those who wait for it get on.
struct Running {
    shared: Arc<Shared>,
    id: NodeId,
    attempt: Attempt,
}

impl Drop for Running {
    fn drop(&mut self) {
        // Out of the map before it is told: who asks again from here on starts anew.
        self.shared.attempts.lock().remove(&self.id);
        self.attempt.outcome.over.close();
    }
}

async fn run(running: Running) {
    let Running { shared, id, attempt: Attempt { address, outcome: told } } = &running;
    let address = *address;
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
    // It is told when `running` goes. There is no other to set it.
    let _ = told.result.set(outcome);
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
    prepare(&stream).map_err(|error| system(&error))?;
    let ephemeral = fresh_ephemeral().map_err(|error| system(&error))?;
    tracing::debug!(peer = %id, "Connected out, starting crypto");

    let place = shared.connections.admit_outbound().ok_or(ConnectError::ShuttingDown)?;
    let connection = Connection::initiator(Arc::clone(&shared.local), id, ephemeral, shared.clock.now());
    let (outcome, opened) = oneshot::channel();
    let origin = Origin { direction: Direction::Out, address, outcome: Some(outcome) };
    spawn(PeerTask::new(Arc::clone(shared), stream, origin, connection, place).run());
    opened.await.unwrap_or(Err(ConnectError::ShuttingDown))
}

/// A key for one handshake.
///
/// # Errors
/// The system has no random numbers.
pub(crate) fn fresh_ephemeral() -> io::Result<EphemeralKey> {
    loop {
        let mut bytes = zeroize::Zeroizing::new([0; 32]);
        random_bytes(bytes.as_mut()).map_err(io::Error::other)?;
        // One draw in 2^127 is no key.
        if let Ok(key) = EphemeralKey::from_bytes(Secret::new(*bytes)) {
            return Ok(key);
        }
    }
}
