//! Peers that we have called before, and so may call again for the sake of a message.
//!
//! Only addresses that this node's own program dialled with success are kept: no stranger can make us call an address of
//! its choice. Messages that wait for a call are few, and so are the calls.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::inbox::Waiting;
use crate::NodeId;
use crate::limits::{ONION_ADDRESSES, ONION_CALLS, ONION_MESSAGES_PER_CALL};

/// Known addresses, and what waits for calls to them.
#[derive(Debug, Default)]
pub(super) struct Addresses {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    known: HashMap<NodeId, SocketAddr>,
    /// The keys of `known`, the oldest first.
    order: VecDeque<NodeId>,
    calls: HashMap<NodeId, Vec<Parcel>>,
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
    /// Too much waits already; the parcel is gone.
    TooMany,
}

impl Addresses {
    /// Notes where a peer was reached. The oldest goes for it when there are too many.
    pub(super) fn learn(&self, id: NodeId, address: SocketAddr) {
        let mut state = self.lock();
        if state.known.insert(id, address).is_none() {
            state.order.push_back(id);
            if state.order.len() > ONION_ADDRESSES
                && let Some(oldest) = state.order.pop_front()
            {
                state.known.remove(&oldest);
            }
        }
    }

    /// Where a peer was reached.
    pub(super) fn of(&self, id: &NodeId) -> Option<SocketAddr> {
        self.lock().known.get(id).copied()
    }

    /// Has a parcel wait for a call to its next node.
    pub(super) fn wait(&self, next: NodeId, parcel: Parcel) -> Call {
        let mut state = self.lock();
        let Some(&address) = state.known.get(&next) else { return Call::Unknown };
        let calls = state.calls.len();
        match state.calls.get_mut(&next) {
            Some(waiting) if waiting.len() < ONION_MESSAGES_PER_CALL => {
                waiting.push(parcel);
                Call::UnderWay
            }
            None if calls < ONION_CALLS => {
                state.calls.insert(next, vec![parcel]);
                Call::Begin(address)
            }
            _ => Call::TooMany,
        }
    }

    /// What has waited for this call.
    pub(super) fn called(&self, next: &NodeId) -> Vec<Parcel> {
        self.lock().calls.remove(next).unwrap_or_default()
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
        assert!(matches!(addresses.wait(node(1), parcel()), Call::Unknown));
        addresses.learn(node(1), address);
        assert!(matches!(addresses.wait(node(1), parcel()), Call::Begin(to) if to == address));
        for _ in 1..ONION_MESSAGES_PER_CALL {
            assert!(matches!(addresses.wait(node(1), parcel()), Call::UnderWay));
        }
        assert!(matches!(addresses.wait(node(1), parcel()), Call::TooMany));
        assert_eq!(addresses.called(&node(1)).len(), ONION_MESSAGES_PER_CALL);
        assert!(matches!(addresses.wait(node(1), parcel()), Call::Begin(_)));
    }
}
