//! Waking the consumer when it sleeps, and only then.
//!
//! The usual cell for this, `AtomicWaker`, hands the waker to one thread: while a producer is between taking it and
//! calling it, the others trust that it will. A producer that stops right there would leave the messages of all others
//! lying. Here every producer that finds the alarm armed calls the waker itself, by reference, as many at a time as
//! there are; so a stopped producer delays nothing but its own message.
//!
//! # Why no wake-up is lost
//!
//! The consumer, in this order: stores its waker, arms the alarm, looks at the stack by an exchange
//! (`Stack::is_settled`), sleeps if it was empty. A producer, in this order: pushes by an exchange, looks whether the
//! alarm is armed. Both exchanges are on the same word, so one comes first:
//!
//! - the push: the consumer sees the frame and does not sleep;
//! - the consumer's: the push reads what it wrote, so the producer sees the alarm armed, and the waker behind it.
//!
//! Each arming has its own number, so a slow producer that reports "called" can disarm only the arming it answered, never
//! a later one.

use std::task::Waker;

use super::sync::{AtomicUsize, Ordering, UnsafeCell};

/// Set in `access` while the consumer replaces the waker.
const REPLACING: usize = 1;
/// Added to `access` for each producer that is calling the waker.
const CALLER: usize = 2;

/// The consumer's waker, and whether it wants to be called.
#[derive(Debug)]
pub(super) struct Alarm {
    /// Odd: armed. The consumer makes it odd, whoever answers makes it even; it only grows.
    arming: AtomicUsize,
    /// [`REPLACING`], or the number of callers times [`CALLER`].
    access: AtomicUsize,
    waker: UnsafeCell<Option<Waker>>,
}

// SAFETY: `waker` is written only by the consumer while `access` says `REPLACING`, and then no caller reads it; a `Waker`
// itself may be called from any thread.
unsafe impl Sync for Alarm {}

impl Alarm {
    pub(super) fn new() -> Self {
        Self { arming: AtomicUsize::new(0), access: AtomicUsize::new(0), waker: UnsafeCell::new(None) }
    }

    /// For producers, after a push: calls the consumer if it waits.
    ///
    /// Wait-free, apart from what the waker itself does. Costs one load when the consumer does not wait.
    pub(super) fn ring(&self) {
        // Relaxed: the push before it is what orders it, see above.
        let arming = self.arming.load(Ordering::Relaxed);
        if arming.is_multiple_of(2) {
            return;
        }
        // Acquire: pairs with the Release that ended the replacement, so the waker is seen whole.
        let access = self.access.fetch_add(CALLER, Ordering::Acquire);
        // A consumer that is replacing its waker is awake and looks at the stack afterwards: no call needed.
        if access & REPLACING == 0 {
            self.waker.with(|waker| {
                // SAFETY: `access` counts this caller, so the consumer does not write.
                if let Some(waker) = unsafe { &*waker } {
                    waker.wake_by_ref();
                }
            });
        }
        // Release: the reading above is over before the consumer may write.
        self.access.fetch_sub(CALLER, Ordering::Release);
        // Called: the others can save themselves the trouble. Failure means that someone else said so first. Relaxed:
        // nothing is published by it.
        let _ = self.arming.compare_exchange(
            arming,
            arming.wrapping_add(1),
            Ordering::Relaxed,
            Ordering::Relaxed,
        );
    }

    /// For the consumer: stores `waker` to be called from the next [`Self::arm`] on. Wait-free.
    ///
    /// Answers false if the old waker is another one and is being called at this moment. The consumer then has to poll
    /// again soon, without going to sleep; the old task is awake in any case.
    #[must_use]
    pub(super) fn store(&self, waker: &Waker) -> bool {
        let same = self.waker.with(|stored| {
            // SAFETY: only the consumer writes, and the consumer is here.
            unsafe { &*stored }.as_ref().is_some_and(|stored| stored.will_wake(waker))
        });
        same || self.replace(Some(waker.clone()))
    }

    /// For the consumer: asks for a call. What was stored before is seen by whoever sees this through the stack.
    ///
    /// Always under a new number, even if still armed from a wait that was given up, so that a caller which answered that
    /// one, with the waker of then, cannot disarm this one.
    pub(super) fn arm(&self) {
        self.disarm();
        // Only this thread turns even into odd, so nobody changes an even number in between. Relaxed: `is_settled`,
        // which follows, publishes it.
        let arming = self.arming.load(Ordering::Relaxed);
        self.arming.store(arming.wrapping_add(1), Ordering::Relaxed);
    }

    /// For the consumer: no call is needed any more. A caller on its way may still call once.
    pub(super) fn disarm(&self) {
        let arming = self.arming.load(Ordering::Relaxed);
        if !arming.is_multiple_of(2) {
            let next = arming.wrapping_add(1);
            let _ = self.arming.compare_exchange(arming, next, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    /// For the consumer: forgets the waker, so that the queue does not keep a finished task alive.
    pub(super) fn forget(&self) {
        self.disarm();
        // If it is being called just now it stays until the queue goes.
        let _ = self.replace(None);
    }

    fn replace(&self, waker: Option<Waker>) -> bool {
        // Acquire: pairs with the Release of the last caller, whose reading is over.
        if self.access.compare_exchange(0, REPLACING, Ordering::Acquire, Ordering::Relaxed).is_err() {
            return false;
        }
        let old = self.waker.with_mut(|stored| {
            // SAFETY: `REPLACING` was set while no caller was inside, and keeps out those that come now.
            std::mem::replace(unsafe { &mut *stored }, waker)
        });
        // Release: the next caller sees the new waker. Subtracted, not stored: callers may have counted themselves.
        self.access.fetch_sub(REPLACING, Ordering::Release);
        // Dropped only now: dropping a waker runs foreign code.
        drop(old);
        true
    }
}
