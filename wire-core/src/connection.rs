//! One peer connection without input or output: bytes, time and randomness go in, bytes and events come out.
//!
//! ```text
//!            acts            init             drain()          finish(), deadline
//! Handshake ------> AwaitInit ----> Open ----------> Draining --------------------> Closed
//!     |                 |             |                 |                             ^
//!     |                 +-------------+---- misuse -----+--> Closing (last word) -----+
//!     +---- bad act, timeout ---------------------------------------------------------+
//! ```
//!
//! The driver (the tokio node, an I/O loop on a microcontroller) owns the socket, the clock and all buffers:
//! - [`receive`](Connection::receive) is shown what has arrived and takes at most one frame from its front;
//! - [`poll_transmit`](Connection::poll_transmit) writes what the protocol owes, until it has nothing more;
//! - [`seal`](Connection::seal) and [`seal_run`](Connection::seal_run) encrypt the driver's own messages where they lie,
//!   after the above;
//! - [`poll_timeout`](Connection::poll_timeout) names the time at which
//!   [`handle_timeout`](Connection::handle_timeout) wants to be called.
//!
//! After any of them, [`phase`](Connection::phase) tells where the connection stands. Frames must reach the
//! wire in the order in which they were sealed, since the nonces count.
//!
//! What this module does not do: it keeps no message of the driver, dials nothing, knows no other connection.
//! Its memory is its own size; nothing that a peer sends makes it grow.

mod close;
mod event;
mod handshake;
mod judge;
mod link;
mod liveness;
mod local;
mod long;
mod outbox;
mod time;
mod writing;

#[cfg(test)]
mod tests;

use core::net::SocketAddr;
use core::{fmt, mem};

use zeroize::Zeroize as _;

pub use close::CloseReason;
pub use event::{EvenTypes, Event, NoEvenTypes, PingOrigin, Received};
pub use local::{ANY_LENGTH, Deadlines, Local};
pub use time::Timestamp;
pub use writing::LEAST_TRANSMIT_ROOM;

use crate::cursor::NoRoom;
use crate::frame::{Deframer, Keystream, OnDemand, SealError, SealRun, Sealer};
use crate::limits::{KEY_LEN, MAX_PING_PADDING};
use crate::message::ping::Ping;
use crate::node_id::NodeId;
use crate::noise::{AwaitActOne, AwaitActThree, AwaitActTwo, Initiator, Responder};
use crate::secret::{EphemeralKey, Secret};
use close::Farewell;
use link::{Input, Link, Stage};
use liveness::{Liveness, Verdict};
use outbox::{Act, KEEPALIVE_PING, Outbox, Owed};
use writing::{begin_padding, continue_padding, copy_to_front, seal_message};

/// One connection to one peer. `L` is how the driver holds [`Local`], which all its connections share: an
/// `Arc`, or a reference to a static.
pub struct Connection<L> {
    local: L,
    /// Where we see a peer that dialed us, told to it in our `init`.
    remote_addr: Option<SocketAddr>,
    state: State,
    /// What must have happened by then, in the phases that end by themselves.
    deadline: Timestamp,
    outbox: Outbox,
    their_id: Option<NodeId>,
    reason: Option<CloseReason>,
}

#[expect(
    clippy::large_enum_variant,
    reason = "an open connection is what it is for, and there is no heap to put it on"
)]
enum State {
    AwaitActTwo(AwaitActTwo),
    AwaitActOne(AwaitActOne),
    AwaitActThree(AwaitActThree),
    /// The keys stay where they are until the end.
    Linked(Link),
    Closed,
    /// For the moment between two states of the handshake: see [`State::take`].
    Taken([u8; State::ROOM]),
}

impl State {
    /// Enough to cover all that a state of the handshake holds, wherever the compiler puts it. In bytes.
    const ROOM: usize = size_of::<AwaitActTwo>() + size_of::<Secret<KEY_LEN>>() + align_of::<Liveness>();

