//! Keystream for the next frames of one direction, made before their bytes are there.
//!
//! A small frame is decided by four blocks of ChaCha20: a key for the tag and a stream, for its length and for its body.
//! They depend on the key and on nonces that are known ahead. So they can be made for several frames at once, which is
//! where the lanes of a vector register come from; or while a microcontroller has nothing else to do.
//!
//! Where that keystream waits is the driver's choice, and costs a connection that is not in use nothing:
//! - a host has one [`Ahead`] per thread and direction, and lends it for a run of frames to the connection whose turn it is;
//! - firmware has one per connection and direction, with room for one frame, and calls `prepare` while idle;
//! - whoever lends [`OnDemand`] has none.
//!
//! An [`Ahead`] remembers the key for which it was prepared. Lent to another connection, or after a rotation, what it
//! holds is thrown away and made anew: no keystream can ever meet a text of another key or nonce.
//!
//! Constant time: but for whether an `Ahead` is prepared for the key that it meets. Wiping: a frame's keystream when it is
//! spent, all of it when it is thrown away or dropped; `Debug` shows counts alone.

use core::{fmt, iter};

use crate::{
    cipher::{
        CipherState,
        aead::{FIRST_STREAM_BLOCK, Pad},
        lanes::{BLOCK_LEN, Blocks, Place, wipe},
    },
    limits::{KEY_LEN, LENGTH_LEN, MAX_MESSAGE_LEN, NONCES_PER_KEY},
    secret::Secret,
};

/// Frames whose keystream is made in one go on the way into an [`Ahead`]: as many as fill the widest lanes.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
const AT_ONCE: usize = 4;
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const AT_ONCE: usize = 1;

/// Blocks of a small frame: key and stream of its length, key and first of the stream of its body.
const SMALL_FRAME: usize = 4;

/// Keystream for up to `FRAMES` frames, at most 255, each with `BLOCKS` times 64 bytes of the stream for its body.
///
/// Sealing or opening a body that is not longer than that needs no ChaCha20 once the keystream is prepared; a longer one
/// computes the rest when it comes. It takes 66 + 64 × `BLOCKS` bytes a frame, and 36 once.
pub struct Ahead<const FRAMES: usize, const BLOCKS: usize = 1> {
    /// For which the rest was made. Meaningless when nothing is prepared.
    key: Secret<KEY_LEN>,
    /// Of the length of the first frame that is prepared.
    nonce: u16,
    /// The frames that are prepared and not spent.
    next: u8,
    end: u8,
    frames: [FramePads<BLOCKS>; FRAMES],
}

/// Keystream of one frame.
struct FramePads<const BLOCKS: usize> {
    length_tag_key: [u8; KEY_LEN],
    body_tag_key: [u8; KEY_LEN],
    body: [[u8; BLOCK_LEN]; BLOCKS],
    length: [u8; LENGTH_LEN],
}

/// No keystream ahead: all is computed when a frame is there.
#[derive(Clone, Copy, Debug, Default)]
pub struct OnDemand;

/// Where keystream waits for its frames: an [`Ahead`], or [`OnDemand`] for nowhere.
///
/// Only this crate can implement it.
pub trait Keystream: sealed::Sealed {}

impl<const FRAMES: usize, const BLOCKS: usize> Keystream for Ahead<FRAMES, BLOCKS> {}
impl Keystream for OnDemand {}

pub(super) mod sealed {
    use super::{CipherState, Pad};

    /// What frames need of a place for keystream.
    pub trait Sealed {
        /// Makes keystream for the next frames of `cipher`, unless some is there: for `frames` of them, or as many as there
        /// is room for, or as are left under the present key. The cipher stands before a length.
        fn prepare(&mut self, cipher: &CipherState, frames: usize);

        /// What is prepared for the next two texts of the cipher, a length and a body of `body_len` bytes. If nothing is, it
        /// is made for `frames` frames, unless the body is longer than what is kept of its stream: then keystream that
        /// is made for all of it at once is the better choice.
        fn for_frame(&mut self, cipher: &CipherState, frames: usize, body_len: usize)
        -> Option<[Pad<'_>; 2]>;

        /// How long a body is, in bytes, that needs nothing beyond what waits for it.
        fn kept(&self) -> usize;

        /// Makes keystream as [`Self::prepare`] does, and answers for how many of the next frames there is some.
        fn prepare_several(&mut self, cipher: &CipherState, frames: usize) -> usize;

        /// What is prepared for the length and the body that so many prepared frames come before.
        fn behind(&self, frames: usize) -> Option<[Pad<'_>; 2]>;

        /// What is prepared for the next text of the cipher, if it is a length.
        fn for_length(&self, cipher: &CipherState) -> Option<Pad<'_>>;

        /// What is prepared for the next text of the cipher, if it is a body.
        fn for_body(&self, cipher: &CipherState) -> Option<Pad<'_>>;

        /// Wipes the first frame that is prepared: its body is done.
        fn spend(&mut self);
    }
}

impl<const FRAMES: usize, const BLOCKS: usize> Ahead<FRAMES, BLOCKS> {
    /// Counts of frames are held in one byte.
    const FRAMES_FIT: () = assert!(FRAMES > 0 && FRAMES <= u8::MAX as usize);

