//! A frame: one message, in the room it needs to become what goes onto the wire.
//!
//! A [`Frame`] is one allocation that holds a link, a few words about the message and the bytes that will go onto the
//! wire. It has one owner at a time, like a `Box`, so using one is safe code.
//!
//! ```text
//!  Frame ──► ┌────────────────────────┬───────────┬────────────────────────┬───────┐
//!            │ Header: links, length, │ 18 bytes  │ message: type, payload │  16   │
//!            │ kind, sealed           │ of header │ (message_len bytes)    │  tag  │
//!            └────────────────────────┴───────────┴────────────────────────┴───────┘
//!                                     └───────────────── frame ────────────────────┘
//! ```
//!
//! All memory comes from the pool in `Frame::allocate` and goes back to it in `Drop for Frame`.

use std::fmt;
use std::mem::MaybeUninit;
use std::ptr::{self, NonNull};

use wire_core::limits::{FRAME_OVERHEAD, HEADER_LEN, TAG_LEN};
use wire_core::message::kind::MessageType;

use super::pool;
use super::sync::UnsafeCell;

/// The first bytes of a message: its type, big endian. BOLT 1, "Lightning Message Format".
const TYPE_LEN: usize = 2;

/// What precedes the bytes in a frame's allocation.
#[repr(C)]
pub(super) struct Header {
    /// While the frame is on a stack, or in a chain taken from one: the address of the frame that was pushed before
    /// it. A cell so that loom sees each access; it stands for the whole frame, which is handed over with it.
    next: UnsafeCell<usize>,
    /// While the frame is in a list: the frame behind it.
    behind: Option<Frame>,
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

    /// The only place that takes memory. `write_message` has to write every byte it is given.
    fn allocate(message_len: u16, write_message: impl FnOnce(&mut [MaybeUninit<u8>])) -> Self {
        let header = pool::take(memory_len(message_len)).cast::<Header>();
        let contents = Header {
            next: UnsafeCell::new(0),
            behind: None,
            message_len,
            kind: MessageType::new(0),
            sealed: false,
        };
        // SAFETY: the memory is ours, large enough and aligned for a `Header`.
        unsafe { header.write(contents) };
        let bytes = header.as_ptr().wrapping_add(1).cast::<MaybeUninit<u8>>();
        // SAFETY: the memory has this many bytes behind the header, nobody else knows of them, and `MaybeUninit` needs
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

    /// Lends the bytes, to be turned into what goes onto the wire, and the place of the frame behind, so that several frames
    /// of a list can be lent at once. From here on it counts as sealed.
    pub(super) fn lend_to_seal(&mut self) -> (&mut [u8], &mut Option<Frame>) {
        let (kind, len) = (self.kind(), self.len());
        let start = self.header.as_ptr().wrapping_add(1).cast::<u8>();
        // SAFETY: as in `bytes`, and `&mut self` keeps every other reference away but the one to the header that is lent with
        // it. The header lies before these bytes, so the two have nothing in common.
        let bytes = unsafe { std::slice::from_raw_parts_mut(start, len) };
        let header = self.header_mut();
        header.kind = kind;
        header.sealed = true;
        (bytes, &mut header.behind)
    }

    /// Counts it as not sealed: whoever was lent the bytes left them as they were.
    pub(super) fn was_not_sealed(&mut self) {
        self.header_mut().sealed = false;
    }

    /// The frame behind this one in a list.
    pub(super) fn behind(&self) -> Option<&Frame> {
        self.header().behind.as_ref()
    }

    /// The place of the frame behind this one. It must be empty when this frame is dropped: what is there would leak.
    pub(super) fn behind_mut(&mut self) -> &mut Option<Frame> {
        &mut self.header_mut().behind
    }

    fn header(&self) -> &Header {
        // SAFETY: `allocate` initialised it, and it is written only through `&mut self` (and its cell by owners).
        unsafe { self.header.as_ref() }
    }

    fn header_mut(&mut self) -> &mut Header {
        // SAFETY: as in `header`, and `&mut self` keeps every other reference away.
        unsafe { self.header.as_mut() }
    }

    pub(super) fn next(&self) -> usize {
        self.header().next.with(|next| {
            // SAFETY: only the owner of a frame calls this, and it has `&self`, so nobody writes.
            unsafe { *next }
        })
    }

    pub(super) fn set_next(&mut self, address: usize) {
        self.header().next.with_mut(|next| {
            // SAFETY: `&mut self` keeps every other access away.
            unsafe { *next = address };
        });
    }

    /// The address that stands for the frame once its owner has forgotten it.
    pub(super) fn expose(&self) -> usize {
        self.header.as_ptr().expose_provenance()
    }

    /// The frame at this address; none at address zero.
    ///
    /// # Safety
    /// The address is zero, or came from [`Self::expose`] of a frame that was then forgotten by its owner and that
    /// nobody else takes over.
    pub(super) unsafe fn from_address(address: usize) -> Option<Self> {
        // The provenance of the whole allocation was exposed, so this pointer reaches all its bytes.
        NonNull::new(ptr::with_exposed_provenance_mut(address)).map(|header| Self { header })
    }
}

impl Drop for Frame {
    fn drop(&mut self) {
        let len = memory_len(self.header().message_len);
        // SAFETY: `allocate` took it for the same length, and this is its only owner. Nothing is behind it, and the rest of the header
        // needs no drop.
        unsafe { pool::give(self.header.cast(), len) }
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

// What the queue's page says about memory.
#[cfg(not(oddwire_loom))]
const _: () = assert!(size_of::<Header>() == 24 || size_of::<usize>() != 8);

const fn frame_len(message_len: u16) -> usize {
    // Lossless; `usize::from` is not const.
    message_len as usize + FRAME_OVERHEAD
}

/// What the frame of a message needs of memory in bytes, with its header.
const fn memory_len(message_len: u16) -> usize {
    size_of::<Header>() + frame_len(message_len)
}

fn fill(room: &mut [MaybeUninit<u8>], byte: u8) {
    for slot in room {
        slot.write(byte);
    }
}
