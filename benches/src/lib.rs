//! Measurements of Oddwire beside the alternatives a user would pick; what the benchmarks share lives here.
//!
//! Run one with `cargo bench -p oddwire-benches --bench send_queue`. Only ratios of one run on one machine mean anything;
//! criterion prints how noisy each figure was. The benchmarks themselves are in `benches/`, one file per subject.

#![forbid(unsafe_code)]

use std::time::Duration;

/// How long each figure is warmed up and measured. Short, so that a whole benchmark takes a minute or two; give
/// criterion's `--measurement-time` for figures to quote.
pub const WARM_UP: Duration = Duration::from_millis(300);
/// See [`WARM_UP`].
pub const MEASUREMENT: Duration = Duration::from_millis(1500);
/// Samples per figure; criterion's least is 10.
pub const SAMPLES: usize = 15;

/// A payload of `len` bytes that does not compress to a single byte.
pub fn payload(len: usize) -> Vec<u8> {
    (0..=u8::MAX).cycle().take(len).collect()
}
