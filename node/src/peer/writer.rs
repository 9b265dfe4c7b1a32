//! The sending side of a connection's task: what the protocol owes first, then a run of queued messages, in one
//! vectored write.
//!
//! Frames must reach the wire in the order in which they were sealed. So a run of messages is sealed only when
//! everything sealed before it is in the same write, and what the protocol comes to owe meanwhile waits for at most
//! that run.
//!
//! A run of large messages goes to the socket from where it lies, one slice for each. For small ones the system would spend
//! longer on the slices than on the bytes, so these are copied together first; they remain in the queue all the same
//! until they are written.

use std::cell::RefCell;
use std::io::{self, IoSlice};

use wire_core::connection::{Connection, Local, Phase, SealRefused, Timestamp};
use wire_core::limits::{HEADER_LEN, MAX_FRAME_LEN, TAG_LEN};

use super::handle::Counted;
use super::keystream;
use crate::send_queue::{Consumer, Run};
use crate::system::TcpStream;
use crate::{Direction, NodeId, log};

/// The most frames of one write; the limit of a node may be lower. Frames of 64 bytes fill [`RUN_BYTES`] before that.
pub(crate) const MAX_FRAMES_PER_WRITE: usize = 1024;

/// A run whose frames are smaller than this on average is copied together. Below it the copy is the cheaper one: a slice
/// costs the system about as much as copying a few hundred bytes, and a write takes no more than [`MAX_SLICES`] of them.
const GATHERED_BELOW: usize = 512;

/// The most slices of one write: a run of frames that are not copied together, and what goes before it.
const MAX_SLICES: usize = RUN_BYTES / GATHERED_BELOW + 1;

/// Bytes of queued messages that are sealed for one write. What is sealed cannot be given back with its payload when the
/// connection ends, and the protocol's own messages wait behind it, so no more than a socket usually takes at once.
const RUN_BYTES: usize = 64 * 1024;

/// Frames of the protocol itself that one write takes along: at least one of the largest, usually many.
const CONTROL_LEN: usize = 2 * MAX_FRAME_LEN;

thread_local! {
    /// Frames of the protocol itself, until they are written. Never held across an await.
    static CONTROL: RefCell<Vec<u8>> = RefCell::new(vec![0; CONTROL_LEN]);

    /// Where small frames are copied together. Never held across an await; a run fits without growing.
    static GATHERED: RefCell<Vec<u8>> = RefCell::new(Vec::with_capacity(CONTROL_LEN + RUN_BYTES));
}

/// What was sealed and is not written yet, apart from what the send queue keeps itself.
#[derive(Debug, Default)]
pub(super) struct Writer {
    /// Frames of the protocol itself that a write has left over.
    control: Vec<u8>,
    /// Sealed frames of the send queue follow them.
    run_is_sealed: bool,
    /// Since when the socket takes nothing although there is something.
    stalled_since: Option<Timestamp>,
}

/// How a write ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wrote {
    /// Something.
    Some,
    /// There was nothing to write.
    NothingToDo,
    /// The socket takes nothing now.
    Blocked,
}

impl Writer {
    /// Whether something sealed waits for the socket.
    pub(super) fn is_blocked(&self) -> bool {
        self.stalled_since.is_some()
    }

    pub(super) fn stalled_since(&self) -> Option<Timestamp> {
        self.stalled_since
    }

    /// Whether everything sealed is written.
    pub(super) fn is_empty(&self) -> bool {
        self.control.is_empty() && !self.run_is_sealed
    }

