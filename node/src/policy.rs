//! What our side makes of the end of a connection: one match over all reasons.
//!
//! Detection lives in `wire_core`, and so does what the peer is told; here is decided how loudly the end is logged,
//! whether the socket stays for a moment so that the peer can read our last bytes, and when it makes sense to connect
//! again. Nothing else in this crate judges a reason.

use wire_core::connection::CloseReason;

/// How the end of a connection is treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Treatment {
    /// How it is logged.
    pub severity: Severity,
    /// Whether our last bytes are worth waiting for.
    pub(crate) parting: Parting,
    /// When to try the same peer again, for whoever wants to stay connected to it.
    pub reconnect: Reconnect,
}

/// How much an operator wants to know of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The ordinary end of a connection.
    Ordinary,
    /// The peer broke the protocol, or something is wrong between us.
    Unusual,
}

/// When another attempt makes sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reconnect {
    /// Nothing is wrong with the peer.
    AtOnce,
    /// It may be well again in a while; sooner would only cost both sides.
    Later,
    /// It would end the same way until one side is set up differently, or nobody wants the connection.
    Never,
}

/// What happens to the socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Parting {
    /// Our side is shut, and for a moment the peer may read what we wrote last. Closing at once would make the system
    /// answer the peer's unread bytes with a reset, which destroys what is on its way.
    Linger,
    /// There is nobody or nothing to wait for.
    AtOnce,
}

impl Treatment {
    /// The treatment for a reason.
    pub fn of(reason: CloseReason) -> Treatment {
        use CloseReason as Why;
        use Parting::{AtOnce as Drop, Linger};
        use Reconnect::{AtOnce, Later, Never};
        use Severity::{Ordinary, Unusual};
        let (severity, parting, reconnect) = match reason {
            // Nobody has proven to be anybody: scanners do this all day.
            Why::Handshake(_)
            | Why::HandshakeTimeout
            | Why::InitTimeout
            | Why::TooManyPending
            | Why::PingTimeout => (Ordinary, Drop, Later),
            Why::NoMessageType { .. }
            | Why::MessageTooShort(_)
            | Why::InitNotFirst(_)
            | Why::InitRepeated
            | Why::InvalidInit(_)
            | Why::InitTooLong { .. }
            | Why::UnknownEvenType(_) => (Unusual, Linger, Later),
            Why::UnknownEvenFeature(_) | Why::MissingFeatureDependency { .. } | Why::NoCommonChain => {
                (Unusual, Linger, Never)
            }
            Why::PeerClosed | Why::Transport => (Ordinary, Drop, AtOnce),
            // A peer that has dialled at the same moment as we learns from the good order that we have moved.
            Why::LocalDisconnect | Why::Shutdown | Why::Replaced => (Ordinary, Linger, Never),
            Why::TooManyPeers => (Ordinary, Linger, Later),
            Why::BadFrame(_) | Why::PeerError | Why::WriteStalled | Why::NoRoomToTransmit => {
                (Unusual, Drop, Later)
            }
        };
        Treatment { severity, parting, reconnect }
    }
}
