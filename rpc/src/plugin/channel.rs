//! The conversation with one plugin: what waits to be written to it, and which of our requests it has not answered.
//!
//! Whoever asks or tells a plugin only appends to its backlog; the process's task writes it out. The backlog is bounded,
//! so a plugin that does not read costs a fixed amount of memory: what does not fit is refused to whoever asks, and
//! counted where nobody does.

use core::fmt;
use core::time::Duration;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::{Notify, oneshot, watch};

use crate::limits::{ABANDONED_REQUESTS, PLUGIN_BACKLOG};
use crate::value::Value;

/// Both directions of a conversation, between whoever asks and the task that has the process.
#[derive(Debug, Default)]
pub(super) struct Channel {
    state: Mutex<State>,
    /// There is something to write, or the conversation is over.
    news: Notify,
    is_over: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Outgoing>,
    /// Bytes that wait.
    len: usize,
    /// The plugin has closed its standard input: nothing will be written any more.
    is_deaf: bool,
    pending: HashMap<String, Pending>,
    /// Requests that nobody waits for any more; the oldest first.
    abandoned: VecDeque<String>,
    /// Notifications that did not fit.
    missed: u64,
    is_closed: bool,
}

/// What is to be written.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) text: Bytes,
    /// The id, if it is a request.
    request: Option<String>,
}

#[derive(Debug)]
struct Pending {
    answer: oneshot::Sender<Answer>,
    progress: Option<Progress>,
}

/// What became of a request. Texts are JSON, as the plugin wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The member `result`.
    Result(String),
    /// The member `error`.
    Error(String),
    /// It has neither.
    Neither,
    /// It is not answered in time.
    TimedOut,
    /// It was not sent: too much waits for the plugin to read it, or it reads no more at all.
    Full,
    /// The plugin ended first.
    Gone,
}

/// Where a plugin's words about a request's progress go: it is given the notification's `params` and method.
pub(crate) struct Progress(pub(crate) Box<PassOn>);

type PassOn = dyn Fn(&Value<'_>, &str) + Send + Sync;

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Progress")
    }
}

/// How an answer was received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Received {
    /// Somebody waited for it.
    Expected,
    /// Somebody did, but not so long.
    Late,
    /// Nobody ever asked that.
    Stray,
}

/// What became of a notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// It waits to be written.
    Queued,
    /// It does not fit; so many have not until now.
    Missed(u64),
}

/// A request that has been sent.
#[derive(Debug)]
pub(crate) struct Asked {
    channel: Arc<Channel>,
    id: String,
    answer: oneshot::Receiver<Answer>,
}

impl Channel {
    /// Sends a request, which must end in a blank line, and begins to wait for the answer to this id.
    pub(super) fn ask(self: &Arc<Self>, id: String, request: String, progress: Option<Progress>) -> Asked {
        let (sender, answer) = oneshot::channel();
        let asked = Asked { channel: Arc::clone(self), id: id.clone(), answer };
        let mut state = self.lock();
        let refused = if state.is_closed {
            Some(Answer::Gone)
        } else if state.is_full(request.len()) {
            Some(Answer::Full)
        } else {
            None
        };
        if let Some(refused) = refused {
            // The receiver is right here.
            drop(sender.send(refused));
        } else {
            state.pending.insert(id.clone(), Pending { answer: sender, progress });
            state.push(Outgoing { text: Bytes::from(request), request: Some(id) });
        }
        drop(state);
        self.news.notify_one();
        asked
    }

    /// Sends a notification, which must end in a blank line.
    pub(super) fn tell(&self, notification: Bytes) -> Told {
        let mut state = self.lock();
        if !state.is_closed && state.is_full(notification.len()) {
            state.missed = state.missed.saturating_add(1);
            return Told::Missed(state.missed);
        }
        if !state.is_closed {
            state.push(Outgoing { text: notification, request: None });
        }
        drop(state);
        self.news.notify_one();
        Told::Queued
    }

    /// Hands an answer to whoever waits for it.
    pub(super) fn answer(&self, id: &str, answer: Answer) -> Received {
        let mut state = self.lock();
        if let Some(pending) = state.pending.remove(id) {
            drop(state);
            // Whoever waited may have gone this very moment.
            let _ = pending.answer.send(answer);
            return Received::Expected;
        }
        match state.abandoned.iter().position(|abandoned| abandoned == id) {
            Some(place) => {
                state.abandoned.remove(place);
                Received::Late
            }
            None => Received::Stray,
        }
    }

    /// Passes on what the plugin says about a request that it has not answered yet.
    pub(super) fn progress(&self, id: &str, params: &Value<'_>, method: &str) {
        let state = self.lock();
        if let Some(Progress(pass_on)) = state.pending.get(id).and_then(|pending| pending.progress.as_ref()) {
            pass_on(params, method);
        }
    }

    /// What is to be written next; `None` when the conversation is over. May be dropped while it waits.
    pub(super) async fn next(&self) -> Option<Outgoing> {
        loop {
            {
                let mut state = self.lock();
                if let Some(next) = state.waiting.pop_front() {
                    state.len = state.len.saturating_sub(next.text.len());
                    return Some(next);
                }
                if state.is_closed {
                    return None;
                }
            }
            self.news.notified().await;
        }
    }