    /// Takes the state out and wipes the place where it lay. A plain move would leave the bytes of the ephemeral key
    /// there for as long as the connection lives: only the next state overwrites them, and only as far as it reaches.
    fn take(&mut self) -> Self {
        let taken = mem::replace(self, Self::Taken([0; Self::ROOM]));
        if let Self::Taken(room) = self {
            // Again, in a way that no optimizer leaves out.
            room.zeroize();
        }
        taken
    }

    /// The deframer and how far the connection is, while it reads.
    fn reading(&mut self) -> Option<(&mut Deframer, &mut Stage)> {
        match self {
            Self::Linked(Link { input: Input::Read(deframer, stage), .. }) => Some((deframer, stage)),
            _ => None,
        }
    }
}

// The two other states of the handshake fit too.
const _: () = assert!(size_of::<AwaitActOne>() <= State::ROOM - align_of::<Liveness>());
const _: () = assert!(size_of::<AwaitActThree>() <= State::ROOM - align_of::<Liveness>());

/// Where a connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Phase {
    /// Acts one to three are under way; nobody has proven who he is.
    Handshake,
    /// The peer is authenticated; its `init` is due.
    AwaitInit,
    /// Messages flow both ways.
    Open,
    /// As open, but winding down: what is queued may still be sealed, new messages should not be accepted.
    Draining,
    /// The peer misbehaved. Transmit what is owed, then call [`Connection::finish`].
    Closing,
    /// Nothing more will be sent or received.
    Closed,
}

/// What [`Connection::ping`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum PingSent {
    /// An [`Event::Pong`] will follow if the peer is well.
    AwaitingPong,
    /// BOLT 1 forbids an answer to this many pong bytes (65,532 and more), so none is waited for.
    NoPongExpected,
}

/// Why [`Connection::ping`] sent nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum PingRefused {
    /// The previous one has no answer yet, or has not even been transmitted.
    AlreadyPending,
    /// The connection is not open.
    NotOpen,
    /// The ping would be longer than a message can be.
    TooLong,
}

/// Why [`Connection::seal`] left a frame as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum SealRefused {
    /// Custom messages flow only in the phases [`Phase::Open`] and [`Phase::Draining`].
    NotOpen,
    /// Nothing may precede our `init` (BOLT 1): call [`Connection::poll_transmit`] until it has nothing.
    InitFirst,
    /// A pong or ping goes out in pieces, and nothing may come between: call [`Connection::poll_transmit`] until it has
    /// nothing.
    FrameUnfinished,
    /// The frame itself cannot be sealed.
    Frame(SealError),
}

impl fmt::Display for PingRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AlreadyPending => "a ping is already pending; wait for its pong",
            Self::NotOpen => "the connection is not open",
            Self::TooLong => "the ping would be longer than 65535 bytes",
        })
    }
}

impl fmt::Display for SealRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotOpen => f.write_str("the connection is not open"),
            Self::InitFirst => f.write_str("our init must be transmitted first"),
            Self::FrameUnfinished => f.write_str("a frame is half written: transmit what is owed first"),
            Self::Frame(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for PingRefused {}
impl core::error::Error for SealRefused {}

impl<L: AsRef<Local>> fmt::Debug for Connection<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("phase", &self.phase())
            .field("their_id", &self.their_id)
            .field("reason", &self.reason)
            .finish_non_exhaustive()
    }
}

/// Birth.
impl<L: AsRef<Local>> Connection<L> {
    /// The side that dials `their_id`. Act one is ready to be transmitted. `ephemeral` must be fresh from a
    /// cryptographic random number generator for every connection.
    pub fn initiator(local: L, their_id: NodeId, ephemeral: EphemeralKey, now: Timestamp) -> Self {
        let (act, awaiting) = Initiator::new(&local.as_ref().key, their_id, ephemeral).act_one();
        let mut connection = Self::new(local, None, State::AwaitActTwo(awaiting), now);
        connection.their_id = Some(their_id);
        connection.outbox.put_act(Act::One(act));
        connection
    }

