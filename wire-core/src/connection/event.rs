//! What a connection tells its driver, lent from the driver's own receive buffer.

use crate::message::error::{ErrorMessage, WarningMessage};
use crate::message::init::Init;
use crate::message::kind::MessageType;
use crate::node_id::NodeId;

/// What one call of [`Connection::receive`](super::Connection::receive) did with the bytes it was shown.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Received<'a> {
    /// How many bytes at the front of the input are done with. The driver drops them before the next call.
    pub consumed: usize,
    /// What the driver should know of, if anything.
    pub event: Option<Event<'a>>,
    /// How many bytes more, at least, the next step needs; 0 if another call may go on with what is there, or if
    /// [`wants_read`](super::Connection::wants_read) is false now.
    pub wanted: usize,
    /// The message that was taken, type included, whatever became of it; for a driver that shows its messages to somebody.
    pub message: Option<&'a [u8]>,
}

/// What happened on a connection. Bytes are borrowed from the driver's input: keep what must be kept.
#[derive(Debug)]
#[non_exhaustive]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Event<'a> {
    /// The handshake is done and the peer has proven to be this node. Our `init` waits to be transmitted.
    Authenticated(NodeId),
    /// The peer's `init` came and suits us: custom messages may flow both ways.
    Open(Init<'a>),
    /// A message that the protocol does not handle itself: an unknown odd type, an even type that
    /// [`EvenTypes`] allows, or peer storage (types 7 and 9).
    Message {
        /// The message's type.
        kind: MessageType,
        /// The message without its two bytes of type.
        payload: &'a [u8],
        /// The whole message, type included.
        message: &'a [u8],
    },
    /// A message that is longer than [`Local::longest_message`](super::Local::longest_message): its tag held, and it was
    /// dropped. What the protocol can do with its first bytes it has done; a `warning` or an `error` is also told here.
    TooLong {
        /// The message's type.
        kind: MessageType,
        /// Length of the whole message in bytes, type included.
        len: u16,
    },
    /// An `onion_message`, not looked into: [`OnionMessage::decode`](crate::message::onion_message::OnionMessage::decode)
    /// reads it, and whoever has no use for it ignores it.
    OnionMessage {
        /// The message without its two bytes of type.
        payload: &'a [u8],
    },
    /// The peer answered a ping.
    Pong {
        /// Length of the whole pong message in bytes, type included, as Core Lightning's `ping` reports it.
        total_len: u16,
        /// Whose ping it answers.
        asked_by: PingOrigin,
    },
    /// The peer is unhappy but stays.
    Warning(WarningMessage<'a>),
    /// The peer gives up on a channel or, with the all-zero channel id, on the connection, which then closes.
    Error(ErrorMessage<'a>),
    /// A known message for which this node has no use: gossip, or a channel message, which was answered.
    Ignored(MessageType),
}

/// Who wanted a ping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum PingOrigin {
    /// [`Connection::ping`](super::Connection::ping) was called.
    Caller,
    /// The connection was idle and wanted to know whether the peer is still there.
    Keepalive,
}

/// Which even custom types somebody on our side understands. BOLT 1 lets a peer send an even type only if it
/// knows that we do; all others close the connection.
pub trait EvenTypes {
    /// Whether a message of this even type is welcome now.
    fn allows(&self, kind: MessageType) -> bool;
}

/// No even custom type is welcome.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct NoEvenTypes;

impl EvenTypes for NoEvenTypes {
    fn allows(&self, _kind: MessageType) -> bool {
        false
    }
}

/// A short list of even types, searched from the front.
impl EvenTypes for [MessageType] {
    fn allows(&self, kind: MessageType) -> bool {
        self.contains(&kind)
    }
}
