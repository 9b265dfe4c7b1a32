//! Every connection task that lives, from its first byte to its last, and the cap on those that have proven nothing yet.
//!
//! The registry knows connected peers; this table also knows those who are still at the handshake, so that shutting down
//! reaches everybody and a flood of strangers stays bounded.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};
use wire_core::connection::CloseReason;

use crate::NodeId;
use crate::limits::STRANGER_SPARED;
use crate::peer::mailbox::Mailbox;

/// The live connections of a node.
#[derive(Debug)]
pub(crate) struct Connections {
    table: Mutex<Table>,
    /// Somebody left, or is not a stranger any more.
    changed: Notify,
    limits: PendingLimits,
}

/// See the fields of [`crate::Limits`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct PendingLimits {
    pub(crate) inbound: usize,
    pub(crate) inbound_per_ip: usize,
}

#[derive(Debug, Default)]
struct Table {
    /// Connections are numbered in the order of their birth.
    next_serial: u64,
    /// Incoming, `init` not exchanged yet; the oldest first.
    arriving: BTreeMap<u64, Arrival>,
    /// All others.
    settled: BTreeMap<u64, Arc<Mailbox>>,
    /// When the next one may be closed for the sake of another.
    next_eviction: Option<Instant>,
    closed: Option<CloseReason>,
}

#[derive(Debug)]
struct Arrival {
    mailbox: Arc<Mailbox>,
    from: Origin,
    since: Instant,
    /// Known after act three.
    id: Option<NodeId>,
}

/// What counts as one host: an IPv4 address, or the /64 that an IPv6 host usually has to itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Origin(u64);

impl From<IpAddr> for Origin {
    fn from(address: IpAddr) -> Origin {
        match address.to_canonical() {
            IpAddr::V4(v4) => Origin(u64::from(v4.to_bits())),
            // The upper half. No host has one of all zeros, so none is taken for an IPv4 address.
            IpAddr::V6(v6) => Origin(u64::try_from(v6.to_bits() >> 64).unwrap_or(u64::MAX)),
        }
    }
}

/// A connection's place in the table; it leaves when this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    connections: Arc<Connections>,
    pub(crate) serial: u64,
    pub(crate) mailbox: Arc<Mailbox>,
}

impl Connections {
    pub(crate) fn new(limits: PendingLimits) -> Arc<Connections> {
        Arc::new(Connections { table: Mutex::default(), changed: Notify::new(), limits })
    }

    /// A place for an outgoing connection; `None` once the node is closing.
    pub(crate) fn admit_outbound(self: &Arc<Self>) -> Option<Place> {
        let mut table = self.lock();
        let place = self.place(&mut table)?;
        table.settled.insert(place.serial, Arc::clone(&place.mailbox));
        Some(place)
    }

