//! The I/O loop of one connection: bytes between a stream and [`Connection`], until something happened that the user
//! should know of.
//!
//! The user calls [`Peer::next`] again and again and [`Peer::send`] in between. All waiting is bounded by the connection's
//! own deadlines, writes included. Both directions have a buffer of fixed size; longer messages are the peer's problem,
//! not ours: [`Event::TooLong`] tells of them.
//!
//! While nothing is to be done, the keystream of the next frame of either direction is computed, so that a small message
//! costs no ChaCha20 when it comes or goes.

use core::time::Duration;
use core::{fmt, future};

use embassy_futures::select::{Either, Either3, select, select3};
use embedded_io_async::{Read, Write};
use heapless::Vec;
use wire_core::connection::{CloseReason, Connection, Event, Local, NoEvenTypes, Phase, Received, Timestamp};
use wire_core::frame::Ahead;
use wire_core::limits::{FRAME_OVERHEAD, HEADER_LEN, MESSAGE_TYPE_LEN};
use wire_core::message::kind::MessageType;

use crate::clock::Clock;
use crate::outgoing::Receiver;

/// The memory of one connection besides its state: what came and is not handled, and the frame that goes out.
///
/// `RX` is at least [`Local::receive_buffer_len`] of the longest message, `TX` at least
/// [`LEAST_TRANSMIT_ROOM`](wire_core::connection::LEAST_TRANSMIT_ROOM) and 34 more than the longest message to be sent.
pub struct Buffers<const RX: usize, const TX: usize> {
    received: Vec<u8, RX>,
    frame: [u8; TX],
    sending: Ahead<1>,
    receiving: Ahead<1>,
}

impl<const RX: usize, const TX: usize> Buffers<RX, TX> {
    /// Empty buffers, for a static.
    pub const fn new() -> Self {
        Self { received: Vec::new(), frame: [0; TX], sending: Ahead::new(), receiving: Ahead::new() }
    }
}

impl<const RX: usize, const TX: usize> Default for Buffers<RX, TX> {
    fn default() -> Self {
        Self::new()
    }
}

/// Why [`Peer::send`] did not send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, defmt::Format)]
pub enum SendError {
    /// The message is longer than the transmit buffer has room for.
    TooLong,
    /// Messages flow only between `init` and the end.
    NotOpen,
    /// The connection has ended, perhaps just now.
    Closed(CloseReason),
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => f.write_str("the message is longer than the transmit buffer"),
            Self::NotOpen => f.write_str("the connection is not open"),
            Self::Closed(reason) => reason.fmt(f),
        }
    }
}

impl core::error::Error for SendError {}

/// One connection and all that it needs.
pub struct Peer<'a, S, C, const RX: usize, const TX: usize, const LEN: usize> {
    connection: &'a mut Connection<&'static Local>,
    stream: S,
    clock: &'a C,
    buffers: &'a mut Buffers<RX, TX>,
    outgoing: &'a mut Receiver<'static, LEN>,
}

/// What ended a wait.
enum Woken<const LEN: usize> {
    Input,
    Outgoing(crate::outgoing::Message<LEN>),
    Time,
}