    /// Nothing prepared yet.
    pub const fn new() -> Self {
        const { Self::FRAMES_FIT };
        let frames = [const { FramePads::ZERO }; FRAMES];
        Self { key: Secret::new([0; KEY_LEN]), nonce: 0, next: 0, end: 0, frames }
    }

    /// Frames whose keystream is prepared and not spent.
    pub fn prepared(&self) -> usize {
        usize::from(self.end - self.next)
    }

    /// Wipes what is prepared. It costs nothing if nothing is.
    pub fn clear(&mut self) {
        if self.next == self.end {
            return;
        }
        let prepared = self.prepared();
        self.frames.iter_mut().skip(usize::from(self.next)).take(prepared).for_each(FramePads::wipe);
        wipe(self.key.expose_mut());
        (self.nonce, self.next, self.end) = (0, 0, 0);
    }

    /// The first frame that is prepared, if it is for the text of `nonce` or the one after it.
    fn front(&self, cipher: &CipherState, nonce: u16) -> Option<&FramePads<BLOCKS>> {
        let is_next = self.next < self.end && self.nonce == nonce && same(&self.key, cipher.key());
        self.frames.get(usize::from(self.next)).filter(|_| is_next)
    }
}

impl<const FRAMES: usize, const BLOCKS: usize> sealed::Sealed for Ahead<FRAMES, BLOCKS> {
    fn prepare(&mut self, cipher: &CipherState, frames: usize) {
        if self.front(cipher, cipher.nonce()).is_some() {
            return;
        }
        self.clear();
        // A run ends where its key does. Keys are replaced after 500 frames, a multiple of `AT_ONCE`.
        let left = usize::from((NONCES_PER_KEY - cipher.nonce()) / 2);
        let frames = frames.min(FRAMES).min(left);
        let mut nonce = cipher.nonce();
        for frames in self.frames[..frames].chunks_mut(AT_ONCE) {
            FramePads::fill(frames, cipher, nonce);
            for _ in frames {
                nonce += 2;
            }
        }
        self.key.expose_mut().copy_from_slice(cipher.key().expose());
        self.nonce = cipher.nonce();
        // Not more than FRAMES, which fits.
        self.end = u8::try_from(frames).unwrap_or(0);
    }

    fn for_frame(&mut self, cipher: &CipherState, frames: usize, body_len: usize) -> Option<[Pad<'_>; 2]> {
        if self.front(cipher, cipher.nonce()).is_none() {
            if body_len > BLOCKS * BLOCK_LEN {
                return None;
            }
            self.prepare(cipher, frames);
        }
        let frame = self.frames.get(usize::from(self.next))?;
        Some([frame.for_length(), frame.for_body()])
    }

    fn kept(&self) -> usize {
        // No more than a body can be long: the rest would never be used.
        MAX_MESSAGE_LEN.min(BLOCKS * BLOCK_LEN)
    }

    fn prepare_several(&mut self, cipher: &CipherState, frames: usize) -> usize {
        self.prepare(cipher, frames);
        self.prepared()
    }

    fn behind(&self, frames: usize) -> Option<[Pad<'_>; 2]> {
        let prepared = self.frames.get(usize::from(self.next)..usize::from(self.end))?;
        prepared.get(frames).map(|frame| [frame.for_length(), frame.for_body()])
    }

    fn for_length(&self, cipher: &CipherState) -> Option<Pad<'_>> {
        self.front(cipher, cipher.nonce()).map(FramePads::for_length)
    }

    fn for_body(&self, cipher: &CipherState) -> Option<Pad<'_>> {
        self.front(cipher, cipher.nonce().wrapping_sub(1)).map(FramePads::for_body)
    }

    fn spend(&mut self) {
        if self.next == self.end {
            return;
        }
        if let Some(frame) = self.frames.get_mut(usize::from(self.next)) {
            frame.wipe();
        }
        self.next += 1;
        self.nonce += 2;
        if self.next == self.end {
            wipe(self.key.expose_mut());
            (self.nonce, self.next, self.end) = (0, 0, 0);
        }
    }
}

impl sealed::Sealed for OnDemand {
    fn prepare(&mut self, _: &CipherState, _: usize) {}

