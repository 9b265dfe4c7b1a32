//! What was promised to senders, message by message.
//!
//! A message that a node has accepted for a peer has one of three fates, and nothing else may happen to it:
//!
//! - it is delivered: to that peer, as it was, once, behind those that were accepted before it;
//! - its sender is told that it was not sent, in the event that tells of the connection's end ([`Event::Disconnected`]);
//! - it was written to the socket of a connection that broke before the peer had read it. Nobody can know that it did not
//!   arrive, so nobody is told.
//!
//! The third fate needs an excuse: the network, which sees both ends, says for which connections some of what was written may
//! not have come to be read. On any other connection, everything that was written has to arrive. And since a connection is a
//! stream, nothing may be missing between two messages that arrived over the same one.
//!
//! A node that is killed takes with it what it had accepted; what it had written before is held to the same.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::dice::Dice;
use super::process::Host;
use super::trace::Trace;
use crate::{CloseReason, Delivery, Event, Limits, MessageType, NodeId, UnsentMessage};

/// Payloads begin with sender, receiver and number.
const HEAD_LEN: usize = 10;

/// Lengths of payloads, before the number is added: so no two messages of a flow have the same length, and one that is
/// reported without its payload can be told from the others.
const LENGTHS: [usize; 4] = [HEAD_LEN, 2_000, 20_000, 60_000];

/// Most messages of a flow: then the lengths would meet.
const MOST_IN_FLOW: usize = 1_900;

/// All messages of a run.
#[derive(Debug)]
pub(super) struct Ledger {
    trace: Arc<Trace>,
    hosts: BTreeMap<NodeId, Host>,
    flows: BTreeMap<(usize, Host), Flow>,
    readers: BTreeMap<usize, Reader>,
    /// How often a host has ended a connection to another of its own accord, and so may not have looked at all it had read.
    own_ends: BTreeMap<(Host, Host), usize>,
}

/// From one process to one node.
#[derive(Debug, Default)]
struct Flow {
    from: Option<Host>,
    next: usize,
    /// In the order in which they were accepted.
    accepted: Vec<Accepted>,
    by_number: BTreeMap<usize, usize>,
    last: Option<Last>,
}

#[derive(Debug)]
struct Accepted {
    number: usize,
    kind: MessageType,
    len: usize,
    fate: Fate,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Open,
    Delivered,
    Reported,
}

/// The newest message of a flow that arrived.
#[derive(Debug, Clone, Copy)]
struct Last {
    place: usize,
    reader: usize,
    connection: usize,
    missed: u64,
}

/// What a process hears of its node.
#[derive(Debug)]
struct Reader {
    host: Host,
    limits: Limits,
    /// Whether each peer is connected, and for the how many-th time.
    peers: BTreeMap<NodeId, (bool, usize)>,
    /// Events that it missed.
    missed: u64,
    /// Events that it missed since the last message.
    missed_now: u64,
    number: u64,
    has_doorman: bool,
}

/// A message on its way to be accepted.
#[derive(Debug)]
pub(super) struct Draft {
    process: usize,
    to: Host,
    number: usize,
    pub(super) kind: MessageType,
    pub(super) payload: Vec<u8>,
}

/// What became of all messages.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Sums {
    pub(super) accepted: usize,
    pub(super) delivered: usize,
    pub(super) reported: usize,
    /// Written to connections that broke.
    pub(super) broken_off: usize,
    /// Accepted by nodes that were killed.
    pub(super) killed: usize,
    /// Nobody could look: subscribers had gaps.
    pub(super) unseen: usize,
    /// Nothing excuses that these did not arrive.
    pub(super) lost: usize,
}

/// What excuses a flow has for messages that did not arrive.
#[derive(Debug, Clone, Copy)]
pub(super) struct Excuses {
    /// Connections on which the network, or the end of the receiver, may have lost some of what was written.
    pub(super) broken_connections: usize,
    pub(super) sender_was_killed: bool,
}

