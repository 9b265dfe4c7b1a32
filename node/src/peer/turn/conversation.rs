//! Whether anybody is in conversation: says something, and not much.

use std::sync::atomic::{AtomicU64, Ordering};

use wire_core::connection::Timestamp;

use crate::limits::{CONVERSATION, CONVERSATION_NOTED};

/// The last to say something and not much, as far as it was noted.
#[derive(Debug, Default)]
pub(super) struct Conversation {
    /// The connection's number, and when, in milliseconds. 32 bits of each.
    spoke: AtomicU64,
}

impl Conversation {
    /// Now and then is enough: whoever is in conversation speaks again. So threads seldom wait for each other's writes here.
    pub(super) fn note(&self, serial: u64, now: Timestamp) {
        let (_, at) = self.last();
        let now = low_half(now.as_millis());
        if now.wrapping_sub(at) >= low_half(CONVERSATION_NOTED) {
            self.spoke.store(serial << 32 | u64::from(now), Ordering::Relaxed);
        }
    }

    /// Whether another than this connection is in conversation.
    pub(super) fn is_of_another(&self, serial: u64, now: Timestamp) -> bool {
        let (speaker, at) = self.last();
        speaker != low_half(serial)
            && speaker != 0
            && low_half(now.as_millis()).wrapping_sub(at) < low_half(CONVERSATION)
    }

    fn last(&self) -> (u32, u32) {
        let spoke = self.spoke.load(Ordering::Relaxed);
        (low_half(spoke >> 32), low_half(spoke))
    }
}

fn low_half(number: u64) -> u32 {
    u32::try_from(number & u64::from(u32::MAX)).unwrap_or(u32::MAX)
}
