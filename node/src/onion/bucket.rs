//! How many onion messages a peer may send us, and how many we send a peer.
//!
//! A bucket holds so many tokens, a message takes one, and time puts them back one by one. Buckets belong to node ids, not to
//! connections: hanging up fills none.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use core::time::Duration;

use tokio::time::Instant;

use crate::NodeId;

/// The pace of all buckets of a table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// From one token to the next.
    pub(crate) interval: Duration,
    /// Tokens that a full bucket has.
    pub(crate) burst: u32,
}

/// The buckets of all peers. One that is full again is as good as none, so it goes.
#[derive(Debug)]
pub(super) struct Buckets {
    pace: Pace,
    /// Most buckets that are kept; beyond that a newcomer gets no token.
    limit: usize,
    drained: Mutex<HashMap<NodeId, Bucket>>,
}

#[derive(Debug)]
struct Bucket {
    /// When it will be full, if nothing is taken. A bucket that has this in the past is full.
    full_at: Instant,
    /// Whether it was told that it is empty.
    told: bool,
}

/// What came of asking for a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token {
    Taken,
    /// There is none. `first` the first time since the bucket was full.
    None {
        first: bool,
    },
}

impl Buckets {
    pub(super) fn new(pace: Pace, limit: usize) -> Buckets {
        Buckets { pace, limit, drained: Mutex::default() }
    }

    pub(super) fn pace(&self) -> Pace {
        self.pace
    }

    /// Takes a token of this peer's.
    pub(super) fn take(&self, peer: &NodeId, now: Instant) -> Token {
        self.take_leaving(0, peer, now)
    }

    /// Takes a token of this peer's if `left` more are left then.
    pub(super) fn take_leaving(&self, left: u32, peer: &NodeId, now: Instant) -> Token {
        let Pace { interval, burst } = self.pace;
        let mut drained = self.lock();
        if drained.len() >= self.limit && !drained.contains_key(peer) {
            drained.retain(|_, bucket| bucket.full_at > now);
            if drained.len() >= self.limit {
                return Token::None { first: false };
            }
        }
        let bucket = drained.entry(*peer).or_insert(Bucket { full_at: now, told: false });
        if bucket.full_at <= now {
            *bucket = Bucket { full_at: now, told: false };
        }
        // So far ahead a bucket is empty: with less than one token.
        let missing = bucket.full_at.duration_since(now);
        if missing.saturating_add(interval) > interval.saturating_mul(burst.saturating_sub(left)) {
            return Token::None { first: !std::mem::replace(&mut bucket.told, true) };
        }
        // An interval that the clock cannot add is as good as none.
        let Some(full_at) = bucket.full_at.checked_add(interval) else { return Token::None { first: false } };
        bucket.full_at = full_at;
        Token::Taken
    }

    /// From when on [`Buckets::take_leaving`] will find a token, if nobody takes one before. May be in the past.
    pub(super) fn ready_at(&self, left: u32, peer: &NodeId, now: Instant) -> Instant {
        let Pace { interval, burst } = self.pace;
        let full_at = self.lock().get(peer).map_or(now, |bucket| bucket.full_at);
        // So long before it is full it has as many as are needed.
        let before = interval.saturating_mul(burst.saturating_sub(left).saturating_sub(1));
        full_at.checked_sub(before).unwrap_or(now)
    }

    #[cfg(all(test, not(oddwire_loom)))]
    pub(super) fn count(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<NodeId, Bucket>> {
        self.drained.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onion::tests::node;

    const PACE: Pace = Pace { interval: Duration::from_millis(100), burst: 3 };

    #[test]
    fn a_burst_then_the_pace() {
        let buckets = Buckets::new(PACE, 10);
        let start = Instant::now();
        let take = |after: u64| buckets.take(&node(1), start + Duration::from_millis(after));
        assert_eq!([take(0), take(0), take(0)], [Token::Taken; 3]);
        assert_eq!(take(0), Token::None { first: true });
        assert_eq!(take(99), Token::None { first: false });
        assert_eq!(take(100), Token::Taken);
        assert_eq!(take(100), Token::None { first: false });
        assert_eq!(buckets.take(&node(2), start), Token::Taken, "others have their own");
        // Full after three intervals, not fuller after ten.
        assert_eq!([take(2000), take(2000), take(2000)], [Token::Taken; 3]);
        assert_eq!(take(2000), Token::None { first: true });
    }

    #[test]
    fn some_are_left_for_others() {
        let buckets = Buckets::new(PACE, 10);
        let (start, step) = (Instant::now(), PACE.interval);
        let take = |after: u32| buckets.take_leaving(1, &node(1), start + step * after);
        assert!(buckets.ready_at(1, &node(1), start) <= start);
        assert_eq!([take(0), take(0)], [Token::Taken; 2]);
        assert_eq!(take(0), Token::None { first: true });
        assert_eq!(buckets.ready_at(1, &node(1), start), start + step);
        assert_eq!(buckets.take(&node(1), start), Token::Taken);
        assert_eq!(buckets.take(&node(1), start), Token::None { first: false });
        assert_eq!(buckets.ready_at(0, &node(1), start), start + step);
        assert_eq!(buckets.ready_at(1, &node(1), start), start + step * 2);
        assert_eq!([take(1), take(2)], [Token::None { first: false }, Token::Taken]);
    }

    #[test]
    fn the_table_is_bounded_and_forgets_who_is_full() {
        let buckets = Buckets::new(PACE, 2);
        let start = Instant::now();
        assert_eq!(buckets.take(&node(1), start), Token::Taken);
        assert_eq!(buckets.take(&node(2), start), Token::Taken);
        assert_eq!(buckets.take(&node(3), start), Token::None { first: false });
        let later = start + Duration::from_millis(101);
        assert_eq!(buckets.take(&node(3), later), Token::Taken);
        assert_eq!(buckets.lock().len(), 1);
    }

    #[test]
    fn a_pace_that_no_clock_can_count_gives_nothing() {
        let buckets = Buckets::new(Pace { interval: Duration::MAX, burst: u32::MAX }, 2);
        assert_eq!(buckets.take(&node(1), Instant::now()), Token::None { first: false });
    }
}