impl Ledger {
    pub(super) fn new(hosts: BTreeMap<NodeId, Host>, trace: &Arc<Trace>) -> Ledger {
        Ledger {
            trace: Arc::clone(trace),
            hosts,
            flows: BTreeMap::new(),
            readers: BTreeMap::new(),
            own_ends: BTreeMap::new(),
        }
    }

    /// A process begins to listen to its node.
    pub(super) fn listens(&mut self, process: usize, host: Host, limits: Limits, has_doorman: bool) {
        let peers = BTreeMap::new();
        let reader = Reader { host, limits, peers, missed: 0, missed_now: 0, number: 0, has_doorman };
        self.readers.insert(process, reader);
    }

    /// The next message from a process to a node; `None` when there were enough.
    pub(super) fn draft(
        &mut self,
        process: usize,
        from: Host,
        to: Host,
        size: usize,
        kind: MessageType,
    ) -> Option<Draft> {
        let flow = self.flows.entry((process, to)).or_default();
        flow.from = Some(from);
        if flow.next >= MOST_IN_FLOW {
            return None;
        }
        flow.next += 1;
        let number = flow.next;
        let len = LENGTHS[size.min(LENGTHS.len() - 1)] + number;
        Some(Draft { process, to, number, kind, payload: payload(process, to, number, len) })
    }

    /// The node has accepted it.
    pub(super) fn accepted(&mut self, draft: &Draft) {
        let Some(flow) = self.flows.get_mut(&(draft.process, draft.to)) else { return };
        flow.by_number.insert(draft.number, flow.accepted.len());
        let Draft { number, kind, ref payload, .. } = *draft;
        flow.accepted.push(Accepted { number, kind, len: payload.len(), fate: Fate::Open });
    }

    /// A process hears something from its node.
    pub(super) fn heard(&mut self, process: usize, delivery: &Delivery) {
        let trace = Arc::clone(&self.trace);
        let Some(reader) = self.readers.get_mut(&process) else { return };
        match delivery {
            Delivery::Gap { missed } => {
                reader.missed += missed;
                reader.missed_now += missed;
            }
            Delivery::Event(event) => self.heard_event(process, event, &trace),
        }
    }

    fn heard_event(&mut self, process: usize, event: &Event, trace: &Trace) {
        let Some(reader) = self.readers.get_mut(&process) else { return };
        let host = reader.host;
        match event {
            Event::Connected(info) => {
                let (is_connected, count) = reader.peers.entry(info.id).or_default();
                if std::mem::replace(is_connected, true) && reader.missed == 0 {
                    trace.violation(format_args!("{host:?} hears twice that a peer is connected"));
                }
                *count += 1;
            }
            Event::Disconnected { id, reason, unsent } => {
                let (is_connected, _) = reader.peers.entry(*id).or_default();
                if !std::mem::replace(is_connected, false) && reader.missed == 0 {
                    trace.violation(format_args!("{host:?} hears twice that a peer is gone"));
                }
                let is_own = !matches!(reason, CloseReason::PeerClosed | CloseReason::Transport);
                if let Some(peer) = self.hosts.get(id).filter(|_| is_own) {
                    *self.own_ends.entry((host, *peer)).or_default() += 1;
                }
                self.reported(process, id, *reason, unsent);
            }
            Event::Unsent { id, reason, unsent } => self.reported(process, id, *reason, unsent),
            Event::CustomMessage { number, peer, kind, payload, .. } => {
                let missing = number - reader.number - 1;
                reader.number = *number;
                let told = std::mem::take(&mut reader.missed_now);
                if missing > told {
                    trace.violation(format_args!("{host:?} misses {missing} messages and is told of {told}"));
                }
                let Some((is_connected, connection)) = reader.peers.get(peer).copied() else {
                    if reader.missed == 0 {
                        trace.violation(format_args!("{host:?} hears from a peer that never came"));
                    }
                    return;
                };
                if !is_connected && reader.missed == 0 {
                    trace.violation(format_args!("{host:?} hears from a peer that is gone"));
                }
                let missed = reader.missed;
                let last = Last { place: 0, reader: process, connection, missed };
                self.delivered(host, *peer, *kind, payload, last);
            }
            _ => {}
        }
    }

