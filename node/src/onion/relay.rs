//! What becomes of an onion message that came: peeled, then delivered, handed to the next node, or dropped with a reason.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use tokio::time::Instant;
use wire_core::connection::EvenTypes as _;
use wire_core::cursor::Writer;
use wire_core::message::features::{Feature, Features};
use wire_core::message::kind;
use wire_core::message::onion_message::OnionMessage as Wire;
use wire_core::onion::message::{Delivery, NextHop, Received, receive};

use super::addresses::{Addresses, Call, Parcel};
use super::bucket::{Buckets, Token};
use super::inbox::{Inbox, InboxLimits, Waiting};
use super::outbox::{Departing, Outbox, OutboxLimits};
use super::replies::{Claim, Replies};
use super::{
    Arrived, CUSTOM_MESSAGE_RECORD, OnionDrop, OnionDropped, OnionMessage, OnionRecord, OnionTraffic,
    ReplyPath,
};
use crate::clock;
use crate::events::Event;
use crate::limits::{
    Limits, ONION_INBOX_BYTES, ONION_INBOX_MESSAGES, ONION_OUT_OWN, ONION_OUTBOX_BYTES,
    ONION_OUTBOX_MESSAGES, ONION_OUTBOX_PER_NODE, ONION_REPLIES,
};
use crate::node::Shared;
use crate::peer::dial;
use crate::peer::handle::PeerHandle;
use crate::system::spawn;
use crate::{MessageType, NodeId};

/// The records of even types that BOLT 12 gives to onion messages: requests for invoices, invoices and their errors. They
/// are handed on as they are; all other even ones spoil a message (BOLT 1, it's OK to be odd).
const OFFERS: [u64; 3] = [64, 66, 68];

/// All that a node holds for onion messages.
#[derive(Debug)]
pub(crate) struct Relay {
    inbox: Inbox,
    incoming: Buckets,
    outgoing: Buckets,
    outbox: Outbox,
    pub(super) replies: Replies,
    addresses: Addresses,
    counters: Counters,
}

#[derive(Debug, Default)]
struct Counters {
    received: AtomicU64,
    delivered: AtomicU64,
    forwarded: AtomicU64,
    dropped: AtomicU64,
}

impl Relay {
    pub(crate) fn new(limits: &Limits) -> Relay {
        let (incoming, outgoing) = limits.onion_paces();
        Relay {
            inbox: Inbox::new(InboxLimits { messages: ONION_INBOX_MESSAGES, bytes: ONION_INBOX_BYTES }),
            incoming: Buckets::new(incoming, limits.peers),
            outgoing: Buckets::new(outgoing, limits.peers),
            outbox: Outbox::new(OutboxLimits {
                messages_per_node: ONION_OUTBOX_PER_NODE,
                messages: ONION_OUTBOX_MESSAGES,
                bytes: ONION_OUTBOX_BYTES,
            }),
            replies: Replies::new(ONION_REPLIES),
            addresses: Addresses::default(),
            counters: Counters::default(),
        }
    }

    /// Notes where a peer was reached.
    pub(crate) fn learn_address(&self, id: NodeId, address: std::net::SocketAddr) {
        self.addresses.learn(id, address);
    }

    /// Has a peer not be called for the sake of a message.
    pub(crate) fn forget_address(&self, id: &NodeId) {
        self.addresses.forget(id);
    }

    pub(crate) fn traffic(&self) -> OnionTraffic {
        let Counters { received, delivered, forwarded, dropped } = &self.counters;
        let [received, delivered, forwarded, dropped] =
            [received, delivered, forwarded, dropped].map(|counter| counter.load(Ordering::Relaxed));
        OnionTraffic { received, delivered, forwarded, dropped }
    }

    /// What it holds at this moment.
    #[cfg(all(test, not(oddwire_loom)))]
    pub(crate) fn held(&self) -> Held {
        let [addresses, calls, waiting_for_calls] = self.addresses.count();
        Held {
            inbox: self.inbox.size(),
            outbox: self.outbox.size(),
            buckets: [self.incoming.count(), self.outgoing.count()],
            replies: self.replies.count(),
            addresses,
            calls,
            waiting_for_calls,
        }
    }

