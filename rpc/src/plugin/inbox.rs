//! From the node's events to plugins: who comes and goes, and every custom message, first as a notification and then through
//! the chain of the hook `custommsg`. Onion messages go their own way, see `onions`.
//!
//! Messages of one peer reach each plugin in the order of their arrival, though up to [`HOOK_WINDOW`] of them are under way
//! at once and plugins may answer them in any order. A message goes on to a plugin only when no earlier one of its peer will
//! still come to that plugin. Peers do not wait for each other, and nobody's connection waits for a plugin: what cannot be
//! under way yet waits here, within limits; what is beyond them is not shown to hooks, is counted and told in the log.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use oddwire_node::{Delivery, Event, MessageType, NodeId, Subscription};
use tokio::task::{AbortHandle, JoinSet};

use super::channel::Answer;
use super::gate::says;
use super::host::Host;
use super::onions::{OnionHooks, tell_forward_fail};
use super::{Hook, Plugin, Subject};
use crate::json_writer::object;
use crate::limits::{HOOK_TIME, HOOK_WAITING, HOOK_WAITING_BYTES, HOOK_WAITING_BYTES_OF_ALL, HOOK_WINDOW};
use crate::log::{LogFeed, LogNews};
use crate::onion::write_way;

/// The task that listens to the node, or to the log. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Pump {
    task: AbortHandle,
}

impl Pump {
    pub(super) fn start(host: &Host, events: Subscription) -> Pump {
        let lines = Lines {
            host: host.clone(),
            of_peers: HashMap::new(),
            calls: JoinSet::new(),
            onions: OnionHooks::default(),
            bytes: 0,
            missed: 0,
        };
        Pump { task: tokio::spawn(lines.run(events)).abort_handle() }
    }

    pub(super) fn of_log(host: &Host, mut lines: LogFeed) -> Pump {
        let host = host.clone();
        let task = tokio::spawn(async move {
            while let Some(news) = lines.next().await {
                match news {
                    LogNews::Line(line) => host.tell_log(&line),
                    LogNews::Missed(missed) => {
                        tracing::debug!(
                            source = "plugin-manager",
                            "plugins are not told of {missed} log lines"
                        );
                    }
                }
            }
        });
        Pump { task: task.abort_handle() }
    }
}

impl Drop for Pump {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The messages of all peers that are not through all hooks yet.
struct Lines {
    host: Host,
    /// Of those peers only that have any.
    of_peers: HashMap<NodeId, Line>,
    calls: JoinSet<Outcome>,
    onions: OnionHooks,
    /// What waits, of all peers.
    bytes: usize,
    /// Events that came faster than they could be handled.
    missed: u64,
}

/// The messages of one peer, in the order of their arrival.
#[derive(Default)]
struct Line {
    under_way: VecDeque<UnderWay>,
    waiting: VecDeque<Waiting>,
    bytes: usize,
    /// Number of the next message.
    next: u64,
    /// Messages that did not fit.
    missed: u64,
}

/// A message that waits for its turn: its type, and the hook's payload.
struct Waiting {
    kind: MessageType,
    payload: Arc<str>,
}

/// A message on its way through the chain.
struct UnderWay {
    number: u64,
    payload: Arc<str>,
    /// The plugins that it has not been sent to.
    rest: VecDeque<Arc<Plugin>>,
    is_asked: bool,
}

/// What a plugin said about a message.
struct Outcome {
    peer: NodeId,
    number: u64,
    plugin: Arc<Plugin>,
    answer: Answer,
}

impl Lines {
    async fn run(mut self, mut events: Subscription) {
        loop {
            // Each has its turn: neither does a flood of messages keep hooks waiting, nor the other way round.
            tokio::select! {
                Some(outcome) = self.calls.join_next() => match outcome {
                    Ok(outcome) => self.go_on(outcome),
                    Err(error) => tracing::error!("a hook call broke off: {error}"),
                },
                delivery = events.next() => match delivery {
                    Some(Delivery::Event(event)) => self.tell(&event),
                    Some(Delivery::Gap { missed }) => self.miss(missed),
                    None => return,
                },
            }
        }
    }

    /// Where many come there are gaps by the thousand; the log is told less and less often.
    fn miss(&mut self, missed: u64) {
        let before = self.missed;
        self.missed = before.saturating_add(missed);
        if before.leading_zeros() != self.missed.leading_zeros() {
            tracing::warn!(
                "plugins are not told of {} messages and other events by now: more came than could be handled",
                self.missed
            );
        }
    }