    /// Writes once: what is left of the last time; or else what the protocol owes, then messages from `queue`.
    pub(super) fn write<L: AsRef<Local>>(
        &mut self,
        stream: &TcpStream,
        connection: &mut Connection<L>,
        queue: Option<&mut Consumer>,
        turn: &mut WriteTurn<'_>,
    ) -> io::Result<Wrote> {
        CONTROL.with_borrow_mut(|scratch| {
            let fresh_len = if self.is_empty() { turn.owed(connection, scratch) } else { 0 };
            let fresh = scratch.get(..fresh_len).unwrap_or_default();
            let control: &[u8] = if fresh.is_empty() { &self.control } else { fresh };

            let may_seal =
                self.is_empty() && !connection.has_transmit() && has_messages_flowing(connection.phase());
            let mut batch = queue.filter(|_| self.run_is_sealed || may_seal).map(Consumer::take);
            // Nothing more is sealed behind a run that is not written: these limits leave exactly that run.
            let (bytes, frames) = if may_seal { (RUN_BYTES, turn.max_frames) } else { (0, 0) };
            let mut run = batch.as_mut().and_then(|batch| batch.next_run(bytes, frames));
            if let Some(run) = run.as_mut().filter(|_| may_seal) {
                // A refusal leaves the frame and those behind it unsealed, and so unwritten, until the phase is decided.
                let _: Result<(), SealRefused> = turn.seal(connection, run);
            }
            let total = control.len() + run.iter().flat_map(Run::unwritten).map(<[u8]>::len).sum::<usize>();
            if total == 0 {
                self.run_is_sealed = false;
                self.stalled_since = None;
                return Ok(Wrote::NothingToDo);
            }

            let (written, outcome) = match write_once(stream, control, run.as_ref(), total) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    self.stalled_since = None;
                    (written, Wrote::Some)
                }
                Err(error)
                    if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) =>
                {
                    self.stalled_since.get_or_insert(turn.now);
                    (0, Wrote::Blocked)
                }
                Err(error) => return Err(error),
            };
            turn.counted.bytes_out += u64::try_from(written).unwrap_or(u64::MAX);
            let of_control = written.min(control.len());
            let left = control.get(of_control..).unwrap_or_default();
            if fresh.is_empty() {
                self.control.drain(..of_control);
                if self.control.is_empty() {
                    self.control = Vec::new();
                }
            } else {
                self.control = left.to_vec();
            }
            if let Some(run) = &mut run {
                let done = run.advance(written - of_control);
                turn.counted.messages_out += u64::try_from(done.messages).unwrap_or(u64::MAX);
            }
            self.run_is_sealed = written < total && run.is_some_and(|run| !run.is_empty());
            Ok(outcome)
        })
    }
}

/// What stays the same over the writes of one turn.
pub(super) struct WriteTurn<'a> {
    pub(super) now: Timestamp,
    pub(super) max_frames: usize,
    pub(super) counted: &'a mut Counted,
    /// Whom the log names; `None` while nobody has proven to be anybody.
    pub(super) peer: Option<NodeId>,
}

impl WriteTurn<'_> {
    /// Puts what the protocol owes into `room`, as much as surely fits, and answers how long it is.
    fn owed<L: AsRef<Local>>(&mut self, connection: &mut Connection<L>, room: &mut [u8]) -> usize {
        let mut len = 0;
        while let Some(room) = room.get_mut(len..).filter(|room| room.len() >= MAX_FRAME_LEN) {
            if log::shows_messages()
                && let (Some(peer), Some(message_len)) = (&self.peer, connection.next_in_clear(room))
            {
                log::message(Direction::Out, peer, room.get(..message_len).unwrap_or_default());
            }
            let Some(frame_len) = connection.poll_transmit(room) else { break };
            len += frame_len;
            self.counted.messages_out += 1;
        }
        len
    }

    /// Seals what is not sealed of the run, with the keystream of several frames made at once.
    fn seal<L: AsRef<Local>>(
        &self,
        connection: &mut Connection<L>,
        run: &mut Run<'_>,
    ) -> Result<(), SealRefused> {
        let frames = run.len();
        keystream::sending(|ahead| {
            let mut sealing = connection.seal_run(ahead, frames)?;
            run.seal_several(|frames| {
                for frame in &*frames {
                    self.log(frame);
                }
                sealing.seal_many(frames).map_err(|error| (error.sealed, SealRefused::Frame(error.reason)))
            })
        })
    }

    /// Shows a message that is about to be sealed.
    fn log(&self, frame: &[u8]) {
        if let (Some(peer), Some(body_and_tag)) = (&self.peer, frame.get(HEADER_LEN..)) {
            let message_len = body_and_tag.len().saturating_sub(TAG_LEN);
            log::message(Direction::Out, peer, body_and_tag.get(..message_len).unwrap_or_default());
        }
    }
}

/// One write of `control` and then the run, `total` bytes together.
fn write_once(stream: &TcpStream, control: &[u8], run: Option<&Run<'_>>, total: usize) -> io::Result<usize> {
    let Some(run) = run else { return stream.try_write(control) };
    if run.len() > 1 && total / run.len() < GATHERED_BELOW {
        return GATHERED.with_borrow_mut(|gathered| {
            gathered.clear();
            gathered.extend_from_slice(control);
            run.unwritten().for_each(|bytes| gathered.extend_from_slice(bytes));
            stream.try_write(gathered)
        });
    }
    let mut slices = [IoSlice::new(&[]); MAX_SLICES];
    let Some((first, others)) = slices.split_first_mut() else { return Ok(0) };
    *first = IoSlice::new(control);
    let filled = 1 + run.as_slices(others);
    stream.try_write_vectored(slices.get(..filled).unwrap_or_default())
}

/// Custom messages are sealed in these phases only.
fn has_messages_flowing(phase: Phase) -> bool {
    matches!(phase, Phase::Open | Phase::Draining)
}
