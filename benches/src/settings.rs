//! How long each figure is warmed up and measured, and how many samples it has.
//!
//! Long enough that the medians of two runs on a quiet machine agree within a few per cent, short enough that the whole
//! suite takes about ten minutes. `ODDWIRE_BENCH_QUICK` (set by `cargo xtask bench --quick`) is for a first look;
//! `ODDWIRE_BENCH_ONLY` is for profiles.

use std::time::Duration;

/// Set to anything: measure a fraction of the usual time.
pub const QUICK: &str = "ODDWIRE_BENCH_QUICK";

/// Measurements whose names begin otherwise are not even prepared; for profiles, which show all that a process does.
pub const ONLY: &str = "ODDWIRE_BENCH_ONLY";

/// The settings of one figure.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Before anything counts.
    pub warm_up: Duration,
    /// All samples of one figure together.
    pub measurement: Duration,
    /// Samples per figure; criterion's least is 10.
    pub samples: usize,
}

/// Of what runs within one process.
pub fn within_a_process() -> Settings {
    if is_quick() {
        Settings { warm_up: Duration::from_millis(50), measurement: Duration::from_millis(150), samples: 10 }
    } else {
        Settings { warm_up: Duration::from_millis(200), measurement: Duration::from_secs(1), samples: 20 }
    }
}

/// Of what needs several processes, sockets and the scheduler, and is as noisy as those.
pub fn across_processes() -> Settings {
    if is_quick() {
        Settings { warm_up: Duration::from_millis(200), measurement: Duration::from_millis(800), samples: 10 }
    } else {
        Settings { warm_up: Duration::from_secs(1), measurement: Duration::from_secs(4), samples: 20 }
    }
}

/// Whether to prepare the measurements whose names begin so.
pub fn is_wanted(prefix: &str) -> bool {
    std::env::var(ONLY).map_or(true, |only| only.starts_with(prefix) || prefix.starts_with(&only))
}

/// Whether a first look is enough.
pub fn is_quick() -> bool {
    std::env::var_os(QUICK).is_some()
}
