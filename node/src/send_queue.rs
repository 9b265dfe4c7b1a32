//! The queue between everyone who sends to a peer and the one task that writes to its socket.
//!
//! This is the building block under [`Node::send_custom_message`](crate::Node::send_custom_message); most programs use
//! that. It is public because the benchmarks, the fuzz targets and programs with their own I/O loop use it directly.
//!
//! Any number of threads put messages in through [`SendQueue`], one [`Consumer`] takes them out. A message is copied once,
//! into an allocation that already has the room that sealing needs around it; the consumer seals it where it lies and
//! hands many frames to one vectored write. The room is free again when the write has taken the whole frame.
//!
//! ```text
//!  producers                                               consumer
//!  reserve ──► Reservation ──► commit ──► [ stack ] ──► take ──► Batch ──► next_run ──► Run: seal, write, advance
//!     ▲            │ drop                     │ closed                                            │
//!     └── room ◄───┘                          └──► Unsent                                room ◄───┘
//! ```
//!
//! # What lives where
//!
//! `frame`: a message in its room. `pool`: where the memory for it comes from. `stack`: where frames are committed; `list`:
//! what was taken from it. `alarm`: waking the consumer. These hold all of the unsafe code. `sync`: what loom replaces.
//! `credit`: counting against the limits; `line`: waiting for room. `consumer`: the taking side.
//! Encryption, sockets and the decision which message may be sent do not live here; nor do the protocol's own messages
//! (ping, pong, warning), which never queue behind custom ones.
//!
//! # Order
//!
//! Messages leave in the order of their commits. Commits by one thread, or by threads that wait for one another, are
//! therefore in that order.
//!
//! # Nothing is lost
//!
//! A committed message is in the consumer's hands: written, or returned by [`Consumer::close`]. A message that came too late
//! is returned by [`Reservation::commit`]. There is no third case, because one atomic word decides: a commit exchanges
//! it if it does not say "closed", and closing exchanges it for "closed"; one comes before the other. The first kind was
//! on the stack that closing took, the second kind reads "closed".
//!
//! # States and operations
//!
//! The word is *empty*, *filled* (the address of the newest frame) or *closed*.
//!
//! | operation | by | empty | filled | closed | progress |
//! |---|---|---|---|---|---|
//! | [`reserve`](SendQueue::reserve) | anyone | room, or `Full` | room, or `Full` | `Closed` | lock-free: repeats only if another took or gave room |
//! | [`reserve_in_turn`](SendQueue::reserve_in_turn) | anyone | room, or waits | room, or waits | `Closed` | as `reserve` while nobody is in line; then by a lock |
//! | [`commit`](Reservation::commit) | anyone | filled | filled | the message comes back | lock-free: repeats only if another committed, took or closed |
//! | drop of a [`Reservation`] | anyone | room back | room back | room back | wait-free |
//! | calling the consumer, in `commit` | anyone | – | if it waits | – | wait-free, but for what its waker does |
//! | [`take`](Consumer::take) | consumer | nothing | empty; all frames | nothing | wait-free exchange, then one step per frame |
//! | [`wait`](Consumer::wait) | consumer | sleeps | ready | ready | each poll is wait-free |
//! | [`advance`](Run::advance) | consumer | – | – | – | wait-free, one step per frame written |
//! | [`close`](Consumer::close) | consumer | closed | closed; all frames | nothing | wait-free exchange, then one step per frame |
//! | [`queued_messages`](SendQueue::queued_messages), [`queued_bytes`](SendQueue::queued_bytes) | anyone | count | count | count | wait-free |
//!
//! While somebody is in line for room, whoever gives some back also serves the line, under its lock, which is held for a few
//! steps at a time. Those who never wait never meet it.
//!
//! "Lock-free" is the claim that however many threads stop at whatever instruction, the others complete their operations.
//! A thread that stops keeps only what it holds: between reserve and commit its room; inside a commit before the exchange
//! its room and its own message; after the exchange nothing (its call of the consumer may be late, but everyone who
//! commits later calls too). The claim covers this code, and the pool that the memory of frames comes from. Where that
//! has nothing, or keeps nothing more, the global allocator comes in, which may lock inside: in `reserve` and `advance`,
//! never in between.
//!
//! # Memory
//!
//! An unused queue is one allocation under 256 bytes, and so is one in which everything is written. In use, a message's frame
//! takes 24 bytes more than its bytes, rounded up to a size of the pool, at most a quarter more. Once the pool is warm,
//! a message allocates nothing.

mod alarm;
mod consumer;
mod credit;
mod frame;
mod line;
mod list;
mod pool;
mod stack;
mod sync;

#[cfg(test)]
#[cfg(oddwire_loom)]
mod loom_tests;
// Two attributes, not one: clippy knows test modules by `cfg(test)` alone.
#[cfg(test)]
#[cfg(not(oddwire_loom))]
mod tests;

use std::fmt;

use thiserror::Error;
use wire_core::limits::{FRAME_OVERHEAD, MAX_MESSAGE_LEN};
use wire_core::message::kind::MessageType;

