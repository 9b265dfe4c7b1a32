//! From the peers' tasks to the subscriptions.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::SystemTime;

use bytes::Bytes;
use tokio::sync::Notify;

use super::backlog::{Backlog, BacklogLimits};
use super::{Delivery, Event, EventFilter};
use crate::{MessageType, NodeId};

type Subscribers = Arc<[Arc<Subscriber>]>;

/// All subscriptions of a node.
pub(crate) struct Hub {
    limits: BacklogLimits,
    list: Mutex<List>,
    /// Grows with every change of the list, so that a feed notices one with a single load.
    version: AtomicU64,
}

#[derive(Default)]
struct List {
    subscribers: Subscribers,
    closed: bool,
}

struct Subscriber {
    filter: EventFilter,
    backlog: Mutex<State>,
    /// Wakes the one task that awaits [`Subscription::next`].
    news: Notify,
}

struct State {
    backlog: Backlog,
    /// Nothing more is stored: the node has stopped, or nobody listens any more.
    closed: bool,
}

/// The last task of a node that nobody shut down has ended.
impl Drop for Hub {
    fn drop(&mut self) {
        self.close();
    }
}

impl Hub {
    pub(crate) fn new(limits: BacklogLimits) -> Arc<Hub> {
        Arc::new(Hub { limits, list: Mutex::default(), version: AtomicU64::new(1) })
    }

    pub(crate) fn subscribe(self: &Arc<Self>, filter: EventFilter) -> Subscription {
        let mut list = lock(&self.list);
        let state = State { backlog: Backlog::new(self.limits), closed: list.closed };
        let subscriber = Arc::new(Subscriber { filter, backlog: Mutex::new(state), news: Notify::new() });
        self.replace(&mut list, |old| old.iter().cloned().chain([Arc::clone(&subscriber)]).collect());
        Subscription { subscriber, hub: Arc::downgrade(self) }
    }

    pub(crate) fn publish(&self, event: &Event) {
        let subscribers = Arc::clone(&lock(&self.list).subscribers);
        for subscriber in subscribers.iter().filter(|subscriber| subscriber.filter.wants_event(event)) {
            let weight = event.weight();
            let mut state = lock(&subscriber.backlog);
            if !state.closed && state.backlog.admits(weight) {
                state.backlog.store(event.clone(), weight);
            }
            drop(state);
            subscriber.news.notify_one();
        }
    }

    /// Every subscription ends when its backlog is handed out.
    pub(crate) fn close(&self) {
        let mut list = lock(&self.list);
        list.closed = true;
        for subscriber in list.subscribers.iter() {
            lock(&subscriber.backlog).closed = true;
            subscriber.news.notify_one();
        }
    }

    fn replace(&self, list: &mut List, change: impl FnOnce(&Subscribers) -> Subscribers) {
        list.subscribers = change(&list.subscribers);
        // Release, and Acquire in the feed: who sees the number finds at least this list.
        self.version.fetch_add(1, Ordering::Release);
    }

    fn unsubscribe(&self, gone: &Arc<Subscriber>) {
        let mut list = lock(&self.list);
        self.replace(&mut list, |old| old.iter().filter(|one| !Arc::ptr_eq(one, gone)).cloned().collect());
    }
}

/// One peer task's way to the subscriptions: remembers the list, and looks whether it changed by one atomic load.
pub(crate) struct Feed {
    hub: Arc<Hub>,
    version: u64,
    subscribers: Subscribers,
}

/// A custom message as it lies in the receive buffer.
pub(crate) struct IncomingMessage<'a> {
    pub(crate) peer: &'a NodeId,
    pub(crate) kind: MessageType,
    pub(crate) payload: &'a [u8],
    pub(crate) received: SystemTime,
}

impl Feed {
    pub(crate) fn new(hub: &Arc<Hub>) -> Feed {
        Feed { hub: Arc::clone(hub), version: 0, subscribers: Subscribers::default() }
    }

    /// Gives a message to all who want it; the first of them causes the copy of its payload.
    pub(crate) fn deliver(&mut self, message: &IncomingMessage<'_>) {
        self.refresh();
        let mut copy: Option<Bytes> = None;
        for subscriber in self.subscribers.iter() {
            if !subscriber.filter.wants_message(message.peer, message.kind) {
                continue;
            }
            let mut state = lock(&subscriber.backlog);
            if state.closed {
                continue;
            }
            let number = state.backlog.number_message();
            if state.backlog.admits(message.payload.len()) {
                let payload = copy.get_or_insert_with(|| Bytes::copy_from_slice(message.payload)).clone();
                let IncomingMessage { peer, kind, received, .. } = *message;
                let event = Event::CustomMessage { number, peer: *peer, kind, payload, received };
                state.backlog.store(event, message.payload.len());
            }
            drop(state);
            subscriber.news.notify_one();
        }
    }

    fn refresh(&mut self) {
        let version = self.hub.version.load(Ordering::Acquire);
        if version != self.version {
            self.subscribers = Arc::clone(&lock(&self.hub.list).subscribers);
            self.version = version;
        }
    }
}

/// A stream of events. Dropping it ends it.
pub struct Subscription {
    subscriber: Arc<Subscriber>,
    hub: Weak<Hub>,
}

impl Subscription {
    /// The next event or gap, in order; `None` after the node has stopped and everything was handed out. May be
    /// dropped while it waits; nothing is lost by that.
    pub async fn next(&mut self) -> Option<Delivery> {
        loop {
            // The lock ends with this block: it is not held while waiting.
            {
                let mut state = lock(&self.subscriber.backlog);
                let delivery = state.backlog.next();
                if delivery.is_some() || state.closed {
                    return delivery;
                }
            }
            self.subscriber.news.notified().await;
        }
    }

    /// The next event or gap if there is one already.
    pub fn try_next(&mut self) -> Option<Delivery> {
        lock(&self.subscriber.backlog).backlog.next()
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        // The feeds of silent peers notice only with their next message, so what waits must not wait for them.
        let mut state = lock(&self.subscriber.backlog);
        state.closed = true;
        let waiting = state.backlog.take_all();
        drop(state);
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
