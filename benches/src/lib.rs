//! Measurements of Oddwire beside the alternatives a user would pick; what the benchmarks share lives here.
//!
//! `cargo xtask bench` runs them all and writes the table; `cargo bench -p oddwire-benches --bench send_queue` runs one. Only
//! ratios of one run on one machine mean anything, and nothing here fails for being slow. The benchmarks themselves are in
//! `benches/`, one file per subject.
//!
//! - [`end`]: a node at one end of a connection, Oddwire's or LDK's, as its user has it.
//! - [`child`]: the other processes of a benchmark. They are the same program, started with a role.
//! - [`figures`]: figures that criterion has no place for (memory, percentiles), written down beside its own.
//! - [`settings`]: how long and how often each figure is measured.

#![forbid(unsafe_code)]

use std::time::Duration;

pub mod child;
pub mod end;
pub mod figures;
pub mod settings;

/// The time for `wanted` messages, when `done` took `elapsed`: some work can be timed in whole steps only, and criterion asks
/// for any number.
pub fn share_of(elapsed: Duration, done: u64, wanted: u64) -> Duration {
    let nanoseconds = elapsed.as_nanos() * u128::from(wanted) / u128::from(done.max(1));
    Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
}

/// A payload of `len` bytes that does not compress to a single byte.
pub fn payload(len: usize) -> Vec<u8> {
    (0..=u8::MAX).cycle().take(len).collect()
}