    /// A custom message arrived at a host.
    fn delivered(&mut self, host: Host, peer: NodeId, kind: MessageType, bytes: &[u8], last: Last) {
        let trace = Arc::clone(&self.trace);
        let Some((process, to, number)) = head(bytes) else {
            return trace.violation(format_args!("{host:?} got a message that nobody sent"));
        };
        let sender = self.hosts.get(&peer).copied();
        let Some(flow) = self.flows.get_mut(&(process, to)) else {
            return trace.violation(format_args!("{host:?} got a message that nobody sent"));
        };
        let name = format!("message {number} of process {process} to {to:?}");
        if to != host || flow.from != sender {
            return trace.violation(format_args!("{name} was delivered to {host:?}, from {sender:?}"));
        }
        let Some(&place) = flow.by_number.get(&number) else {
            trace.violation(format_args!("{name} was delivered and not accepted"));
            return;
        };
        let accepted = &mut flow.accepted[place];
        if accepted.kind != kind || bytes != payload(process, to, number, accepted.len) {
            trace.violation(format_args!("{name} was delivered as another"));
        }
        if accepted.fate != Fate::Open {
            let fate = accepted.fate;
            trace.violation(format_args!("{name} was delivered and is {fate:?} already"));
        }
        accepted.fate = Fate::Delivered;
        let last = Last { place, ..last };
        if let Some(before) = flow.last.replace(last) {
            if before.place >= place {
                trace.violation(format_args!("{name} was delivered behind a later one"));
            }
            let is_same = (before.reader, before.connection, before.missed)
                == (last.reader, last.connection, last.missed);
            let between = flow.accepted.get(before.place + 1..place).unwrap_or_default();
            if let Some(missing) = between.iter().find(|_| is_same) {
                let (number, fate) = (missing.number, missing.fate);
                trace.violation(format_args!(
                    "{name} was delivered, and message {number} before it on the same connection not ({fate:?})"
                ));
            }
        }
    }

    /// A connection is over, and these were not sent.
    fn reported(&mut self, process: usize, peer: &NodeId, reason: CloseReason, unsent: &[UnsentMessage]) {
        let trace = Arc::clone(&self.trace);
        let Some(to) = self.hosts.get(peer).copied() else { return };
        let (limits, from) = match self.readers.get(&process) {
            Some(reader) => (reader.limits, reader.host),
            None => return,
        };
        let custom: Vec<&UnsentMessage> =
            unsent.iter().filter(|message| !message.kind.is_internal()).collect();
        let Some(flow) = self.flows.get_mut(&(process, to)) else {
            if !custom.is_empty() {
                trace.violation(format_args!("{from:?} is told of unsent messages that it never sent"));
            }
            return;
        };
        let sealed = unsent.iter().filter(|message| message.payload.is_none()).count();
        if sealed > limits.frames_per_write.max(1) {
            trace.violation(format_args!("{sealed} messages came back to {from:?} without their payload"));
        }
        let mut places = Vec::new();
        for message in custom {
            let found = flow.accepted.iter().position(|accepted| {
                accepted.kind == message.kind && accepted.len + 2 == message.message_len
            });
            let Some(place) = found else {
                trace.violation(format_args!("{from:?} is told of an unsent message that it never sent"));
                continue;
            };
            let accepted = &mut flow.accepted[place];
            let name = format!("message {} of process {process} to {to:?}", accepted.number);
            let is_as_it_was = (message.payload.as_ref())
                .is_none_or(|bytes| *bytes == payload(process, to, accepted.number, accepted.len));
            if !is_as_it_was {
                trace.violation(format_args!("{name} came back as another"));
            }
            if accepted.fate != Fate::Open {
                let fate = accepted.fate;
                trace.violation(format_args!("{name} was reported as unsent and is {fate:?} already"));
            }
            accepted.fate = Fate::Reported;
            places.push(place);
        }
        let is_in_order = places.windows(2).all(|pair| pair[0] < pair[1]);
        let is_whole = places.windows(2).all(|pair| pair[0] + 1 == pair[1]);
        // Between what was encrypted and what was too much to move is what has moved to the newer connection.
        if !is_in_order || (!is_whole && reason != CloseReason::Replaced) {
            trace.violation(format_args!("the report of {from:?} about {to:?} is out of order: {places:?}"));
        }
    }