    /// The side that was dialed, from `remote_addr` if the driver knows that address to be the peer's own;
    /// our `init` tells the peer how we see it. `ephemeral` as for [`initiator`](Self::initiator).
    pub fn responder(
        local: L,
        remote_addr: Option<SocketAddr>,
        ephemeral: EphemeralKey,
        now: Timestamp,
    ) -> Self {
        let awaiting = Responder::new(&local.as_ref().key, ephemeral);
        Self::new(local, remote_addr, State::AwaitActOne(awaiting), now)
    }

    fn new(local: L, remote_addr: Option<SocketAddr>, state: State, now: Timestamp) -> Self {
        let deadline = now.after(local.as_ref().deadlines.handshake);
        let outbox = Outbox::EMPTY;
        Self { local, remote_addr, state, deadline, outbox, their_id: None, reason: None }
    }
}

/// Getters.
impl<L: AsRef<Local>> Connection<L> {
    /// Where the connection stands.
    pub fn phase(&self) -> Phase {
        match &self.state {
            State::AwaitActOne(..) | State::AwaitActTwo(..) | State::AwaitActThree(..) => Phase::Handshake,
            State::Linked(link) => match link.input {
                Input::Read(_, Stage::AwaitInit) => Phase::AwaitInit,
                Input::Read(_, Stage::Open(..)) => Phase::Open,
                Input::Read(_, Stage::Draining(..)) => Phase::Draining,
                Input::Closing(..) => Phase::Closing,
            },
            State::Closed | State::Taken(..) => Phase::Closed,
        }
    }

    /// Why it closes or closed; `None` while it does neither.
    pub fn close_reason(&self) -> Option<CloseReason> {
        self.reason
    }

    /// The text of the warning with which we part from the peer, while it waits to be transmitted.
    pub fn last_word(&self) -> Option<impl fmt::Display + '_> {
        self.farewell()
    }

    fn farewell(&self) -> Option<&Farewell> {
        match &self.state {
            State::Linked(Link { input: Input::Closing(farewell, _), .. }) => farewell.as_ref(),
            _ => None,
        }
    }

    /// The peer: known from the start to the one who dials, and after act three to the other.
    pub fn their_id(&self) -> Option<NodeId> {
        self.their_id
    }

    /// Whether input may be looked at. It may not while answers to earlier input wait to be transmitted in
    /// such a number that there is no room for more, nor after the end.
    pub fn wants_read(&self) -> bool {
        self.phase() != Phase::Closed && self.outbox.has_room()
    }

    /// Whether [`poll_transmit`](Self::poll_transmit) has something.
    pub fn has_transmit(&self) -> bool {
        !self.outbox.is_empty() || self.farewell().is_some() || self.unfinished() > 0
    }

    /// Bytes of padding in the pongs that wait to be transmitted: a peer gets 64 KiB for a frame of 40 bytes, so a driver that
    /// shares itself among many peers looks at what it costs, not at what has come.
    pub fn owed_padding(&self) -> usize {
        self.outbox.padding()
    }

    /// How many bytes are missing of a frame that goes out in pieces.
    fn unfinished(&self) -> usize {
        match &self.state {
            State::Linked(link) => link.sealer.unfinished(),
            _ => 0,
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called; `None` after the end.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        match &self.state {
            State::Closed | State::Taken(..) => None,
            State::Linked(Link { input: Input::Read(_, Stage::Open(liveness)), .. }) => {
                Some(liveness.next_check(&self.local.as_ref().deadlines))
            }
            _ => Some(self.deadline),
        }
    }
}

