//! Whether what did not arrive has an excuse.
//!
//! Of a message that is neither delivered nor reported is asked on which connection it can have been lost: one that it went
//! into or moved to; that may have lost something; over which nothing arrived that was accepted later; at whose end nothing was
//! reported that was accepted before; after which nothing earlier arrived over the connections that took its place; and on which
//! enough was written for it and all that arrived. If there is none, it was lost without a word.

use std::collections::{BTreeMap, BTreeSet};

use super::{Accepted, Fate, Flow, Had, Ledger, Reader};
use crate::CloseReason;
use crate::simulation::process::Host;

/// What a side writes before any message: two acts or one, and an `init` with its chain (BOLT 8; BOLT 1).
const LEAST_PREFACE: usize = 50 + 18 + 2 + 2 + 2 + 34 + 16;

/// What a frame has more than type and payload, and the type (BOLT 8).
const FRAME_AND_TYPE: usize = 18 + 2 + 16;

/// What became of all messages.
#[derive(Debug, Default, Clone, Copy)]
pub(in crate::simulation) struct Sums {
    pub(in crate::simulation) accepted: usize,
    pub(in crate::simulation) delivered: usize,
    pub(in crate::simulation) reported: usize,
    /// Written to connections that broke.
    pub(in crate::simulation) broken_off: usize,
    /// Accepted by nodes that were killed.
    pub(in crate::simulation) killed: usize,
    /// Nobody could look: subscribers had gaps.
    pub(in crate::simulation) unseen: usize,
    /// Nothing excuses that these did not arrive.
    pub(in crate::simulation) lost: usize,
}

/// A connection that is over, as the network saw it.
#[derive(Debug, Clone, Copy)]
pub(in crate::simulation) struct Ended {
    pub(in crate::simulation) port: u16,
    /// Some of what the sender wrote may not have come to be read.
    pub(in crate::simulation) may_have_lost: bool,
    /// Bytes that the sender wrote.
    pub(in crate::simulation) written: usize,
}

impl Ledger {
    /// Everything is over. `connections` has those from a process to a host.
    pub(in crate::simulation) fn conclude(
        &self,
        connections: impl Fn(usize, Host) -> Vec<Ended>,
        killed: &BTreeSet<usize>,
    ) -> Sums {
        let mut sums = Sums::default();
        for ((process, to), flow) in &self.flows {
            let count = |is: fn(Fate) -> bool| flow.accepted.iter().filter(|one| is(one.fate)).count();
            sums.accepted += flow.accepted.len();
            sums.delivered += count(|fate| matches!(fate, Fate::Delivered(_)));
            sums.reported += count(|fate| matches!(fate, Fate::Reported(_)));
            let open = count(|fate| fate == Fate::Open);
            let Some(sender) = self.readers.get(process) else { continue };
            let receivers = self.readers.iter().filter(|(_, reader)| reader.host == *to);
            if sender.missed > 0 || receivers.clone().any(|(_, reader)| reader.missed > 0) {
                sums.unseen += open;
                continue;
            }
            // Whom a doorman turns away, or who leaves before it has made up its mind, was never heard.
            let is_deaf = receivers.clone().any(|(_, reader)| reader.has_doorman);
            let was_killed_closing = |port: u16| {
                let mut receivers = receivers.clone().map(|(process, _)| *process);
                receivers.any(|process| killed.contains(&process) && self.warned.contains(&(process, port)))
            };
            // Who is refused has perhaps sent something already, which is read and thrown away.
            let from = self.hosts.iter().find(|(_, host)| **host == sender.host).map(|(id, _)| *id);
            let was_refused = |port: u16| {
                let refused = from.is_some_and(|from| self.refused.contains(&(*to, from)));
                let told = |reader: &Reader| {
                    let of_sender = from.and_then(|from| reader.peers.get(&from));
                    of_sender.is_some_and(|connections| connections.iter().any(|had| had.port == port))
                };
                refused && !receivers.clone().any(|(_, reader)| told(reader))
            };
            let connections = connections(*process, *to);
            let may_have_lost: BTreeMap<u16, bool> = (connections.iter())
                .map(|ended| {
                    let is_ended_there = self.own_ends.contains(&(*to, ended.port))
                        || was_killed_closing(ended.port)
                        || was_refused(ended.port);
                    (ended.port, ended.may_have_lost || is_ended_there || is_deaf)
                })
                .collect();
            // Bytes of each connection that are not in what arrived over it.
            let mut rest: BTreeMap<u16, usize> = (connections.iter())
                .map(|ended| (ended.port, ended.written.saturating_sub(LEAST_PREFACE)))
                .collect();
            for message in &flow.accepted {
                if let Fate::Delivered(port) = message.fate
                    && let Some(rest) = rest.get_mut(&port)
                {
                    *rest = rest.saturating_sub(message.len + FRAME_AND_TYPE);
                }
            }
            let was_killed = killed.contains(process);
            let peer = self.hosts.iter().find(|(_, host)| *host == to).map(|(id, _)| id);
            let history = peer.and_then(|peer| sender.peers.get(peer)).map(Vec::as_slice);
            let case = Case { flow, sender, history: history.unwrap_or_default(), may_have_lost };
            for (place, message) in flow.accepted.iter().enumerate() {
                let name = format!("message {} of process {process} to {to:?}", message.number);
                if let Fate::Delivered(port) = message.fate
                    && !case.ways(message).contains(&port)
                {
                    self.trace.violation(format_args!("{name} came over a connection that it was not on"));
                }
                if let Fate::Delivered(port) = message.fate
                    && flow.accepted.iter().take(place).any(|one| one.fate == Fate::Reported(Some(port)))
                {
                    self.trace.violation(format_args!("{name} came behind one that was reported as unsent"));
                }
                if message.fate != Fate::Open {
                    continue;
                }
                let wire_len = message.len + FRAME_AND_TYPE;
                let lost_on = case.ways(message).into_iter().find(|port| {
                    let is_enough = rest.get(port).is_some_and(|rest| *rest >= wire_len);
                    is_enough && case.can_have_lost(*port, place)
                });
                if let Some(rest) = lost_on.and_then(|port| rest.get_mut(&port)) {
                    *rest -= wire_len;
                    sums.broken_off += 1;
                } else if was_killed && !case.was_overtaken(place) {
                    sums.killed += 1;
                } else {
                    sums.lost += 1;
                    self.trace.violation(format_args!("{name} was lost without a word"));
                }
            }
        }
        sums
    }
}

