//! Where the memory of frames comes from and where it goes: used blocks, kept for the next message.
//!
//! A frame is made by one thread and freed by another, the worst case of a general allocator. Here each thread keeps a few
//! free blocks of each size to itself (`local`), and passes what is too many to a place that all threads share (`depot`),
//! fifteen at a time. So a message costs a few instructions without any atomic operation, and an atomic exchange now and
//! then. Blocks come in size classes, four to a doubling: a block is at most a quarter larger than what it is for.
//!
//! The pool is the whole process's, not one queue's: an idle peer holds none of it. It is bounded: see
//! [`POOL_BYTES`] and [`POOL_BYTES_PER_THREAD`]. What is beyond that goes back to the global allocator, and what is not
//! there comes from it. So the pool never refuses, and never waits.
//!
//! Nothing is wiped: a block holds what its last frame held, ciphertext as a rule.

pub(super) mod depot;
#[cfg(not(oddwire_loom))]
mod local;

use std::alloc::{Layout, handle_alloc_error};
use std::ptr::NonNull;

use super::sync::{alloc, dealloc};
#[cfg(doc)]
use crate::limits::{POOL_BYTES, POOL_BYTES_PER_THREAD};

/// Size of the smallest block: two cache lines, enough for a payload of 64 bytes. It has room for a [`depot::Bundle`].
const SMALLEST: usize = 128;

/// Blocks begin with a cache line, so that a small frame touches no more lines than it must.
const ALIGNMENT: usize = 64;

/// Memory for `len` bytes, aligned to a cache line; what is in it is anything. Comes from the pool if that has some.
pub(super) fn take(len: usize) -> NonNull<u8> {
    let class = Class::of(len);
    #[cfg(not(oddwire_loom))]
    if let Some(block) = local::take(class) {
        return block;
    }
    class.allocate()
}

/// Gives memory back, to the pool if that has room.
///
/// # Safety
/// `memory` came from [`take`] for the same `len` and is used by nobody from here on.
pub(super) unsafe fn give(memory: NonNull<u8>, len: usize) {
    let class = Class::of(len);
    #[cfg(not(oddwire_loom))]
    // SAFETY: the caller gives up the block, and `take` made it for this class.
    let memory = match unsafe { local::give(class, memory) } {
        Ok(()) => return,
        Err(refused) => refused,
    };
    // SAFETY: as above.
    unsafe { class.free(memory) }
}

/// A size of blocks. Four classes to a doubling: 128, 160, 192, 224, 256, 320 and so on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Class(usize);

impl Class {
    /// The smallest class whose blocks have `len` bytes.
    const fn of(len: usize) -> Self {
        // One less, so that a power of two is the last of its doubling and not the first of the next.
        let last = if len > SMALLEST { len - 1 } else { SMALLEST - 1 };
        let doubling = last.ilog2();
        let quarter = (last >> (doubling - 2)) & 3;
        // The class of 128 bytes is the last quarter of the doubling that begins at 64.
        Self((doubling as usize - 6) * 4 + quarter - 3)
    }

    /// Size of its blocks in bytes.
    const fn size(self) -> usize {
        let index = self.0 + 3;
        (5 + index % 4) << (4 + index / 4)
    }

    const fn layout(self) -> Layout {
        // SAFETY: the alignment is a power of two, and no class has blocks larger than 2^17.
        unsafe { Layout::from_size_align_unchecked(self.size(), ALIGNMENT) }
    }

    fn allocate(self) -> NonNull<u8> {
        let layout = self.layout();
        // SAFETY: no class has blocks of size zero.
        let memory = unsafe { alloc(layout) };
        NonNull::new(memory).unwrap_or_else(|| handle_alloc_error(layout))
    }

    /// # Safety
    /// `block` came from [`Self::allocate`] of the same class and is used by nobody from here on.
    unsafe fn free(self, block: NonNull<u8>) {
        // SAFETY: as the caller promises.
        unsafe { dealloc(block.as_ptr(), self.layout()) }
    }
}

#[cfg(all(test, not(oddwire_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_large_enough_and_at_most_a_quarter_too_large() {
        for len in 1..=65_535 + 34 + 64 {
            let class = Class::of(len);
            assert!(class.size() >= len && class.0 < local::CLASSES, "{len}");
            assert!(len <= SMALLEST || class.size() < len + len.div_ceil(4), "{len}: {}", class.size());
            assert!(class.0 == 0 || Class(class.0 - 1).size() < len, "{len}: not the smallest");
        }
    }

    #[test]
    fn a_block_is_used_again() {
        // On a thread of its own: another test's frames would come in between.
        std::thread::spawn(|| {
            let first = take(100);
            // SAFETY: taken for this length and not used.
            unsafe { give(first, 100) };
            let second = take(116);
            assert_eq!(first, second);
            // SAFETY: taken for this length and not used.
            unsafe { give(second, 116) };
        })
        .join()
        .unwrap();
    }
}
