//! What the I/O loop asks of a clock: the time, and to be woken at one.

use wire_core::connection::Timestamp;

/// A monotonic clock. One serves all connections, so it is used through a shared reference.
pub trait Clock {
    /// The time now.
    fn now(&self) -> Timestamp;

    /// Returns when `deadline` has come; at once if it is past. Dropping it early is allowed.
    fn until(&self, deadline: Timestamp) -> impl Future<Output = ()>;
}
