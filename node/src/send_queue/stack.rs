//! Frames, and the stack on which producers leave them: the memory side of the queue, with most of its `unsafe`.
//!
//! A [`Frame`] is one allocation that holds a link, a few words about the message and the bytes that will go onto the
//! wire. It has one owner at a time, like a `Box`, so everything outside this file is safe code.
//!
//! ```text
//!  Frame ──► ┌────────────────────────┬───────────┬────────────────────────┬───────┐
//!            │ Header: next, length,  │ 18 bytes  │ message: type, payload │  16   │
//!            │ kind, sealed           │ of header │ (message_len bytes)    │  tag  │
//!            └────────────────────────┴───────────┴────────────────────────┴───────┘
//!                                     └───────────────── frame ────────────────────┘
//! ```
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
//!
//! All memory comes from [`Frame::allocate`] and goes back in `Drop for Frame`: the two places where a pool would go.

use std::alloc::{Layout, handle_alloc_error};
use std::fmt;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::ptr::{self, NonNull};

use wire_core::limits::{FRAME_OVERHEAD, HEADER_LEN, TAG_LEN};
use wire_core::message::kind::MessageType;

use super::sync::{AtomicUsize, Ordering, UnsafeCell, alloc, dealloc};

/// The first bytes of a message: its type, big endian. BOLT 1, "Lightning Message Format".
const TYPE_LEN: usize = 2;

/// What precedes the bytes in a frame's allocation.
#[repr(C)]
struct Header {
    /// While the frame is on a stack, or in a chain taken from one: the address of the frame that was pushed before
    /// it. A cell so that loom sees each access; it stands for the whole frame, which is handed over with it.
    next: UnsafeCell<usize>,
    message_len: u16,
    /// The message's type, remembered when the frame is sealed.
    kind: MessageType,
    sealed: bool,
}

/// One message in the room it needs to become a frame on the wire; owns its allocation.
pub(super) struct Frame {
    header: NonNull<Header>,
}

// SAFETY: a `Frame` owns its allocation as a `Box` does, and what is in it (integers and bytes) may move between threads.
unsafe impl Send for Frame {}
// SAFETY: through `&Frame` the allocation can only be read; the cell in the header is touched by owners alone.
unsafe impl Sync for Frame {}

impl Frame {
    /// A frame for a message of `message_len` bytes, all of them zero.
    pub(super) fn zeroed(message_len: u16) -> Self {
        Self::allocate(message_len, |message| fill(message, 0))
    }

    /// A frame that holds the message of type `kind` with `payload`, which is copied here and nowhere else.
    ///
    /// `message_len` is two more than the payload is long. If it were not, the message would be cut or padded with
    /// zeros, but the frame would still be whole.
    pub(super) fn holding(message_len: u16, kind: MessageType, payload: &[u8]) -> Self {
        Self::allocate(message_len, |message| {
            let type_room = message.len().min(TYPE_LEN);
            let (type_room, payload_room) = message.split_at_mut(type_room);
            for (room, byte) in type_room.iter_mut().zip(kind.get().to_be_bytes()) {
                room.write(byte);
            }
            let (same, rest) = payload_room.split_at_mut(payload_room.len().min(payload.len()));
            if let Some(payload) = payload.get(..same.len()) {
                same.write_copy_of_slice(payload);
            }
            fill(rest, 0);
        })
    }

    /// The only place that allocates. `write_message` has to write every byte it is given.
    fn allocate(message_len: u16, write_message: impl FnOnce(&mut [MaybeUninit<u8>])) -> Self {
        let layout = layout(message_len);
        // SAFETY: the layout's size is not zero: it contains a header.
        let memory = unsafe { alloc(layout) };
        #[expect(clippy::cast_ptr_alignment, reason = "the layout asks for a header's alignment")]
        let Some(header) = NonNull::new(memory.cast::<Header>()) else { handle_alloc_error(layout) };
        let contents =
            Header { next: UnsafeCell::new(EMPTY), message_len, kind: MessageType::new(0), sealed: false };
        // SAFETY: the memory is ours, large enough and aligned for a `Header`: its layout says so.
        unsafe { header.write(contents) };
        let bytes = header.as_ptr().wrapping_add(1).cast::<MaybeUninit<u8>>();
        // SAFETY: the layout has this many bytes behind the header, nobody else knows of them, and `MaybeUninit` needs
        // no initialisation.
        let bytes = unsafe { std::slice::from_raw_parts_mut(bytes, frame_len(message_len)) };
        let (header_room, rest) = bytes.split_at_mut(HEADER_LEN);
        let (message, tag_room) = rest.split_at_mut(usize::from(message_len));
        fill(header_room, 0);
        write_message(message);
        fill(tag_room, 0);
        Self { header }
    }

    /// The whole frame: room for the header, message, room for the tag; after sealing, what goes onto the wire.
    pub(super) fn bytes(&self) -> &[u8] {
        let start = self.header.as_ptr().wrapping_add(1).cast::<u8>();
        // SAFETY: `allocate` initialised this many bytes behind the header; they live as long as `self` and are written
        // only through `&mut self`.
        unsafe { std::slice::from_raw_parts(start, self.len()) }
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        let start = self.header.as_ptr().wrapping_add(1).cast::<u8>();
        // SAFETY: as in `bytes`, and `&mut self` keeps every other reference away.
        unsafe { std::slice::from_raw_parts_mut(start, self.len()) }
    }

