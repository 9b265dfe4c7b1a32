//! What one connection means to the node: requests from outside go to the connection, what the connection reports goes to
//! whoever wants it. No bytes are moved here.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::oneshot;
use wire_core::connection::{
    CloseReason, Connection, Event as WireEvent, Local, Phase, PingOrigin, PingRefused, PingSent, Timestamp,
};
use wire_core::limits::MAX_PING_PADDING;
use wire_core::message::ping::Ping;

use super::arrival::Introduction;
use super::open::{Heir, Open};
use crate::admission::Held;
use crate::clock::{self, Clock};
use crate::connections::Place;
use crate::events::{Event, IncomingMessage};
use crate::node::Shared;
use crate::peer::handle::Counted;
use crate::peer::keystream;
use crate::peer::mailbox::{PingAnswer, Requests};
use crate::peer::reader::{Digested, Rest};
use crate::peer::turn::Budget;
use crate::{
    ConnectError, ConnectStage, Direction, MessageType, PeerInfo, PingError, PingReply, SystemError, log,
};

/// Where the outcome of an outgoing attempt goes.
pub(in crate::peer) type Outcome = oneshot::Sender<Result<PeerInfo, ConnectError>>;

/// Where a connection comes from.
pub(in crate::peer) struct Origin {
    pub(in crate::peer) direction: Direction,
    /// The other end.
    pub(in crate::peer) address: SocketAddr,
    /// Who waits for it to open.
    pub(in crate::peer) outcome: Option<Outcome>,
}

/// The clocks, read once per turn.
#[derive(Clone, Copy)]
pub(super) struct Now {
    pub(super) timestamp: Timestamp,
    /// For people: when a message was received.
    wall: SystemTime,
}

impl Now {
    pub(super) fn of(clock: Clock) -> Now {
        Now { timestamp: clock.now(), wall: clock::wall() }
    }
}

/// A connection with all that the node knows about it.
pub(super) struct Session {
    /// From the arrival on. The first field, so that in a panic its end is told before the place below lets go of whoever
    /// waits for it.
    pub(super) open: Option<Open>,
    pub(super) shared: Arc<Shared>,
    pub(super) origin: Origin,
    pub(super) connection: Connection<Arc<Local>>,
    pub(super) place: Place,
    pub(super) counted: Counted,
    /// The peer's `init`, until the connection has arrived.
    pub(super) introduction: Option<Introduction>,
    /// The peer has closed its side; nothing is read any more.
    pub(super) has_input_ended: bool,
    /// How far an attempt has come, for the one who wanted it.
    pub(super) stage: ConnectStage,
    /// The newer connection of the same peer, which gets what was not sent.
    pub(super) heir: Option<Heir>,
    /// What the system said, if that is why the connection ended.
    pub(super) system_error: Option<SystemError>,
    /// Whether it was told that we warned the peer.
    pub(super) has_warned: bool,
    /// The peer's custom messages, while it is being decided whether it stays.
    pub(super) held: Option<Held>,
    /// Who waits for a pong.
    ping_answer: Option<PingAnswer>,
}

impl Session {
    pub(super) fn new(
        shared: Arc<Shared>,
        origin: Origin,
        connection: Connection<Arc<Local>>,
        place: Place,
    ) -> Session {
        Session {
            open: None,
            shared,
            origin,
            connection,
            place,
            counted: Counted::default(),
            introduction: None,
            has_input_ended: false,
            stage: ConnectStage::Handshake,
            heir: None,
            system_error: None,
            has_warned: false,
            held: None,
            ping_answer: None,
        }
    }

    /// Does what others have asked since the last turn.
    pub(super) fn heed_requests(&mut self, now: Now) {
        let Some(Requests { ping, verdict, drain, abort, hand_over }) = self.place.mailbox.take() else {
            return;
        };
        if let Some((ping, answer)) = ping {
            self.ping(now, ping, answer);
        }
        if let Some(verdict) = verdict {
            self.heed_verdict(verdict, now);
        }
        if let Some(reason) = drain {
            if let Some(open) = &self.open {
                open.handle.refuse_messages();
                let seconds = self.shared.limits.drain.as_secs();
                tracing::debug!(peer = %open.handle.peer.id, "disconnect_peer: draining with {seconds} second timer.");
            }
            self.connection.drain(now.timestamp, reason);
        }
        if let Some(reason) = abort {
            self.connection.abort(reason);
        }
        if let Some(heir) = hand_over {
            self.heir = Some(heir);
            self.connection.abort(CloseReason::Replaced);
        }
    }

    fn ping(&mut self, now: Now, ping: Ping, answer: PingAnswer) {
        let at_once = match self.connection.ping(now.timestamp, ping) {
            Ok(PingSent::AwaitingPong) => {
                self.ping_answer = Some(answer);
                return;
            }
            Ok(PingSent::NoPongExpected) => Ok(PingReply { totlen: 0 }),
            Err(PingRefused::AlreadyPending) => Err(PingError::AlreadyPending),
            Err(PingRefused::NotOpen) => Err(PingError::NotConnected),
            Err(PingRefused::TooLong) => {
                Err(PingError::Oversize { len: ping.byteslen, limit: MAX_PING_PADDING })
            }
        };
        // Whoever asked may have gone; nobody is left to tell then.
        let _ = answer.send(at_once);
    }

    /// Whether the other side has not proven yet who it is.
    pub(super) fn is_with_stranger(&self) -> bool {
        self.connection.their_id().is_none()
    }

