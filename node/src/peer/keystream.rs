//! Where keystream waits for frames that are about to be sealed or opened: with the thread, lent to the connection whose
//! turn it is.
//!
//! What a connection leaves unused is wiped when it gives it back. So nothing secret lies here between two turns, and a
//! connection that is idle has nothing here.

use std::cell::RefCell;

use wire_core::frame::Ahead;

/// Frames whose keystream is made at a time. Small, so that it stays in the first level cache with what it is for; the
/// widest lanes are full long before.
const AT_A_TIME: usize = 16;

/// Keystream of a few frames.
pub(super) type Frames = Ahead<AT_A_TIME>;

thread_local! {
    /// Never held across an await, here and below.
    static SENDING: RefCell<Frames> = const { RefCell::new(Frames::new()) };
    static RECEIVING: RefCell<Frames> = const { RefCell::new(Frames::new()) };
}

/// Lends the place for frames that are sealed.
pub(super) fn sending<T>(seal: impl FnOnce(&mut Frames) -> T) -> T {
    SENDING.with_borrow_mut(|ahead| lend(ahead, seal))
}

/// Lends the place for frames that are opened.
pub(super) fn receiving<T>(open: impl FnOnce(&mut Frames) -> T) -> T {
    RECEIVING.with_borrow_mut(|ahead| lend(ahead, open))
}

fn lend<T>(ahead: &mut Frames, with: impl FnOnce(&mut Frames) -> T) -> T {
    let result = with(ahead);
    ahead.clear();
    result
}
