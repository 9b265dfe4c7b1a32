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
    /// This other connection is the one that we keep, if the peer does.
    Yields(Arc<PeerHandle>, Reserve),
    /// There are as many peers as allowed.
    Full,
}

/// When a connection that gave way to another takes its place after all. Messages that came over the one and wait on the other
/// have an order, and only the peer knows it; what cannot be told from the outside is left unread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reserve {
    /// When the other one ends and no message has come over it: all that the peer has sent is here.
    IfUnused,
    /// When the peer closes the other one in good order: it has moved to this one. A connection that breaks says nothing, since what
    /// waits here may be of the time before.
    IfClosedByPeer,
    /// Never: the peer has dialled again since, so it takes this one for lost.
    Never,
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
    /// our noticing. Newer is what was begun later: the `init` of a lost connection may still be on its way.
    ///
    /// But when both sides dial at once there are two good connections, and "newer" may be one for us and
    /// the other for the peer, which would close both. Then we keep the one that the smaller node id dialled, as LND does
    /// and as another node like this one does, unless messages have come over the other one already. A peer with another rule may
    /// close that very one, and a peer that has sent over the other may have lost the first: so the connection that
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
        if let Some(reserve) = self.gives_way(newer, &older) {
            return Admission::Yields(older, reserve);
        }
        peers.insert(newer.peer.id, Arc::clone(newer));
        Admission::Replaces(older)
    }

    /// Whether a connection that has just opened gives way to the one that its peer has now.
    fn gives_way(&self, newcomer: &PeerHandle, current: &PeerHandle) -> Option<Reserve> {
        if current.is_closing() {
            return None;
        }
        let was_first = newcomer.peer.serial < current.peer.serial;
        if newcomer.peer.direction == current.peer.direction {
            return was_first.then_some(Reserve::Never);
        }
        let at_once = newcomer.opened.saturating_duration_since(current.opened) < SIMULTANEOUS;
        if at_once && !self.is_kept(newcomer) {
            return Some(Reserve::IfUnused);
        }
        ((at_once || was_first) && current.has_delivered()).then_some(Reserve::IfClosedByPeer)
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

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::peer::handle::Particulars;
    use crate::send_queue::send_queue;
    use crate::{Identity, Limits, Secret};

    fn id(seed: u8) -> NodeId {
        Identity::from_secret(&Secret::new([seed; 32])).unwrap().node_id()
    }

    fn connection(id: NodeId, serial: u64, direction: Direction) -> Arc<PeerHandle> {
        let address = SocketAddr::from(([127, 0, 0, 1], 9735));
        let particulars =
            Particulars { id, serial, direction, address, features: bytes::Bytes::new(), seen_as: None };
        let (queue, _) = send_queue(Limits::default().queue());
        Arc::new(PeerHandle::new(particulars, queue, Arc::default()))
    }

    /// How a connection fares whose peer has another one already: the two numbers are of the order in which they were begun.
    async fn fares(
        current: (u64, Direction),
        newcomer: (u64, Direction),
        later: Duration,
        has_delivered: bool,
    ) -> Option<Reserve> {
        let (smaller, larger) = (id(1).min(id(2)), id(1).max(id(2)));
        // So the connection that we dial is the one that is kept of two.
        let registry = Registry::new(smaller, 9);
        let current = connection(larger, current.0, current.1);
        assert!(matches!(registry.admit(&current), Admission::First));
        if has_delivered {
            current.note_delivery();
        }
        tokio::time::advance(later).await;
        let newcomer = connection(larger, newcomer.0, newcomer.1);
        let (reserve, left) = match registry.admit(&newcomer) {
            Admission::Replaces(_) => (None, newcomer),
            Admission::Yields(_, reserve) => (Some(reserve), current),
            other => panic!("{other:?}"),
        };
        assert_eq!(registry.get(&larger).map(|peer| peer.peer.serial), Some(left.peer.serial));
        reserve
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_begun_later_wins() {
        use Direction::{In, Out};
        for later in [Duration::ZERO, SIMULTANEOUS] {
            for direction in [In, Out] {
                assert_eq!(fares((1, direction), (2, direction), later, true).await, None);
                assert_eq!(fares((2, direction), (1, direction), later, true).await, Some(Reserve::Never));
                assert_eq!(fares((2, direction), (1, direction), later, false).await, Some(Reserve::Never));
            }
        }
        for (current, newcomer) in [(In, Out), (Out, In)] {
            assert_eq!(fares((1, current), (2, newcomer), SIMULTANEOUS, true).await, None);
            let came_late = fares((2, current), (1, newcomer), SIMULTANEOUS, true).await;
            assert_eq!(came_late, Some(Reserve::IfClosedByPeer));
            assert_eq!(fares((2, current), (1, newcomer), SIMULTANEOUS, false).await, None);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn of_two_made_at_once_the_kept_one_wins_unless_messages_came_over_the_other() {
        use Direction::{In, Out};
        for serials in [(1, 2), (2, 1)] {
            let fares = |current, newcomer, has_delivered| {
                fares((serials.0, current), (serials.1, newcomer), SIMULTANEOUS / 2, has_delivered)
            };
            assert_eq!(fares(In, Out, false).await, None);
            assert_eq!(fares(In, Out, true).await, Some(Reserve::IfClosedByPeer));
            assert_eq!(fares(Out, In, false).await, Some(Reserve::IfUnused));
            assert_eq!(fares(Out, In, true).await, Some(Reserve::IfUnused));
        }
    }
}