    /// Takes a message from a peer's task: into the inbox if the peer has a token.
    pub(crate) fn arrived(&self, shared: &Shared, peer: &PeerHandle, payload: &[u8]) {
        count(&self.counters.received);
        let id = peer.peer.id;
        let interval_ms = self.incoming.pace().interval.as_millis();
        match self.incoming.take(&id, Instant::now()) {
            Token::Taken => {}
            Token::None { first } => {
                count(&self.counters.dropped);
                if first {
                    warn(peer, &format!("Ratelimited onion_message: exceeded one per {interval_ms}msec"));
                    let waiting = Waiting { peer: id, payload: Bytes::new() };
                    tell(shared, &waiting, OnionDrop::TooFast { interval_ms }, None);
                }
                return;
            }
        }
        for dropped in self.inbox.push(Waiting { peer: id, payload: Bytes::copy_from_slice(payload) }) {
            self.drop_incoming(shared, &dropped, OnionDrop::Busy, None);
        }
    }

    /// Counts and tells of a message that goes no further.
    fn drop_incoming(
        &self,
        shared: &Shared,
        incoming: &Waiting,
        reason: OnionDrop,
        outgoing: Option<(NextHop, Bytes)>,
    ) {
        count(&self.counters.dropped);
        tell(shared, incoming, reason, outgoing);
    }

    /// Hands a message of our own to a connected peer's queue.
    pub(super) fn hand_over(&self, peer: &PeerHandle, payload: &[u8]) -> Result<(), OnionDrop> {
        self.hand_over_leaving(0, peer, payload)
    }

    /// Forwards a message to a connected peer, at once or when its turn comes.
    fn forward(&self, shared: &Shared, peer: &PeerHandle, message: Departing) {
        let now = Instant::now();
        let is_ready = self.outgoing.ready_at(ONION_OUT_OWN, &message.next, now) <= now;
        if is_ready && !self.outbox.holds_for(&message.next) {
            return self.depart(shared, Some(peer), &message);
        }
        for dropped in self.outbox.push(message) {
            self.drop_departing(shared, &dropped, OnionDrop::TooFastForNext(dropped.next));
        }
    }

    /// Its turn has come.
    fn depart(&self, shared: &Shared, peer: Option<&PeerHandle>, message: &Departing) {
        let reached = peer.ok_or(OnionDrop::NotReached(message.next));
        match reached.and_then(|peer| self.hand_over_leaving(ONION_OUT_OWN, peer, &message.outgoing)) {
            Ok(()) => count(&self.counters.forwarded),
            Err(reason) => self.drop_departing(shared, message, reason),
        }
    }

    fn drop_departing(&self, shared: &Shared, message: &Departing, reason: OnionDrop) {
        let onion = Wire::decode(&message.outgoing).map(|wire| Bytes::copy_from_slice(wire.packet));
        let outgoing = (NextHop::Node(message.next), onion.unwrap_or_default());
        self.drop_incoming(shared, &message.incoming, reason, Some(outgoing));
    }

    fn hand_over_leaving(&self, left: u32, peer: &PeerHandle, payload: &[u8]) -> Result<(), OnionDrop> {
        let id = peer.peer.id;
        if !takes_onions(peer) {
            return Err(OnionDrop::NotOffered(id));
        }
        if self.outgoing.take_leaving(left, &id, Instant::now()) != Token::Taken {
            return Err(OnionDrop::TooFastForNext(id));
        }
        peer.send(MessageType::ONION_MESSAGE, payload).map_err(OnionDrop::Send)
    }
}

/// See [`Relay::held`]; of boxes the messages and the bytes.
#[cfg(all(test, not(oddwire_loom)))]
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) inbox: (usize, usize),
    pub(crate) outbox: (usize, usize),
    pub(crate) buckets: [usize; 2],
    pub(crate) replies: usize,
    pub(crate) addresses: usize,
    pub(crate) calls: usize,
    pub(crate) waiting_for_calls: usize,
}

/// Whether the peer's `init` offers onion messages.
pub(super) fn takes_onions(peer: &PeerHandle) -> bool {
    Features::new(&peer.peer.features).offers(Feature::OnionMessages)
}

/// Peels what waits, one message after the other, and sends what has waited for its turn, until the node stops.
pub(crate) async fn run(shared: Arc<Shared>) {
    let stopping = shared.stopping();
    tokio::pin!(stopping);
    let onions = &shared.onions;
    loop {
        tokio::select! {
            biased;
            () = &mut stopping => return,
            message = onions.outbox.next(|next| onions.outgoing.ready_at(ONION_OUT_OWN, next, Instant::now())) => {
                let peer = connected(&shared, &message.next);
                onions.depart(&shared, peer.as_deref(), &message);
            }
            incoming = onions.inbox.next() => peel(&shared, &incoming),
        }
        // Neither waits for anything, so others of this thread get their turn here.
        tokio::task::yield_now().await;
    }
}