    /// Everything is over: whatever is open now has to have an excuse.
    pub(super) fn conclude(&self, excuses: impl Fn(usize, Host) -> Excuses) -> Sums {
        let mut sums = Sums::default();
        let has_gap =
            |host: Host| self.readers.values().any(|reader| reader.host == host && reader.missed > 0);
        // Whom its doorman turns away, or who leaves before it has made up its mind, was never heard.
        let has_doorman =
            |host: Host| self.readers.values().any(|reader| reader.host == host && reader.has_doorman);
        for ((process, to), flow) in &self.flows {
            let count = |fate| flow.accepted.iter().filter(|message| message.fate == fate).count();
            sums.accepted += flow.accepted.len();
            sums.delivered += count(Fate::Delivered);
            sums.reported += count(Fate::Reported);
            let open = count(Fate::Open);
            let Excuses { broken_connections, sender_was_killed } = excuses(*process, *to);
            let is_sender_deaf = self.readers.get(process).is_some_and(|reader| reader.missed > 0);
            if is_sender_deaf || has_gap(*to) {
                sums.unseen += open;
                continue;
            }
            // Consecutive ones were lost together: a connection has one end.
            let runs = flow.accepted.chunk_by(|one, next| one.fate == next.fate);
            let runs = runs.filter(|run| run[0].fate == Fate::Open).count();
            let own_ends = flow.from.and_then(|from| self.own_ends.get(&(*to, from))).copied().unwrap_or(0);
            let allowed = broken_connections + own_ends + usize::from(sender_was_killed);
            if runs > allowed && !has_doorman(*to) {
                let lost = flow.accepted.iter().filter(|message| message.fate == Fate::Open);
                let numbers: Vec<usize> = lost.map(|message| message.number).collect();
                sums.lost += open;
                self.trace.violation(format_args!(
                    "process {process} on {:?} was not told that these messages to {to:?} did not arrive: {numbers:?}; \
                     {broken_connections} connections broke",
                    flow.from
                ));
            } else if sender_was_killed {
                sums.killed += open;
            } else {
                sums.broken_off += open;
            }
        }
        sums
    }
}

fn payload(process: usize, to: Host, number: usize, len: usize) -> Vec<u8> {
    let word = |value: usize| u32::try_from(value).unwrap_or(u32::MAX).to_be_bytes();
    let mut bytes = vec![0; len.max(HEAD_LEN)];
    let seed = u64::try_from(process * 10_000 + number).unwrap_or_default() ^ u64::from(to.0) << 32;
    Dice::new(seed).fill(&mut bytes[HEAD_LEN..]);
    bytes[..4].copy_from_slice(&word(process));
    bytes[4] = to.0;
    bytes[5] = 0xa5;
    bytes[6..HEAD_LEN].copy_from_slice(&word(number));
    bytes
}

fn head(bytes: &[u8]) -> Option<(usize, Host, usize)> {
    let word = |range: std::ops::Range<usize>| {
        let bytes: [u8; 4] = bytes.get(range)?.try_into().ok()?;
        usize::try_from(u32::from_be_bytes(bytes)).ok()
    };
    Some((word(0..4)?, Host(*bytes.get(4)?), word(6..HEAD_LEN)?))
}
