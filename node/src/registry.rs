//! Which peers are connected: from node id to the connection's handle.
//!
//! Looking a peer up takes no lock, as every message that is sent does it. Connections come and go under one, so that
//! "is there room", "who was there" and "now it is me" are one step.

use std::sync::{Arc, Mutex, PoisonError};

use core::time::Duration;

use wire_core::limits::PUBLIC_KEY_LEN;

use crate::peer::handle::PeerHandle;
use crate::{Direction, NodeId};

/// Seeded by the system: a peer chooses its id, and must not choose its place among the others with it.
#[cfg(any(not(test), oddwire_loom))]
type Hasher = std::hash::RandomState;

/// The same in every run, so that the simulation has the peers in the same order.
#[cfg(all(test, not(oddwire_loom)))]
type Hasher = std::hash::BuildHasherDefault<std::hash::DefaultHasher>;

/// All connected peers of a node.
#[derive(Debug)]
pub(crate) struct Registry {
    our_id: NodeId,
    limit: usize,
    peers: papaya::HashMap<NodeId, Arc<PeerHandle>, Hasher>,
    admission: Mutex<()>,
}

/// What became of a connection that wants to be the peer's.
#[derive(Debug)]
pub(crate) enum Admission {
    /// It is the only one.
    First,
    /// It took the place of this older one, which must hand over and close.
    Replaces(Arc<PeerHandle>),
    /// Both sides connected to each other at once, and this other connection is the one that we keep, if the peer does.
    Yields(Arc<PeerHandle>),
    /// There are as many peers as allowed.
    Full,
}

/// Two connections in opposite directions that open within this time were made at once. Longer than the slowest round
/// trip, shorter than a peer takes to restart and come back. And for as long the one that gives way is kept in reserve.
pub(crate) const SIMULTANEOUS: Duration = Duration::from_secs(2);

impl Registry {
    pub(crate) fn new(our_id: NodeId, limit: usize) -> Registry {
        Registry { our_id, limit, peers: papaya::HashMap::default(), admission: Mutex::new(()) }
    }

    pub(crate) fn get(&self, id: &NodeId) -> Option<Arc<PeerHandle>> {
        self.peers.pin().get(id).cloned()
    }

    /// The id that these bytes are, if its peer is connected: who is connected has proven that it is a key.
    pub(crate) fn id_of(&self, bytes: &[u8; PUBLIC_KEY_LEN]) -> Option<NodeId> {
        self.peers.pin().get_key_value(bytes).map(|(id, _)| *id)
    }

    /// Calls `with` with the peer's handle, without touching its reference count.
    pub(crate) fn with<T>(&self, id: &NodeId, with: impl FnOnce(&PeerHandle) -> T) -> Option<T> {
        self.peers.pin().get(id).map(|peer| with(peer))
    }

    pub(crate) fn len(&self) -> usize {
        self.peers.len()
    }

    pub(crate) fn all(&self) -> Vec<Arc<PeerHandle>> {
        self.peers.pin().values().cloned().collect()
    }

    /// Calls `with` for every peer, without a lock.
    pub(crate) fn each<T>(&self, mut with: impl FnMut(&PeerHandle) -> T) -> Vec<T> {
        self.peers.pin().values().map(|peer| with(peer)).collect()
    }

    /// Makes `newer`, whose handshake and `init` are done, the connection of its peer.
    ///
    /// The newer connection wins, as in Core Lightning: a peer that comes again has usually lost the old one without
    /// our noticing. But when both sides dial at once there are two good connections, and "newer" may be one for us and
    /// the other for the peer, which would close both. Then we keep the one that the smaller node id dialled, as LND does
    /// and as another node like this one does. A peer with another rule may close that very one: so the connection that
    /// gives way is not closed at once but waits for a moment, in case it is the one that is left.
    pub(crate) fn admit(&self, newer: &Arc<PeerHandle>) -> Admission {
        let _one_at_a_time = self.admission.lock().unwrap_or_else(PoisonError::into_inner);
        let peers = self.peers.pin();
        let Some(older) = peers.get(&newer.peer.id) else {
            if peers.len() >= self.limit {
                return Admission::Full;
            }
            peers.insert(newer.peer.id, Arc::clone(newer));
            return Admission::First;
        };
        let older = Arc::clone(older);
        let crossed = older.peer.direction != newer.peer.direction
            && !older.is_closing()
            && newer.opened.saturating_duration_since(older.opened) < SIMULTANEOUS;
        if crossed && !self.is_kept(newer) {
            return Admission::Yields(older);
        }
        peers.insert(newer.peer.id, Arc::clone(newer));
        Admission::Replaces(older)
    }

    /// Of two connections made at once: whether both sides keep this one.
    fn is_kept(&self, handle: &PeerHandle) -> bool {
        match handle.peer.direction {
            Direction::Out => self.our_id < handle.peer.id,
            Direction::In => handle.peer.id < self.our_id,
        }
    }

    /// Removes a connection that has ended, unless another has taken its place, and calls `tell` before any other can
    /// be admitted: nobody hears of the next connection before the end of this one. Whoever is told finds it removed.
    pub(crate) fn leave(&self, handle: &PeerHandle, tell: impl FnOnce()) {
        let _one_at_a_time = self.admission.lock().unwrap_or_else(PoisonError::into_inner);
        // Either outcome is fine: it is gone, or it was replaced.
        let _ = self
            .peers
            .pin()
            .remove_if(&handle.peer.id, |_, current| current.peer.serial == handle.peer.serial);
        tell();
    }
}
