//! The moment after `init`: a connection becomes its peer's, or finds that there is no place for it.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::oneshot;
use tokio::time::sleep_until;
use wire_core::connection::{CloseReason, Phase};
use wire_core::message::address::Address;
use wire_core::message::init::Init;

use super::open::Open;
use super::session::{Now, Session};
use crate::admission::{Held, HeldMessage, Verdict, await_verdict};
use crate::events::{Event, IncomingMessage};
use crate::limits::PEER_FEATURES_LEN;
use crate::peer::handle::{Particulars, PeerHandle};
use crate::registry::{Admission, Reserve, SIMULTANEOUS};
use crate::send_queue::{Consumer, Unsent, send_queue};
use crate::{ConnectError, Direction, Limits, MessageType, PeerInfo};

/// What the peer's `init` says of it.
pub(super) struct Introduction {
    features: Bytes,
    seen_as: Option<SocketAddr>,
}

impl From<&Init<'_>> for Introduction {
    fn from(init: &Init<'_>) -> Introduction {
        let seen_as = match init.remote_addr {
            Some(Address::Ipv4 { address, port }) => Some(SocketAddr::from((address, port))),
            Some(Address::Ipv6 { address, port }) => Some(SocketAddr::from((address, port))),
            _ => None,
        };
        let features: Vec<u8> = init.combined_features().bytes().collect();
        Introduction { features: Bytes::copy_from_slice(lowest(&features)), seen_as }
    }
}

impl Session {
    /// Enters the connection in the registry, takes over from an older one of the same peer, and tells everyone, unless a
    /// gatekeeper has to think about it first.
    ///
    /// Waits for nobody but a task of this node that has been asked to end, or for at most [`SIMULTANEOUS`].
    pub(super) async fn arrive(&mut self, introduction: Introduction) {
        let Some(id) = self.connection.their_id() else { return };
        let Introduction { features, seen_as } = introduction;
        let (producers, queue) = send_queue(self.shared.limits.queue());
        let (serial, mailbox) = (self.place.serial, Arc::clone(&self.place.mailbox));
        let (direction, address) = (self.origin.direction, self.origin.address);
        let particulars = Particulars { id, serial, direction, address, features, seen_as };
        let handle = Arc::new(PeerHandle::new(particulars, producers, mailbox));

        let older = loop {
            match self.shared.registry.admit(&handle) {
                Admission::First => break None,
                Admission::Replaces(older) => break Some(older),
                Admission::Yields(other, reserve) => {
                    tracing::debug!(peer = %id, "connected twice at once: keeping the other connection");
                    // The peer is connected, whatever becomes of this connection.
                    self.tell_outcome(|| Ok(other.info()));
                    if !self.outlives(&other, &handle, reserve).await {
                        self.connection.abort(CloseReason::Replaced);
                        return;
                    }
                }
                Admission::Full => {
                    let limit = self.shared.limits.peers;
                    tracing::warn!(peer = %id, "turned away: {limit} peers are connected, which is the limit");
                    self.tell_outcome(|| Err(ConnectError::TooManyPeers { limit }));
                    let now = self.shared.clock.now();
                    self.connection.close_with_warning(now, CloseReason::TooManyPeers);
                    return;
                }
            }
        };
        // From here on its end will be told and its registry entry removed, whatever happens to this task.
        let open = self.open.insert(Open::new(Arc::clone(&self.shared), Arc::clone(&handle), queue));
        if let Some(older) = older {
            tracing::debug!(peer = %id, "a newer connection takes the place of the one from {}", older.peer.address);
            let (heir, inheritance) = oneshot::channel();
            older.mailbox.hand_over(heir);
            // The older task answers within its turn. If it is over already, it has reported what it had.
            let unsent = inheritance.await.unwrap_or_default();
            open.inherited = Some(inherit(&self.shared.limits, &unsent));
        }
        self.place.settle();
        tracing::debug!(peer = %id, "Handed peer, entering loop");
        if let Some(seen_as) = seen_as {
            tracing::debug!(peer = %id, "Peer says it sees our address as: {seen_as}");
        }
        let consideration =
            self.shared.gatekeeper.as_ref().and_then(|gatekeeper| gatekeeper.consider(&handle.info()));
        match consideration {
            Some(consideration) => {
                self.held = Some(Held::default());
                await_verdict(consideration, &self.shared.limits, Arc::clone(&self.place.mailbox));
            }
            None => self.announce(),
        }
    }