use self::alarm::Alarm;
pub use self::consumer::{Batch, Consumer, Run, Written};
use self::credit::{Credit, Room};
use self::frame::Frame;
use self::stack::Stack;
use self::sync::Arc;

/// The shortest message in bytes: its type. BOLT 1, "Lightning Message Format".
const MIN_MESSAGE_LEN: usize = 2;

/// How the producers' side is shared: an [`Arc`](std::sync::Arc), or loom's, which tries every interleaving.
pub(crate) type Shared<T> = Arc<T>;

/// A new queue: the side that everyone shares, and the side of the one who takes.
pub fn send_queue(limits: QueueLimits) -> (Arc<SendQueue>, Consumer) {
    let queue = Arc::new(SendQueue { stack: Stack::new(), credit: Credit::new(limits), alarm: Alarm::new() });
    let consumer = Consumer::new(Arc::clone(&queue));
    (queue, consumer)
}

/// How much a queue holds. Both limits hold at once and exactly; at either one, [`QueueError::Full`].
///
/// A message counts from the moment it is reserved until it is completely written, returned or given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueLimits {
    /// The most messages at a time. Values over 8,388,607 count as that.
    pub messages: usize,
    /// The most bytes at a time, counted as frames on the wire: each message and 34 bytes more. Values over 1 TiB count
    /// as that; under 65,569 the longest messages can never be sent and are refused as [`QueueError::TooLong`].
    pub bytes: usize,
}

/// The producers' side of a queue; shared by reference or in its [`Arc`].
// A line of its own, so that a neighbour's writes do not slow it down. Within it the words share one line on purpose: a
// producer touches all of them, and fetching one line from another core is cheaper than fetching three.
#[derive(Debug)]
#[repr(align(64))]
pub struct SendQueue {
    stack: Stack,
    credit: Credit,
    alarm: Alarm,
}

impl SendQueue {
    /// Takes room for a message of `message_len` bytes, type and payload together, to be written in place.
    ///
    /// # Errors
    /// [`QueueError::Closed`] once the consumer is gone, [`QueueError::Full`] at either limit, [`QueueError::TooLong`] and
    /// [`QueueError::TooShort`] for a message that this queue can never carry.
    pub fn reserve(&self, message_len: usize) -> Result<Reservation<'_>, QueueError> {
        self.reserve_with(message_len, Frame::zeroed)
    }

    /// Queues one message: reserve, one copy, commit.
    ///
    /// # Errors
    /// As [`Self::reserve`]. On an error nothing was queued.
    pub fn push(&self, kind: MessageType, payload: &[u8]) -> Result<(), QueueError> {
        let message_len = MIN_MESSAGE_LEN.saturating_add(payload.len());
        let reservation = self.reserve_with(message_len, |len| Frame::holding(len, kind, payload))?;
        // The caller still has the payload, so what comes back holds nothing that would be lost.
        reservation.commit().map_err(|_| QueueError::Closed)
    }

    /// As [`reserve`](Self::reserve), but where that would answer `Full` this waits in line until there is room: behind all
    /// who wait already, before all who ask later, in line or not.
    ///
    /// May be dropped at any time: the place in line is free then.
    ///
    /// # Errors
    /// As [`reserve`](Self::reserve), [`QueueError::Closed`] also while waiting; [`QueueError::Full`] only if 4,096 are in line.
    pub async fn reserve_in_turn(&self, message_len: usize) -> Result<Reservation<'_>, QueueError> {
        let wire_len = self.carried_len(message_len)?;
        let bytes = message_len + FRAME_OVERHEAD;
        let room = match self.credit.reserve(bytes) {
            Ok(room) => room,
            Err(_) => self.credit.join(bytes)?.await?,
        };
        Ok(Reservation { frame: Frame::zeroed(wire_len), room, queue: self })
    }

    /// As [`push`](Self::push), waiting in line as [`reserve_in_turn`](Self::reserve_in_turn) does.
    ///
    /// # Errors
    /// As [`reserve_in_turn`](Self::reserve_in_turn). On an error nothing was queued.
    pub async fn push_in_turn(&self, kind: MessageType, payload: &[u8]) -> Result<(), QueueError> {
        let mut reservation = self.reserve_in_turn(MIN_MESSAGE_LEN.saturating_add(payload.len())).await?;
        let (type_room, payload_room) = reservation.message_mut().split_at_mut(MIN_MESSAGE_LEN);
        type_room.copy_from_slice(&kind.get().to_be_bytes());
        payload_room.copy_from_slice(payload);
        reservation.commit().map_err(|_| QueueError::Closed)
    }

    /// Messages that are reserved, committed or being written.
    pub fn queued_messages(&self) -> usize {
        self.credit.messages()
    }

    /// The bytes of those messages as frames on the wire.
    pub fn queued_bytes(&self) -> usize {
        self.credit.bytes()
    }

    /// The limits as they are in force.
    pub fn limits(&self) -> QueueLimits {
        self.credit.limits()
    }

    /// Whether the consumer has closed the queue. False may be outdated at once; true is final.
    pub fn is_closed(&self) -> bool {
        self.stack.is_closed()
    }

    fn reserve_with(
        &self,
        message_len: usize,
        frame: impl FnOnce(u16) -> Frame,
    ) -> Result<Reservation<'_>, QueueError> {
        let wire_len = self.carried_len(message_len)?;
        // Room first, memory second: who is refused has allocated nothing.
        let room = self.credit.reserve(message_len + FRAME_OVERHEAD)?;
        Ok(Reservation { frame: frame(wire_len), room, queue: self })
    }

    /// The length as frames have it, if this queue can carry a message that long.
    fn carried_len(&self, message_len: usize) -> Result<u16, QueueError> {
        if self.stack.is_closed() {
            return Err(QueueError::Closed);
        }
        if message_len < MIN_MESSAGE_LEN {
            return Err(QueueError::TooShort { len: message_len });
        }
        let limit = MAX_MESSAGE_LEN.min(self.credit.limits().bytes.saturating_sub(FRAME_OVERHEAD));
        let too_long = QueueError::TooLong { len: message_len, limit };
        let wire_len = u16::try_from(message_len).map_err(|_| too_long)?;
        if message_len > limit {
            return Err(too_long);
        }
        Ok(wire_len)
    }
}

