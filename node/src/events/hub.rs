//! From the peers' tasks to the subscriptions.
//!
//! One lock orders everything that is published: the numbers of messages, what each subscription gets, and who is subscribed.
//! Under it a message is a number, a place in the history and a place in the backlogs of those who want it; its payload is
//! copied before. Until somebody subscribes to messages for the first time, there is neither the lock nor the copy, only the
//! look at a flag.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::SystemTime;

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::task::coop;

use super::backlog::{Backlog, BacklogLimits, Room, Waiting};
use super::calm::Calm;
use super::history::{Epoch, From, History, HistoryLimits, Numbered, ResumeError};
use super::payload::share;
use super::{Delivery, Event, EventFilter};
use crate::{MessageType, NodeId, OnionMessage};

/// All subscriptions of a node.
pub(crate) struct Hub {
    backlog_limits: BacklogLimits,
    history_limits: HistoryLimits,
    epoch: Epoch,
    /// Somebody has subscribed to messages since the start: they are numbered and kept from then on.
    is_wanted: AtomicBool,
    /// Whether subscribers keep up.
    calm: Arc<Calm>,
    /// Taken before any subscriber's own lock.
    state: Mutex<State>,
}

struct State {
    subscribers: Vec<Arc<Subscriber>>,
    history: History,
    is_closed: bool,
}

struct Subscriber {
    filter: EventFilter,
    inbox: Mutex<Inbox>,
    calm: Arc<Calm>,
    /// Wakes the one task that awaits [`Subscription::next`].
    news: Notify,
}

struct Inbox {
    backlog: Backlog,
    /// Nothing more is stored: the node has stopped, or nobody listens any more.
    is_closed: bool,
}

/// A custom message as it lies in the receive buffer.
pub(crate) struct IncomingMessage<'a> {
    pub(crate) peer: &'a NodeId,
    pub(crate) kind: MessageType,
    pub(crate) payload: &'a [u8],
    pub(crate) received: SystemTime,
}

/// The last task of a node that nobody shut down has ended.
impl Drop for Hub {
    fn drop(&mut self) {
        self.close();
    }
}

impl Hub {
    pub(crate) fn new(backlog_limits: BacklogLimits, history_limits: HistoryLimits) -> Arc<Hub> {
        let state =
            State { subscribers: Vec::new(), history: History::new(history_limits), is_closed: false };
        Arc::new(Hub {
            backlog_limits,
            history_limits,
            epoch: Epoch::of_now(),
            is_wanted: AtomicBool::new(false),
            calm: Arc::default(),
            state: Mutex::new(state),
        })
    }

    pub(crate) fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Whether subscribers keep up.
    pub(crate) fn calm(&self) -> &Arc<Calm> {
        &self.calm
    }

    /// From now on.
    pub(crate) fn subscribe(self: &Arc<Self>, filter: EventFilter) -> Subscription {
        let mut state = lock(&self.state);
        let from = state.history.next_number();
        self.enter(&mut state, filter, from)
    }

    /// From the message of this number on, which may have been published already.
    pub(crate) fn resume(
        self: &Arc<Self>,
        filter: EventFilter,
        epoch: Option<Epoch>,
        from: u64,
    ) -> Result<Subscription, ResumeError> {
        if let Some(wanted) = epoch.filter(|wanted| *wanted != self.epoch) {
            return Err(ResumeError::EpochOver { wanted, current: self.epoch });
        }
        let mut state = lock(&self.state);
        let next = state.history.next_number();
        if from > next {
            return Err(ResumeError::NotYet { wanted: from, next });
        }
        Ok(self.enter(&mut state, filter, from))
    }

    /// No message can come between what the history has and what is published next: the lock is held.
    fn enter(self: &Arc<Self>, state: &mut State, filter: EventFilter, from: u64) -> Subscription {
        let mut backlog = Backlog::new(self.backlog_limits);
        let (missing, kept) = state.history.from(from);
        backlog.miss(missing);
        for message in kept.filter(|message| message.is_wanted_by(&filter)) {
            let weight = message.content_len();
            if backlog.admits(weight, Room::Usual) {
                backlog.store(Waiting::Message(message.clone()), weight);
            }
        }
        if filter.wants_messages() {
            // Release, with Acquire in `deliver`; it is the lock that makes the order, so that a message that is being
            // published meanwhile counts as one that came before.
            self.is_wanted.store(true, Ordering::Release);
        }
        self.calm.note(false, backlog.is_behind());
        let inbox = Mutex::new(Inbox { backlog, is_closed: state.is_closed });
        let calm = Arc::clone(&self.calm);
        let subscriber = Arc::new(Subscriber { filter, inbox, calm, news: Notify::new() });
        state.subscribers.push(Arc::clone(&subscriber));
        let next_number = state.history.next_number();
        Subscription { subscriber, next_number, epoch: self.epoch, hub: Arc::downgrade(self) }
    }

    pub(crate) fn publish(&self, event: &Event) {
        let room = match event {
            Event::Connected(_) | Event::Disconnected { .. } | Event::Unsent { .. } => Room::WithReserve,
            _ => Room::Usual,
        };
        let state = lock(&self.state);
        for subscriber in state.subscribers.iter().filter(|subscriber| subscriber.filter.wants_event(event)) {
            subscriber.offer(event.weight(), room, || Waiting::event(event.clone()));
        }
    }

