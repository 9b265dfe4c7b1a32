//! What lies between the two sockets of a connection.

use std::collections::VecDeque;
use std::io;
use std::task::Waker;

use tokio::time::Instant;

use super::{Death, Finished};
use crate::simulation::dice::Dice;
use crate::simulation::process::Host;

/// Two ends, and a pipe from each to the other.
#[derive(Debug)]
pub(super) struct Connection {
    /// Of the side that dialled.
    pub(super) port: u16,
    /// Who dialled comes first.
    pub(super) ends: [End; 2],
    /// What the end of the same index writes.
    pub(super) pipes: [Pipe; 2],
}

/// One socket.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "facts that come true on their own, in any order")]
pub(super) struct End {
    pub(super) process: usize,
    pub(super) host: Host,
    pub(super) reader: Option<Waker>,
    pub(super) writer: Option<Waker>,
    pub(super) failure: Option<io::ErrorKind>,
    pub(super) has_shut: bool,
    pub(super) is_closed: bool,
    /// It was read to the end of what the other side has written, or to an error.
    has_read_all: bool,
    /// It has shut or closed before that.
    has_stopped_first: bool,
}

/// One direction.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "facts that come true on their own, in any order")]
pub(super) struct Pipe {
    under_way: VecDeque<(Instant, Segment)>,
    arrived: VecDeque<u8>,
    /// Bytes under way.
    flying: usize,
    room: usize,
    /// Before it nothing arrives that is sent from now on.
    latest: Option<Instant>,
    has_ended: bool,
    /// Everything written from now on goes nowhere.
    pub(super) swallows: bool,
    pub(super) damages_next: bool,
    /// Some bytes did not come to be read as they were written.
    pub(super) has_lost: bool,
    /// Bytes that the writer was told are written.
    pub(super) written: usize,
}

#[derive(Debug)]
pub(super) enum Segment {
    Bytes(Vec<u8>),
    /// The sender has shut its side.
    End,
    Reset,
}

impl End {
    pub(super) fn new(process: usize, host: Host) -> End {
        End {
            process,
            host,
            reader: None,
            writer: None,
            failure: None,
            has_shut: false,
            is_closed: false,
            has_read_all: false,
            has_stopped_first: false,
        }
    }

    fn stop(&mut self) {
        self.has_stopped_first |= !self.has_read_all;
    }
}

impl Connection {
    pub(super) fn new(client: End, server: End, rooms: [usize; 2], port: u16) -> Connection {
        let pipes = rooms.map(|room| Pipe {
            under_way: VecDeque::new(),
            arrived: VecDeque::new(),
            flying: 0,
            room,
            latest: None,
            has_ended: false,
            swallows: false,
            damages_next: false,
            has_lost: false,
            written: 0,
        });
        Connection { port, ends: [client, server], pipes }
    }

    pub(super) fn is_whole(&self) -> bool {
        self.ends.iter().all(|end| !end.is_closed && end.failure.is_none())
    }

    /// Nothing is broken, and neither side has begun to close.
    pub(super) fn is_sound(&self) -> bool {
        let is_open = |pipe: &Pipe| !pipe.swallows && !pipe.has_ended;
        self.is_whole() && self.pipes.iter().all(is_open) && self.ends.iter().all(|end| !end.has_shut)
    }

    /// Has as much room as in good weather, and nothing that is sent from now on waits for longer than until then.
    pub(super) fn calm_down(&mut self, room: usize, soon: Instant, woken: &mut Vec<Waker>) {
        for pipe in &mut self.pipes {
            pipe.room = pipe.room.max(room);
            pipe.latest = pipe.latest.map(|latest| latest.min(soon));
        }
        woken.extend(self.ends.iter_mut().filter_map(|end| end.writer.take()));
    }

    pub(super) fn is_over(&self) -> bool {
        self.ends.iter().all(|end| end.is_closed)
    }

    pub(super) fn finished(&self) -> Finished {
        let may_have_lost = [0, 1].map(|from| {
            let pipe: &Pipe = &self.pipes[from];
            pipe.has_lost
                || pipe.flying > 0
                || !pipe.arrived.is_empty()
                || self.ends[1 - from].has_stopped_first
        });
        Finished {
            port: self.port,
            processes: [0, 1].map(|end| self.ends[end].process),
            hosts: [0, 1].map(|end| self.ends[end].host),
            may_have_lost,
            written: [0, 1].map(|end| self.pipes[end].written),
        }
    }

    /// Whether a read would find something to say.
    pub(super) fn is_readable(&self, end: usize) -> bool {
        let pipe = &self.pipes[1 - end];
        !pipe.arrived.is_empty() || pipe.has_ended || self.ends[end].failure.is_some()
    }

