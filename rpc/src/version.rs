//! The version that `--version`, `getinfo` and the log show.

/// Clients choose their ways by Core Lightning's version, so the one whose calls we speak comes first; our own follows.
pub const VERSION: &str = concat!("v26.06-oddwire-", env!("CARGO_PKG_VERSION"));