/// Input.
impl<L: AsRef<Local>> Connection<L> {
    /// Looks at what has arrived and takes at most one act or frame from its front, decrypting in place.
    ///
    /// Call it again with the rest until it neither consumes nor reports anything, or until
    /// [`wants_read`](Self::wants_read) is false. Everything before a damaged frame is delivered before the
    /// connection closes.
    pub fn receive<'a>(
        &mut self,
        now: Timestamp,
        input: &'a mut [u8],
        even_types: &(impl EvenTypes + ?Sized),
    ) -> Received<'a> {
        self.receive_ahead(&mut OnDemand, now, input, even_types)
    }

    /// As [`receive`](Self::receive), with keystream out of `ahead`: lend the same one for all that one read has brought, or
    /// one that [`prepare_receiving`](Self::prepare_receiving) has filled.
    pub fn receive_ahead<'a>(
        &mut self,
        ahead: &mut impl Keystream,
        now: Timestamp,
        input: &'a mut [u8],
        even_types: &(impl EvenTypes + ?Sized),
    ) -> Received<'a> {
        if matches!(self.phase(), Phase::Closing | Phase::Closed) {
            // Bytes behind the end are thrown away, so that the driver can let the peer read our last word.
            return Received { consumed: input.len(), event: None, wanted: 1, message: None };
        }
        if !self.outbox.has_room() {
            return Received { consumed: 0, event: None, wanted: 0, message: None };
        }
        let Some((deframer, _)) = self.state.reading() else {
            return self.receive_act(now, input);
        };
        match deframer.next_ahead(ahead, input) {
            Ok(frame) => {
                let message = frame.message;
                let event = match (message, frame.passed_over) {
                    (Some(message), _) => self.judge(now, message, even_types),
                    (None, Some(message)) => self.judge_long(now, &message, even_types),
                    (None, None) => None,
                };
                Received { consumed: frame.consumed, event, wanted: frame.wanted, message }
            }
            Err(error) => {
                self.end(CloseReason::BadFrame(error));
                Received { consumed: 0, event: None, wanted: 0, message: None }
            }
        }
    }
}

/// Keystream for frames that are still to come, made in an idle moment; see [`Ahead`](crate::frame::Ahead).
///
/// It belongs to the driver, who clears it when the connection ends. Before the handshake is done, and while the rest of a
/// body is awaited, there is nothing to prepare.
impl<L> Connection<L> {
    /// Makes the keystream of the next frames to be sealed, unless some is there: as many as `ahead` has room for.
    pub fn prepare_sending(&self, ahead: &mut impl Keystream) {
        if let State::Linked(link) = &self.state {
            link.sealer.prepare(ahead);
        }
    }

    /// The same for the next frames to be received.
    pub fn prepare_receiving(&self, ahead: &mut impl Keystream) {
        if let State::Linked(Link { input: Input::Read(deframer, _), .. }) = &self.state {
            deframer.prepare(ahead);
        }
    }
}

/// Input that is not bytes, and commands.
impl<L: AsRef<Local>> Connection<L> {
    /// The peer closed its side, and all that came before has been given to [`receive`](Self::receive).
    pub fn input_ended(&mut self) {
        self.end(CloseReason::PeerClosed);
    }