    /// Whether input may be looked at.
    pub(super) fn may_read(&self) -> bool {
        self.connection.wants_read()
            && self.introduction.is_none()
            && !self.has_input_ended
            && !self.held.as_ref().is_some_and(Held::is_full)
    }

    /// Has the connection look at received bytes, frame by frame, for as long as `left` has some.
    pub(super) fn digest(&mut self, now: Now, bytes: &mut [u8], left: &mut Budget) -> Digested {
        keystream::receiving(|ahead| self.digest_ahead(ahead, now, bytes, left))
    }

    fn digest_ahead(
        &mut self,
        ahead: &mut keystream::Frames,
        now: Now,
        bytes: &mut [u8],
        left: &mut Budget,
    ) -> Digested {
        let mut consumed = 0;
        let mut owed = self.connection.owed_padding();
        loop {
            if !left.has_frames() || !self.may_read() {
                return Digested { consumed, rest: Rest::Later };
            }
            let rest = bytes.get_mut(consumed..).unwrap_or_default();
            let received =
                self.connection.receive_ahead(ahead, now.timestamp, rest, &*self.shared.even_types);
            consumed += received.consumed;
            let wanted = received.wanted;
            if log::shows_messages()
                && let (Some(message), Some(id)) = (received.message, self.connection.their_id())
            {
                log::message(Direction::In, &id, message);
            }
            let made_progress = received.consumed > 0 || received.event.is_some();
            if let Some(event) = received.event {
                self.handle(&event, now);
            }
            if !made_progress {
                return Digested { consumed, rest: Rest::Unfinished { wanted } };
            }
            // A header without its body is progress too, but not a message.
            if wanted == 0 {
                let owed_before = std::mem::replace(&mut owed, self.connection.owed_padding());
                // Less than before when what it said was the end.
                left.spend_frame(owed.saturating_sub(owed_before));
                self.counted.messages_in += 1;
            }
        }
    }

    fn handle(&mut self, event: &WireEvent<'_>, now: Now) {
        match *event {
            WireEvent::Authenticated(id) => {
                match self.origin.direction {
                    Direction::In => tracing::debug!(peer = %id, "Connect IN"),
                    Direction::Out => tracing::debug!(peer = %id, "Connect OUT"),
                }
                self.stage = ConnectStage::Init;
                self.place.authenticated(id);
            }
            WireEvent::Open(ref init) => self.introduction = Some(Introduction::from(init)),
            WireEvent::Message { kind, payload, .. } => {
                let Some(open) = &self.open else { return };
                if let Some(held) = &mut self.held {
                    held.hold(kind, payload, now.wall);
                    return;
                }
                // It was turned away and is being sent what is queued for it.
                if !open.is_announced {
                    return;
                }
                open.handle.note_delivery();
                self.shared.hub.deliver(&IncomingMessage {
                    peer: &open.handle.peer.id,
                    kind,
                    payload,
                    received: now.wall,
                });
            }
            WireEvent::OnionMessage { payload } => {
                let Some(open) = &self.open else { return };
                if let Some(held) = &mut self.held {
                    held.hold(MessageType::ONION_MESSAGE, payload, now.wall);
                } else if open.is_announced {
                    self.shared.onions.arrived(&self.shared, &open.handle, payload);
                }
            }
            WireEvent::Pong { total_len, asked_by: PingOrigin::Caller } => {
                if let Some(answer) = self.ping_answer.take() {
                    let _ = answer.send(Ok(PingReply { totlen: total_len }));
                }
            }
            WireEvent::Warning(ref warning) => self.pass_on_complaint("WARNING", warning.text().to_string()),
            WireEvent::Error(ref error) => self.pass_on_complaint("ERROR", error.text().to_string()),
            // Pongs for our own keepalive, and messages for which a node without channels has no use.
            _ => {}
        }
    }

    fn pass_on_complaint(&self, kind: &str, text: String) {
        let Some(id) = self.connection.their_id() else { return };
        tracing::info!(peer = %id, "Received WIRE_{kind}: {text}");
        self.shared.hub.publish(&Event::Warning { id, direction: Direction::In, text });
    }

    /// Tells once that we warn the peer and hang up. To be called before the warning is transmitted.
    pub(super) fn note_warning(&mut self) {
        if self.has_warned {
            return;
        }
        let text = self.connection.last_word().map(|words| words.to_string());
        if let (Some(id), Some(text)) = (self.connection.their_id(), text) {
            self.has_warned = true;
            tracing::warn!(peer = %id, "{text}");
            self.shared.hub.publish(&Event::Warning { id, direction: Direction::Out, text });
        }
    }

    /// The peer has closed its side.
    pub(super) fn input_ended(&mut self) {
        self.has_input_ended = true;
        // It may still hear why we hang up.
        if self.connection.phase() != Phase::Closing {
            self.connection.input_ended();
        }
    }

    /// The transport below has failed.
    pub(super) fn fail(&mut self, error: &io::Error) {
        // Nobody hears the warning any more, but it is told here all the same.
        self.note_warning();
        self.system_error.get_or_insert(SystemError::from(error));
        self.connection.abort(CloseReason::Transport);
    }

    pub(super) fn count_bytes_in(&mut self, bytes: usize) {
        self.counted.bytes_in += u64::try_from(bytes).unwrap_or(u64::MAX);
    }

    /// Makes visible what was counted in this turn.
    pub(super) fn publish_counters(&mut self) {
        if let Some(open) = &self.open {
            open.handle.counters.add(&mut self.counted);
        }
    }
}
