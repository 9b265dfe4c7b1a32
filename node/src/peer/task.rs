//! The task that owns one connection, from its first byte to its last.
//!
//! ```text
//!        ┌────────────────────────────────────────────────────────────────┐
//!        ▼                                                                │
//!  clock ─► requests ─► timeouts ─► read turn ─► (admission) ─► write turn ─► wait
//! ```
//!
//! One turn reads the clock once, takes what others ask ([`Mailbox`](super::mailbox::Mailbox)), reads and handles a bounded number of
//! frames (few for a start; who sends more stands in line for it, see [`turn`](super::turn)), writes a bounded number of runs, and then waits for whichever comes first: bytes, room in the socket, a queued
//! message, a request, a deadline. All rules of the protocol are in
//! [`Connection`](wire_core::connection::Connection). This file moves the bytes; `session` hands them to the connection and
//! tells the node what happened; `arrival` is the moment when the connection becomes its peer's, `open` what it has from then on; `parting` is its
//! end.
//!
//! Reading goes on while the peer's send queue is full: two peers that echo each other would otherwise wait for each
//! other for ever. It stops only while the connection itself owes too many answers.

mod arrival;
mod open;
mod parting;
mod session;

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use tokio::time::{Instant, Sleep, sleep_until};
use wire_core::connection::{CloseReason, Connection, Local, Phase};

use self::open::Open;
pub(super) use self::session::Origin;
use self::session::{Now, Session};
use super::reader::{Progress, Reader};
use super::turn::Turn;
use super::writer::{MAX_FRAMES_PER_WRITE, WriteTurn, Writer, Wrote};
use crate::connections::Place;
use crate::node::Shared;
use crate::system::TcpStream;

/// Vectored writes of one turn. After that the peer's input, and the other peers of the thread, get their turn.
const WRITES_PER_TURN: usize = 16;

/// One connection and everything that belongs to it alone.
pub(super) struct PeerTask {
    stream: TcpStream,
    reader: Reader,
    writer: Writer,
    session: Session,
    turn: Turn,
}

impl PeerTask {
    pub(super) fn new(
        shared: Arc<Shared>,
        stream: TcpStream,
        origin: Origin,
        connection: Connection<Arc<Local>>,
        place: Place,
    ) -> PeerTask {
        let session = Session::new(shared, origin, connection, place);
        PeerTask { stream, reader: Reader::default(), writer: Writer::default(), session, turn: Turn::Short }
    }

    /// Runs the connection to its end.
    pub(super) async fn run(mut self) {
        let mut timer = pin!(sleep_until(Instant::now()));
        loop {
            let now = Now::of(self.session.shared.clock);
            self.session.heed_requests(now);
            self.session.connection.handle_timeout(now.timestamp);
            self.watch_for_stall(now);
            let mut more = self.read_turn(now);
            if let Some(introduction) = self.session.introduction.take() {
                // Nobody is kept in line meanwhile.
                self.turn = Turn::Short;
                self.session.arrive(introduction).await;
                more = true;
            }
            self.session.note_warning();
            more |= self.write_turn(now);
            self.session.publish_counters();
            self.finish_if_done();
            if self.session.connection.phase() == Phase::Closed {
                break;
            }
            if more {
                tokio::task::yield_now().await;
            } else {
                self.wait(timer.as_mut()).await;
            }
        }
        parting::part(self.session, self.stream, self.writer.is_empty()).await;
    }

    fn watch_for_stall(&mut self, now: Now) {
        let limit = self.session.shared.limits.write_stall;
        if self.writer.stalled_since().is_some_and(|since| now.timestamp.since(since) >= limit) {
            self.session.connection.abort(CloseReason::WriteStalled);
        }
    }