    /// The time that [`poll_timeout`](Self::poll_timeout) named has come. Calling it early is harmless.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        let reason = match &mut self.state {
            State::Linked(Link { input: Input::Read(_, Stage::Open(liveness)), .. }) => {
                match liveness.check(&self.local.as_ref().deadlines, now) {
                    Verdict::Alive => {}
                    Verdict::Ask => {
                        self.outbox.put_keepalive();
                        liveness.asked(now, KEEPALIVE_PING.num_pong_bytes, PingOrigin::Keepalive);
                    }
                    Verdict::Dead => self.end(CloseReason::PingTimeout),
                }
                return;
            }
            State::AwaitActOne(..) | State::AwaitActTwo(..) | State::AwaitActThree(..) => {
                CloseReason::HandshakeTimeout
            }
            State::Linked(Link { input: Input::Read(_, Stage::AwaitInit), .. }) => CloseReason::InitTimeout,
            // They have their reason already.
            State::Linked(_) | State::Closed | State::Taken(..) => CloseReason::LocalDisconnect,
        };
        if now >= self.deadline {
            self.end(reason);
        }
    }

    /// Sends a ping of the caller's shape. It goes out with the next [`poll_transmit`](Self::poll_transmit).
    ///
    /// # Errors
    /// One ping at a time, only on an open connection, and never longer than a message.
    pub fn ping(&mut self, now: Timestamp, ping: Ping) -> Result<PingSent, PingRefused> {
        let Some((_, Stage::Open(liveness))) = self.state.reading() else {
            return Err(PingRefused::NotOpen);
        };
        if liveness.caller_awaits_pong() || self.outbox.owes_ping() {
            return Err(PingRefused::AlreadyPending);
        }
        if ping.byteslen > MAX_PING_PADDING {
            return Err(PingRefused::TooLong);
        }
        self.outbox.put_ping(ping);
        if !ping.expects_pong() {
            return Ok(PingSent::NoPongExpected);
        }
        liveness.asked(now, ping.num_pong_bytes, PingOrigin::Caller);
        Ok(PingSent::AwaitingPong)
    }

    /// Begins to close an open connection in good order: input is still delivered and frames may still be
    /// sealed, until the driver calls [`finish`](Self::finish) or the drain deadline passes. Before that
    /// phase there is nothing to drain, and the connection ends at once.
    pub fn drain(&mut self, now: Timestamp, reason: CloseReason) {
        match self.phase() {
            Phase::Open => {
                if let Some((_, stage)) = self.state.reading()
                    && let Stage::Open(liveness) = stage
                {
                    *stage = Stage::Draining(*liveness);
                }
                self.reason = Some(reason);
                self.deadline = now.after(self.local.as_ref().deadlines.drain);
            }
            Phase::Draining | Phase::Closing => {}
            Phase::Handshake | Phase::AwaitInit | Phase::Closed => self.end(reason),
        }
    }

    /// Tells the peer the reason in a warning, if it is one to be told, and closes. Before the handshake is done
    /// there is nobody to tell.
    pub fn close_with_warning(&mut self, now: Timestamp, reason: CloseReason) {
        self.begin_closing(now, reason, reason.farewell(&[]));
    }

    /// Closes now: all that had to be written has been, or nobody waits for it any more.
    pub fn finish(&mut self) {
        self.end(CloseReason::LocalDisconnect);
    }

    /// The transport below failed, or the driver gives up on it, for `reason`.
    pub fn abort(&mut self, reason: CloseReason) {
        self.end(reason);
    }

    /// The peer broke the rules with `offending`, a message of its own or nothing.
    fn misused(&mut self, now: Timestamp, reason: CloseReason, offending: &[u8]) {
        self.begin_closing(now, reason, reason.farewell(offending));
    }

    fn begin_closing(&mut self, now: Timestamp, reason: CloseReason, farewell: Option<Farewell>) {
        match &mut self.state {
            State::Linked(Link { input: Input::Closing(..), .. }) => {}
            State::Linked(link) => {
                link.input.close(farewell);
                self.outbox.keep_only_init();
                self.reason.get_or_insert(reason);
                self.deadline = now.after(self.local.as_ref().deadlines.drain);
            }
            _ => self.end(reason),
        }
    }

    /// The end. The first reason is the one that stays.
    fn end(&mut self, reason: CloseReason) {
        self.reason.get_or_insert(reason);
        self.outbox.clear();
        self.state = State::Closed;
    }
}

/// Output.
impl<L: AsRef<Local>> Connection<L> {
    /// Writes the next act or sealed frame that the protocol owes to the front of `room` and returns its
    /// length, or `None` if nothing is owed. The order is: acts, `init`, answers, pings, the last word.
    ///
    /// [`LEAST_TRANSMIT_ROOM`] bytes of room suffice for everything, and less ends the connection with
    /// [`CloseReason::NoRoomToTransmit`]. A ping or pong for which there is no room comes in pieces, one per call;
    /// until the last is out, [`seal`](Self::seal) refuses. With [`MAX_FRAME_LEN`](crate::limits::MAX_FRAME_LEN)
    /// bytes of room nothing comes in pieces.
    pub fn poll_transmit(&mut self, room: &mut [u8]) -> Option<usize> {
        self.poll_transmit_ahead(&mut OnDemand, room)
    }

