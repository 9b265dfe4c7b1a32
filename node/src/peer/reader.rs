//! The receiving side of a connection's task: bytes from the socket to whole frames, with as little memory as possible.
//!
//! Bytes are read into a buffer that belongs to the thread, not to the peer. Only what is left of an unfinished frame is
//! kept with the peer, and it goes when the frame is whole: then its beginning is copied in front of what was just read, so
//! that all of it lies together. So a peer that says nothing holds no buffer at all, and one that announces a large frame and
//! stops holds about as much as it has sent. Bytes that come in drops are copied twice each, however many drops there are.

use std::cell::RefCell;
use std::io;

use wire_core::limits::MAX_FRAME_LEN;

use crate::system::TcpStream;

/// Read at a time from a peer that sends small messages. Fits the second level cache together with what handling it touches,
/// and holds about as many frames as are handled in a turn.
const READ_LEN: usize = 64 * 1024;

/// Read at a time from a peer whose unfinished frame lacks more than [`LARGE`]: a few of the largest frames.
const LARGE_READ_LEN: usize = 4 * 64 * 1024;

/// See [`LARGE_READ_LEN`].
const LARGE: usize = 8 * 1024;

thread_local! {
    /// The beginning of a frame, if one is kept, and what is read. Never held across an await.
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; MAX_FRAME_LEN + LARGE_READ_LEN]);
}

/// What a connection has received and not consumed.
#[derive(Debug, Default)]
pub(super) struct Reader {
    kept: Vec<u8>,
    /// Bytes that the next frame misses, at least.
    wanted: usize,
    /// What is kept may contain whole frames: the connection stopped before it had looked at all of it.
    unread: bool,
}

/// What a look at received bytes came to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Digested {
    /// Bytes at the front that are done with.
    pub(super) consumed: usize,
    /// What is to happen with the rest.
    pub(super) rest: Rest,
}

/// The bytes that were not consumed.
#[derive(Debug, Clone, Copy)]
pub(super) enum Rest {
    /// The beginning of a frame that lacks at least this many bytes.
    Unfinished { wanted: usize },
    /// To be looked at again later: the turn is over, or nothing may be read now.
    Later,
}

/// How a read ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// This many bytes were read and looked at.
    Some(usize),
    /// The socket has nothing now.
    Nothing,
    /// The peer has closed its side.
    End,
}

impl Reader {
    /// Whether bytes are here that were not looked at yet.
    pub(super) fn has_unread(&self) -> bool {
        self.unread
    }

    /// Looks again at what was left for later.
    pub(super) fn resume(&mut self, digest: impl FnOnce(&mut [u8]) -> Digested) {
        let mut kept = std::mem::take(&mut self.kept);
        let digested = digest(&mut kept);
        self.note(digested.rest);
        self.keep(kept, digested.consumed);
    }

    /// Reads once, at most so many bytes, and has `digest` look at them. Nothing may be left for later when it is called.
    pub(super) fn read(
        &mut self,
        stream: &TcpStream,
        most: usize,
        digest: impl FnOnce(&mut [u8]) -> Digested,
    ) -> io::Result<Progress> {
        SCRATCH.with_borrow_mut(|scratch| {
            let begun = self.kept.len();
            let read_len = if self.wanted > LARGE { LARGE_READ_LEN } else { READ_LEN }.min(most);
            if scratch.len() < begun + read_len {
                // Cannot be: an unfinished frame is shorter than the longest.
                scratch.resize(begun + read_len, 0);
            }
            let (beginning, room) = scratch.split_at_mut(begun);
            let room = room.get_mut(..read_len).unwrap_or_default();
            let read = match stream.try_read(room) {
                Ok(0) => return Ok(Progress::End),
                Ok(read) => read,
                Err(error)
                    if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) =>
                {
                    return Ok(Progress::Nothing);
                }
                Err(error) => return Err(error),
            };
            if begun > 0 && read < self.wanted {
                self.kept.extend_from_slice(room.get(..read).unwrap_or_default());
                self.wanted -= read;
                return Ok(Progress::Some(read));
            }
            beginning.copy_from_slice(&self.kept);
            let bytes = scratch.get_mut(..begun + read).unwrap_or_default();
            let digested = digest(bytes);
            self.note(digested.rest);
            let rest = bytes.get(digested.consumed..).unwrap_or_default();
            self.kept = rest.to_vec();
            Ok(Progress::Some(read))
        })
    }

    fn note(&mut self, rest: Rest) {
        match rest {
            Rest::Unfinished { wanted } => (self.wanted, self.unread) = (wanted, false),
            Rest::Later => self.unread = true,
        }
    }

    fn keep(&mut self, mut bytes: Vec<u8>, consumed: usize) {
        if consumed >= bytes.len() {
            // Frees the memory: an idle peer has no buffer.
            self.kept = Vec::new();
            return;
        }
        if consumed > 0 {
            bytes.drain(..consumed);
            bytes.shrink_to_fit();
        }
        self.kept = bytes;
    }
}