    /// Type and payload. After sealing, ciphertext.
    pub(super) fn message(&self) -> &[u8] {
        self.bytes().get(HEADER_LEN..self.len() - TAG_LEN).unwrap_or_default()
    }

    /// Type and payload, to be written before the frame is committed.
    pub(super) fn message_mut(&mut self) -> &mut [u8] {
        let end = self.len() - TAG_LEN;
        self.bytes_mut().get_mut(HEADER_LEN..end).unwrap_or_default()
    }

    /// The message's type, which it keeps when sealing makes the bytes unreadable.
    pub(super) fn kind(&self) -> MessageType {
        if self.is_sealed() {
            return self.header().kind;
        }
        match self.message() {
            [high, low, ..] => MessageType::new(u16::from_be_bytes([*high, *low])),
            _ => MessageType::new(0),
        }
    }

    /// Length of the frame in bytes: the message and 34 more.
    pub(super) fn len(&self) -> usize {
        frame_len(self.header().message_len)
    }

    /// Length of the message in bytes: type and payload.
    pub(super) fn message_len(&self) -> usize {
        usize::from(self.header().message_len)
    }

    pub(super) fn is_sealed(&self) -> bool {
        self.header().sealed
    }

    /// Lets `seal` turn the bytes into what goes onto the wire. If it refuses, the frame counts as not sealed; if it
    /// panics, as sealed, for then nobody knows what the bytes are.
    pub(super) fn seal<E>(&mut self, seal: impl FnOnce(&mut [u8]) -> Result<(), E>) -> Result<(), E> {
        let kind = self.kind();
        let header = self.header_mut();
        header.kind = kind;
        header.sealed = true;
        let result = seal(self.bytes_mut());
        if result.is_err() {
            self.header_mut().sealed = false;
        }
        result
    }

    fn header(&self) -> &Header {
        // SAFETY: `allocate` initialised it, and it is written only through `&mut self` (and its cell by owners).
        unsafe { self.header.as_ref() }
    }

    fn header_mut(&mut self) -> &mut Header {
        // SAFETY: as in `header`, and `&mut self` keeps every other reference away.
        unsafe { self.header.as_mut() }
    }

    fn next(&self) -> usize {
        self.header().next.with(|next| {
            // SAFETY: only the owner of a frame calls this, and it has `&self`, so nobody writes.
            unsafe { *next }
        })
    }

    fn set_next(&mut self, address: usize) {
        self.header().next.with_mut(|next| {
            // SAFETY: `&mut self` keeps every other access away.
            unsafe { *next = address };
        });
    }

    /// The address that stands for the frame once its owner has forgotten it.
    fn expose(&self) -> usize {
        self.header.as_ptr().expose_provenance()
    }

    /// The frame at this address; none at address zero.
    ///
    /// # Safety
    /// The address is zero, or came from [`Self::expose`] of a frame that was then forgotten by its owner and that
    /// nobody else takes over.
    unsafe fn from_address(address: usize) -> Option<Self> {
        // The provenance of the whole allocation was exposed, so this pointer reaches all its bytes.
        NonNull::new(ptr::with_exposed_provenance_mut(address)).map(|header| Self { header })
    }
}

impl Drop for Frame {
    fn drop(&mut self) {
        let layout = layout(self.header().message_len);
        // SAFETY: `allocate` made it with the same layout, and this is its only owner. The header needs no drop.
        unsafe { dealloc(self.header.as_ptr().cast(), layout) }
    }
}

impl fmt::Debug for Frame {
    /// Without the payload, which is not ours to print.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frame")
            .field("kind", &self.kind())
            .field("message_len", &self.message_len())
            .field("sealed", &self.is_sealed())
            .finish_non_exhaustive()
    }
}

/// Head of the stack when nothing is on it.
const EMPTY: usize = 0;
/// Head of the stack from the moment it is closed. Never a frame's address: those are aligned.
const CLOSED: usize = 1;
const _: () = assert!(align_of::<Header>() > 1);
// What the queue's page says about memory.
#[cfg(not(oddwire_loom))]
const _: () = assert!(size_of::<Header>() == 16 || size_of::<usize>() != 8);

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

const fn frame_len(message_len: u16) -> usize {
    // Lossless; `usize::from` is not const.
    message_len as usize + FRAME_OVERHEAD
}

const fn layout(message_len: u16) -> Layout {
    let size = size_of::<Header>() + frame_len(message_len);
    // SAFETY: the alignment is that of a type, and the size, below 2^17 since the length is a `u16`, cannot overflow.
    unsafe { Layout::from_size_align_unchecked(size, align_of::<Header>()) }
}

fn fill(room: &mut [MaybeUninit<u8>], byte: u8) {
    for slot in room {
        slot.write(byte);
    }
}
