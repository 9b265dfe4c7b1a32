//! Hooks: places where the daemon asks plugins, one after the other, before it goes on.
//!
//! A [`Chain`] has the plugins of one hook in the order that their manifests ask for. Chains are made anew when a plugin
//! comes or goes; whoever walks one keeps walking the one that he began with, past plugins that have gone.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Plugin;
use super::directory::paths_match;

#[cfg(test)]
mod tests;

/// A hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Hook {
    /// A message of a type that the protocol has no use for has arrived.
    CustomMessage,
    /// A peer has connected and may be turned away.
    PeerConnected,
    /// A client calls a method.
    RpcCommand,
    /// An onion message for us has arrived.
    OnionMessage,
    /// An onion message for us has arrived over a path that we made ourselves.
    OnionMessageSecret,
    /// A hook of Core Lightning for which there is never an occasion here.
    WithoutOccasion(&'static str),
}

/// Core Lightning's hooks about channels, payments, invoices and its database.
const WITHOUT_OCCASION: [&str; 10] = [
    "commitment_revocation",
    "db_write",
    "htlc_accepted",
    "invoice_payment",
    "openchannel",
    "openchannel2",
    "openchannel2_changed",
    "openchannel2_sign",
    "rbf_channel",
    "recover",
];

impl Hook {
    /// The hook of this name.
    pub(super) fn named(name: &str) -> Option<Hook> {
        let called = [
            Hook::CustomMessage,
            Hook::PeerConnected,
            Hook::RpcCommand,
            Hook::OnionMessage,
            Hook::OnionMessageSecret,
        ];
        let without = || {
            WITHOUT_OCCASION.iter().find(|known| **known == name).map(|known| Hook::WithoutOccasion(known))
        };
        called.into_iter().find(|hook| hook.name() == name).or_else(without)
    }

    /// Its name on the wire.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Hook::CustomMessage => "custommsg",
            Hook::PeerConnected => "peer_connected",
            Hook::RpcCommand => "rpc_command",
            Hook::OnionMessage => "onion_message_recv",
            Hook::OnionMessageSecret => "onion_message_recv_secret",
            Hook::WithoutOccasion(name) => name,
        }
    }
}

/// That a plugin wants to be called for a hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HookWish {
    pub(super) hook: Hook,
    /// Plugins that it wants to be called before, by file name or path.
    pub(super) before: Vec<String>,
    /// Plugins that it wants to be called after.
    pub(super) after: Vec<String>,
    pub(super) filters: Filters,
}

/// Which calls of a hook a plugin wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Filters {
    /// All.
    None,
    /// Those with one of these numbers.
    Numbers(BTreeSet<u64>),
    /// Those with one of these names.
    Names(BTreeSet<String>),
}

/// What a call is about, for [`Filters`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subject<'a> {
    /// Nothing that filters look at.
    Any,
    /// A message of this type.
    Number(u64),
    /// A method of this name.
    Name(&'a str),
}

impl Filters {
    fn pass(&self, subject: Subject<'_>) -> bool {
        match (self, subject) {
            (Filters::Numbers(wanted), Subject::Number(number)) => wanted.contains(&number),
            (Filters::Names(wanted), Subject::Name(name)) => wanted.contains(name),
            _ => true,
        }
    }
}

/// A plugin in a chain.
#[derive(Debug, Clone)]
pub(super) struct Link {
    pub(super) plugin: Arc<Plugin>,
    pub(super) filters: Filters,
}

/// The plugins of one hook, the first to be called first.
#[derive(Debug, Clone, Default)]
pub(super) struct Chain {
    links: Arc<[Link]>,
}

impl Chain {
    pub(super) fn new(links: Vec<Link>) -> Chain {
        Chain { links: links.into() }
    }

    /// Those that want to be called about this.
    pub(super) fn about(&self, subject: Subject<'_>) -> impl Iterator<Item = Arc<Plugin>> {
        self.links.iter().filter(move |link| link.filters.pass(subject)).map(|link| Arc::clone(&link.plugin))
    }
}

/// What decides over a plugin's place in a chain.
#[derive(Debug)]
pub(super) struct Candidate<'a> {
    /// Its path.
    pub(super) path: &'a str,
    pub(super) wish: &'a HookWish,
}

/// Puts the candidates, which stand in the order in which their plugins were registered, in an order that all their wishes
/// allow; where these say nothing the earlier one comes first. Answers with places in `candidates`. A wish about a plugin
/// that is not there is reported to `unknown` (its word, its place, the name) and otherwise ignored.
///
/// # Errors
/// Those that no order suits, since they want to be before and after each other.
pub(super) fn order(
    candidates: &[Candidate<'_>],
    mut unknown: impl FnMut(&'static str, usize, &str),
) -> Result<Vec<usize>, Vec<usize>> {
    // For each candidate, those that must have been called first.
    let mut waits_for: Vec<Vec<usize>> = vec![Vec::new(); candidates.len()];
    let find = |name: &str| candidates.iter().position(|candidate| paths_match(candidate.path, name));
    for (place, candidate) in candidates.iter().enumerate() {
        for name in &candidate.wish.before {
            match find(name).and_then(|other| waits_for.get_mut(other)) {
                Some(waits) => waits.push(place),
                None => unknown("before", place, name),
            }
        }
        for name in &candidate.wish.after {
            match (find(name), waits_for.get_mut(place)) {
                (Some(other), Some(waits)) => waits.push(other),
                _ => unknown("after", place, name),
            }
        }
    }
    let mut ordered: Vec<usize> = Vec::with_capacity(candidates.len());
    let is_next = |ordered: &[usize], place: usize, waits: &[usize]| {
        !ordered.contains(&place) && waits.iter().all(|first| ordered.contains(first))
    };
    while let Some(next) =
        (0..).zip(&waits_for).find(|(place, waits)| is_next(&ordered, *place, waits)).map(|(place, _)| place)
    {
        ordered.push(next);
    }
    if ordered.len() == candidates.len() {
        Ok(ordered)
    } else {
        Err((0..candidates.len()).filter(|place| !ordered.contains(place)).collect())
    }
}