/// A flow with all that is known of its connections.
struct Case<'a> {
    flow: &'a Flow,
    sender: &'a Reader,
    /// Connections that the sender was told of, in their order.
    history: &'a [Had],
    may_have_lost: BTreeMap<u16, bool>,
}

impl Case<'_> {
    /// The connections that a message can have been on: the one it went into, and those that took its place in turn.
    fn ways(&self, message: &Accepted) -> Vec<u16> {
        // Of some connections of a node with a doorman nobody is told.
        if self.sender.has_doorman {
            let others = self.may_have_lost.keys().copied().filter(|port| *port != message.port);
            return std::iter::once(message.port).chain(others).collect();
        }
        let begin = self.index(message.port).unwrap_or(self.history.len());
        let mut ways = vec![message.port];
        for pair in self.history.get(begin..).unwrap_or_default().windows(2) {
            let [Had { ended: Some((ended, reason)), .. }, next] = pair else { break };
            // One that was closing already may be replaced as well, and keeps its reason.
            if *reason != CloseReason::Replaced && next.begun != *ended {
                break;
            }
            ways.push(next.port);
        }
        ways
    }

    fn can_have_lost(&self, port: u16, place: usize) -> bool {
        let index = self.index(port);
        let is_later = |other: u16| index.is_some() && self.index(other) > index;
        let contradicts = |(other, message): (usize, &Accepted)| match message.fate {
            Fate::Delivered(over) if over == port => other > place,
            Fate::Delivered(over) => other < place && is_later(over),
            Fate::Reported(over) => over == Some(port) && other < place,
            Fate::Open => false,
        };
        self.may_have_lost.get(&port).copied().unwrap_or(false)
            && !self.flow.accepted.iter().enumerate().any(contradicts)
    }

    /// Whether something that was accepted later has arrived.
    fn was_overtaken(&self, place: usize) -> bool {
        let behind = self.flow.accepted.get(place + 1..).unwrap_or_default();
        behind.iter().any(|message| matches!(message.fate, Fate::Delivered(_)))
    }

    fn index(&self, port: u16) -> Option<usize> {
        self.history.iter().position(|had| had.port == port)
    }
}
