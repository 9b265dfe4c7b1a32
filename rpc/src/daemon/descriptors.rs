//! How many files the process may have open, and what that means for the node: every peer and every client is one.

use oddwire_node::Limits;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::limits::{OTHERS_SHARE, STRANGERS_SHARE};

#[cfg(test)]
mod tests;

/// Lets the process open as many files as the system allows it at all, since the limit that processes start with is the one
/// that suits programs from before there were others. Returns how many that are; `None` is without a limit.
pub(super) fn raise_limit() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return limit.current;
    }
    let shown = |limit: Option<u64>| limit.map_or_else(|| "none".to_owned(), |files| files.to_string());
    match setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        Ok(()) => {
            tracing::debug!(
                source = "lightningd",
                "limit of open files raised from {} to {}",
                shown(limit.current),
                shown(limit.maximum)
            );
            limit.maximum
        }
        Err(error) => {
            tracing::warn!(source = "lightningd", "cannot raise the limit of open files: {error}");
            limit.current
        }
    }
}

/// The node's limits where so many files may be open: peers and strangers never take all of them, so that the owner can still
/// call, plugins can start and files can be opened whoever connects.
pub(super) fn limits_within(files: Option<u64>) -> Limits {
    let mut limits = Limits::default();
    let Some(files) = files.map(|files| usize::try_from(files).unwrap_or(usize::MAX)) else { return limits };
    limits.pending_inbound = limits.pending_inbound.min(files / STRANGERS_SHARE).max(1);
    let left = files.saturating_sub(limits.pending_inbound).saturating_sub(files / OTHERS_SHARE);
    if left < limits.peers {
        tracing::warn!(
            source = "lightningd",
            "no more than {left} peers at a time: the system lets us open {files} files. `ulimit -n` raises that, or \
             LimitNOFILE= of systemd"
        );
        limits.peers = left;
    }
    limits
}