    pub(super) fn is_writable(&self, end: usize) -> bool {
        self.pipes[end].free() > 0 || self.ends[end].failure.is_some() || self.ends[end].has_shut
    }

    /// What one read finds; at most `most` bytes.
    pub(super) fn read(
        &mut self,
        end: usize,
        most: usize,
        room: &mut [u8],
        woken: &mut Vec<Waker>,
    ) -> io::Result<usize> {
        let pipe = &mut self.pipes[1 - end];
        if pipe.arrived.is_empty() {
            let this = &mut self.ends[end];
            if let Some(failure) = this.failure {
                this.has_read_all = true;
                return Err(failure.into());
            }
            if pipe.has_ended {
                this.has_read_all = true;
                return Ok(0);
            }
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let read = room.len().min(pipe.arrived.len()).min(most.max(1));
        for (to, from) in room.iter_mut().zip(pipe.arrived.drain(..read)) {
            *to = from;
        }
        woken.extend(self.ends[1 - end].writer.take());
        Ok(read)
    }

    /// How much one write may take.
    pub(super) fn writable(&self, end: usize) -> io::Result<usize> {
        let this = &self.ends[end];
        match this.failure {
            Some(failure) => Err(failure.into()),
            None if this.has_shut => Err(io::ErrorKind::BrokenPipe.into()),
            None if self.pipes[end].free() == 0 => Err(io::ErrorKind::WouldBlock.into()),
            None => Ok(self.pipes[end].free()),
        }
    }

    /// An end shuts its side for writing. Answers whether it had not.
    pub(super) fn shut(&mut self, end: usize) -> bool {
        self.ends[end].stop();
        !std::mem::replace(&mut self.ends[end].has_shut, true)
    }

    /// An end closes; what it has to say to the other comes back.
    pub(super) fn close(&mut self, end: usize, death: Death, dice: &mut Dice) -> Option<Segment> {
        self.ends[end].stop();
        self.ends[end].is_closed = true;
        (self.ends[end].reader, self.ends[end].writer) = (None, None);
        if death == Death::PowerCut {
            self.pipes[end].lose_under_way(0);
            return None;
        }
        if self.ends[end].failure.is_some() {
            return None;
        }
        let has_unread = !self.pipes[1 - end].arrived.is_empty();
        if has_unread {
            // What was not read is answered with a reset, which destroys what is still to be sent.
            let kept = dice.below(self.pipes[end].under_way.len() + 1);
            self.pipes[end].lose_under_way(kept);
            return Some(Segment::Reset);
        }
        (!std::mem::replace(&mut self.ends[end].has_shut, true)).then_some(Segment::End)
    }

    /// A segment arrives. Answers whether the other side is told that there is nobody.
    pub(super) fn take(
        &mut self,
        from: usize,
        segment: Segment,
        keeps_arrived: bool,
        woken: &mut Vec<Waker>,
    ) -> bool {
        let pipe = &mut self.pipes[from];
        let to = &mut self.ends[1 - from];
        if to.is_closed || to.failure.is_some() {
            pipe.has_lost |= matches!(segment, Segment::Bytes(_));
            return to.is_closed && !matches!(segment, Segment::Reset) && self.ends[from].failure.is_none();
        }
        match segment {
            Segment::Bytes(bytes) => pipe.arrived.extend(bytes),
            Segment::End => pipe.has_ended = true,
            Segment::Reset => {
                to.failure = Some(io::ErrorKind::ConnectionReset);
                if !keeps_arrived && !pipe.arrived.is_empty() {
                    pipe.arrived.clear();
                    pipe.has_lost = true;
                }
                woken.extend(to.writer.take());
            }
        }
        woken.extend(to.reader.take());
        false
    }
}

impl Pipe {
    fn free(&self) -> usize {
        self.room.saturating_sub(self.flying + self.arrived.len())
    }

    /// Puts a segment behind the others and answers when it arrives.
    pub(super) fn push(&mut self, due: Instant, segment: Segment) -> Instant {
        let due = self.latest.map_or(due, |latest| due.max(latest));
        self.latest = Some(due);
        if let Segment::Bytes(bytes) = &segment {
            self.flying += bytes.len();
        }
        self.under_way.push_back((due, segment));
        due
    }

    pub(super) fn pop(&mut self) -> Option<Segment> {
        let (_, segment) = self.under_way.pop_front()?;
        if let Segment::Bytes(bytes) = &segment {
            self.flying -= bytes.len();
        }
        Some(segment)
    }

    /// Everything under way behind the first `kept` is gone.
    fn lose_under_way(&mut self, kept: usize) {
        for (_, segment) in self.under_way.drain(kept.min(self.under_way.len())..) {
            if let Segment::Bytes(bytes) = segment {
                self.flying -= bytes.len();
                self.has_lost = true;
            }
        }
    }
}
