//! What was promised to senders, message by message.
//!
//! A message that a node has accepted for a peer has one of three fates, and nothing else may happen to it:
//!
//! - it is delivered: to that peer, as it was, once, behind those that were accepted before it;
//! - its sender is told that it was not sent, in the event that tells of the connection's end ([`Event::Disconnected`]);
//! - it was written to the socket of a connection that broke before the peer had read it. Nobody can know that it did not
//!   arrive, so nobody is told.
//!
//! The third fate needs an excuse (`verdict`): a connection on which the message can have been, and of which the network,
//! which sees both ends, says that some of what was written may not have come to be read. On any other connection, everything
//! that was written has to arrive. And since a connection is a stream, nothing may be missing between two messages that arrived
//! over the same one.
//!
//! A node that is killed takes with it what it had accepted; what it had written before is held to the same.
//!
//! Connections are told apart by the port of the side that dialled, which both sides know: no two of a run have the same.

mod verdict;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::time::Instant;

pub(super) use self::verdict::{Ended, Sums};
use super::dice::Dice;
use super::process::Host;
use super::trace::Trace;
use crate::{CloseReason, Delivery, Direction, Event, Limits, MessageType, NodeId, PeerInfo, UnsentMessage};

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
    /// Connections that a side has ended of its own accord, so that it may not have looked at all that it had read.
    own_ends: BTreeSet<(Host, u16)>,
    /// Connections over which a process has warned its peer, as it does before it ends one. Killed then, it cannot tell of the end.
    warned: BTreeSet<(usize, u16)>,
    /// Peers whom a host has warned while it was not connected to them: it refused a connection, whatever had come over it.
    refused: BTreeSet<(Host, NodeId)>,
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
    /// The connection whose queue it went into. From there it may have moved to those that took its place.
    port: u16,
    fate: Fate,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Open,
    /// Over this connection.
    Delivered(u16),
    /// At the end of this connection, if it was ever told of.
    Reported(Option<u16>),
}

/// The newest message of a flow that arrived.
#[derive(Debug, Clone, Copy)]
struct Last {
    place: usize,
    reader: usize,
    port: u16,
    missed: u64,
}

/// What a process hears of its node.
#[derive(Debug)]
struct Reader {
    host: Host,
    limits: Limits,
    /// The connections that each peer has had.
    peers: BTreeMap<NodeId, Vec<Had>>,
    /// Events that it missed.
    missed: u64,
    /// Events that it missed since the last message.
    missed_now: u64,
    number: u64,
    has_doorman: bool,
}

/// A connection as one side heard of it.
#[derive(Debug, Clone, Copy)]
struct Had {
    port: u16,
    begun: Instant,
    ended: Option<(Instant, CloseReason)>,
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

impl Ledger {
    pub(super) fn new(hosts: BTreeMap<NodeId, Host>, trace: &Arc<Trace>) -> Ledger {
        Ledger {
            trace: Arc::clone(trace),
            hosts,
            flows: BTreeMap::new(),
            readers: BTreeMap::new(),
            own_ends: BTreeSet::new(),
            warned: BTreeSet::new(),
            refused: BTreeSet::new(),
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
    pub(super) fn accepted(&mut self, draft: &Draft, by: Option<&PeerInfo>) {
        let Some(flow) = self.flows.get_mut(&(draft.process, draft.to)) else { return };
        flow.by_number.insert(draft.number, flow.accepted.len());
        let Draft { number, kind, ref payload, .. } = *draft;
        let port = by.map_or(0, port);
        if port == 0 {
            self.trace.violation(format_args!("message {number} to {:?} was accepted for nobody", draft.to));
        }
        flow.accepted.push(Accepted { number, kind, len: payload.len(), port, fate: Fate::Open });
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
                let connections = reader.peers.entry(info.id).or_default();
                if connections.last().is_some_and(|had| had.ended.is_none()) && reader.missed == 0 {
                    trace.violation(format_args!("{host:?} hears twice that a peer is connected"));
                }
                connections.push(Had { port: port(info), begun: Instant::now(), ended: None });
            }
            Event::Disconnected { id, reason, unsent } => {
                let connections = reader.peers.entry(*id).or_default();
                let last = connections.last_mut().filter(|had| had.ended.is_none());
                if last.is_none() && reader.missed == 0 {
                    trace.violation(format_args!("{host:?} hears twice that a peer is gone"));
                }
                let Some(Had { port, ended, .. }) = last else { return };
                *ended = Some((Instant::now(), *reason));
                let port = *port;
                if !matches!(reason, CloseReason::PeerClosed | CloseReason::Transport) {
                    self.own_ends.insert((host, port));
                }
                self.reported(process, id, unsent, Some(port));
            }
            Event::Unsent { id, unsent, .. } => self.reported(process, id, unsent, None),
            Event::Warning { id, direction: Direction::Out, .. } => {
                let current = reader.peers.get(id).and_then(|connections| connections.last());
                if current.is_none_or(|had| had.ended.is_some()) {
                    self.refused.insert((host, *id));
                }
                self.warned.extend(current.map(|had| (process, had.port)));
            }
            Event::CustomMessage { number, peer, kind, payload, .. } => {
                let missing = number - reader.number - 1;
                reader.number = *number;
                let told = std::mem::take(&mut reader.missed_now);
                if missing > told {
                    trace.violation(format_args!("{host:?} misses {missing} messages and is told of {told}"));
                }
                let connection = reader.peers.get(peer).and_then(|connections| connections.last().copied());
                let Some(Had { port, ended, .. }) = connection else {
                    if reader.missed == 0 {
                        trace.violation(format_args!("{host:?} hears from a peer that never came"));
                    }
                    return;
                };
                if ended.is_some() && reader.missed == 0 {
                    trace.violation(format_args!("{host:?} hears from a peer that is gone"));
                }
                let last = Last { place: 0, reader: process, port, missed: reader.missed };
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
        accepted.fate = Fate::Delivered(last.port);
        let last = Last { place, ..last };
        if let Some(before) = flow.last.replace(last) {
            if before.place >= place {
                trace.violation(format_args!("{name} was delivered behind a later one"));
            }
            let is_same =
                (before.reader, before.port, before.missed) == (last.reader, last.port, last.missed);
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
    fn reported(&mut self, process: usize, peer: &NodeId, unsent: &[UnsentMessage], port: Option<u16>) {
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
        let encrypted = custom.iter().take_while(|message| message.payload.is_none()).count();
        let mut places = Vec::new();
        for message in custom {
            let found = flow.accepted.iter().position(|accepted| {
                accepted.kind == message.kind && accepted.len + 2 == message.message_len
            });
            let Some(place) = found else {
                trace.violation(format_args!("{from:?} is told of an unsent message that it never sent"));
                return;
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
            accepted.fate = Fate::Reported(port);
            places.push(place);
        }
        let is_in_order = places.windows(2).all(|pair| pair[0] < pair[1]);
        // Between what was encrypted and what was too much to move may be what has moved to a newer connection.
        let (encrypted, plain) = places.split_at(encrypted);
        let is_whole = |places: &[usize]| places.windows(2).all(|pair| pair[0] + 1 == pair[1]);
        if !is_in_order || !is_whole(encrypted) || !is_whole(plain) {
            trace.violation(format_args!("the report of {from:?} about {to:?} is out of order: {places:?}"));
        }
    }
}

/// What tells a connection from all others: the port of the side that dialled.
pub(super) fn port(info: &PeerInfo) -> u16 {
    match info.direction {
        Direction::In => info.address.port(),
        Direction::Out => info.seen_as.map_or(0, |address| address.port()),
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
