//! What becomes of an onion message that came: peeled, then delivered, handed to the next node, or dropped with a reason.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

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
use super::replies::{Claim, Replies};
use super::{
    Arrived, CUSTOM_MESSAGE_RECORD, OnionDrop, OnionDropped, OnionMessage, OnionRecord, OnionTraffic,
    ReplyPath,
};
use crate::events::Event;
use crate::limits::{Limits, ONION_INBOX_BYTES, ONION_INBOX_MESSAGES, ONION_REPLIES};
use crate::node::Shared;
use crate::peer::dial;
use crate::peer::handle::PeerHandle;
use crate::{MessageType, NodeId};

/// The records of even types that BOLT 12 gives to onion messages: requests for invoices, invoices and their errors. They
/// are handed on as they are; all other even ones spoil a message (BOLT 1, it's OK to be odd).
const OFFERS: [u64; 3] = [64, 66, 68];

/// All that a node holds for onion messages.
#[derive(Debug)]
pub(crate) struct Relay {
    inbox: Inbox,
    incoming: Buckets,
    pub(super) outgoing: Buckets,
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
            replies: Replies::new(ONION_REPLIES),
            addresses: Addresses::default(),
            counters: Counters::default(),
        }
    }

    /// Notes where a peer was reached.
    pub(crate) fn learn_address(&self, id: NodeId, address: std::net::SocketAddr) {
        self.addresses.learn(id, address);
    }

    pub(crate) fn traffic(&self) -> OnionTraffic {
        let Counters { received, delivered, forwarded, dropped } = &self.counters;
        let [received, delivered, forwarded, dropped] =
            [received, delivered, forwarded, dropped].map(|counter| counter.load(Ordering::Relaxed));
        OnionTraffic { received, delivered, forwarded, dropped }
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
                    let text = format!("Ratelimited onion_message: exceeded one per {interval_ms}msec");
                    // A peer whose queue is full does not hear it; the event is told all the same.
                    if let Err(error) = peer.warn(&text) {
                        tracing::debug!(peer = %id, "it is not warned: {error}");
                    }
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

    /// Hands a message to a connected peer's queue.
    pub(super) fn hand_over(&self, peer: &PeerHandle, payload: &[u8]) -> Result<(), OnionDrop> {
        let id = peer.peer.id;
        if !takes_onions(peer) {
            return Err(OnionDrop::NotOffered(id));
        }
        if self.outgoing.take(&id, Instant::now()) != Token::Taken {
            return Err(OnionDrop::TooFastForNext(id));
        }
        peer.send(MessageType::ONION_MESSAGE, payload).map_err(OnionDrop::Send)
    }
}

/// Whether the peer's `init` offers onion messages.
pub(super) fn takes_onions(peer: &PeerHandle) -> bool {
    Features::new(&peer.peer.features).offers(Feature::OnionMessages)
}

/// Peels what waits, one message after the other, until the node stops.
pub(crate) async fn run(shared: Arc<Shared>) {
    let stopping = shared.stopping();
    tokio::pin!(stopping);
    loop {
        let incoming = tokio::select! {
            biased;
            () = &mut stopping => return,
            incoming = shared.onions.inbox.next() => incoming,
        };
        let outcome = match Wire::decode(&incoming.payload) {
            Ok(Wire { path_key, packet }) => process(&shared, &path_key, packet, Some(&incoming)),
            Err(error) => Err(OnionDrop::Unreadable(error).into()),
        };
        if let Err(stop) = outcome {
            shared.onions.drop_incoming(&shared, &incoming, stop.reason, stop.outgoing);
        }
        // Peeling does not wait for anything, so others of this thread get their turn here.
        tokio::task::yield_now().await;
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
            count(&shared.onions.counters.delivered);
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
            match shared.registry.get(&id).filter(|peer| !peer.is_closing()) {
                Some(peer) => shared.onions.hand_over(&peer, &outgoing).map_err(stop)?,
                None => {
                    return call(shared, id, Parcel { incoming: incoming.cloned(), outgoing }).map_err(stop);
                }
            }
            if incoming.is_some() {
                count(&shared.onions.counters.forwarded);
            }
            Ok(())
        }
    }
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
    match shared.onions.addresses.wait(next, parcel) {
        Call::UnderWay => Ok(()),
        Call::Unknown => Err(OnionDrop::NotConnected(next)),
        Call::TooMany => Err(OnionDrop::NotReached(next)),
        Call::Begin(address) => {
            tracing::debug!(peer = %next, "connecting for the sake of an onion message");
            let shared = Arc::clone(shared);
            tokio::spawn(async move {
                let reached = dial::connect(&shared, next, address).await.is_ok();
                for parcel in shared.onions.addresses.called(&next) {
                    hand_over_parcel(&shared, next, &parcel, reached);
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
fn hand_over_parcel(shared: &Shared, next: NodeId, parcel: &Parcel, reached: bool) {
    let onions = &shared.onions;
    let peer = shared.registry.get(&next).filter(|_| reached);
    let outcome = match peer {
        Some(peer) => onions.hand_over(&peer, &parcel.outgoing),
        None => Err(OnionDrop::NotReached(next)),
    };
    match (outcome, &parcel.incoming) {
        (Ok(()), Some(_)) => count(&onions.counters.forwarded),
        (Err(reason), Some(incoming)) => {
            let onion = Wire::decode(&parcel.outgoing).map(|message| Bytes::copy_from_slice(message.packet));
            onions.drop_incoming(
                shared,
                incoming,
                reason,
                Some((NextHop::Node(next), onion.unwrap_or_default())),
            );
        }
        (Ok(()), None) => {}
        (Err(reason), None) => {
            tracing::info!(peer = %next, "an onion message of ours was not sent: {reason}");
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
        received: SystemTime::now(),
    });
    if let Some(answer) = wanted {
        // Who waited may have gone in this moment; the path is spent all the same.
        return answer.send(message).map_err(|_| OnionDrop::SpentPath);
    }
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
