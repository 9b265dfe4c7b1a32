//! Which even custom message types are accepted from peers.
//!
//! BOLT 1: an even type that the receiver does not understand closes the connection. Whoever understands one says so
//! with [`crate::Node::allow_even_types`] for as long as it holds the guard. Peer tasks ask once per even message, from
//! many threads, so the answer is one bit in a table that is read without a lock.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use wire_core::connection::EvenTypes;

use crate::MessageType;

/// Keeps a set of even types accepted. Dropping it takes them back, unless another guard has them too.
#[must_use = "the types are refused again as soon as the guard is dropped"]
pub struct EvenTypesGuard {
    allowed: Arc<AllowedEvenTypes>,
    types: Vec<MessageType>,
}

impl Drop for EvenTypesGuard {
    fn drop(&mut self) {
        self.allowed.withdraw(&self.types);
    }
}

impl fmt::Debug for EvenTypesGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EvenTypesGuard").field("types", &self.types).finish_non_exhaustive()
    }
}

/// The union of what all guards hold.
pub(crate) struct AllowedEvenTypes {
    /// How many guards hold each type: what the table below is computed from.
    holders: Mutex<BTreeMap<u16, usize>>,
    /// One bit for each of the 65,536 types: 8 KiB.
    table: Box<[AtomicU64]>,
}

const BITS: u16 = 64;

impl AllowedEvenTypes {
    pub(crate) fn none() -> Arc<AllowedEvenTypes> {
        let table = (0..=u16::MAX / BITS).map(|_| AtomicU64::new(0)).collect();
        Arc::new(AllowedEvenTypes { holders: Mutex::default(), table })
    }

    pub(crate) fn allow(self: &Arc<Self>, types: impl IntoIterator<Item = MessageType>) -> EvenTypesGuard {
        let mut types: Vec<MessageType> = types.into_iter().filter(|kind| kind.is_even()).collect();
        types.sort_unstable();
        types.dedup();
        self.change(|holders| {
            for kind in &types {
                *holders.entry(kind.get()).or_default() += 1;
                self.set(*kind);
            }
        });
        EvenTypesGuard { allowed: Arc::clone(self), types }
    }

    fn withdraw(&self, types: &[MessageType]) {
        self.change(|holders| {
            for kind in types {
                let Some(count) = holders.get_mut(&kind.get()) else { continue };
                *count = count.saturating_sub(1);
                if *count == 0 {
                    holders.remove(&kind.get());
                    self.clear(*kind);
                }
            }
        });
    }

    fn change(&self, change: impl FnOnce(&mut BTreeMap<u16, usize>)) {
        let mut holders = self.holders.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut holders);
        tracing::debug!("Now allowing {} custom message types", holders.len());
    }

    fn set(&self, kind: MessageType) {
        if let Some(word) = self.word(kind) {
            word.fetch_or(bit(kind), Ordering::Relaxed);
        }
    }

    fn clear(&self, kind: MessageType) {
        if let Some(word) = self.word(kind) {
            word.fetch_and(!bit(kind), Ordering::Relaxed);
        }
    }

    fn word(&self, kind: MessageType) -> Option<&AtomicU64> {
        self.table.get(usize::from(kind.get() / BITS))
    }
}

fn bit(kind: MessageType) -> u64 {
    1 << (kind.get() % BITS)
}

impl EvenTypes for AllowedEvenTypes {
    fn allows(&self, kind: MessageType) -> bool {
        // Relaxed: a peer's message and a change of the set have no order between them to keep.
        self.word(kind).is_some_and(|word| word.load(Ordering::Relaxed) & bit(kind) != 0)
    }
}

impl fmt::Debug for AllowedEvenTypes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.holders.lock().unwrap_or_else(PoisonError::into_inner).keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guards_add_up_and_take_back_only_their_own() {
        let allowed = AllowedEvenTypes::none();
        let of = |kind| allowed.allows(MessageType::new(kind));
        let first = allowed.allow([32_768, 32_770, 32_771].map(MessageType::new));
        let second = allowed.allow([32_770, 32_770, 65_534].map(MessageType::new));
        assert!(of(32_768) && of(32_770) && of(65_534));
        assert!(!of(32_771), "odd types are not the business of this set");
        drop(first);
        assert!(!of(32_768) && of(32_770) && of(65_534));
        drop(second);
        assert!((0..=u16::MAX).all(|kind| !of(kind)));
    }
}
