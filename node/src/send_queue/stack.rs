//! The stack on which producers leave their frames.
//!
//! [`Stack`] is the stack of Treiber with one difference that makes it simple: nobody pops. Producers push one frame,
//! the consumer takes the whole chain. The usual trouble of that stack, a pop that follows the link of a frame which
//! another thread has freed meanwhile, cannot arise: a link is read only by the thread that owns the whole chain.
//!
//! # Why links are addresses
//!
//! A producer reads the head, links its frame to it and exchanges the head if it is unchanged. In between, the
//! consumer may have taken and freed the frame at the head, and another producer may have pushed a new frame that the
//! allocator put at the same address. The exchange then succeeds, and rightly: the link names the frame that is at the
//! head now. But a *pointer* that was read before would carry the identity of the freed allocation, and following it
//! would be undefined behaviour however right its address is. So head and links are plain addresses with exposed
//! provenance, and following one finds the allocation that lives there at that time.

use std::mem::ManuallyDrop;

use super::frame::{Frame, Header};
use super::sync::{AtomicUsize, Ordering};

/// Head of the stack when nothing is on it.
const EMPTY: usize = 0;
/// Head of the stack from the moment it is closed. Never a frame's address: those are aligned.
const CLOSED: usize = 1;
const _: () = assert!(align_of::<Header>() > 1);

/// Where committed frames wait for the consumer.
#[derive(Debug)]
pub(super) struct Stack {
    head: AtomicUsize,
}

impl Stack {
    pub(super) fn new() -> Self {
        Self { head: AtomicUsize::new(EMPTY) }
    }

    /// Commits a frame, or gives it back if the stack is closed. The exchange that succeeds is the instant at which
    /// the message is committed; their order is the queue's order.
    ///
    /// Lock-free: the loop goes round again only when another thread has pushed, taken or closed in between.
    pub(super) fn push(&self, frame: Frame) -> Result<(), Frame> {
        let mut frame = ManuallyDrop::new(frame);
        let address = frame.expose();
        // Relaxed: only a guess for the exchange below, which checks it.
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            if head == CLOSED {
                return Err(ManuallyDrop::into_inner(frame));
            }
            frame.set_next(head);
            // Release: what was written into the frame is seen by the consumer that takes it. Acquire: what the consumer
            // did before its `is_settled` is seen here, above all that it has armed its alarm (see `alarm`).
            match self.head.compare_exchange_weak(head, address, Ordering::AcqRel, Ordering::Relaxed) {
                // From here on the frame is the consumer's, and may be gone already.
                Ok(_) => return Ok(()),
                Err(now) => head = now,
            }
        }
    }

    /// Takes everything that is committed. Wait-free: one exchange. For the consumer alone.
    pub(super) fn take(&self) -> Chain {
        if !self.has_frames() {
            return Chain(EMPTY);
        }
        // Acquire: with the Release of each push (an exchange by a later producer continues the release sequence of
        // the earlier ones), every frame of the chain is seen as its producer left it.
        Chain(self.head.swap(EMPTY, Ordering::Acquire))
    }

    /// Takes everything that is committed and refuses every later push. Wait-free: one exchange.
    ///
    /// Each push comes before this exchange, and its frame is in the chain, or after it, and gets its frame back.
    pub(super) fn close(&self) -> Chain {
        match self.head.swap(CLOSED, Ordering::AcqRel) {
            CLOSED => Chain(EMPTY),
            head => Chain(head),
        }
    }

    /// Whether there is something to take. True stays true for the consumer; false may be outdated at once.
    pub(super) fn has_frames(&self) -> bool {
        // Relaxed: whoever acts on it takes the frames by an exchange of its own.
        !matches!(self.head.load(Ordering::Relaxed), EMPTY | CLOSED)
    }

    pub(super) fn is_closed(&self) -> bool {
        // Relaxed: only a hint; a push decides by its exchange.
        self.head.load(Ordering::Relaxed) == CLOSED
    }

    /// Whether the stack is empty, as a question that takes its place in the order of all pushes.
    ///
    /// An exchange of nothing for nothing: a push that it does not see comes after it and reads what it wrote, so that
    /// push also sees everything this thread did before (Release here, Acquire there). A plain load would not promise that.
    pub(super) fn is_settled(&self) -> bool {
        self.head.compare_exchange(EMPTY, EMPTY, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // Only if the consumer was leaked: it closes the stack when it goes.
        drop(self.close());
    }
}

/// Frames that were taken together, newest first.
pub(super) struct Chain(usize);

impl Iterator for Chain {
    type Item = Frame;

    fn next(&mut self) -> Option<Frame> {
        // SAFETY: a chain begins and ends with what `push` exposed and forgot, or zero. The exchange that took it made this
        // thread the only owner of all of it, and each address is used once.
        let frame = unsafe { Frame::from_address(self.0) }?;
        self.0 = frame.next();
        Some(frame)
    }
}

impl Drop for Chain {
    fn drop(&mut self) {
        self.for_each(drop);
    }
}