    /// Notes that this could not be written, and that nothing can be any more. Requests that were not written are refused;
    /// those that were may still be answered.
    pub(super) fn deafen(&self, unwritten: Outgoing) {
        let mut state = self.lock();
        state.is_deaf = true;
        state.len = 0;
        let lost = core::iter::once(unwritten).chain(core::mem::take(&mut state.waiting));
        for outgoing in lost {
            match outgoing.request {
                // Whoever waited may have gone this very moment.
                Some(id) => drop(state.pending.remove(&id).map(|it| it.answer.send(Answer::Full))),
                None => state.missed = state.missed.saturating_add(1),
            }
        }
    }

    /// Ends the conversation: nothing more is written, and whoever waits is told.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.is_closed = true;
        state.waiting = VecDeque::new();
        let pending = core::mem::take(&mut state.pending);
        drop(state);
        for pending in pending.into_values() {
            let _ = pending.answer.send(Answer::Gone);
        }
        self.news.notify_one();
        self.is_over.send_replace(true);
    }

    /// Waits until the conversation is over.
    pub(super) async fn closed(&self) {
        // The sender lives as long as `self`, so there is no error to see.
        let _ = self.is_over.subscribe().wait_for(|is_over| *is_over).await;
    }

    fn abandon(&self, id: &str) {
        let mut state = self.lock();
        if let Some((id, _)) = state.pending.remove_entry(id) {
            if state.abandoned.len() >= ABANDONED_REQUESTS {
                state.abandoned.pop_front();
            }
            state.abandoned.push_back(id);
        }
    }

    /// Every step under the lock leaves it whole.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// A backlog that is empty takes whatever comes.
    fn is_full(&self, more: usize) -> bool {
        self.is_deaf || (!self.waiting.is_empty() && self.len.saturating_add(more) > PLUGIN_BACKLOG)
    }

    fn push(&mut self, outgoing: Outgoing) {
        self.len = self.len.saturating_add(outgoing.text.len());
        self.waiting.push_back(outgoing);
    }
}

impl Asked {
    /// The answer, however long it takes; the plugin's end is one.
    pub(crate) async fn answer(mut self) -> Answer {
        (&mut self.answer).await.unwrap_or(Answer::Gone)
    }

    /// The answer, if it comes in time.
    pub(crate) async fn within(self, limit: Duration) -> Answer {
        tokio::time::timeout(limit, self.answer()).await.unwrap_or(Answer::TimedOut)
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.channel.abandon(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn answers_find_whoever_asked_in_any_order() {
        let channel = Arc::new(Channel::default());
        let first = channel.ask("1".into(), "a\n\n".into(), None);
        let second = channel.ask("2".into(), "b\n\n".into(), None);
        assert_eq!(channel.next().await.unwrap().text, "a\n\n");
        assert_eq!(channel.answer("2", Answer::Result("{}".into())), Received::Expected);
        assert_eq!(channel.answer("3", Answer::Neither), Received::Stray);
        assert_eq!(second.answer().await, Answer::Result("{}".into()));
        drop(first);
        assert_eq!(channel.answer("1", Answer::Neither), Received::Late);
        assert_eq!(channel.answer("1", Answer::Neither), Received::Stray, "it was answered already");
    }

    #[tokio::test]
    async fn the_end_is_an_answer() {
        let channel = Arc::new(Channel::default());
        let asked = channel.ask("1".into(), "a\n\n".into(), None);
        channel.close();
        assert_eq!(asked.answer().await, Answer::Gone);
        assert_eq!(channel.ask("2".into(), "b\n\n".into(), None).answer().await, Answer::Gone);
        assert!(channel.next().await.is_none());
    }

    #[tokio::test]
    async fn a_plugin_that_reads_no_more_is_asked_nothing() {
        let channel = Arc::new(Channel::default());
        let [written, unwritten, waiting] =
            ["1", "2", "3"].map(|id| channel.ask(id.into(), format!("{id}\n\n"), None));
        assert_eq!(channel.tell(Bytes::from_static(b"x")), Told::Queued);
        channel.next().await.unwrap();
        let failed = channel.next().await.unwrap();
        channel.deafen(failed);
        for lost in [unwritten, waiting, channel.ask("4".into(), "4\n\n".into(), None)] {
            assert_eq!(lost.answer().await, Answer::Full);
        }
        assert_eq!(channel.tell(Bytes::from_static(b"y")), Told::Missed(2));
        assert_eq!(channel.answer("1", Answer::Neither), Received::Expected, "it may still speak");
        assert_eq!(written.answer().await, Answer::Neither);
    }

    #[tokio::test]
    async fn a_plugin_that_does_not_read_has_a_bounded_backlog() {
        let channel = Arc::new(Channel::default());
        let chunk = Bytes::from(vec![b' '; PLUGIN_BACKLOG / 4]);
        for _ in 0..4 {
            assert_eq!(channel.tell(chunk.clone()), Told::Queued);
        }
        assert_eq!(channel.tell(chunk.clone()), Told::Missed(1));
        assert_eq!(channel.tell(Bytes::from_static(b"x")), Told::Missed(2));
        assert_eq!(channel.ask("1".into(), "a\n\n".into(), None).answer().await, Answer::Full);
        channel.next().await.unwrap();
        assert_eq!(channel.tell(chunk), Told::Queued);
    }
}
