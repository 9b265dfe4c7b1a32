//! What a thread keeps to itself: a few free blocks of each of the smaller sizes, and the way to the depots.
//!
//! Blocks are taken and given from the end of a short list, so the block that is used next is the one that was used
//! last and is still in this core's cache. If the list is full, half of it goes to the depot in one bundle; if it is empty,
//! a bundle comes from there.

use std::cell::RefCell;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::Class;
use super::depot::{BUNDLE, Bundle, Depot};
use crate::limits::{POOL_BYTES, POOL_BYTES_PER_THREAD};

/// Most bundles of one size in the depot. Full of the smallest blocks it holds as many as one queue has messages, by default.
const SLOTS: usize = 256;

/// Most blocks of one size that a thread keeps: a full run of messages, twice, needs nothing from the depot.
const KEPT_BLOCKS: usize = 64;

/// Most bytes of blocks of one size that a thread keeps.
const KEPT_BYTES: usize = 32 * 1024;

/// How many blocks ahead the next one to be written is fetched into the cache: it usually lies in that of the core whose
/// thread freed it, and fetching it takes as long as the work on a few messages.
const AHEAD: usize = 6;

/// How many classes there are: the last one takes the longest message.
pub(super) const CLASSES: usize = 38;

/// Larger blocks are not kept by threads. They take longer to fill than to fetch.
const LARGEST_KEPT: usize = 4096;

/// How many classes a thread keeps blocks of.
const KEPT_CLASSES: usize = Class::of(LARGEST_KEPT).0 + 1;

static DEPOTS: [Depot<SLOTS>; CLASSES] = [const { Depot::new() }; CLASSES];

/// Bytes of all blocks in the depots.
static IN_DEPOTS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static KEPT: RefCell<Kept> = const { RefCell::new(Kept { shelves: [Shelf::EMPTY; KEPT_CLASSES] }) };
}

const _: () = assert!(most_kept() <= POOL_BYTES_PER_THREAD);

/// A block of this class, if there is one.
pub(super) fn take(class: Class) -> Option<NonNull<u8>> {
    if class.0 >= KEPT_CLASSES {
        let mut shelf = Shelf::EMPTY;
        return shelf.take(class);
    }
    // Not there: the thread is ending, and its shelves are cleared already.
    KEPT.try_with(|kept| kept.try_borrow_mut().ok()?.shelves.get_mut(class.0)?.take(class)).ok().flatten()
}

/// Keeps a block, or gives it back to the caller.
///
/// # Safety
/// The block is of this class, and the caller gives it up.
pub(super) unsafe fn give(class: Class, block: NonNull<u8>) -> Result<(), NonNull<u8>> {
    if class.0 >= KEPT_CLASSES {
        // SAFETY: as the caller promises.
        return if unsafe { send(class, &[block.as_ptr()]) } { Ok(()) } else { Err(block) };
    }
    KEPT.try_with(|kept| {
        let mut kept = kept.try_borrow_mut().ok()?;
        kept.shelves.get_mut(class.0)?.give(class, block);
        Some(())
    })
    .ok()
    .flatten()
    .ok_or(block)
}

/// The free blocks that a thread keeps.
struct Kept {
    shelves: [Shelf; KEPT_CLASSES],
}

impl Drop for Kept {
    /// The thread ends: what it kept is there for the others.
    fn drop(&mut self) {
        for (index, shelf) in self.shelves.iter_mut().enumerate() {
            while shelf.len > 0 {
                shelf.pass_on(Class(index));
            }
        }
    }
}

/// Free blocks of one class.
struct Shelf {
    len: usize,
    /// The first `len` of them are blocks that this thread owns.
    blocks: [*mut u8; KEPT_BLOCKS],
}

impl Shelf {
    const EMPTY: Shelf = Shelf { len: 0, blocks: [ptr::null_mut(); KEPT_BLOCKS] };