    /// Reads and handles frames until the socket is empty, the turn is over, or no more input may be looked at. Answers
    /// whether there is more to do without waiting.
    fn read_turn(&mut self, now: Now) -> bool {
        let Self { stream, reader, session, turn, .. } = self;
        if matches!(turn, Turn::Short) && session.is_with_stranger() {
            *turn = session.shared.long_turns.of_stranger();
        }
        let Some(mut left) = turn.budget(session.shared.limits.frames_per_turn) else { return false };
        while session.may_read() {
            if left.frames == 0 || left.reads == 0 {
                let was_long = matches!(turn, Turn::Long(_));
                // Given back before it is asked for again: others were first.
                *turn = Turn::Short;
                *turn = session.shared.long_turns.next();
                match turn.budget(session.shared.limits.frames_per_turn) {
                    Some(more) if !was_long => left = more,
                    more => return more.is_some(),
                }
            }
            if reader.has_unread() {
                reader.resume(|bytes| session.digest(now, bytes, &mut left.frames));
                continue;
            }
            left.reads -= 1;
            match reader.read(stream, left.read_len, |bytes| session.digest(now, bytes, &mut left.frames)) {
                Ok(Progress::Some(bytes)) => session.count_bytes_in(bytes),
                Ok(Progress::Nothing) => break,
                Ok(Progress::End) => session.input_ended(),
                Err(error) => session.fail(&error),
            }
        }
        *turn = Turn::Short;
        false
    }

    /// Writes until there is nothing more, the socket takes nothing, or the turn is over. Answers whether there is more
    /// to do without waiting.
    fn write_turn(&mut self, now: Now) -> bool {
        let Self { stream, reader, writer, session, .. } = self;
        let might_read = session.may_read();
        for _ in 0..WRITES_PER_TURN {
            let mut turn = WriteTurn {
                now: now.timestamp,
                max_frames: session.shared.limits.frames_per_write.clamp(1, MAX_FRAMES_PER_WRITE),
                peer: session.connection.their_id(),
                counted: &mut session.counted,
            };
            let queue = session.open.as_mut().map(Open::next_queue);
            match writer.write(stream, &mut session.connection, queue, &mut turn) {
                Ok(Wrote::Some) => {}
                Ok(Wrote::NothingToDo | Wrote::Blocked) => {
                    // Answers that had no room kept us from reading; what lies in our own buffer wakes nobody.
                    return !might_read && session.may_read() && reader.has_unread();
                }
                Err(error) => {
                    session.fail(&error);
                    return false;
                }
            }
        }
        true
    }

    /// A connection that is winding down is over when nothing is left to write.
    fn finish_if_done(&mut self) {
        let Self { writer, session, .. } = self;
        if session.connection.has_transmit() || !writer.is_empty() {
            return;
        }
        let is_done = match session.connection.phase() {
            Phase::Closing => true,
            Phase::Draining => session.open.as_mut().is_none_or(|open| open.next_queue().take().is_empty()),
            _ => false,
        };
        if is_done {
            session.connection.finish();
        }
    }

    /// Waits until there is something to do.
    async fn wait(&mut self, mut timer: Pin<&mut Sleep>) {
        let Self { stream, writer, session, turn, .. } = self;
        let stalls_at = writer.stalled_since().map(|since| since.after(session.shared.limits.write_stall));
        let due = [session.connection.poll_timeout(), stalls_at].into_iter().flatten().min();
        if let Some(due) = due.map(|due| session.shared.clock.instant(due)) {
            // Deadlines mostly move away, with every message that comes. A timer that fires too early is set again
            // then; setting it for each message would cost more.
            if timer.is_elapsed() || due < timer.deadline() {
                timer.as_mut().reset(due);
            }
        }
        let may_read = session.may_read() && !matches!(turn, Turn::InLine(_));
        let is_blocked = writer.is_blocked();
        let Session { open, place, .. } = session;
        let mut committed = pin!(async {
            match open {
                Some(open) if !is_blocked => open.queue.wait().await,
                _ => std::future::pending().await,
            }
        });
        poll_fn(|context| {
            let mut is_ready = place.mailbox.poll_filled(context).is_ready();
            // An error shows in the next read or write.
            is_ready |= turn.poll_advance(context).is_ready();
            is_ready |= may_read && stream.poll_read_ready(context).is_ready();
            is_ready |= is_blocked && stream.poll_write_ready(context).is_ready();
            is_ready |= committed.as_mut().poll(context).is_ready();
            is_ready |= timer.as_mut().poll(context).is_ready();
            if is_ready { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}
