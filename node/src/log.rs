//! How this crate writes log lines with `tracing`, for whoever prints them.
//!
//! - The target is the module's path; a line about one peer carries its node id in the field `peer`, so that it can be
//!   printed as `NODEID-connectd: TEXT`, where programs made for Core Lightning look for it. `warn` is what Core
//!   Lightning calls unusual.
//! - Every message is written in hex at level `trace` under the target [`IO_TARGET`], on its way in or out, the protocol's own
//!   included. The hex is made only if somebody listens.
//! - What peers send appears as hex or with everything but printable ASCII escaped, never raw.

use std::fmt;

use crate::{Direction, NodeId};

/// Target of the events that show whole messages.
pub const IO_TARGET: &str = "io";

/// Whether anybody wants to see messages. What has to be prepared for it is left out if not.
pub(crate) fn shows_messages() -> bool {
    tracing::enabled!(target: IO_TARGET, tracing::Level::TRACE)
}

/// One message, type included, as Core Lightning's log shows it: `[IN] HEX` or `[OUT] HEX`.
pub(crate) fn message(direction: Direction, peer: &NodeId, message: &[u8]) {
    match direction {
        Direction::In => {
            tracing::trace!(target: IO_TARGET, source = "connectd", %peer, "[IN] {}", Hex(message));
        }
        Direction::Out => {
            tracing::trace!(target: IO_TARGET, source = "connectd", %peer, "[OUT] {}", Hex(message));
        }
    }
}

/// Bytes as hex, made when they are printed.
struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