    fn for_frame(&mut self, _: &CipherState, _: usize, _: usize) -> Option<[Pad<'_>; 2]> {
        None
    }

    fn kept(&self) -> usize {
        0
    }

    fn prepare_several(&mut self, _: &CipherState, _: usize) -> usize {
        0
    }

    fn behind(&self, _: usize) -> Option<[Pad<'_>; 2]> {
        None
    }

    fn for_length(&self, _: &CipherState) -> Option<Pad<'_>> {
        None
    }

    fn for_body(&self, _: &CipherState) -> Option<Pad<'_>> {
        None
    }

    fn spend(&mut self) {}
}

impl<const BLOCKS: usize> FramePads<BLOCKS> {
    const ZERO: Self = Self {
        length_tag_key: [0; KEY_LEN],
        body_tag_key: [0; KEY_LEN],
        body: [[0; BLOCK_LEN]; BLOCKS],
        length: [0; LENGTH_LEN],
    };

    fn for_length(&self) -> Pad<'_> {
        Pad { tag_key: &self.length_tag_key, stream: &self.length }
    }

    fn for_body(&self) -> Pad<'_> {
        Pad { tag_key: &self.body_tag_key, stream: self.body.as_flattened() }
    }

    /// Fills at most [`AT_ONCE`] frames, the first of which has `nonce` for its length.
    fn fill(frames: &mut [Self], cipher: &CipherState, nonce: u16) {
        const ROOM: usize = AT_ONCE * SMALL_FRAME;
        let mut places = [Place { nonce, counter: 0 }; ROOM];
        let four = [(0, 0), (0, FIRST_STREAM_BLOCK), (1, 0), (1, FIRST_STREAM_BLOCK)];
        let nonces = iter::successors(Some(nonce), |nonce| Some(nonce + 2));
        for (places, nonce) in places.chunks_mut(SMALL_FRAME).zip(nonces) {
            for (place, (offset, counter)) in places.iter_mut().zip(four) {
                *place = Place { nonce: nonce + offset, counter };
            }
        }
        let count = ROOM.min(frames.len() * SMALL_FRAME);
        let mut blocks = Blocks::<ROOM>::new();
        cipher.keystream(&places[..count], &mut blocks.as_mut_slice()[..count]);

        for (frame, blocks) in frames.iter_mut().zip(blocks.as_slice().as_chunks().0) {
            let [length_tag_key, length, body_tag_key, body]: &[_; SMALL_FRAME] = blocks;
            frame.length_tag_key.copy_from_slice(&length_tag_key[..KEY_LEN]);
            frame.length.copy_from_slice(&length[..LENGTH_LEN]);
            frame.body_tag_key.copy_from_slice(&body_tag_key[..KEY_LEN]);
            if let Some(first) = frame.body.first_mut() {
                *first = *body;
            }
        }
        // More of the body's stream than its first block, if this `Ahead` keeps it.
        for (frame, nonce) in
            frames.iter_mut().zip(iter::successors(Some(nonce + 1), |nonce| Some(nonce + 2)))
        {
            let counters = FIRST_STREAM_BLOCK..;
            for (block, counter) in frame.body.iter_mut().zip(counters).skip(1) {
                cipher.keystream(&[Place { nonce, counter }], core::slice::from_mut(block));
            }
        }
    }

    fn wipe(&mut self) {
        self.length_tag_key.fill(0);
        self.body_tag_key.fill(0);
        self.length.fill(0);
        wipe(self.body.as_flattened_mut());
        zeroize::optimization_barrier(self);
    }
}

impl<const FRAMES: usize, const BLOCKS: usize> Default for Ahead<FRAMES, BLOCKS> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const FRAMES: usize, const BLOCKS: usize> Drop for Ahead<FRAMES, BLOCKS> {
    fn drop(&mut self) {
        self.clear();
    }
}

impl<const FRAMES: usize, const BLOCKS: usize> fmt::Debug for Ahead<FRAMES, BLOCKS> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ahead")
            .field("prepared", &self.prepared())
            .field("room", &FRAMES)
            .finish_non_exhaustive()
    }
}

/// Whether two keys are the same, in a time that does not depend on where they differ, and faster than byte by byte: this
/// is asked twice per frame.
fn same(one: &Secret<KEY_LEN>, other: &Secret<KEY_LEN>) -> bool {
    let words = |key: &Secret<KEY_LEN>| -> [u64; KEY_LEN / 8] {
        let mut words = [0; KEY_LEN / 8];
        for (word, bytes) in words.iter_mut().zip(key.expose().as_chunks().0) {
            *word = u64::from_ne_bytes(*bytes);
        }
        words
    };
    let differences = words(one).into_iter().zip(words(other)).map(|(one, other)| one ^ other);
    differences.fold(0, |all, difference| all | difference) == 0
}
