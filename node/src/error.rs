//! The errors of a node's operations, one type per operation.

use core::fmt;
use std::io;
use std::net::SocketAddr;

use crate::{CloseReason, MessageType};

/// A message was not accepted for sending. Nothing of it was queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The protocol itself owns this type (BOLT 1, 2, 7).
    #[error("cannot send messages of type {} ({}): the protocol itself uses it", .0.get(), .0.name().unwrap_or("no name"))]
    InternalType(MessageType),
    /// There is no connection to this peer.
    #[error("the peer is not connected: connect first")]
    NotConnected,
    /// The message is longer than a frame can carry (BOLT 8).
    #[error("the message has {len} bytes with its type: at most {limit} fit into one frame")]
    TooLong {
        /// Type and payload, in bytes.
        len: usize,
        /// The largest possible.
        limit: usize,
    },
    /// So much waits for this peer already that no more is taken. Try again when it has read some of it.
    #[error(
        "the send queue is full: {queued_messages} of {limit_messages} messages, {queued_bytes} of {limit_bytes} bytes"
    )]
    Full {
        /// Messages that wait.
        queued_messages: usize,
        /// Bytes that wait.
        queued_bytes: usize,
        /// Most messages that may wait.
        limit_messages: usize,
        /// Most bytes that may wait.
        limit_bytes: usize,
    },
    /// The connection is being closed.
    #[error("the connection to the peer is closing")]
    Closing,
}

/// How far an attempt to connect had come. Displays as Core Lightning words it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectStage {
    /// TCP.
    Establishment,
    /// BOLT 8.
    Handshake,
    /// BOLT 1.
    Init,
}

impl fmt::Display for ConnectStage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ConnectStage::Establishment => "Connection establishment",
            ConnectStage::Handshake => "Cryptographic handshake",
            ConnectStage::Init => "Exchanging init messages",
        })
    }
}

/// An error of the operating system, without its number: `Connection refused`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SystemError {
    kind: io::ErrorKind,
    code: Option<i32>,
}

impl SystemError {
    /// The portable kind.
    pub fn kind(&self) -> io::ErrorKind {
        self.kind
    }
}

impl From<&io::Error> for SystemError {
    fn from(error: &io::Error) -> SystemError {
        SystemError { kind: error.kind(), code: error.raw_os_error() }
    }
}

impl fmt::Display for SystemError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(code) = self.code else { return write!(f, "{}", self.kind) };
        let text = io::Error::from_raw_os_error(code).to_string();
        f.write_str(text.split(" (os error").next().unwrap_or(&text))
    }
}

/// A peer could not be connected to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The id is our own.
    #[error("that is our own node id")]
    OwnId,
    /// TCP did not connect, or broke. Displays as `ADDRESS: STAGE: REASON`, as Core Lightning words it.
    #[error("{address}: {stage}: {error}")]
    System {
        /// Where to.
        address: SocketAddr,
        /// How far it had come.
        stage: ConnectStage,
        /// What the system said.
        error: SystemError,
    },
    /// TCP did not connect in time.
    #[error("{address}: {stage}: Connection timed out", stage = ConnectStage::Establishment)]
    Timeout {
        /// Where to.
        address: SocketAddr,
    },
    /// The connection was closed before it was complete.
    #[error("{address}: {stage}: {}", worded(*stage, *reason))]
    Closed {
        /// Where to.
        address: SocketAddr,
        /// How far it had come.
        stage: ConnectStage,
        /// Why.
        reason: CloseReason,
    },
    /// There are as many peers as the limits allow.
    #[error("{limit} peers are connected already, which is the limit")]
    TooManyPeers {
        /// [`crate::Limits::peers`].
        limit: usize,
    },
    /// The connection was complete, and ended before the peer counted as connected: a [`Gatekeeper`](crate::Gatekeeper) turned
    /// it away, somebody disconnected it, or it left.
    #[error("disconnected during connection")]
    DisconnectedDuring,
    /// The node is shutting down.
    #[error("the node is shutting down")]
    ShuttingDown,
}

/// Core Lightning's words where it has some: a peer that hangs up in the handshake usually has another key.
fn worded(stage: ConnectStage, reason: CloseReason) -> String {
    match (stage, reason) {
        (ConnectStage::Handshake, CloseReason::PeerClosed) => {
            "peer closed connection (wrong key?)".to_owned()
        }
        (_, CloseReason::PeerClosed) => "peer closed connection".to_owned(),
        _ => reason.to_string(),
    }
}

/// A peer could not be disconnected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DisconnectError {
    /// There is no connection to this peer.
    #[error("the peer is not connected")]
    NotConnected,
}

/// A ping was not sent or not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PingError {
    /// There is no connection to this peer.
    #[error("the peer is not connected")]
    NotConnected,
    /// An earlier ping is not answered yet; BOLT 1 has no way to tell two pongs apart.
    #[error("an earlier ping to this peer is not answered yet")]
    AlreadyPending,
    /// The ping would not fit into one frame.
    #[error("a ping with {len} bytes of padding does not fit into one frame: at most {limit}")]
    Oversize {
        /// What was asked for, in bytes.
        len: u16,
        /// What fits, in bytes.
        limit: u16,
    },
    /// The connection closed before the pong came.
    #[error("the peer disconnected before it answered")]
    Disconnected,
}
