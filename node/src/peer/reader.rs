//! The receiving side of a connection's task: bytes from the socket to whole frames, with as little memory as possible.
//!
//! Bytes are read into a buffer that belongs to the thread, not to the peer. Only what is left of an unfinished frame is
//! kept with the peer, and it goes when the frame is whole. So a peer that says nothing holds no buffer at all, and one
//! that announces a large frame and stops holds about as much as it has sent.

use std::cell::RefCell;
use std::io::{self, IoSliceMut};

use tokio::net::TcpStream;

/// Read at a time. Fits the second level cache together with what handling it touches.
const READ_LEN: usize = 64 * 1024;

/// Room that is made at once for the rest of an unfinished frame. After that it doubles: a peer makes us reserve at most
/// as much again as it has sent, and this.
const FIRST_ROOM: usize = 4 * 1024;

thread_local! {
    /// Never held across an await.
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_LEN]);
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

    /// Reads once and has `digest` look at the bytes. Nothing may be left for later when it is called.
    pub(super) fn read(
        &mut self,
        stream: &TcpStream,
        mut digest: impl FnMut(&mut [u8]) -> Digested,
    ) -> io::Result<Progress> {
        SCRATCH.with_borrow_mut(|scratch| {
            // The rest of an unfinished frame goes where its beginning is; only what follows it into the scratch buffer.
            let begun = self.kept.len();
            let room = if begun == 0 { 0 } else { self.wanted.clamp(1, begun.max(FIRST_ROOM)) };
            let read = if room == 0 {
                stream.try_read(scratch)
            } else {
                self.kept.reserve_exact(room);
                self.kept.resize(begun + room, 0);
                let (_, rest) = self.kept.split_at_mut(begun);
                let beyond: &mut [u8] = if room < self.wanted { &mut [] } else { scratch };
                stream.try_read_vectored(&mut [IoSliceMut::new(rest), IoSliceMut::new(beyond)])
            };
            let read = match read {
                Ok(read) => read,
                Err(error) => {
                    self.kept.truncate(begun);
                    let would_block =
                        matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted);
                    return if would_block { Ok(Progress::Nothing) } else { Err(error) };
                }
            };
            self.kept.truncate(begun + read.min(room));
            if read == 0 {
                return Ok(Progress::End);
            }
            if room > 0 {
                self.resume(&mut digest);
            }
            let fresh = scratch.get_mut(..read.saturating_sub(room)).unwrap_or_default();
            if fresh.is_empty() {
                return Ok(Progress::Some(read));
            }
            if self.kept.is_empty() && !self.unread {
                let digested = digest(fresh);
                self.note(digested.rest);
                self.kept = fresh.get(digested.consumed..).unwrap_or_default().to_vec();
            } else {
                self.kept.extend_from_slice(fresh);
                self.unread = true;
            }
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