impl<'a, S: Read + Write, C: Clock, const RX: usize, const TX: usize, const LEN: usize>
    Peer<'a, S, C, RX, TX, LEN>
{
    /// Everything of an earlier connection in the buffers is forgotten.
    pub fn new(
        connection: &'a mut Connection<&'static Local>,
        stream: S,
        clock: &'a C,
        buffers: &'a mut Buffers<RX, TX>,
        outgoing: &'a mut Receiver<'static, LEN>,
    ) -> Self {
        buffers.received.clear();
        buffers.sending.clear();
        buffers.receiving.clear();
        Self { connection, stream, clock, buffers, outgoing }
    }

    /// Where the connection stands.
    pub fn phase(&self) -> Phase {
        self.connection.phase()
    }

    /// Runs the connection until something happens that the user should know of, and lets `look` see it. What must be
    /// kept of the event is what `look` returns. Queued messages are sent meanwhile.
    ///
    /// # Errors
    /// Why the connection ended. The stream is to be closed.
    pub async fn next<R>(&mut self, look: impl FnOnce(&Event<'_>) -> R) -> Result<R, CloseReason> {
        let mut look = Some(look);
        loop {
            let (progress, seen) = self.receive(&mut look);
            self.transmit().await?;
            if let Some(seen) = seen {
                return Ok(seen);
            }
            if let Some(reason) = self.ended() {
                return Err(reason);
            }
            if progress {
                continue;
            }
            self.connection.prepare_sending(&mut self.buffers.sending);
            self.connection.prepare_receiving(&mut self.buffers.receiving);
            match self.wait().await {
                Woken::Input => {}
                Woken::Outgoing(message) => match self.send(message.kind, &message.payload).await {
                    Ok(()) => {}
                    Err(SendError::Closed(reason)) => return Err(reason),
                    Err(error @ (SendError::TooLong | SendError::NotOpen)) => {
                        defmt::warn!("a queued message was not sent: {}", error);
                    }
                },
                Woken::Time => self.connection.handle_timeout(self.clock.now()),
            }
        }
    }

    /// Seals and writes one message.
    ///
    /// # Errors
    /// [`SendError`]; nothing of the message went out but in the case of [`SendError::Closed`].
    pub async fn send(&mut self, kind: MessageType, payload: &[u8]) -> Result<(), SendError> {
        self.transmit().await.map_err(SendError::Closed)?;
        let body_len = MESSAGE_TYPE_LEN + payload.len();
        let frame = self.buffers.frame.get_mut(..body_len + FRAME_OVERHEAD).ok_or(SendError::TooLong)?;
        frame
            .iter_mut()
            .skip(HEADER_LEN)
            .zip(kind.get().to_be_bytes().iter().chain(payload))
            .for_each(|(to, byte)| *to = *byte);
        self.connection.seal_ahead(&mut self.buffers.sending, frame).map_err(|_| SendError::NotOpen)?;
        self.write(body_len + FRAME_OVERHEAD).await.map_err(SendError::Closed)
    }

    /// Closes in good order: what is owed still goes out.
    pub async fn close(&mut self) -> CloseReason {
        self.connection.drain(self.clock.now(), CloseReason::LocalDisconnect);
        if let Err(reason) = self.transmit().await {
            return reason;
        }
        self.connection.finish();
        CloseReason::LocalDisconnect
    }

    /// Hands what has come to the connection, one step. Whether it did anything, and what `look` made of it.
    fn receive<R>(&mut self, look: &mut Option<impl FnOnce(&Event<'_>) -> R>) -> (bool, Option<R>) {
        let Buffers { received, receiving, .. } = &mut *self.buffers;
        let Received { consumed, event, .. } =
            self.connection.receive_ahead(receiving, self.clock.now(), received, &NoEvenTypes);
        let seen = event.and_then(|event| look.take().map(|look| look(&event)));
        let done = consumed.min(received.len());
        received.copy_within(done.., 0);
        received.truncate(received.len() - done);
        (consumed > 0, seen)
    }

    /// Writes all that the protocol owes.
    async fn transmit(&mut self) -> Result<(), CloseReason> {
        let Buffers { frame, sending, .. } = &mut *self.buffers;
        while let Some(len) = self.connection.poll_transmit_ahead(sending, frame) {
            let clock = self.clock;
            let deadline = clock.now().after(WRITE_LIMIT);
            let bytes = frame.get(..len).unwrap_or_default();
            if let Err(reason) = write_all(&mut self.stream, clock, deadline, bytes).await {
                self.connection.abort(reason);
                return Err(reason);
            }
        }
        Ok(())
    }

    async fn write(&mut self, len: usize) -> Result<(), CloseReason> {
        let deadline = self.clock.now().after(WRITE_LIMIT);
        let bytes = self.buffers.frame.get(..len).unwrap_or_default();
        let written = write_all(&mut self.stream, self.clock, deadline, bytes).await;
        written.inspect_err(|reason| self.connection.abort(*reason))
    }

    /// Why it is over, if it is. After the last word there is nothing to wait for.
    fn ended(&mut self) -> Option<CloseReason> {
        if self.connection.phase() == Phase::Closing && !self.connection.has_transmit() {
            self.connection.finish();
        }
        (self.connection.phase() == Phase::Closed)
            .then(|| self.connection.close_reason().unwrap_or(CloseReason::LocalDisconnect))
    }

    async fn wait(&mut self) -> Woken<LEN> {
        let Self { connection, stream, clock, buffers, outgoing } = self;
        let mut room = [0; READ_LEN];
        let free = room.len().min(buffers.received.capacity() - buffers.received.len());
        let may_send = connection.phase() == Phase::Open;
        let deadline = connection.poll_timeout();
        let read = async {
            match room.get_mut(..free) {
                Some(room) if free > 0 => stream.read(room).await,
                _ => future::pending().await,
            }
        };
        let queued = async { if may_send { outgoing.next().await } else { future::pending().await } };
        let time = async {
            match deadline {
                Some(deadline) => clock.until(deadline).await,
                None => future::pending().await,
            }
        };
        match select3(read, queued, time).await {
            Either3::First(Ok(0)) => connection.input_ended(),
            // There is room for as much as was read.
            Either3::First(Ok(len)) => {
                let _ = buffers.received.extend_from_slice(room.get(..len).unwrap_or_default());
            }
            Either3::First(Err(_)) => connection.abort(CloseReason::Transport),
            Either3::Second(message) => return Woken::Outgoing(message),
            Either3::Third(()) => return Woken::Time,
        }
        Woken::Input
    }
}

/// How long one frame, or one piece of a long one, may take to be written. A peer that reads so slowly has stalled; the
/// connection then ends with [`CloseReason::WriteStalled`].
pub const WRITE_LIMIT: Duration = Duration::from_secs(10);

/// How much is read at a time, in bytes. It lies on the stack until it is in the buffer, which a dropped read leaves as
/// it was.
const READ_LEN: usize = 64;

async fn write_all<S: Write, C: Clock>(
    stream: &mut S,
    clock: &C,
    deadline: Timestamp,
    bytes: &[u8],
) -> Result<(), CloseReason> {
    // Not the trait's own `write_all`, which panics at a stream that takes nothing.
    let write = async {
        let mut left = bytes;
        while !left.is_empty() {
            let written = stream.write(left).await.map_err(|_| CloseReason::Transport)?;
            if written == 0 {
                return Err(CloseReason::Transport);
            }
            left = left.get(written..).unwrap_or_default();
        }
        stream.flush().await.map_err(|_| CloseReason::Transport)
    };
    match select(write, clock.until(deadline)).await {
        Either::First(written) => written,
        Either::Second(()) => Err(CloseReason::WriteStalled),
    }
}