fn peel(shared: &Arc<Shared>, incoming: &Waiting) {
    let outcome = match Wire::decode(&incoming.payload) {
        Ok(Wire { path_key, packet }) => process(shared, &path_key, packet, Some(incoming)),
        Err(error) => {
            // Of what is wrong inside an onion its peer need not know, but this is its own doing.
            if let Some(peer) = connected(shared, &incoming.peer) {
                warn(&peer, &format!("Bad onion_message: {error}"));
            }
            Err(OnionDrop::Unreadable(error).into())
        }
    };
    if let Err(stop) = outcome {
        shared.onions.drop_incoming(shared, incoming, stop.reason, stop.outgoing);
    }
}

/// A peer whose queue is full does not hear it.
fn warn(peer: &PeerHandle, text: &str) {
    if let Err(error) = peer.warn(text) {
        tracing::debug!(peer = %peer.peer.id, "it is not warned: {error}");
    }
}

/// Why a message stops here, and what there was to forward.
pub(super) struct Stop {
    pub(super) reason: OnionDrop,
    outgoing: Option<(NextHop, Bytes)>,
}

impl From<OnionDrop> for Box<Stop> {
    fn from(reason: OnionDrop) -> Box<Stop> {
        Box::new(Stop { reason, outgoing: None })
    }
}

/// Does with a message what its layer for us says. `incoming` is how it came; `None` for one of our own.
pub(super) fn process(
    shared: &Arc<Shared>,
    path_key: &NodeId,
    packet: &[u8],
    incoming: Option<&Waiting>,
) -> Result<(), Box<Stop>> {
    let mut bytes = packet.to_vec();
    match receive(&shared.local.key, path_key, &mut bytes).map_err(OnionDrop::Refused)? {
        Received::Deliver(delivery) => {
            deliver(shared, &delivery)?;
            Ok(())
        }
        Received::Forward(forward) => {
            let message = Wire { path_key: forward.path_key, packet: forward.packet };
            let outgoing = payload_of(&message);
            let stop = |reason| {
                let onion = Bytes::copy_from_slice(forward.packet);
                Box::new(Stop { reason, outgoing: Some((forward.next, onion)) })
            };
            let id = match forward.next {
                NextHop::Node(id) => id,
                NextHop::Channel(channel) => return Err(stop(OnionDrop::UnknownChannel(channel))),
            };
            if id == shared.id() {
                return Err(stop(OnionDrop::BackToUs));
            }
            match (connected(shared, &id), incoming.cloned()) {
                (Some(peer), Some(incoming)) => {
                    shared.onions.forward(shared, &peer, Departing { next: id, incoming, outgoing });
                    Ok(())
                }
                (Some(peer), None) => shared.onions.hand_over(&peer, &outgoing).map_err(stop),
                (None, incoming) => call(shared, id, Parcel { incoming, outgoing }).map_err(stop),
            }
        }
    }
}

/// The peer's handle, if messages can still be sent to it.
fn connected(shared: &Shared, id: &NodeId) -> Option<Arc<PeerHandle>> {
    shared.registry.get(id).filter(|peer| !peer.is_closing())
}

/// The payload of an `onion_message`.
pub(super) fn payload_of(message: &Wire<'_>) -> Vec<u8> {
    // 33 of path key, 2 of length.
    let mut payload = vec![0; 35 + message.packet.len()];
    // The room is what it takes. Only an onion of more than 65,535 bytes, which no peer can have sent, does not encode: it
    // stays as long as it is, and so no queue takes it.
    let _encoded = message.encode_payload(&mut Writer::new(&mut payload));
    payload
}

/// Has a parcel wait while its next node is called, if an address is known.
fn call(shared: &Arc<Shared>, next: NodeId, parcel: Parcel) -> Result<(), OnionDrop> {
    match shared.onions.addresses.wait(next, parcel, Instant::now()) {
        Call::UnderWay => Ok(()),
        Call::Unknown => Err(OnionDrop::NotConnected(next)),
        Call::TooMany | Call::Resting => Err(OnionDrop::NotReached(next)),
        Call::Begin(address) => {
            tracing::debug!(peer = %next, "connecting for the sake of an onion message");
            let shared = Arc::clone(shared);
            spawn(async move {
                let reached = dial::connect(&shared, next, address).await.is_ok();
                for parcel in shared.onions.addresses.called(&next, Instant::now()) {
                    hand_over_parcel(&shared, next, parcel, reached);
                }
            });
            Ok(())
        }
    }
}

/// Whether a peer is connected after a call, if its address is known.
pub(super) async fn connect_if_known(shared: &Arc<Shared>, id: NodeId) -> bool {
    match shared.onions.addresses.of(&id) {
        Some(address) => dial::connect(shared, id, address).await.is_ok(),
        None => false,
    }
}

