//! How many strangers of one host we answer.
//!
//! A stranger costs us two scalar multiplications up to act two and a third in act three, while an act one that was recorded
//! somewhere costs its sender nothing at all. So each host has a budget, a bucket of tokens that time fills up again, and
//! nothing is computed for a connection before it has taken one. Whoever finds the bucket empty waits in line; whoever finds
//! the line full is closed, and so a host that knocks too often crowds out itself alone.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use core::time::Duration;

use tokio::time::Instant;

use crate::connections::Origin;
use crate::limits::HANDSHAKE_HOSTS;
use crate::onion::Pace;

/// The budgets of all hosts that have used some of theirs.
#[derive(Debug)]
pub(crate) struct Handshakes {
    pace: Pace,
    /// The longest wait in line.
    line: Duration,
    /// A budget that is full again is as good as none, and goes when room is needed.
    hosts: Mutex<HashMap<Origin, Budget>>,
}

#[derive(Debug)]
struct Budget {
    /// When it will be full, if nothing is taken. One that has this in the past is full.
    full_at: Instant,
    /// Whether it was told that somebody had to go.
    told: bool,
}

/// When a connection is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// At once.
    Now,
    /// Not before this.
    At(Instant),
    /// Not at all. `first` the first time since the host's budget was full.
    Never {
        /// See above.
        first: bool,
    },
}

impl Handshakes {
    /// At most `in_line` connections of a host wait.
    pub(crate) fn new(pace: Pace, in_line: usize) -> Handshakes {
        let in_line = u32::try_from(in_line).unwrap_or(u32::MAX);
        Handshakes { pace, line: pace.interval.saturating_mul(in_line), hosts: Mutex::default() }
    }

    /// The turn of a connection that has just come. It is taken, whether the connection lasts so long or not.
    pub(crate) fn turn(&self, address: IpAddr, now: Instant) -> Turn {
        // Behind a loopback address is whoever comes through a proxy (Tor), and a test of a thousand nodes.
        if address.to_canonical().is_loopback() {
            return Turn::Now;
        }
        let Pace { interval, burst } = self.pace;
        let host = Origin::from(address);
        let mut hosts = self.lock();
        if hosts.len() >= HANDSHAKE_HOSTS && !hosts.contains_key(&host) {
            hosts.retain(|_, budget| budget.full_at > now);
            if hosts.len() >= HANDSHAKE_HOSTS {
                return Turn::Never { first: false };
            }
        }
        let budget = hosts.entry(host).or_insert(Budget { full_at: now, told: false });
        if budget.full_at <= now {
            *budget = Budget { full_at: now, told: false };
        }
        // What is missing with this one, beyond what the bucket holds.
        let missing = budget.full_at.duration_since(now).saturating_add(interval);
        let wait = missing.saturating_sub(interval.saturating_mul(burst));
        match budget.full_at.checked_add(interval) {
            Some(full_at) if wait <= self.line => {
                budget.full_at = full_at;
                if wait.is_zero() { Turn::Now } else { Turn::At(now + wait) }
            }
            // An interval that the clock cannot add is as good as none.
            _ => Turn::Never { first: !std::mem::replace(&mut budget.told, true) },
        }
    }

    /// Each step under the lock is complete, so a panic elsewhere does not spoil the table.
    fn lock(&self) -> MutexGuard<'_, HashMap<Origin, Budget>> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace { interval: Duration::from_millis(10), burst: 3 };

    fn ip(last: u16) -> IpAddr {
        let [high, low] = last.to_be_bytes();
        IpAddr::from([203, 0, high, low])
    }

    #[test]
    fn a_burst_then_the_line_then_nothing() {
        let handshakes = Handshakes::new(PACE, 2);
        let start = Instant::now();
        let after = |millis| start + Duration::from_millis(millis);
        let turn = |millis| handshakes.turn(ip(1), after(millis));
        assert_eq!([turn(0), turn(0), turn(0)], [Turn::Now; 3]);
        assert_eq!([turn(0), turn(0)], [Turn::At(after(10)), Turn::At(after(20))]);
        assert_eq!([turn(0), turn(0)], [Turn::Never { first: true }, Turn::Never { first: false }]);
        assert_eq!(handshakes.turn(ip(2), start), Turn::Now, "others have their own");
        // One place in line has come free.
        assert_eq!([turn(10), turn(10)], [Turn::At(after(30)), Turn::Never { first: false }]);
        // However long the flood, a host is answered at its pace: here once in 10 ms, beyond the burst and the line.
        let answered = (11..1_011).filter(|millis| !matches!(turn(*millis), Turn::Never { .. })).count();
        assert_eq!(answered, 100);
        assert_eq!([turn(5_000), turn(5_000), turn(5_000)], [Turn::Now; 3]);
        assert!(matches!(turn(5_000), Turn::At(_)));
    }

    #[test]
    fn loopback_has_no_budget_and_one_ipv6_network_has_one() {
        let handshakes = Handshakes::new(PACE, 0);
        let start = Instant::now();
        for loopback in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
            let turns: Vec<Turn> =
                (0..10).map(|_| handshakes.turn(loopback.parse().unwrap(), start)).collect();
            assert_eq!(turns, [Turn::Now; 10]);
        }
        let of = |text: &str| handshakes.turn(text.parse().unwrap(), start);
        assert_eq!([of("2001:db8::1"), of("2001:db8::2"), of("2001:db8::3")], [Turn::Now; 3]);
        assert_eq!(of("2001:db8::4"), Turn::Never { first: true });
        assert_eq!(of("2001:db8:0:1::4"), Turn::Now);
    }

    #[test]
    fn the_table_is_bounded_and_forgets_who_has_all() {
        let handshakes = Handshakes::new(PACE, 0);
        let start = Instant::now();
        let hosts = u16::try_from(HANDSHAKE_HOSTS).unwrap();
        for host in 0..hosts {
            assert_eq!(handshakes.turn(ip(host), start), Turn::Now);
        }
        assert_eq!(handshakes.turn(ip(hosts), start), Turn::Never { first: false });
        assert_eq!(handshakes.turn(ip(0), start), Turn::Now, "who is in it has his");
        assert_eq!(handshakes.turn(ip(hosts), start + PACE.interval), Turn::Now);
        assert_eq!(handshakes.lock().len(), 2);
    }

    #[test]
    fn a_pace_that_no_clock_can_count_gives_nothing() {
        let handshakes = Handshakes::new(Pace { interval: Duration::MAX, burst: 1 }, 9);
        assert_eq!(handshakes.turn(ip(1), Instant::now()), Turn::Never { first: true });
    }
}