/// Room for one message, taken from the queue's limits. Write the message, then [`commit`](Self::commit).
///
/// Dropping it instead gives the room back. However long it is held, it holds up nobody: order is decided by the commit.
#[derive(Debug)]
#[must_use = "the message is queued by `commit`"]
pub struct Reservation<'q> {
    // Dropped in this order: the memory is freed before its room is given to someone else.
    frame: Frame,
    room: Room<'q>,
    queue: &'q SendQueue,
}

impl Reservation<'_> {
    /// The message, type and payload; all zero at first.
    pub fn message_mut(&mut self) -> &mut [u8] {
        self.frame.message_mut()
    }

    /// Queues the message behind all that are committed.
    ///
    /// # Errors
    /// The message itself, when the consumer has closed the queue meanwhile.
    pub fn commit(self) -> Result<(), Unsent> {
        let Self { frame, room, queue } = self;
        match queue.stack.push(frame) {
            Ok(()) => {
                room.pass_to_consumer();
                queue.alarm.ring();
                Ok(())
            }
            Err(frame) => Err(Unsent { frame, stage: Stage::Queued }),
        }
    }
}

/// Why a message was not queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum QueueError {
    /// A limit is reached, or others wait in line for what room there is. Try again when some of it is written; what is queued stays queued.
    #[error(
        "send queue full: {queued_messages} of {limit_messages} messages and {queued_bytes} of {limit_bytes} bytes \
         are waiting; try again when the peer has taken some"
    )]
    Full {
        /// Messages in the queue when this one was refused.
        queued_messages: usize,
        /// Their bytes as frames.
        queued_bytes: usize,
        /// The most messages at a time.
        limit_messages: usize,
        /// The most bytes at a time.
        limit_bytes: usize,
    },
    /// The connection is closing or closed: nothing can be queued any more.
    #[error("send queue closed: the connection has ended")]
    Closed,
    /// The message can never be sent through this queue.
    #[error("message of {len} bytes is too long: at most {limit} bytes, type included")]
    TooLong {
        /// Length of the message in bytes, type included.
        len: usize,
        /// The longest that this queue takes: 65,535, or less if the limit of bytes is lower.
        limit: usize,
    },
    /// A message has a type, two bytes, before anything else.
    #[error("message of {len} bytes is too short: it begins with its type, two bytes")]
    TooShort {
        /// Length of the message in bytes.
        len: usize,
    },
}

/// A message that was not sent, on its way back to its owner.
///
/// The payload is there, without a copy, unless the message was sealed already: sealing replaces it by ciphertext that
/// only the peer can open, and keeping a copy of each message for that case would double the memory of all others. How
/// many messages can be in that state is for the consumer to choose, see [`Batch::next_run`].
pub struct Unsent {
    frame: Frame,
    stage: Stage,
}

/// How far an unsent message had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stage {
    /// It was waiting. The payload is intact.
    Queued,
    /// It was encrypted, but none of its bytes were written. The payload is gone.
    Sealed,
    /// Some, not all, of its bytes were written, so the peer cannot have read it. The payload is gone.
    PartlyWritten,
}

impl Unsent {
    /// The message's type.
    pub fn kind(&self) -> MessageType {
        self.frame.kind()
    }

    /// Length of the message in bytes, type included.
    pub fn message_len(&self) -> usize {
        self.frame.message_len()
    }

    /// The payload, without the type; none if the message was sealed already.
    pub fn payload(&self) -> Option<&[u8]> {
        match self.stage {
            Stage::Queued => self.frame.message().get(MIN_MESSAGE_LEN..),
            Stage::Sealed | Stage::PartlyWritten => None,
        }
    }

    /// How far it had come.
    pub fn stage(&self) -> Stage {
        self.stage
    }
}

impl fmt::Debug for Unsent {
    /// Without the payload, which is not ours to print.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unsent")
            .field("kind", &self.kind())
            .field("message_len", &self.message_len())
            .field("stage", &self.stage)
            .finish_non_exhaustive()
    }
}
