//! Why a connection ended, and the last word that the peer hears about it.
//!
//! What is told to the peer is decided here, in one total match, and nowhere else.

use core::fmt;

use crate::frame::OpenError;
use crate::message::features::{FeatureBit, MissingDependency};
use crate::message::init::InitError;
use crate::message::kind::MessageType;
use crate::noise::HandshakeError;
use crate::words::{
    self, Word,
    Word::{Hex, Number, Text},
};

/// Why a connection closed or is closing. The first reason stays, whatever happens on the way out.
///
/// Every reason wants a decision of whoever drives connections (log it how, dial again when), so the list is
/// open to a `match` without a wildcard, and a new reason is a breaking change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum CloseReason {
    /// The peer's act did not hold.
    Handshake(HandshakeError),
    /// The peer did not finish the handshake in time.
    HandshakeTimeout,
    /// The peer proved its identity but sent no `init` in time.
    InitTimeout,
    /// The peer answered neither a ping nor sent anything else since.
    PingTimeout,
    /// A frame failed its tag: it was damaged, replayed, or is not from this peer.
    BadFrame(OpenError),
    /// A message of 0 or 1 bytes has no type.
    NoMessageType {
        /// The message's length in bytes.
        len: usize,
    },
    /// A known message ended before its last field.
    MessageTooShort(MessageType),
    /// Something other than `init` came first.
    InitNotFirst(MessageType),
    /// `init` came twice.
    InitRepeated,
    /// The peer's `init` does not decode.
    InvalidInit(InitError),
    /// The peer's `init` is longer than what we receive whole, so nothing is known of what it requires.
    InitTooLong {
        /// Its length in bytes, type included.
        len: u16,
    },
    /// The peer requires a feature that we do not know.
    UnknownEvenFeature(FeatureBit),
    /// The peer offers a feature without one that it depends on.
    MissingFeatureDependency(MissingDependency),
    /// The peer's `networks` do not contain our chain.
    NoCommonChain,
    /// An even type that nobody on our side understands.
    UnknownEvenType(MessageType),
    /// The peer sent `error` for the whole connection.
    PeerError,
    /// The peer closed the connection.
    PeerClosed,
    /// The driver's transmit buffer has less than
    /// [`LEAST_TRANSMIT_ROOM`](super::LEAST_TRANSMIT_ROOM) bytes.
    NoRoomToTransmit,
    /// So many others wait to be authenticated that the oldest of them, this one, had to make room.
    TooManyPending,
    /// We have as many peers as we want.
    TooManyPeers,
    /// Our user asked for it.
    LocalDisconnect,
    /// A newer connection of the same peer took this one's place.
    Replaced,
    /// Our node is going down.
    Shutdown,
    /// The peer read nothing for so long that writes stalled.
    WriteStalled,
    /// The operating system reported an error on the transport below.
    Transport,
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // No peer is told of these, so their details may be formatted.
            Self::Handshake(error) => write!(f, "handshake failed: {error}"),
            Self::BadFrame(error) => write!(f, "undecryptable frame: {error}"),
            reason => reason.say(f),
        }
    }
}

impl CloseReason {
    /// What `Display` shows, without formatting and without the details of what no peer is told.
    fn say(&self, to: &mut impl fmt::Write) -> fmt::Result {
        let words = match self {
            Self::Handshake(_) => "handshake failed",
            Self::BadFrame(_) => "undecryptable frame",
            Self::HandshakeTimeout => "the peer did not finish the handshake in time",
            Self::InitTimeout => "the peer sent no init message in time",
            Self::PingTimeout => "Last ping unreturned: hanging up",
            Self::NoMessageType { len } => {
                words::write(to, &[Text("Invalid message of "), Word::count(*len)])?;
                " bytes: a message starts with its 2-byte type"
            }
            Self::MessageTooShort(kind) => {
                kind.say(to)?;
                " message too short"
            }
            Self::InitNotFirst(kind) => {
                kind.say(to)?;
                " message before init"
            }
            Self::InitRepeated => "init message sent twice",
            Self::InvalidInit(error) => {
                to.write_str("Invalid init: ")?;
                return error.say(to);
            }
            Self::InitTooLong { len } => {
                words::write(to, &[Text("init message of "), Number((*len).into())])?;
                " bytes is too long for this node"
            }
            Self::UnknownEvenFeature(bit) => {
                to.write_str("Unsupported feature ")?;
                return bit.say(to);
            }
            Self::MissingFeatureDependency(missing) => return missing.say(to),
            Self::NoCommonChain => "No common network",
            Self::UnknownEvenType(kind) => {
                let kind = Number(kind.get().into());
                return words::write(to, &[Text("Invalid unknown even msg of type "), kind]);
            }
            Self::PeerError => "the peer sent an error for the connection",
            Self::PeerClosed => "the peer closed the connection",
            Self::NoRoomToTransmit => "the transmit buffer is too small for what the protocol owes",
            Self::TooManyPending => "too many connections wait for their init: the oldest made room",
            Self::TooManyPeers => "too many peers are connected",
            Self::LocalDisconnect => "disconnected by request",
            Self::Replaced => "replaced by a newer connection of the same peer",
            Self::Shutdown => "the node is shutting down",
            Self::WriteStalled => "the peer stopped reading",
            Self::Transport => "the transport below failed",
        };
        to.write_str(words)
    }
}