    /// As [`poll_transmit`](Self::poll_transmit), with keystream out of `ahead`.
    pub fn poll_transmit_ahead(&mut self, ahead: &mut impl Keystream, room: &mut [u8]) -> Option<usize> {
        let written = match self.outbox.take_act() {
            Some(act) => copy_to_front(room, act.as_bytes()),
            None => self.transmit_message(ahead, room)?,
        };
        if written.is_err() {
            self.end(CloseReason::NoRoomToTransmit);
        }
        written.ok()
    }

    fn transmit_message(
        &mut self,
        ahead: &mut impl Keystream,
        room: &mut [u8],
    ) -> Option<Result<usize, NoRoom>> {
        let State::Linked(link) = &mut self.state else { return None };
        if link.sealer.unfinished() > 0 {
            return Some(continue_padding(&mut link.sealer, &[], room));
        }
        let last_word = || match &mut link.input {
            Input::Closing(farewell, _) => farewell.take().map(Owed::LastWord),
            Input::Read(..) => None,
        };
        let owed = self.outbox.take().or_else(last_word)?;
        let (local, remote_addr) = (self.local.as_ref(), self.remote_addr);
        Some(
            seal_message(&mut link.sealer, ahead, room, |writer| owed.encode(local, remote_addr, writer))
                .or_else(|no_room| match owed {
                    Owed::Pong(pong) => begin_padding(&mut link.sealer, &pong.fields(), pong.byteslen, room),
                    Owed::Ping(ping) => begin_padding(&mut link.sealer, &ping.fields(), ping.byteslen, room),
                    Owed::Init | Owed::ChannelReply(_) | Owed::LastWord(_) => Err(no_room),
                }),
        )
    }

    /// Seals one of the driver's own messages where it lies: `frame` is header room (18 bytes), message, tag
    /// room (16 bytes). The frame must be written next, after everything sealed before it.
    ///
    /// # Errors
    /// The frame is left as it was, and no nonce is spent.
    pub fn seal(&mut self, frame: &mut [u8]) -> Result<(), SealRefused> {
        self.seal_ahead(&mut OnDemand, frame)
    }

    /// As [`seal`](Self::seal), with keystream out of `ahead`.
    ///
    /// # Errors
    /// As [`seal`](Self::seal).
    pub fn seal_ahead(&mut self, ahead: &mut impl Keystream, frame: &mut [u8]) -> Result<(), SealRefused> {
        self.flowing()?.seal_ahead(ahead, frame).map_err(SealRefused::Frame)
    }

    /// Begins a run of the driver's own messages, `frames` in number: what [`seal`](Self::seal) asks is asked once, and
    /// their keystream is made for several frames at once, in `ahead`.
    ///
    /// # Errors
    /// As [`seal`](Self::seal), but for what is the matter with a frame itself: [`SealRun::seal`] tells that.
    pub fn seal_run<'r, A: Keystream>(
        &'r mut self,
        ahead: &'r mut A,
        frames: usize,
    ) -> Result<SealRun<'r, A>, SealRefused> {
        Ok(self.flowing()?.run(ahead, frames))
    }

    /// The sealer, if the driver's messages may go out now.
    fn flowing(&mut self) -> Result<&mut Sealer, SealRefused> {
        let State::Linked(link) = &mut self.state else { return Err(SealRefused::NotOpen) };
        if !matches!(link.input, Input::Read(_, Stage::Open(..) | Stage::Draining(..))) {
            return Err(SealRefused::NotOpen);
        }
        if self.outbox.owes_init() {
            return Err(SealRefused::InitFirst);
        }
        if link.sealer.unfinished() > 0 {
            return Err(SealRefused::FrameUnfinished);
        }
        Ok(&mut link.sealer)
    }
}
