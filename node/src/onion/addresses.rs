//! Peers that we have called before, and so may call again for the sake of a message.
//!
//! Only addresses that this node's own program dialled with success are kept, until it hangs up itself: no stranger can make
//! us call an address of its choice, or a peer that was sent away. Messages that wait for a call are few, and so are the
//! calls; a node that was called has some rest before the next.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use super::inbox::Waiting;
use crate::NodeId;
use crate::limits::{ONION_ADDRESSES, ONION_CALL_REST, ONION_CALLS, ONION_MESSAGES_PER_CALL};

/// Known addresses, and what waits for calls to them.
#[derive(Debug, Default)]
pub(super) struct Addresses {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    known: HashMap<NodeId, Known>,
    /// The keys of `known`, the oldest first.
    order: VecDeque<NodeId>,
    calls: HashMap<NodeId, Vec<Parcel>>,
}

#[derive(Debug)]
struct Known {
    address: SocketAddr,
    /// When the last call that began here ended.
    called: Option<Instant>,
}

/// A message that is to be forwarded, and what it was when it came.
#[derive(Debug)]
pub(super) struct Parcel {
    /// As it came; `None` if it is our own.
    pub(super) incoming: Option<Waiting>,
    /// The payload of the `onion_message` for the next node.
    pub(super) outgoing: Vec<u8>,
}

/// What is to be done for a parcel to a node that is not connected.
#[derive(Debug)]
pub(super) enum Call {
    /// Call this address; the parcel waits.
    Begin(SocketAddr),
    /// A call is under way; the parcel waits.
    UnderWay,
    /// No address is known; the parcel is gone.
    Unknown,
    /// It was called a moment ago; the parcel is gone.
    Resting,
    /// Too much waits already; the parcel is gone.
    TooMany,
}

impl Addresses {
    /// Notes where a peer was reached. The oldest goes for it when there are too many.
    pub(super) fn learn(&self, id: NodeId, address: SocketAddr) {
        let mut state = self.lock();
        if state.known.insert(id, Known { address, called: None }).is_none() {
            state.order.push_back(id);
            if state.order.len() > ONION_ADDRESSES
                && let Some(oldest) = state.order.pop_front()
            {
                state.known.remove(&oldest);
            }
        }
    }

    /// Has a peer not be called again.
    pub(super) fn forget(&self, id: &NodeId) {
        let mut state = self.lock();
        if state.known.remove(id).is_some() {
            state.order.retain(|known| known != id);
        }
    }

    /// Where a peer was reached.
    pub(super) fn of(&self, id: &NodeId) -> Option<SocketAddr> {
        self.lock().known.get(id).map(|known| known.address)
    }

    /// Has a parcel wait for a call to its next node.
    pub(super) fn wait(&self, next: NodeId, parcel: Parcel, now: Instant) -> Call {
        let mut state = self.lock();
        let Some(&Known { address, called }) = state.known.get(&next) else { return Call::Unknown };
        let is_resting = called.is_some_and(|called| now.saturating_duration_since(called) < ONION_CALL_REST);
        let calls = state.calls.len();
        match state.calls.get_mut(&next) {
            Some(waiting) if waiting.len() < ONION_MESSAGES_PER_CALL => {
                waiting.push(parcel);
                Call::UnderWay
            }
            None if is_resting => Call::Resting,
            None if calls < ONION_CALLS => {
                state.calls.insert(next, vec![parcel]);
                Call::Begin(address)
            }
            _ => Call::TooMany,
        }
    }

    /// What has waited for this call, which has ended.
    pub(super) fn called(&self, next: &NodeId, now: Instant) -> Vec<Parcel> {
        let mut state = self.lock();
        if let Some(known) = state.known.get_mut(next) {
            known.called = Some(now);
        }
        state.calls.remove(next).unwrap_or_default()
    }

    /// Addresses, calls, and what waits for these.
    #[cfg(all(test, not(oddwire_loom)))]
    pub(super) fn count(&self) -> [usize; 3] {
        let state = self.lock();
        [state.known.len(), state.calls.len(), state.calls.values().map(Vec::len).sum()]
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onion::tests::node;

    fn parcel() -> Parcel {
        Parcel { incoming: None, outgoing: vec![1] }
    }

    #[test]
    fn one_call_at_a_time_and_bounded_waiting() {
        let addresses = Addresses::default();
        let address = "127.0.0.1:9735".parse().unwrap();
        let now = Instant::now();
        let wait = |now: Instant| addresses.wait(node(1), parcel(), now);
        assert!(matches!(wait(now), Call::Unknown));
        addresses.learn(node(1), address);
        assert!(matches!(wait(now), Call::Begin(to) if to == address));
        for _ in 1..ONION_MESSAGES_PER_CALL {
            assert!(matches!(wait(now), Call::UnderWay));
        }
        assert!(matches!(wait(now), Call::TooMany));
        assert_eq!(addresses.called(&node(1), now).len(), ONION_MESSAGES_PER_CALL);
        assert!(matches!(wait(now), Call::Resting));
        assert!(matches!(wait(now + ONION_CALL_REST), Call::Begin(_)));
        addresses.called(&node(1), now);
        // The node's own program has reached it since.
        addresses.learn(node(1), address);
        assert!(matches!(wait(now), Call::Begin(_)));
    }

    #[test]
    fn who_is_forgotten_is_not_called() {
        let addresses = Addresses::default();
        let address = "127.0.0.1:9735".parse().unwrap();
        addresses.learn(node(1), address);
        addresses.forget(&node(1));
        assert!(matches!(addresses.wait(node(1), parcel(), Instant::now()), Call::Unknown));
        assert_eq!(addresses.of(&node(1)), None);
        assert!(addresses.lock().order.is_empty());
    }
}
