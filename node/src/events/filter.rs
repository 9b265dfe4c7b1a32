//! Which events a subscription gets.

use crate::{Event, MessageType, NodeId};

/// Which events a subscription gets. Starts from [`EventFilter::all`], [`EventFilter::messages`] or
/// [`EventFilter::connections`] and is narrowed from there.
#[derive(Debug, Clone)]
pub struct EventFilter {
    scope: Scope,
    /// Besides the scope, the ends of connections with messages that did not go out.
    unsent: bool,
    /// Sorted, for searching.
    types: Option<Vec<MessageType>>,
    /// Sorted, for searching.
    peers: Option<Vec<NodeId>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    All,
    Messages,
    Connections,
    Onions,
}

impl EventFilter {
    /// Everything.
    pub fn all() -> EventFilter {
        EventFilter { scope: Scope::All, unsent: false, types: None, peers: None }
    }

    /// Only custom messages, those that came over several hops included.
    pub fn messages() -> EventFilter {
        EventFilter { scope: Scope::Messages, ..EventFilter::all() }
    }

    /// Everything but custom messages and onions: who comes and goes, warnings.
    pub fn connections() -> EventFilter {
        EventFilter { scope: Scope::Connections, ..EventFilter::all() }
    }

    /// Only onion messages: those for this node, and those that went no further here.
    pub fn onions() -> EventFilter {
        EventFilter { scope: Scope::Onions, ..EventFilter::all() }
    }

    /// Also [`Event::Disconnected`] and [`Event::Unsent`], if messages that had been accepted did not go out: so that whoever
    /// sends hears what became of it. Their types are not looked at.
    #[must_use]
    pub fn and_unsent(mut self) -> EventFilter {
        self.unsent = true;
        self
    }

    /// Of the custom messages only those of these types.
    #[must_use]
    pub fn of_types(mut self, types: impl IntoIterator<Item = MessageType>) -> EventFilter {
        self.types = Some(sorted(types));
        self
    }

    /// Only what concerns these peers. Messages over several hops concern none.
    #[must_use]
    pub fn from_peers(mut self, peers: impl IntoIterator<Item = NodeId>) -> EventFilter {
        self.peers = Some(sorted(peers));
        self
    }

    /// Whether it may want any message at all.
    pub(super) fn wants_messages(&self) -> bool {
        matches!(self.scope, Scope::All | Scope::Messages)
    }

    pub(super) fn wants_message(&self, peer: &NodeId, kind: MessageType) -> bool {
        matches!(self.scope, Scope::All | Scope::Messages)
            && self.concerns(peer)
            && has(self.types.as_deref(), &kind)
    }

    /// Whether a custom message of this type is wanted that came over several hops, from nobody knows whom.
    pub(super) fn wants_message_from_afar(&self, kind: MessageType) -> bool {
        matches!(self.scope, Scope::All | Scope::Messages)
            && self.peers.is_none()
            && has(self.types.as_deref(), &kind)
    }

    pub(super) fn wants_event(&self, event: &Event) -> bool {
        let is_of_scope = match self.scope {
            Scope::All => true,
            Scope::Messages => false,
            Scope::Connections => !event.is_onion(),
            Scope::Onions => event.is_onion(),
        };
        (is_of_scope || self.unsent && event.has_unsent())
            && event.peer().map_or(self.peers.is_none(), |peer| self.concerns(peer))
    }

    fn concerns(&self, peer: &NodeId) -> bool {
        has(self.peers.as_deref(), peer)
    }
}

fn sorted<T: Ord>(items: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut items: Vec<T> = items.into_iter().collect();
    items.sort_unstable();
    items
}

/// No list means everything.
fn has<T: Ord>(list: Option<&[T]>, item: &T) -> bool {
    list.is_none_or(|list| list.binary_search(item).is_ok())
}
