//! How much of a queue is in use, counted exactly, in messages and in bytes at once.
//!
//! Both counts share one 64-bit word. Two counters could not be kept exact together: between the two additions
//! another producer would see, or even be refused by, a sum that nobody holds. With one word a reservation that
//! succeeds has never taken either count past its limit, not even for an instant, and a refusal reports a pair of
//! numbers that was true at one moment.
//!
//! The word's last bit says that somebody waits in line for room. Then there is room for those in line only.

use super::line::{Joined, Line, Place};
use super::sync::{AtomicU64, Ordering};
use super::{QueueError, QueueLimits};
use crate::limits::WAITING_FOR_ROOM;

/// Bits of the word that count bytes; all of the rest but the last one count messages.
const BYTE_BITS: u32 = 40;
/// Somebody is in line.
const IN_LINE: u64 = 1 << 63;
const ONE_MESSAGE: u64 = 1 << BYTE_BITS;
const BYTE_MASK: u64 = ONE_MESSAGE - 1;

/// The most messages that the word can count. A higher limit is lowered to it.
pub(super) const MAX_MESSAGES: u64 = (IN_LINE - 1) >> BYTE_BITS;
/// The most bytes that the word can count, 1 TiB. A higher limit is lowered to it.
pub(super) const MAX_BYTES: u64 = BYTE_MASK;

/// What is taken out of the limits of one queue.
#[derive(Debug)]
pub(super) struct Credit {
    used: AtomicU64,
    limit_messages: u64,
    limit_bytes: u64,
    line: Line,
}

impl Credit {
    pub(super) fn new(limits: QueueLimits) -> Self {
        Self {
            used: AtomicU64::new(0),
            limit_messages: widen(limits.messages).min(MAX_MESSAGES),
            limit_bytes: widen(limits.bytes).min(MAX_BYTES),
            line: Line::new(),
        }
    }

    /// Takes room for one message whose frame has `bytes` bytes.
    ///
    /// Lock-free: the loop goes round again only when another thread has taken or given back room in between.
    ///
    /// # Errors
    /// [`QueueError::Full`] with the counts that were found, when either limit would be passed or somebody is in line.
    pub(super) fn reserve(&self, bytes: usize) -> Result<Room<'_>, QueueError> {
        self.take(bytes, IN_LINE).map(|()| self.room_of(bytes)).map_err(|used| self.full(used))
    }

    /// Gets in line for room.
    ///
    /// # Errors
    /// [`QueueError::Full`] if there are [`WAITING_FOR_ROOM`] in line, [`QueueError::Closed`].
    pub(super) fn join(&self, bytes: usize) -> Result<Place<'_>, QueueError> {
        // Acquire and Release: room that was given back before is seen by `serve`; whoever gives some back after it sees
        // the mark, and serves.
        let mark = || {
            self.used.fetch_or(IN_LINE, Ordering::AcqRel);
        };
        match self.line.join(self, bytes, WAITING_FOR_ROOM, mark) {
            Joined::InLine(place) => {
                self.serve();
                Ok(place)
            }
            Joined::Closed => Err(QueueError::Closed),
            Joined::TooMany => Err(self.full(self.used.load(Ordering::Relaxed))),
        }
    }

    /// Gives those in line what room there is.
    pub(super) fn serve(&self) {
        self.line.serve(|bytes| self.take(bytes, 0).is_ok(), || self.unmark());
    }

    /// Sends away all who are in line, and all who will come.
    pub(super) fn close(&self) {
        self.line.close(|| self.unmark());
    }

    pub(super) fn line(&self) -> &Line {
        &self.line
    }

    /// Stands for room that was taken.
    pub(super) fn room_of(&self, bytes: usize) -> Room<'_> {
        Room { credit: self, bytes }
    }

    /// Gives back the room of `messages` messages whose frames had `bytes` bytes together. Wait-free while nobody is in
    /// line.
    pub(super) fn release(&self, messages: usize, bytes: usize) {
        if messages > 0 {
            let given = (widen(messages) << BYTE_BITS) + widen(bytes);
            // Cannot go below zero: each room is given back once, by whoever owns its frame.
            let before = self.used.fetch_sub(given, Ordering::AcqRel);
            if before & IN_LINE != 0 {
                self.serve();
            }
        }
    }

    /// Counts one message more, or answers the counts that left no room for it, or in which a bit of `unless` is set.
    fn take(&self, bytes: usize, unless: u64) -> Result<(), u64> {
        let wanted = widen(bytes);
        // Relaxed: only a guess for the exchange below, which checks it.
        let mut used = self.used.load(Ordering::Relaxed);
        loop {
            let (messages, queued) = (messages_of(used), used & BYTE_MASK);
            // Neither sum can wrap: both terms of each are below 2^41.
            let is_full = messages >= self.limit_messages || queued.saturating_add(wanted) > self.limit_bytes;
            if is_full || used & unless != 0 {
                return Err(used);
            }
            // Acquire, with the Release in `release`: a frame is freed before its room is given back, and the next
            // holder of that room allocates afterwards. So the limits also bound the memory in use.
            let taken = used + ONE_MESSAGE + wanted;
            match self.used.compare_exchange_weak(used, taken, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return Ok(()),
                Err(now) => used = now,
            }
        }
    }

    fn unmark(&self) {
        self.used.fetch_and(!IN_LINE, Ordering::AcqRel);
    }

    pub(super) fn messages(&self) -> usize {
        narrow(messages_of(self.used.load(Ordering::Relaxed)))
    }

    pub(super) fn bytes(&self) -> usize {
        narrow(self.used.load(Ordering::Relaxed) & BYTE_MASK)
    }

    pub(super) fn limits(&self) -> QueueLimits {
        QueueLimits { messages: narrow(self.limit_messages), bytes: narrow(self.limit_bytes) }
    }

    fn full(&self, used: u64) -> QueueError {
        QueueError::Full {
            queued_messages: narrow(messages_of(used)),
            queued_bytes: narrow(used & BYTE_MASK),
            limit_messages: narrow(self.limit_messages),
            limit_bytes: narrow(self.limit_bytes),
        }
    }
}

/// Room for one message that was taken and goes back when this is dropped, unless a committed frame has taken it over.
#[derive(Debug)]
pub(super) struct Room<'q> {
    credit: &'q Credit,
    bytes: usize,
}

impl Room<'_> {
    /// Leaves the room taken: the frame it was for is in the consumer's hands, who gives it back.
    pub(super) fn pass_to_consumer(self) {
        core::mem::forget(self);
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        self.credit.release(1, self.bytes);
    }
}

const fn messages_of(used: u64) -> u64 {
    (used & !IN_LINE) >> BYTE_BITS
}

fn widen(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

fn narrow(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}