    fn take(&mut self, class: Class) -> Option<NonNull<u8>> {
        if self.len == 0 {
            self.fetch(class)?;
        }
        self.len -= 1;
        if let Some(block) = self.blocks.get(self.len.wrapping_sub(AHEAD)) {
            fetch_ahead(*block);
        }
        NonNull::new(*self.blocks.get(self.len)?)
    }

    fn give(&mut self, class: Class, block: NonNull<u8>) {
        if self.len >= kept_len(class) {
            self.pass_on(class);
        }
        if let Some(slot) = self.blocks.get_mut(self.len) {
            *slot = block.as_ptr();
            self.len += 1;
        }
    }

    /// Gets a bundle from the depot.
    #[cold]
    fn fetch(&mut self, class: Class) -> Option<()> {
        let bundle = DEPOTS.get(class.0)?.take()?;
        let room = self.blocks.first_chunk_mut::<BUNDLE>()?;
        // SAFETY: a bundle that was taken is ours, and everything in a depot was tied.
        self.len = unsafe { Bundle::untie(bundle, room) };
        // Relaxed: a sum, which publishes nothing.
        IN_DEPOTS.fetch_sub(self.len * class.size(), Ordering::Relaxed);
        Some(())
    }

    /// Passes the last bundle on to the depot, or frees it if that has no room.
    #[cold]
    fn pass_on(&mut self, class: Class) {
        let stay = self.len.saturating_sub(bundle_len(class));
        let leaving = self.blocks.get(stay..self.len).unwrap_or_default();
        // SAFETY: the blocks on the shelf are this thread's, of this class, and they leave it.
        if !unsafe { send(class, leaving) } {
            for block in leaving.iter().filter_map(|block| NonNull::new(*block)) {
                // SAFETY: as above.
                unsafe { class.free(block) }
            }
        }
        self.len = stay;
    }
}

/// Puts a bundle of blocks into the depot. Answers false if there is no room; they are the caller's then as before.
///
/// # Safety
/// The blocks are of this class, at most [`BUNDLE`], and the caller gives them up if the answer is true.
unsafe fn send(class: Class, blocks: &[*mut u8]) -> bool {
    let bytes = blocks.len() * class.size();
    // Relaxed: a sum, which publishes nothing.
    let is_sent = IN_DEPOTS.fetch_add(bytes, Ordering::Relaxed) + bytes <= POOL_BYTES
        && DEPOTS.get(class.0).is_some_and(|depot| {
            // SAFETY: the caller owns the blocks, and blocks of each class are large and aligned enough.
            unsafe { Bundle::tie(blocks) }.is_some_and(|bundle| depot.put(bundle).is_ok())
        });
    if !is_sent {
        IN_DEPOTS.fetch_sub(bytes, Ordering::Relaxed);
    }
    is_sent
}

/// How many blocks a thread keeps at most.
const fn kept_len(class: Class) -> usize {
    let fitting = KEPT_BYTES / class.size();
    if fitting < KEPT_BLOCKS { fitting } else { KEPT_BLOCKS }
}

/// How many blocks are passed on at a time: half of what is kept at most, so that the next ones neither lack nor exceed.
const fn bundle_len(class: Class) -> usize {
    let half = kept_len(class) / 2;
    if half < BUNDLE { half } else { BUNDLE }
}

/// The most bytes that a thread keeps, all classes together.
const fn most_kept() -> usize {
    let (mut bytes, mut index) = (0, 0);
    while index < KEPT_CLASSES {
        bytes += kept_len(Class(index)) * Class(index).size();
        index += 1;
    }
    bytes
}

/// Asks for a block's first lines, to be written soon. Only a hint: without it everything works, more slowly.
#[inline]
fn fetch_ahead(block: *mut u8) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    {
        use core::arch::x86_64::{_MM_HINT_ET0, _mm_prefetch};
        // SAFETY: every x86-64 has the instruction, and it accesses nothing: any address may be asked for.
        unsafe { _mm_prefetch::<_MM_HINT_ET0>(block.cast()) }
        // SAFETY: as above.
        unsafe { _mm_prefetch::<_MM_HINT_ET0>(block.wrapping_add(64).cast()) }
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = block;
}