    /// Does what was decided about the peer.
    pub(super) fn heed_verdict(&mut self, verdict: Verdict, now: Now) {
        let Some(held) = self.held.take() else { return };
        // A connection that is closing already was told why.
        if self.connection.phase() != Phase::Open {
            self.forget(&held);
            return;
        }
        match verdict {
            Verdict::Welcome => {
                self.announce();
                self.deliver(held);
            }
            Verdict::TurnAway { warning } => {
                self.forget(&held);
                self.turn_away(warning, now);
            }
        }
    }

    /// Tells everyone that the peer is connected.
    fn announce(&mut self) {
        let Some(open) = &mut self.open else { return };
        open.is_announced = true;
        let info = open.handle.info();
        self.shared.hub.publish(&Event::Connected(info.clone()));
        self.tell_outcome(|| Ok(info));
    }

    fn deliver(&mut self, held: Held) {
        let Some(open) = &self.open else { return };
        let peer = &open.handle.peer.id;
        for message in held.into_messages() {
            let HeldMessage { kind, payload, received } = &message;
            if *kind == MessageType::ONION_MESSAGE {
                self.shared.onions.arrived(&self.shared, &open.handle, payload);
                continue;
            }
            open.handle.note_delivery();
            self.shared.hub.deliver(&IncomingMessage { peer, kind: *kind, payload, received: *received });
        }
    }

    /// Messages of a peer that never came to be one.
    pub(super) fn forget(&self, held: &Held) {
        if let (Some(id), 1..) = (self.connection.their_id(), held.len()) {
            tracing::debug!(peer = %id, "{} messages of a peer that does not stay are dropped", held.len());
        }
    }

    /// Closes the connection, after everything that was queued and the warning.
    fn turn_away(&mut self, warning: Option<String>, now: Now) {
        let Some(open) = &self.open else { return };
        let id = open.handle.peer.id;
        tracing::debug!(peer = %id, "does not stay");
        if let Some(text) = warning {
            match open.handle.warn(&text) {
                Ok(()) => self.shared.hub.publish(&Event::Warning { id, direction: Direction::Out, text }),
                Err(error) => tracing::debug!(peer = %id, "it is not told why: {error}"),
            }
        }
        open.handle.refuse_messages();
        self.connection.drain(now.timestamp, CloseReason::LocalDisconnect);
    }

    /// Whether `other`, to which this connection gives way, ends within a moment, and in such a way that this one may take its
    /// place.
    async fn outlives(&self, other: &PeerHandle, this: &PeerHandle, reserve: Reserve) -> bool {
        let may_follow: fn(&PeerHandle) -> bool = match reserve {
            Reserve::IfUnused => |other| !other.has_delivered(),
            Reserve::IfClosedByPeer => PeerHandle::was_closed_by_peer,
            Reserve::Never => return false,
        };
        tokio::select! {
            biased;
            // Whatever is asked of a connection that is not a peer's yet, its end is the answer.
            () = poll_fn(|context| self.place.mailbox.poll_filled(context)) => false,
            () = other.gone() => may_follow(other),
            () = sleep_until(this.opened + SIMULTANEOUS) => false,
        }
    }

    /// Tells the one who wanted this connection, if anybody did and was not told yet.
    pub(super) fn tell_outcome(&mut self, outcome: impl FnOnce() -> Result<PeerInfo, ConnectError>) {
        if let Some(waiting) = self.origin.outcome.take() {
            // Whoever asked may have gone; the connection stays all the same.
            let _ = waiting.send(outcome());
        }
    }
}

/// What the older connection had not begun to send goes out first, in its order. It has handed over no more than fits.
fn inherit(limits: &Limits, unsent: &[Unsent]) -> Consumer {
    let (producer, consumer) = send_queue(limits.queue());
    for message in unsent {
        if let Some(payload) = message.payload()
            && let Err(error) = producer.push(message.kind(), payload)
        {
            tracing::error!("message of type {} lost between two connections: {error}", message.kind().get());
        }
    }
    consumer
}

/// The lowest [`PEER_FEATURES_LEN`] bytes of a big-endian bit field, without leading zeros.
fn lowest(features: &[u8]) -> &[u8] {
    let known = features.get(features.len().saturating_sub(PEER_FEATURES_LEN)..).unwrap_or_default();
    let start = known.iter().position(|byte| *byte != 0).unwrap_or(known.len());
    known.get(start..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_makes_us_keep_no_more_than_the_lowest_feature_bits() {
        assert_eq!(lowest(&[]), []);
        assert_eq!(lowest(&[2, 0, 1]), [2, 0, 1]);
        let mut long = vec![0; 65_000];
        (long[0], long[64_998]) = (2, 8);
        assert_eq!(lowest(&long), [8, 0]);
        long.fill(2);
        assert_eq!(lowest(&long).len(), PEER_FEATURES_LEN);
    }
}