/// What has waited for a call goes out, or no further.
fn hand_over_parcel(shared: &Shared, next: NodeId, parcel: Parcel, reached: bool) {
    let onions = &shared.onions;
    let peer = connected(shared, &next).filter(|_| reached);
    let Parcel { incoming, outgoing } = parcel;
    match (incoming, peer) {
        (Some(incoming), Some(peer)) => {
            onions.forward(shared, &peer, Departing { next, incoming, outgoing });
        }
        (Some(incoming), None) => {
            let message = Departing { next, incoming, outgoing };
            onions.drop_departing(shared, &message, OnionDrop::NotReached(next));
        }
        (None, peer) => {
            let peer = peer.ok_or(OnionDrop::NotReached(next));
            if let Err(reason) = peer.and_then(|peer| onions.hand_over(&peer, &outgoing)) {
                tracing::info!(peer = %next, "an onion message of ours was not sent: {reason}");
            }
        }
    }
}

/// Gives a message to whoever waits for it, or to the subscribers.
fn deliver(shared: &Shared, delivery: &Delivery<'_>) -> Result<(), OnionDrop> {
    if let Some(record) =
        delivery.records().find(|record| record.kind.is_multiple_of(2) && !OFFERS.contains(&record.kind))
    {
        return Err(OnionDrop::EvenRecord(record.kind));
    }
    let records: Vec<OnionRecord> = delivery
        .records()
        .map(|record| OnionRecord { kind: record.kind, value: Bytes::copy_from_slice(record.value) })
        .collect();
    // Before the path is spent: who waits for an answer goes on waiting for one that can be read.
    let custom = custom_message(shared, &records)?;
    let mut path_id = delivery.path_id;
    let mut wanted = None;
    if let Some(id) = path_id {
        match shared.onions.replies.claim(&shared.secrets, id, Instant::now()) {
            Claim::Wanted(answer) => (path_id, wanted) = (None, Some(answer)),
            Claim::Spent => return Err(OnionDrop::SpentPath),
            Claim::Foreign => {}
        }
    }
    let message: Arrived = Arc::new(OnionMessage {
        records,
        path_id: path_id.map(Bytes::copy_from_slice),
        reply_path: delivery.reply_path.as_ref().and_then(copied),
        received: clock::wall(),
    });
    if let Some(answer) = wanted {
        // Who waited may have gone in this moment; the path is spent all the same.
        answer.send(message).map_err(|_| OnionDrop::SpentPath)?;
        count(&shared.onions.counters.delivered);
        return Ok(());
    }
    // Before anybody is told: whoever hears of it finds it counted.
    count(&shared.onions.counters.delivered);
    if let Some((kind, payload)) = custom {
        shared.hub.deliver_from_afar(kind, payload, Arc::clone(&message));
    }
    shared.hub.publish(&Event::OnionMessage(message));
    Ok(())
}

/// The custom message among the records, if there is one.
fn custom_message(
    shared: &Shared,
    records: &[OnionRecord],
) -> Result<Option<(MessageType, Bytes)>, OnionDrop> {
    let Some(record) = records.iter().find(|record| record.kind == CUSTOM_MESSAGE_RECORD) else {
        return Ok(None);
    };
    let (kind, payload) = kind::split(&record.value).ok_or(OnionDrop::NoType)?;
    if kind.is_internal() {
        return Err(OnionDrop::InternalType(kind));
    }
    if kind.is_even() && !shared.even_types.allows(kind) {
        return Err(OnionDrop::EvenType(kind));
    }
    Ok(Some((kind, record.value.slice_ref(payload))))
}

fn copied(path: &wire_core::onion::BlindedPath<'_>) -> Option<ReplyPath> {
    let mut bytes = vec![0; path.encoded_len()];
    path.encode(&mut Writer::new(&mut bytes)).ok()?;
    ReplyPath::from_bytes(bytes).ok()
}

fn tell(shared: &Shared, incoming: &Waiting, reason: OnionDrop, outgoing: Option<(NextHop, Bytes)>) {
    let source = incoming.peer;
    tracing::debug!(peer = %source, "an onion message goes no further: {reason}");
    let message = Wire::decode(&incoming.payload).ok();
    shared.hub.publish(&Event::OnionDropped(Arc::new(OnionDropped {
        source,
        reason,
        path_key: message.map(|message| message.path_key),
        incoming: message.map(|message| incoming.payload.slice_ref(message.packet)).unwrap_or_default(),
        outgoing,
    })));
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
