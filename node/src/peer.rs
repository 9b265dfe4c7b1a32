//! One connected peer: what is known about it, and (in the modules below) the roles that carry its connection.

pub(crate) mod accept;
pub(crate) mod dial;
pub(crate) mod handle;
mod keystream;
pub(crate) mod mailbox;
mod reader;
mod task;
pub(crate) mod turn;
pub(crate) mod writer;

use core::fmt;
use std::net::SocketAddr;
use std::time::SystemTime;

use bytes::Bytes;

use crate::NodeId;

/// Who made a connection, or which way a message went, seen from us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// The peer connected to us; the peer sent it.
    In,
    /// We connected to the peer; we sent it.
    Out,
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Direction::In => "in",
            Direction::Out => "out",
        })
    }
}

/// A peer as it stood when asked. It does not change by itself afterwards.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeerInfo {
    /// The peer's node id, proven by the handshake.
    pub id: NodeId,
    /// Who connected to whom.
    pub direction: Direction,
    /// The other end of the TCP connection: where we connected to, or where the peer came from.
    pub address: SocketAddr,
    /// The feature bits of the peer's `init`, both fields together, big-endian without leading zero bytes (BOLT 9).
    /// Bits from 8,192 on, which nobody has assigned, are left out.
    pub features: Bytes,
    /// The address that the peer says it sees us at (`remote_addr` of its `init`), if it is an IP address.
    pub seen_as: Option<SocketAddr>,
    /// When `init` had been exchanged.
    pub connected_since: SystemTime,
    /// What went over the connection so far.
    pub traffic: Traffic,
}

/// Counters of one connection. Messages of every type count, ours and the protocol's own, and the acts of the handshake;
/// bytes are those on the wire, framing included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Traffic {
    /// Messages received.
    pub messages_in: u64,
    /// Bytes received.
    pub bytes_in: u64,
    /// Messages written to the socket.
    pub messages_out: u64,
    /// Bytes written to the socket.
    pub bytes_out: u64,
    /// Messages that wait to be sent.
    pub queued_messages: usize,
    /// Bytes that wait to be sent.
    pub queued_bytes: usize,
}
