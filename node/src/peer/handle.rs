//! A connected peer as everybody but its own task sees it.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use bytes::Bytes;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::Instant;
use wire_core::connection::CloseReason;
use wire_core::cursor::{NoRoom, Writer};
use wire_core::limits::{CHANNEL_ID_LEN, MAX_MESSAGE_LEN, MESSAGE_TYPE_LEN};
use wire_core::message::error::{ALL_CHANNELS, WarningMessage};
use wire_core::message::ping::Ping;

use super::mailbox::Mailbox;
use super::{Direction, PeerInfo, Traffic};
use crate::clock;
use crate::send_queue::{QueueError, Reservation, SendQueue, Shared};
use crate::{MessageType, NodeId, PingError, PingReply, SendError};

/// Shared between the registry, callers and the peer's task.
#[derive(Debug)]
pub(crate) struct PeerHandle {
    pub(crate) peer: Particulars,
    pub(crate) since: SystemTime,
    /// As `since`, on the clock that never jumps.
    pub(crate) opened: Instant,
    pub(crate) queue: Shared<SendQueue>,
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) counters: Counters,
    /// Set when the connection is to close: no new messages are taken, while those that were taken still go out.
    closing: AtomicBool,
    /// Set when a custom message of the peer's has come over this connection.
    delivered: AtomicBool,
    /// Why the connection has ended.
    end: OnceLock<CloseReason>,
    /// Closed when the connection is gone; nobody ever gets a permit.
    gone: Semaphore,
}

/// Who the peer of a connection is, and how it is connected.
#[derive(Debug)]
pub(crate) struct Particulars {
    pub(crate) id: NodeId,
    /// Number of the connection; no two connections of a node have the same.
    pub(crate) serial: u64,
    pub(crate) direction: Direction,
    pub(crate) address: SocketAddr,
    /// Of its `init`, see [`PeerInfo::features`].
    pub(crate) features: Bytes,
    pub(crate) seen_as: Option<SocketAddr>,
}

impl PeerHandle {
    pub(crate) fn new(peer: Particulars, queue: Shared<SendQueue>, mailbox: Arc<Mailbox>) -> PeerHandle {
        PeerHandle {
            peer,
            since: clock::wall(),
            opened: Instant::now(),
            queue,
            mailbox,
            counters: Counters::default(),
            closing: AtomicBool::new(false),
            delivered: AtomicBool::new(false),
            end: OnceLock::new(),
            gone: Semaphore::const_new(0),
        }
    }

    pub(crate) fn info(&self) -> PeerInfo {
        PeerInfo {
            id: self.peer.id,
            direction: self.peer.direction,
            address: self.peer.address,
            features: self.peer.features.clone(),
            seen_as: self.peer.seen_as,
            connected_since: self.since,
            traffic: self.counters.snapshot(&self.queue),
        }
    }

    /// Queues a message: no lock, and no allocation but the queue's own.
    pub(crate) fn send(&self, kind: MessageType, payload: &[u8]) -> Result<(), SendError> {
        if self.is_closing() {
            return Err(SendError::Closing);
        }
        self.queue.push(kind, payload).map_err(refusal)
    }

    /// The same, waiting in line for room. Whoever waits when the connection is to close is sent away when it is their turn, or
    /// with the queue.
    pub(crate) async fn send_in_turn(&self, kind: MessageType, payload: &[u8]) -> Result<(), SendError> {
        if self.is_closing() {
            return Err(SendError::Closing);
        }
        let message_len = payload.len().saturating_add(MESSAGE_TYPE_LEN);
        let reservation = self.queue.reserve_in_turn(message_len).await.map_err(refusal)?;
        if self.is_closing() {
            return Err(SendError::Closing);
        }
        fill(reservation, kind, |room| {
            room.copy_from_slice(payload);
            Ok::<(), Infallible>(())
        })
        .map(|Ok(())| ())
    }

    /// The same for a payload that `write` puts into the queue's room. If it fails, nothing is queued.
    pub(crate) fn send_with<E>(
        &self,
        kind: MessageType,
        payload_len: usize,
        write: impl FnOnce(&mut [u8]) -> Result<(), E>,
    ) -> Result<Result<(), E>, SendError> {
        if self.is_closing() {
            return Err(SendError::Closing);
        }
        let message_len = payload_len.saturating_add(MESSAGE_TYPE_LEN);
        fill(self.queue.reserve(message_len).map_err(refusal)?, kind, write)
    }

    /// Queues a `warning` about no channel in particular (BOLT 1).
    pub(crate) fn warn(&self, text: &str) -> Result<(), SendError> {
        let mut message = vec![0; MESSAGE_TYPE_LEN + CHANNEL_ID_LEN + size_of::<u16>() + text.len()];
        let warning = WarningMessage { channel_id: ALL_CHANNELS, data: text.as_bytes() };
        warning
            .encode(&mut Writer::new(&mut message))
            .map_err(|NoRoom { .. }| SendError::TooLong { len: message.len(), limit: MAX_MESSAGE_LEN })?;
        self.send(MessageType::WARNING, message.get(MESSAGE_TYPE_LEN..).unwrap_or_default())
    }

