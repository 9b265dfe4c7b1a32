//! What others ask of the task that owns a connection.
//!
//! One slot per kind of request, so a mailbox has a fixed size whoever writes to it how often. The task is woken and takes
//! all of it at once. Messages to the peer do not come this way: they have the send queue.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use atomic_waker::AtomicWaker;
use tokio::sync::oneshot;
use wire_core::connection::CloseReason;
use wire_core::message::ping::Ping;

use crate::admission::Verdict;
use crate::send_queue::Unsent;
use crate::{PingError, PingReply};

/// Where the reply to a ping goes.
pub(crate) type PingAnswer = oneshot::Sender<Result<PingReply, PingError>>;

/// Everything that is asked and not yet taken.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    /// Send this ping and answer when the pong is in.
    pub(crate) ping: Option<(Ping, PingAnswer)>,
    /// What was decided about the peer.
    pub(crate) verdict: Option<Verdict>,
    /// Send what is queued, then close.
    pub(crate) drain: Option<CloseReason>,
    /// Close at once.
    pub(crate) abort: Option<CloseReason>,
    /// Close at once and hand over what was not sent, to the newer connection of the same peer.
    pub(crate) hand_over: Option<oneshot::Sender<Vec<Unsent>>>,
}

/// The mailbox of one connection's task.
#[derive(Debug)]
pub(crate) struct Mailbox {
    /// `None` once the task has looked for the last time: whoever comes later must not wait for an answer.
    requests: Mutex<Option<Requests>>,
    /// Whether there is something to take: what the task looks at when it is woken for another reason.
    filled: AtomicBool,
    owner: AtomicWaker,
}

impl Default for Mailbox {
    fn default() -> Mailbox {
        let requests = Mutex::new(Some(Requests::default()));
        Mailbox { requests, filled: AtomicBool::new(false), owner: AtomicWaker::new() }
    }
}

impl Mailbox {
    /// Asks for a ping.
    ///
    /// # Errors
    /// [`PingError::AlreadyPending`] when another one waits to be taken.
    pub(crate) fn ping(&self, ping: Ping, answer: PingAnswer) -> Result<(), PingError> {
        self.ask(|requests| {
            if requests.ping.is_some() {
                return Err(PingError::AlreadyPending);
            }
            requests.ping = Some((ping, answer));
            Ok(())
        })
        .unwrap_or(Err(PingError::Disconnected))
    }

    /// Asks to send what is queued and close. The first reason given counts.
    pub(crate) fn drain(&self, reason: CloseReason) {
        self.ask(|requests| requests.drain = requests.drain.or(Some(reason)));
    }

    /// Asks to close at once.
    pub(crate) fn abort(&self, reason: CloseReason) {
        self.ask(|requests| requests.abort = requests.abort.or(Some(reason)));
    }

    /// Tells what was decided about the peer.
    pub(crate) fn decide(&self, verdict: Verdict) {
        self.ask(|requests| requests.verdict = Some(verdict));
    }

    /// Asks for the unsent messages, which come through `heir`. It is dropped if the task is over: then it has reported
    /// them.
    pub(crate) fn hand_over(&self, heir: oneshot::Sender<Vec<Unsent>>) {
        self.ask(|requests| requests.hand_over = Some(heir));
    }

    /// Ready when there is something to [`take`](Self::take).
    pub(crate) fn poll_filled(&self, context: &Context<'_>) -> Poll<()> {
        self.owner.register(context.waker());
        // After the registration: a request that comes in between is either seen here or wakes the task.
        if self.filled.load(Ordering::Acquire) { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Everything that was asked since the last time; `None` costs one load.
    pub(crate) fn take(&self) -> Option<Requests> {
        if !self.filled.load(Ordering::Acquire) {
            return None;
        }
        let mut requests = self.lock();
        self.filled.store(false, Ordering::Release);
        requests.as_mut().map(std::mem::take)
    }

    /// Takes for the last time; requests that come later are dropped.
    pub(crate) fn close(&self) -> Option<Requests> {
        self.lock().take()
    }

    /// Notes a request and wakes the task; `None`, and the request is dropped, if the mailbox is closed.
    fn ask<T>(&self, request: impl FnOnce(&mut Requests) -> T) -> Option<T> {
        let answer = request(self.lock().as_mut()?);
        self.filled.store(true, Ordering::Release);
        self.owner.wake();
        Some(answer)
    }

    /// Each request is one assignment, so a panic under the lock leaves nothing half done.
    fn lock(&self) -> MutexGuard<'_, Option<Requests>> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_comes_after_the_end_does_not_wait_for_ever() {
        let mailbox = Mailbox::default();
        let (early, _early_answer) = oneshot::channel();
        mailbox.hand_over(early);
        assert!(mailbox.close().is_some_and(|requests| requests.hand_over.is_some()));

        let (late, mut late_answer) = oneshot::channel();
        mailbox.hand_over(late);
        assert_eq!(late_answer.try_recv().err(), Some(oneshot::error::TryRecvError::Closed));
        let (ping, _) = oneshot::channel();
        let refused = mailbox.ping(Ping { num_pong_bytes: 1, byteslen: 0 }, ping);
        assert_eq!(refused, Err(PingError::Disconnected));
        assert!(mailbox.close().is_none());
    }

    #[test]
    fn one_slot_per_kind_and_the_first_reason_counts() {
        let mailbox = Mailbox::default();
        mailbox.drain(CloseReason::LocalDisconnect);
        mailbox.drain(CloseReason::Shutdown);
        let (first, _first_answer) = oneshot::channel();
        let (second, _second_answer) = oneshot::channel();
        let ping = Ping { num_pong_bytes: 1, byteslen: 0 };
        assert_eq!(mailbox.ping(ping, first), Ok(()));
        assert_eq!(mailbox.ping(ping, second), Err(PingError::AlreadyPending));
        let requests = mailbox.take().unwrap();
        assert_eq!(requests.drain, Some(CloseReason::LocalDisconnect));
        assert!(requests.ping.is_some() && mailbox.take().is_none());
    }
}
