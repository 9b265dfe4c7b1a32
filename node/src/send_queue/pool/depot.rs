//! What all threads share: slots with bundles of free blocks of one size.
//!
//! A slot is empty or holds a bundle. Putting exchanges nothing for a bundle, taking exchanges the bundle for nothing, so
//! a bundle has one owner at any time. Nobody follows a pointer that somebody else might hold: the question whether an
//! address is still the same block as before, which makes lists of free blocks difficult, does not arise.
//!
//! Both operations look at each slot at most once, so they are wait-free. What they answer can be outdated at once, and
//! that is good enough: who finds nothing allocates, who finds no room frees.
//!
//! A bundle is tied up in its own memory: the addresses of the others are written into the first block.

use std::ptr::{self, NonNull};

use crate::send_queue::sync::{AtomicPtr, AtomicUsize, Ordering, UnsafeCell};

/// Most blocks in a bundle: as many addresses as fit into the smallest block, and that block itself.
pub(in crate::send_queue) const BUNDLE: usize = 15;

/// A free block that holds the addresses of others.
#[derive(Debug)]
pub(in crate::send_queue) struct Bundle {
    /// A cell so that loom sees each access; it stands for all of the blocks.
    others: UnsafeCell<Others>,
}

#[derive(Debug)]
struct Others {
    len: usize,
    blocks: [*mut u8; BUNDLE - 1],
}

#[cfg(not(oddwire_loom))]
const _: () = assert!(size_of::<Bundle>() <= super::SMALLEST && align_of::<Bundle>() <= super::ALIGNMENT);

impl Bundle {
    /// Ties up `blocks`, at most [`BUNDLE`] of them; none of nothing.
    ///
    /// # Safety
    /// The blocks are the caller's, each at least as large as a [`Bundle`] and aligned for it.
    pub(in crate::send_queue) unsafe fn tie(blocks: &[*mut u8]) -> Option<NonNull<Bundle>> {
        let (last, rest) = blocks.split_last()?;
        let bundle = NonNull::new(last.cast::<Bundle>())?;
        let mut others = Others { len: 0, blocks: [ptr::null_mut(); BUNDLE - 1] };
        for (slot, block) in others.blocks.iter_mut().zip(rest) {
            *slot = *block;
            others.len += 1;
        }
        // SAFETY: the caller owns the block, and it is large and aligned enough.
        unsafe { bundle.write(Bundle { others: UnsafeCell::new(others) }) };
        Some(bundle)
    }

    /// Puts the addresses of all its blocks into `room` and answers how many there are.
    ///
    /// # Safety
    /// The bundle is the caller's and was made by [`Self::tie`]. Afterwards it is a block like the others.
    pub(in crate::send_queue) unsafe fn untie(
        bundle: NonNull<Bundle>,
        room: &mut [*mut u8; BUNDLE],
    ) -> usize {
        // SAFETY: the caller owns the block, and `tie` wrote this into it.
        let Bundle { others } = unsafe { bundle.read() };
        let Others { len, blocks } = others.with(|others| {
            // SAFETY: the cell was moved out of the block: nobody else has it.
            unsafe { others.read() }
        });
        for (slot, block) in room.iter_mut().zip(blocks) {
            *slot = block;
        }
        if let Some(slot) = room.get_mut(len) {
            *slot = bundle.as_ptr().cast();
        }
        len + 1
    }
}

/// Bundles of blocks of one size.
#[derive(Debug)]
pub(in crate::send_queue) struct Depot<const SLOTS: usize> {
    slots: [AtomicPtr<Bundle>; SLOTS],
    /// About how many slots are taken: where to begin to look. Only a hint.
    filled: AtomicUsize,
}

impl<const SLOTS: usize> Depot<SLOTS> {
    #[cfg(not(oddwire_loom))]
    pub(in crate::send_queue) const fn new() -> Self {
        Self { slots: [const { AtomicPtr::new(ptr::null_mut()) }; SLOTS], filled: AtomicUsize::new(0) }
    }

    #[cfg(oddwire_loom)]
    pub(in crate::send_queue) fn new() -> Self {
        Self { slots: std::array::from_fn(|_| AtomicPtr::new(ptr::null_mut())), filled: AtomicUsize::new(0) }
    }

    /// Puts a bundle into an empty slot, or gives it back if there is none. Wait-free.
    pub(in crate::send_queue) fn put(&self, bundle: NonNull<Bundle>) -> Result<(), NonNull<Bundle>> {
        // Relaxed, here and below: only a hint.
        let filled = self.filled.load(Ordering::Relaxed).min(SLOTS);
        let (taken, empty) = self.slots.split_at(filled);
        for slot in empty.iter().chain(taken) {
            // Release: who takes the bundle sees the addresses in it, and the blocks as they were left.
            let put = slot.load(Ordering::Relaxed).is_null()
                && slot
                    .compare_exchange(ptr::null_mut(), bundle.as_ptr(), Ordering::Release, Ordering::Relaxed)
                    .is_ok();
            if put {
                self.filled.fetch_add(1, Ordering::Relaxed);
                return Ok(());
            }
        }
        Err(bundle)
    }

    /// Takes a bundle out of a slot, if one is found. Wait-free.
    pub(in crate::send_queue) fn take(&self) -> Option<NonNull<Bundle>> {
        let filled = self.filled.load(Ordering::Relaxed).min(SLOTS);
        if filled == 0 {
            return None;
        }
        let (taken, empty) = self.slots.split_at(filled);
        for slot in taken.iter().rev().chain(empty) {
            if slot.load(Ordering::Relaxed).is_null() {
                continue;
            }
            // Acquire: pairs with the Release of the one who put it.
            let bundle = slot.swap(ptr::null_mut(), Ordering::Acquire);
            if let Some(bundle) = NonNull::new(bundle) {
                // Each bundle that is taken was counted, or is about to be: the sum wraps around and comes back.
                self.filled.fetch_sub(1, Ordering::Relaxed);
                return Some(bundle);
            }
        }
        None
    }
}