impl core::error::Error for CloseReason {}

impl CloseReason {
    /// What the peer is told before we hang up, or nothing: it would not hear it, or it
    /// did nothing wrong. `offending` is the message that caused it, empty if none did.
    pub(super) fn farewell(self, offending: &[u8]) -> Option<Farewell> {
        match self {
            Self::UnknownEvenType(_)
            | Self::MessageTooShort(_)
            | Self::NoMessageType { .. }
            | Self::InitNotFirst(_)
            | Self::InitRepeated
            | Self::InvalidInit(_)
            | Self::InitTooLong { .. }
            | Self::UnknownEvenFeature(_)
            | Self::MissingFeatureDependency(_)
            | Self::NoCommonChain
            | Self::TooManyPeers => Some(Farewell::new(self, offending)),
            Self::Handshake(_)
            | Self::HandshakeTimeout
            | Self::InitTimeout
            | Self::PingTimeout
            | Self::BadFrame(_)
            | Self::PeerError
            | Self::PeerClosed
            | Self::NoRoomToTransmit
            | Self::TooManyPending
            | Self::LocalDisconnect
            | Self::Replaced
            | Self::Shutdown
            | Self::WriteStalled
            | Self::Transport => None,
        }
    }
}

/// How much of an offending message a farewell quotes, in bytes. Enough for its type and first fields; a
/// longer one is cut and marked, so that a peer cannot make us keep or send back its largest message.
const MOST_QUOTED: usize = 64;

/// Room for the longest farewell: its words, two hex digits per quoted byte, and the mark of a cut.
pub(super) const MOST_FAREWELL_LEN: usize = 192;

/// Our last warning on a connection: what it is about, and the front of the message that caused it. It becomes words when
/// it is shown or sent.
#[derive(Clone, Debug)]
pub(super) struct Farewell {
    reason: CloseReason,
    /// Its room is initialized, since what a compiler moves around in uninitialized room may be the remains of a key.
    quoted: [u8; MOST_QUOTED],
    /// Of the whole message, in bytes.
    offending_len: u16,
}

impl Farewell {
    fn new(reason: CloseReason, offending: &[u8]) -> Self {
        let mut quoted = [0; MOST_QUOTED];
        quoted.iter_mut().zip(offending).for_each(|(to, byte)| *to = *byte);
        // A message has at most 65,535 bytes.
        Self { reason, quoted, offending_len: u16::try_from(offending.len()).unwrap_or(u16::MAX) }
    }
}

impl fmt::Display for Farewell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.say(f)
    }
}

impl Farewell {
    /// What `Display` shows, without formatting.
    fn say(&self, to: &mut impl fmt::Write) -> fmt::Result {
        let what = match self.reason {
            // Core Lightning's words, which its tests and those of its plugins wait for.
            CloseReason::UnknownEvenType(_) => "unknown even msg",
            CloseReason::MessageTooShort(MessageType::PING) => "ping",
            CloseReason::MessageTooShort(kind) => kind.name().unwrap_or("message"),
            reason => return reason.say(to),
        };
        let len = usize::from(self.offending_len);
        let quoted = self.quoted.get(..len).unwrap_or(&self.quoted);
        let cut = if len > MOST_QUOTED { "..." } else { "" };
        words::write(to, &[Text("Invalid "), Text(what), Text(" "), Hex(quoted), Text(cut)])
    }
}

/// The words of a farewell as bytes. What does not fit is cut between two characters.
pub(super) struct FarewellText {
    text: [u8; MOST_FAREWELL_LEN],
    len: usize,
}

impl FarewellText {
    pub(super) fn new(farewell: &Farewell) -> Self {
        let mut text = Self { text: [0; MOST_FAREWELL_LEN], len: 0 };
        // A text that does not fit is cut, which is reported as an error.
        let _ = farewell.say(&mut text);
        text
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.text.get(..self.len).unwrap_or_default()
    }
}

/// Writes until the room ends, then stops with an error.
impl fmt::Write for FarewellText {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.text.get_mut(self.len..).unwrap_or_default();
        let fits = text.floor_char_boundary(room.len());
        room.iter_mut().zip(text.bytes().take(fits)).for_each(|(to, byte)| *to = byte);
        self.len += fits;
        if fits < text.len() { Err(fmt::Error) } else { Ok(()) }
    }
}