    /// Waits until there is room for another incoming connection, or until the oldest has had its fair time, so that it
    /// may be closed for a new one. Whoever connects meanwhile waits in the listener's queue.
    ///
    /// Those who came at once would be due at once, and again and again: they go one by one, spread over that time.
    pub(crate) async fn room(&self) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // In line before the look, so that a change right after it is not missed.
            changed.as_mut().enable();
            let Some(spared_until) = self.oldest_is_spared_until() else { return };
            if timeout_at(spared_until, changed).await.is_err() {
                return;
            }
        }
    }

    /// `None` if there is room.
    fn oldest_is_spared_until(&self) -> Option<Instant> {
        let table = self.lock();
        if table.arriving.len() < self.limits.inbound {
            return None;
        }
        let spared_until = table.arriving.values().next()?.since + STRANGER_SPARED;
        Some(table.next_eviction.map_or(spared_until, |next| next.max(spared_until)))
    }

    /// A place for an incoming connection; `None` once the node is closing. At a limit the oldest stranger is closed.
    pub(crate) fn admit_inbound(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let mut table = self.lock();
        let place = self.place(&mut table)?;
        let from = Origin::from(address);
        let of_this_origin = || table.arriving.values().filter(|other| other.from == from).count();
        // Behind a loopback address is whoever comes through a proxy (Tor), and a test of a thousand nodes.
        let is_one_host = !address.to_canonical().is_loopback();
        let evicted = if is_one_host && of_this_origin() >= self.limits.inbound_per_ip {
            table.arriving.iter().find(|(_, other)| other.from == from).map(|(serial, _)| *serial)
        } else if table.arriving.len() >= self.limits.inbound {
            let limit = u32::try_from(self.limits.inbound.max(1)).unwrap_or(u32::MAX);
            table.next_eviction = Some(Instant::now() + STRANGER_SPARED / limit);
            table.arriving.keys().next().copied()
        } else {
            None
        };
        if let Some(evicted) = evicted.and_then(|serial| table.arriving.remove(&serial)) {
            tracing::debug!("too many connections without init: closing the oldest");
            evicted.mailbox.abort(CloseReason::TooManyPending);
        }
        let arrival = Arrival { mailbox: Arc::clone(&place.mailbox), from, since: Instant::now(), id: None };
        table.arriving.insert(place.serial, arrival);
        Some(place)
    }

    /// Waits while an incoming connection of this peer is about to be complete. Bounded by the `init` deadline of those
    /// that are here now; one that comes later is not waited for, or a peer could keep us waiting for ever.
    pub(crate) async fn while_arriving(&self, id: &NodeId) {
        let newest = self.lock().next_serial;
        self.until(|table| table.arriving.range(..=newest).all(|(_, arrival)| arrival.id != Some(*id))).await;
    }

    /// Asks every connection to send what is queued and close; admits none from here on.
    pub(crate) fn close(&self, reason: CloseReason) {
        let mut table = self.lock();
        table.closed = Some(reason);
        let arriving = table.arriving.values().map(|arrival| &arrival.mailbox);
        for mailbox in table.settled.values().chain(arriving) {
            mailbox.drain(reason);
        }
    }

    /// Asks every connection to close at once.
    pub(crate) fn abort_all(&self, reason: CloseReason) {
        let table = self.lock();
        let arriving = table.arriving.values().map(|arrival| &arrival.mailbox);
        for mailbox in table.settled.values().chain(arriving) {
            mailbox.abort(reason);
        }
    }

    /// Waits until no connection is left.
    pub(crate) async fn all_gone(&self) {
        self.until(|table| table.arriving.is_empty() && table.settled.is_empty()).await;
    }

    #[cfg(test)]
    pub(crate) fn arriving(&self) -> usize {
        self.lock().arriving.len()
    }

    #[cfg(all(test, not(oddwire_loom)))]
    pub(crate) fn settled(&self) -> usize {
        self.lock().settled.len()
    }

    fn place(self: &Arc<Self>, table: &mut Table) -> Option<Place> {
        if table.closed.is_some() {
            return None;
        }
        table.next_serial += 1;
        Some(Place { connections: Arc::clone(self), serial: table.next_serial, mailbox: Arc::default() })
    }

    async fn until(&self, condition: impl Fn(&Table) -> bool) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // In line before the look, so that a change right after it is not missed.
            changed.as_mut().enable();
            if condition(&self.lock()) {
                return;
            }
            changed.await;
        }
    }

    /// Each step under the lock leaves the table whole, so a panic elsewhere does not spoil it.
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// The peer has proven who it is.
    pub(crate) fn authenticated(&self, id: NodeId) {
        if let Some(arrival) = self.connections.lock().arriving.get_mut(&self.serial) {
            arrival.id = Some(id);
        }
    }

    /// The connection is a peer's now: it counts against the peers, no longer against the strangers.
    pub(crate) fn settle(&self) {
        let mut table = self.connections.lock();
        if let Some(arrival) = table.arriving.remove(&self.serial) {
            table.settled.insert(self.serial, arrival.mailbox);
        }
        drop(table);
        self.connections.changed.notify_waiters();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // The task is over, perhaps by a panic: what was asked of it is dropped, and whoever asked gets on.
        drop(self.mailbox.close());
        let mut table = self.connections.lock();
        table.arriving.remove(&self.serial);
        table.settled.remove(&self.serial);
        drop(table);
        self.connections.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;

    fn ip(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    fn was_aborted(place: &Place) -> bool {
        place.mailbox.take().is_some_and(|requests| requests.abort.is_some())
    }

    #[test]
    fn the_oldest_stranger_makes_room() {
        let connections = Connections::new(PendingLimits { inbound: 3, inbound_per_ip: 2 });
        let places: Vec<Place> = [1, 2, 2].map(|last| connections.admit_inbound(ip(last)).unwrap()).into();
        let third_of_one_host = connections.admit_inbound(ip(2)).unwrap();
        assert_eq!(places.iter().map(was_aborted).collect::<Vec<_>>(), [false, true, false]);
        let fourth_in_all = connections.admit_inbound(ip(3)).unwrap();
        assert_eq!(places.iter().map(was_aborted).collect::<Vec<_>>(), [true, false, false]);
        assert_eq!(connections.arriving(), 3);
        third_of_one_host.settle();
        assert_eq!(connections.arriving(), 2);
        drop((places, third_of_one_host, fourth_in_all));
        assert!(connections.lock().settled.is_empty() && connections.arriving() == 0);
    }

    #[test]
    fn loopback_is_not_one_host() {
        let connections = Connections::new(PendingLimits { inbound: 3, inbound_per_ip: 1 });
        let loopback = ["127.0.0.1", "::1", "::ffff:127.0.0.1"].map(|ip| ip.parse().unwrap());
        let places = loopback.map(|ip| connections.admit_inbound(ip).unwrap());
        let again = connections.admit_inbound(loopback[0]).unwrap();
        assert_eq!(places.each_ref().map(was_aborted), [true, false, false], "only the cap on all counts");
        drop(again);
    }

    #[tokio::test(start_paused = true)]
    async fn a_newcomer_waits_while_the_oldest_has_its_fair_time() {
        let connections = Connections::new(PendingLimits { inbound: 2, inbound_per_ip: 2 });
        let start = Instant::now();
        connections.room().await;
        let oldest = connections.admit_inbound(ip(1)).unwrap();
        tokio::time::advance(STRANGER_SPARED / 2).await;
        connections.room().await;
        let second = connections.admit_inbound(ip(2)).unwrap();
        assert_eq!(start.elapsed(), STRANGER_SPARED / 2, "there was room");
        connections.room().await;
        assert_eq!(start.elapsed(), STRANGER_SPARED);
        let third = connections.admit_inbound(ip(3)).unwrap();
        assert!(was_aborted(&oldest) && !was_aborted(&second));
        // One that is done makes room at once.
        let ((), ()) = tokio::join!(connections.room(), async { third.settle() });
        assert_eq!(start.elapsed(), STRANGER_SPARED);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_those_who_have_gone() {
        let connections = Connections::new(PendingLimits { inbound: 1, inbound_per_ip: 1 });
        let start = Instant::now();
        let first = connections.admit_inbound(ip(1)).unwrap();
        let second = connections.admit_inbound(ip(2)).unwrap();
        drop((first, second));
        connections.room().await;
        assert_eq!(start.elapsed(), Duration::ZERO);
        let of_none = Connections::new(PendingLimits { inbound: 0, inbound_per_ip: 1 });
        drop(of_none.admit_inbound(ip(1)).unwrap());
        of_none.room().await;
        assert_eq!(start.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_came_at_once_go_one_by_one() {
        let connections = Connections::new(PendingLimits { inbound: 4, inbound_per_ip: 4 });
        let start = Instant::now();
        let places = [1, 2, 3, 4].map(|last| connections.admit_inbound(ip(last)).unwrap());
        let mut newcomers = Vec::new();
        for (gone, place) in (0..).zip(&places) {
            connections.room().await;
            assert_eq!(start.elapsed(), STRANGER_SPARED + STRANGER_SPARED / 4 * gone);
            newcomers.push(connections.admit_inbound(ip(5)).unwrap());
            assert!(was_aborted(place));
        }
    }

    #[tokio::test]
    async fn whoever_comes_later_is_not_waited_for() {
        let connections = Connections::new(PendingLimits { inbound: 9, inbound_per_ip: 9 });
        let id = crate::Identity::from_secret(&crate::Secret::new([7; 32])).unwrap().node_id();
        let arrive = || {
            let place = connections.admit_inbound(ip(1)).unwrap();
            place.authenticated(id);
            place
        };
        let first = arrive();
        let (mut later, waiting) = (None, connections.while_arriving(&id));
        let (waited, ()) = tokio::join!(tokio::time::timeout(STRANGER_SPARED, waiting), async {
            later = Some(arrive());
            drop(first);
        });
        waited.unwrap();
        assert_eq!(connections.arriving(), 1);
        tokio::time::timeout(Duration::ZERO, connections.while_arriving(&id)).await.unwrap_err();
    }

    #[test]
    fn a_place_that_goes_drops_what_was_asked_of_it() {
        let connections = Connections::new(PendingLimits { inbound: 1, inbound_per_ip: 1 });
        let place = connections.admit_outbound().unwrap();
        let mailbox = Arc::clone(&place.mailbox);
        let (heir, mut inheritance) = tokio::sync::oneshot::channel();
        mailbox.hand_over(heir);
        assert_eq!(inheritance.try_recv().err(), Some(tokio::sync::oneshot::error::TryRecvError::Empty));
        drop(place);
        assert_eq!(inheritance.try_recv().err(), Some(tokio::sync::oneshot::error::TryRecvError::Closed));
    }

    #[test]
    fn one_ipv6_network_is_one_host() {
        let origin = |text: &str| Origin::from(text.parse::<IpAddr>().unwrap());
        assert_eq!(origin("2001:db8::1"), origin("2001:db8::ffff:1"));
        assert_ne!(origin("2001:db8::1"), origin("2001:db8:0:1::1"));
        assert_eq!(origin("::ffff:10.0.0.1"), origin("10.0.0.1"));
    }
}