    fn tell(&mut self, event: &Event) {
        match event {
            Event::Connected(peer) => self.host.tell_connect(peer),
            Event::Disconnected { id, .. } => self.host.tell_disconnect(id),
            Event::CustomMessage { peer, kind, payload, .. } => {
                let message = [&kind.get().to_be_bytes(), &payload[..]].concat();
                let message = faster_hex::hex_string(&message);
                self.host.tell_custom_message(peer, &message);
                self.take_in(peer, *kind, &message);
            }
            Event::MessageFromAfar { kind, payload, onion, .. } => self.host.notify("custommsg", |params| {
                params.hex("payload", &[&kind.get().to_be_bytes(), &payload[..]].concat());
                params.object("hops", |hops| write_way(hops, onion));
            }),
            Event::OnionMessage(message) => self.onions.take_in(&self.host, message),
            Event::OnionDropped(dropped) => tell_forward_fail(&self.host, dropped),
            // Warnings reach plugins through the log, as there.
            _ => {}
        }
    }

    fn take_in(&mut self, peer: &NodeId, kind: MessageType, message: &str) {
        let payload = object(|params| {
            params.string("payload", message);
            params.string("peer_id", peer);
        });
        let line = self.of_peers.entry(*peer).or_default();
        let len = payload.len();
        let is_full = line.waiting.len() >= HOOK_WAITING
            || line.bytes.saturating_add(len) > HOOK_WAITING_BYTES
            || self.bytes.saturating_add(len) > HOOK_WAITING_BYTES_OF_ALL;
        if is_full && !line.waiting.is_empty() {
            line.missed = line.missed.saturating_add(1);
            if line.missed.is_power_of_two() {
                tracing::warn!(
                    peer = %peer,
                    "plugins are too slow: {} of its messages were not shown to the custommsg hook by now",
                    line.missed
                );
            }
            return;
        }
        line.bytes = line.bytes.saturating_add(len);
        self.bytes = self.bytes.saturating_add(len);
        line.waiting.push_back(Waiting { kind, payload: payload.into() });
        self.advance(peer);
    }

    fn go_on(&mut self, outcome: Outcome) {
        let Outcome { peer, number, plugin, answer } = outcome;
        if let Some(result) = self.host.judge_hook(&plugin, &Hook::CustomMessage, answer) {
            if says(&result, "result", "continue") {
                self.host.did_well(&plugin);
            } else {
                let what = format!("returned an invalid response: {result}");
                self.host.fault(&plugin, &Hook::CustomMessage, &what);
            }
        }
        let line = self.of_peers.get_mut(&peer);
        if let Some(message) =
            line.and_then(|line| line.under_way.iter_mut().find(|one| one.number == number))
        {
            message.is_asked = false;
        }
        self.advance(&peer);
    }

    /// Sends the messages of a peer on, as far as they may go.
    fn advance(&mut self, peer: &NodeId) {
        let Some(line) = self.of_peers.get_mut(peer) else { return };
        loop {
            while line.under_way.len() < HOOK_WINDOW
                && let Some(Waiting { kind, payload }) = line.waiting.pop_front()
            {
                line.bytes = line.bytes.saturating_sub(payload.len());
                self.bytes = self.bytes.saturating_sub(payload.len());
                let chain = self.host.chain(&Hook::CustomMessage);
                let rest = chain.about(Subject::Number(kind.get().into())).collect();
                line.under_way.push_back(UnderWay { number: line.next, payload, rest, is_asked: false });
                line.next = line.next.wrapping_add(1);
            }
            for place in 0..line.under_way.len() {
                ask_next(&self.host, &mut self.calls, line, place, peer);
            }
            let before = line.under_way.len();
            line.under_way.retain(|message| message.is_asked || !message.rest.is_empty());
            let finished = before - line.under_way.len();
            for _ in 0..finished {
                tracing::debug!(source = "connectd", peer = %peer, "custommsg processing finished");
            }
            if finished == 0 || line.waiting.is_empty() {
                break;
            }
        }
        if line.under_way.is_empty() {
            self.of_peers.remove(peer);
        }
    }
}

/// Sends the message at `place` to the next plugin of its chain, past those that cannot be asked, if it is its turn there.
fn ask_next(host: &Host, calls: &mut JoinSet<Outcome>, line: &mut Line, place: usize, peer: &NodeId) {
    loop {
        let Some(message) = line.under_way.get(place) else { return };
        let Some(plugin) = message.rest.front().filter(|_| !message.is_asked).cloned() else { return };
        let comes_to_it = |earlier: &UnderWay| earlier.rest.iter().any(|other| Arc::ptr_eq(other, &plugin));
        if line.under_way.iter().take(place).any(comes_to_it) {
            return;
        }
        let Some(message) = line.under_way.get_mut(place) else { return };
        message.rest.pop_front();
        if !plugin.is_callable() {
            continue;
        }
        message.is_asked = true;
        let (peer, number) = (*peer, message.number);
        // Sent here and now, so that the order is the order of these calls.
        let asked = host.ask(&plugin, Hook::CustomMessage.name(), None, &message.payload);
        let answer = asked.within(host.patience(HOOK_TIME));
        calls.spawn(async move { Outcome { peer, number, answer: answer.await, plugin } });
        return;
    }
}