    pub(crate) async fn ping(&self, ping: Ping) -> Result<PingReply, PingError> {
        let (answer, reply) = oneshot::channel();
        self.mailbox.ping(ping, answer)?;
        // The task drops the sender when it ends.
        reply.await.unwrap_or(Err(PingError::Disconnected))
    }

    /// Takes no more messages, sends what is queued, closes.
    pub(crate) fn close(&self, reason: CloseReason) {
        self.refuse_messages();
        self.mailbox.drain(reason);
    }

    /// Takes no more messages, so that draining comes to an end.
    pub(super) fn refuse_messages(&self) {
        self.closing.store(true, Ordering::Release);
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// Notes that a custom message of the peer's has come.
    pub(crate) fn note_delivery(&self) {
        // Senders read this line of memory: it is written once, not with every message.
        if !self.delivered.load(Ordering::Relaxed) {
            self.delivered.store(true, Ordering::Relaxed);
        }
    }

    /// Whether a custom message of the peer's has come. Certain once the connection is [gone](Self::gone).
    pub(crate) fn has_delivered(&self) -> bool {
        self.delivered.load(Ordering::Relaxed)
    }

    /// Notes why the connection has ended.
    pub(super) fn note_end(&self, reason: CloseReason) {
        // Ends once.
        let _ = self.end.set(reason);
    }

    /// Whether the peer has ended this connection in good order. Known once it is [gone](Self::gone).
    pub(super) fn was_closed_by_peer(&self) -> bool {
        self.end.get() == Some(&CloseReason::PeerClosed)
    }

    /// Waits until the connection is gone: its socket is closed, its last event is published.
    pub(crate) async fn gone(&self) {
        // An error, always: the semaphore has no permits and is closed at the end.
        let _ = self.gone.acquire().await;
    }

    pub(super) fn set_gone(&self) {
        self.refuse_messages();
        self.gone.close();
    }
}

/// Queues what `write` makes of the room that was reserved, or gives the room back if it fails.
fn fill<E>(
    mut reservation: Reservation<'_>,
    kind: MessageType,
    write: impl FnOnce(&mut [u8]) -> Result<(), E>,
) -> Result<Result<(), E>, SendError> {
    let (type_room, payload_room) = reservation.message_mut().split_at_mut(MESSAGE_TYPE_LEN);
    type_room.copy_from_slice(&kind.get().to_be_bytes());
    if let Err(error) = write(payload_room) {
        return Ok(Err(error));
    }
    // The caller still has what it wrote, so what comes back holds nothing that would be lost.
    reservation.commit().map_err(|_| SendError::Closing).map(Ok)
}

fn refusal(error: QueueError) -> SendError {
    match error {
        QueueError::Full { queued_messages, queued_bytes, limit_messages, limit_bytes } => {
            SendError::Full { queued_messages, queued_bytes, limit_messages, limit_bytes }
        }
        QueueError::TooLong { len, limit } => SendError::TooLong { len, limit },
        // A message with a type is never too short.
        QueueError::Closed | QueueError::TooShort { .. } => SendError::Closing,
    }
}

/// Written by the peer's task alone, read by anyone.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    messages_in: AtomicU64,
    bytes_in: AtomicU64,
    messages_out: AtomicU64,
    bytes_out: AtomicU64,
}

impl Counters {
    /// Adds what the task has counted since the last time. One writer, so loads and stores do.
    pub(super) fn add(&self, counted: &mut Counted) {
        let Counted { messages_in, bytes_in, messages_out, bytes_out } = std::mem::take(counted);
        let pairs = [
            (&self.messages_in, messages_in),
            (&self.bytes_in, bytes_in),
            (&self.messages_out, messages_out),
            (&self.bytes_out, bytes_out),
        ];
        for (counter, more) in pairs {
            if more > 0 {
                counter.store(counter.load(Ordering::Relaxed).wrapping_add(more), Ordering::Relaxed);
            }
        }
    }

    fn snapshot(&self, queue: &SendQueue) -> Traffic {
        Traffic {
            messages_in: self.messages_in.load(Ordering::Relaxed),
            bytes_in: self.bytes_in.load(Ordering::Relaxed),
            messages_out: self.messages_out.load(Ordering::Relaxed),
            bytes_out: self.bytes_out.load(Ordering::Relaxed),
            queued_messages: queue.queued_messages(),
            queued_bytes: queue.queued_bytes(),
        }
    }
}

/// Counted by a task since it last told [`Counters`].
#[derive(Debug, Default)]
pub(super) struct Counted {
    pub(super) messages_in: u64,
    pub(super) bytes_in: u64,
    pub(super) messages_out: u64,
    pub(super) bytes_out: u64,
}
