//! The line of those who wait for room, served strictly in the order in which they came.
//!
//! While anybody is in line, room goes to the first of them and to nobody else: `Credit` refuses whoever does not wait. So
//! nobody in line is passed by, however many others ask, and a large message gets its turn although small ones would
//! fit before it.
//!
//! This is the one part of the queue that locks. Nobody meets the lock while nobody is in line; then it is held for a
//! few steps at a time by those who come, are served and leave, and by whoever gives room back.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use super::QueueError;
use super::credit::{Credit, Room};
use super::sync::{Arc, Mutex, MutexGuard};

/// Those who wait for room in one queue.
#[derive(Debug)]
pub(super) struct Line(Mutex<Waiting>);

#[derive(Debug)]
struct Waiting {
    /// In the order in which they came.
    places: VecDeque<(usize, Arc<Mutex<Turn>>)>,
    is_closed: bool,
}

/// How far somebody in line has come.
#[derive(Debug)]
enum Turn {
    /// With whom to wake, once that is known.
    Waiting(Option<Waker>),
    /// Room was taken for this one.
    Granted,
    /// The queue was closed.
    Closed,
}

/// What became of an attempt to join.
pub(super) enum Joined<'q> {
    InLine(Place<'q>),
    Closed,
    /// There are as many in line as may be.
    TooMany,
}

impl Line {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Waiting { places: VecDeque::new(), is_closed: false }))
    }

    /// Puts one who needs `bytes` at the end, unless `limit` are there, and calls `mark` while nobody can be served.
    pub(super) fn join<'q>(
        &self,
        credit: &'q Credit,
        bytes: usize,
        limit: usize,
        mark: impl FnOnce(),
    ) -> Joined<'q> {
        let mut waiting = locked(&self.0);
        if waiting.is_closed {
            return Joined::Closed;
        }
        if waiting.places.len() >= limit {
            return Joined::TooMany;
        }
        let turn = Arc::new(Mutex::new(Turn::Waiting(None)));
        waiting.places.push_back((bytes, Arc::clone(&turn)));
        mark();
        Joined::InLine(Place { credit, bytes, turn: Some(turn) })
    }

    /// Lets everyone have room whose turn it is: as long as `take` finds room for the first. Calls `unmark` when nobody is
    /// left, before anybody can join.
    pub(super) fn serve(&self, mut take: impl FnMut(usize) -> bool, unmark: impl FnOnce()) {
        let mut wakers = Vec::new();
        {
            let mut waiting = locked(&self.0);
            while let Some((_, turn)) = waiting.places.pop_front_if(|(bytes, _)| take(*bytes)) {
                wakers.extend(end(&turn, Turn::Granted));
            }
            if waiting.places.is_empty() {
                // Memory for a long line goes with it.
                waiting.places = VecDeque::new();
                unmark();
            }
        }
        // Outside the lock: waking runs foreign code.
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Sends everyone away, and whoever comes from now on.
    pub(super) fn close(&self, unmark: impl FnOnce()) {
        let places = {
            let mut waiting = locked(&self.0);
            waiting.is_closed = true;
            unmark();
            std::mem::take(&mut waiting.places)
        };
        for (_, turn) in places {
            if let Some(waker) = end(&turn, Turn::Closed) {
                waker.wake();
            }
        }
    }

    /// Takes one out of the line who does not want to wait any longer, wherever it stands.
    fn leave(&self, turn: &Arc<Mutex<Turn>>) {
        locked(&self.0).places.retain(|(_, other)| !Arc::ptr_eq(other, turn));
    }
}

/// A place in line. Awaited, it becomes room; dropped, it is given up, and what was granted goes to the next.
#[derive(Debug)]
pub(super) struct Place<'q> {
    credit: &'q Credit,
    bytes: usize,
    /// Gone when the outcome was answered.
    turn: Option<Arc<Mutex<Turn>>>,
}

impl<'q> Future for Place<'q> {
    type Output = Result<Room<'q>, QueueError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(turn) = &self.turn else { return Poll::Pending };
        let outcome = {
            let mut turn = locked(turn);
            match &mut *turn {
                Turn::Waiting(waker) => {
                    *waker = Some(context.waker().clone());
                    return Poll::Pending;
                }
                Turn::Granted => Ok(self.credit.room_of(self.bytes)),
                Turn::Closed => Err(QueueError::Closed),
            }
        };
        self.turn = None;
        Poll::Ready(outcome)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let Some(turn) = self.turn.take() else { return };
        self.credit.line().leave(&turn);
        // Nobody serves this one any more: what it says now is final.
        let was_granted = matches!(*locked(&turn), Turn::Granted);
        if was_granted {
            drop(self.credit.room_of(self.bytes));
        } else {
            // The next one may need less.
            self.credit.serve();
        }
    }
}

/// Ends a wait and answers whom to wake.
fn end(turn: &Mutex<Turn>, outcome: Turn) -> Option<Waker> {
    match std::mem::replace(&mut *locked(turn), outcome) {
        Turn::Waiting(waker) => waker,
        Turn::Granted | Turn::Closed => None,
    }
}

/// Nothing under these locks can panic half way, so what a panic elsewhere has left is whole.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
