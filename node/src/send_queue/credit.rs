//! How much of a queue is in use, counted exactly, in messages and in bytes at once.
//!
//! Both counts share one 64-bit word. Two counters could not be kept exact together: between the two additions
//! another producer would see, or even be refused by, a sum that nobody holds. With one word a reservation that
//! succeeds has never taken either count past its limit, not even for an instant, and a refusal reports a pair of
//! numbers that was true at one moment.

use super::sync::{AtomicU64, Ordering};
use super::{QueueError, QueueLimits};

/// Bits of the word that count bytes; the rest counts messages.
const BYTE_BITS: u32 = 40;
const ONE_MESSAGE: u64 = 1 << BYTE_BITS;
const BYTE_MASK: u64 = ONE_MESSAGE - 1;

/// The most messages that the word can count. A higher limit is lowered to it.
pub(super) const MAX_MESSAGES: u64 = u64::MAX >> BYTE_BITS;
/// The most bytes that the word can count, 1 TiB. A higher limit is lowered to it.
pub(super) const MAX_BYTES: u64 = BYTE_MASK;

/// What is taken out of the limits of one queue.
#[derive(Debug)]
pub(super) struct Credit {
    used: AtomicU64,
    limit_messages: u64,
    limit_bytes: u64,
}

impl Credit {
    pub(super) fn new(limits: QueueLimits) -> Self {
        Self {
            used: AtomicU64::new(0),
            limit_messages: widen(limits.messages).min(MAX_MESSAGES),
            limit_bytes: widen(limits.bytes).min(MAX_BYTES),
        }
    }

    /// Takes room for one message whose frame has `bytes` bytes.
    ///
    /// Lock-free: the loop goes round again only when another thread has taken or given back room in between.
    ///
    /// # Errors
    /// [`QueueError::Full`] with the counts that were found, when either limit would be passed.
    pub(super) fn reserve(&self, bytes: usize) -> Result<Room<'_>, QueueError> {
        let wanted = widen(bytes);
        // Relaxed: only a guess for the exchange below, which checks it.
        let mut used = self.used.load(Ordering::Relaxed);
        loop {
            let (messages, queued) = (used >> BYTE_BITS, used & BYTE_MASK);
            // Neither sum can wrap: both terms of each are below 2^41.
            if messages >= self.limit_messages || queued.saturating_add(wanted) > self.limit_bytes {
                return Err(self.full(used));
            }
            // Acquire, with the Release in `release`: a frame is freed before its room is given back, and the next
            // holder of that room allocates afterwards. So the limits also bound the memory in use.
            let taken = used + ONE_MESSAGE + wanted;
            match self.used.compare_exchange_weak(used, taken, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return Ok(Room { credit: self, bytes }),
                Err(now) => used = now,
            }
        }
    }

    /// Gives back the room of `messages` messages whose frames had `bytes` bytes together. Wait-free.
    pub(super) fn release(&self, messages: usize, bytes: usize) {
        if messages > 0 {
            let given = (widen(messages) << BYTE_BITS) + widen(bytes);
            // Cannot go below zero: each room is given back once, by whoever owns its frame.
            self.used.fetch_sub(given, Ordering::Release);
        }
    }

    pub(super) fn messages(&self) -> usize {
        narrow(self.used.load(Ordering::Relaxed) >> BYTE_BITS)
    }

    pub(super) fn bytes(&self) -> usize {
        narrow(self.used.load(Ordering::Relaxed) & BYTE_MASK)
    }

    pub(super) fn limits(&self) -> QueueLimits {
        QueueLimits { messages: narrow(self.limit_messages), bytes: narrow(self.limit_bytes) }
    }

    fn full(&self, used: u64) -> QueueError {
        QueueError::Full {
            queued_messages: narrow(used >> BYTE_BITS),
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

fn widen(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

fn narrow(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}