    /// Gives a message its number, keeps it, and gives it to all who want it.
    pub(crate) fn deliver(&self, message: &IncomingMessage<'_>) {
        if !self.is_wanted.load(Ordering::Acquire) {
            return;
        }
        let IncomingMessage { peer, kind, payload, received } = *message;
        let is_kept = self.history_limits.keep_any();
        // Before the lock, if it is certain to be needed.
        let mut copy = is_kept.then(|| share(payload));
        let mut state = lock(&self.state);
        let number = state.history.take_number();
        let numbered = |payload| Numbered { number, from: From::Peer(*peer), kind, payload, received };
        for subscriber in &state.subscribers {
            if subscriber.filter.wants_message(peer, kind) {
                subscriber.offer(payload.len(), Room::Usual, || {
                    Waiting::Message(numbered(copy.get_or_insert_with(|| share(payload)).clone()))
                });
            }
        }
        if let Some(copy) = copy.filter(|_| is_kept) {
            state.history.keep(numbered(copy));
        }
    }

    /// As [`Hub::deliver`], for a custom message that came over several hops.
    pub(crate) fn deliver_from_afar(&self, kind: MessageType, payload: Bytes, onion: Arc<OnionMessage>) {
        if !self.is_wanted.load(Ordering::Acquire) {
            return;
        }
        let received = onion.received;
        let mut state = lock(&self.state);
        let number = state.history.take_number();
        let message = Numbered { number, from: From::Afar(onion), kind, payload, received };
        for subscriber in state.subscribers.iter().filter(|one| message.is_wanted_by(&one.filter)) {
            subscriber.offer(message.content_len(), Room::Usual, || Waiting::Message(message.clone()));
        }
        if self.history_limits.keep_any() {
            state.history.keep(message);
        }
    }

    /// Every subscription ends when its backlog is handed out.
    pub(crate) fn close(&self) {
        let mut state = lock(&self.state);
        state.is_closed = true;
        for subscriber in &state.subscribers {
            lock(&subscriber.inbox).is_closed = true;
            subscriber.news.notify_one();
        }
    }

    /// Events and bytes in the backlog of each subscription.
    #[cfg(all(test, not(oddwire_loom)))]
    pub(crate) fn backlogs(&self) -> Vec<(usize, usize)> {
        lock(&self.state).subscribers.iter().map(|one| lock(&one.inbox).backlog.size()).collect()
    }

    /// Messages and bytes that are kept.
    #[cfg(all(test, not(oddwire_loom)))]
    pub(crate) fn kept(&self) -> (usize, usize) {
        lock(&self.state).history.size()
    }

    fn unsubscribe(&self, gone: &Arc<Subscriber>) {
        lock(&self.state).subscribers.retain(|one| !Arc::ptr_eq(one, gone));
    }
}

impl Subscriber {
    /// The next event or gap if there is one, and whether nothing more will come.
    fn take(&self) -> (Option<Delivery>, bool) {
        let mut inbox = lock(&self.inbox);
        let was_behind = inbox.backlog.is_behind();
        let delivery = inbox.backlog.next();
        self.calm.note(was_behind, inbox.backlog.is_behind());
        (delivery, inbox.is_closed)
    }

    /// Stores an event, which is made only if there is room for it.
    fn offer(&self, weight: usize, room: Room, event: impl FnOnce() -> Waiting) {
        let mut inbox = lock(&self.inbox);
        if inbox.is_closed {
            return;
        }
        // Whoever waits has found nothing. So only the first event wakes; what is missed because it does not fit comes behind
        // others.
        let was_behind = inbox.backlog.is_behind();
        let is_news = inbox.backlog.admits(weight, room) && inbox.backlog.store(event(), weight);
        self.calm.note(was_behind, inbox.backlog.is_behind());
        drop(inbox);
        if is_news {
            self.news.notify_one();
        }
    }
}

/// A stream of events. Dropping it ends it.
pub struct Subscription {
    subscriber: Arc<Subscriber>,
    epoch: Epoch,
    next_number: u64,
    hub: Weak<Hub>,
}

impl Subscription {
    /// The next event or gap, in order; `None` after the node has stopped and everything was handed out. May be
    /// dropped while it waits; nothing is lost by that.
    pub async fn next(&mut self) -> Option<Delivery> {
        // A program that always finds something would keep its thread from all others.
        coop::consume_budget().await;
        loop {
            let (delivery, is_closed) = self.subscriber.take();
            if delivery.is_some() || is_closed {
                return delivery;
            }
            self.subscriber.news.notified().await;
        }
    }

    /// The next event or gap if there is one already.
    pub fn try_next(&mut self) -> Option<Delivery> {
        self.subscriber.take().0
    }

    /// What the numbers of messages belong to.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The number that the first message has which comes after the beginning of this subscription. Whoever saw none
    /// [resumes](crate::Node::resume) from here.
    pub fn next_number(&self) -> u64 {
        self.next_number
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut inbox = lock(&self.subscriber.inbox);
        inbox.is_closed = true;
        let was_behind = inbox.backlog.is_behind();
        let waiting = inbox.backlog.take_all();
        self.subscriber.calm.note(was_behind, false);
        drop(inbox);
        drop(waiting);
        if let Some(hub) = self.hub.upgrade() {
            hub.unsubscribe(&self.subscriber);
        }
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").field("filter", &self.subscriber.filter).finish_non_exhaustive()
    }
}

/// A panic elsewhere while the lock was held leaves events that are whole: each step under it completes one.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
