//! Message types: the two bytes at the front of every message, and what can be said from them alone.
//!
//! "It's OK to be odd" (BOLT 1, message format): an unknown odd type is ignored, an unknown even one closes the
//! connection. This module knows every type that the BOLTs and Core Lightning have given a name; what is done with a
//! message is decided by [`connection`](crate::connection) and above.

use core::fmt;

use crate::{
    cursor::Reader,
    limits::FIRST_CUSTOM_TYPE,
    words::{
        self,
        Word::{Number, Text},
    },
};

/// The type of a message, a big-endian `u16` on the wire.
///
/// Displays as its number, with its name behind it where it has one: `18 (WIRE_PING)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct MessageType(u16);

impl MessageType {
    /// `warning` (BOLT 1).
    pub const WARNING: Self = Self(1);
    /// `stfu` (BOLT 2), the one channel message outside the channel ranges.
    pub const STFU: Self = Self(2);
    /// `peer_storage` (BOLT 1).
    pub const PEER_STORAGE: Self = Self(7);
    /// `peer_storage_retrieval` (BOLT 1).
    pub const PEER_STORAGE_RETRIEVAL: Self = Self(9);
    /// `init` (BOLT 1).
    pub const INIT: Self = Self(16);
    /// `error` (BOLT 1).
    pub const ERROR: Self = Self(17);
    /// `ping` (BOLT 1).
    pub const PING: Self = Self(18);
    /// `pong` (BOLT 1).
    pub const PONG: Self = Self(19);
    /// `open_channel` (BOLT 2).
    pub const OPEN_CHANNEL: Self = Self(32);
    /// `open_channel2` (BOLT 2).
    pub const OPEN_CHANNEL2: Self = Self(64);
    /// `channel_reestablish` (BOLT 2).
    pub const CHANNEL_REESTABLISH: Self = Self(136);
    /// `onion_message` (BOLT 4).
    pub const ONION_MESSAGE: Self = Self(513);

    /// The type with this number.
    pub const fn new(number: u16) -> Self {
        Self(number)
    }

    /// Its number.
    pub const fn get(self) -> u16 {
        self.0
    }

    /// Whether a node that does not know it may ignore it.
    pub const fn is_odd(self) -> bool {
        self.0 % 2 == 1
    }

    /// Whether a node that does not know it has to close the connection.
    pub const fn is_even(self) -> bool {
        !self.is_odd()
    }

    /// Its name as Core Lightning prints it, `WIRE_PING`; `None` for a type that neither the BOLTs nor Core Lightning
    /// define.
    pub const fn name(self) -> Option<&'static str> {
        match self.definition() {
            Some((name, _)) => Some(name),
            None => None,
        }
    }

    /// Whether the BOLTs or Core Lightning define it.
    pub const fn is_known(self) -> bool {
        self.definition().is_some()
    }

    /// Whether a node handles it itself, so that a user may not send it with `sendcustommsg`: all known types but the
    /// two of peer storage, which Core Lightning too leaves to plugins. 50 types.
    pub const fn is_internal(self) -> bool {
        self.is_known() && !matches!(self, Self::PEER_STORAGE | Self::PEER_STORAGE_RETRIEVAL)
    }

    /// Whether it is a known message about one channel (BOLT 2): `stfu`, or one of the types 32 to 255, which a node
    /// that lacks the channel answers with `error` (BOLT 1).
    pub const fn concerns_channel(self) -> bool {
        self.is_known()
            && (self.0 == Self::STFU.0 || matches!(self.range(), TypeRange::Channel | TypeRange::Commitment))
    }

    /// The least payload of a known type, in bytes after the type: all fields that are always there, with nothing in
    /// those of variable length. A known message that is shorter closes the connection (BOLT 1, message format).
    /// `None` for unknown types, which may have any length.
    ///
    /// Fields that joined a message later do not count, since nodes that leave them out are still about and a node
    /// without channels does not need them: the secret and the point of `channel_reestablish`
    /// (`option_data_loss_protect`), `htlc_maximum_msat` of `channel_update` (`option_channel_htlc_max`), and the
    /// transaction id of `splice_locked` (Core Lightning's first splices).
    ///
    /// A message can reach this length and still be too short for what its own length fields say; only decoding it
    /// tells.
    pub const fn minimum_payload_len(self) -> Option<usize> {
        match self.definition() {
            Some((_, len)) => Some(len),
            None => None,
        }
    }

    /// Which of the groups of BOLT 1 it is in.
    pub const fn range(self) -> TypeRange {
        match self.0 {
            0..=31 => TypeRange::SetupAndControl,
            32..=127 => TypeRange::Channel,
            128..=255 => TypeRange::Commitment,
            256..=511 => TypeRange::Routing,
            512..FIRST_CUSTOM_TYPE => TypeRange::Unassigned,
            FIRST_CUSTOM_TYPE.. => TypeRange::Custom,
        }
    }

    /// Name and least payload length of every type that is defined. Most are from BOLT 1 (below 32, without 2), BOLT 2
    /// (2 and 32 to 255), BOLT 7 (256 to 265) and BOLT 4 (513); 0 and 137 are Core Lightning's own.
    const fn definition(self) -> Option<(&'static str, usize)> {
        Some(match self.0 {
            0 => ("WIRE_PROTOCOL_BATCH_ELEMENT", 34),
            1 => ("WIRE_WARNING", 34),
            2 => ("WIRE_STFU", 33),
            7 => ("WIRE_PEER_STORAGE", 2),
            9 => ("WIRE_PEER_STORAGE_RETRIEVAL", 2),
            16 => ("WIRE_INIT", 4),
            17 => ("WIRE_ERROR", 34),
            18 => ("WIRE_PING", 4),
            19 => ("WIRE_PONG", 2),
            32 => ("WIRE_OPEN_CHANNEL", 319),
            33 => ("WIRE_ACCEPT_CHANNEL", 270),
            34 => ("WIRE_FUNDING_CREATED", 130),
            35 => ("WIRE_FUNDING_SIGNED", 96),
            36 => ("WIRE_CHANNEL_READY", 65),
            38 => ("WIRE_SHUTDOWN", 34),
            39 => ("WIRE_CLOSING_SIGNED", 104),
            40 => ("WIRE_CLOSING_COMPLETE", 48),
            41 => ("WIRE_CLOSING_SIG", 48),
            64 => ("WIRE_OPEN_CHANNEL2", 344),
            65 => ("WIRE_ACCEPT_CHANNEL2", 303),
            66 => ("WIRE_TX_ADD_INPUT", 50),
            67 => ("WIRE_TX_ADD_OUTPUT", 50),
            68 => ("WIRE_TX_REMOVE_INPUT", 40),
            69 => ("WIRE_TX_REMOVE_OUTPUT", 40),
            70 => ("WIRE_TX_COMPLETE", 32),
            71 => ("WIRE_TX_SIGNATURES", 66),
            72 => ("WIRE_TX_INIT_RBF", 40),
            73 => ("WIRE_TX_ACK_RBF", 32),
            74 => ("WIRE_TX_ABORT", 34),
            77 => ("WIRE_SPLICE_LOCKED", 32),
            80 => ("WIRE_SPLICE_INIT", 81),
            81 => ("WIRE_SPLICE_ACK", 73),
            127 => ("WIRE_START_BATCH", 34),
            128 => ("WIRE_UPDATE_ADD_HTLC", 1450),
            130 => ("WIRE_UPDATE_FULFILL_HTLC", 72),
            131 => ("WIRE_UPDATE_FAIL_HTLC", 42),
            132 => ("WIRE_COMMITMENT_SIGNED", 98),
            133 => ("WIRE_REVOKE_AND_ACK", 97),
            134 => ("WIRE_UPDATE_FEE", 36),
            135 => ("WIRE_UPDATE_FAIL_MALFORMED_HTLC", 74),
            136 => ("WIRE_CHANNEL_REESTABLISH", 48),
            137 => ("WIRE_UPDATE_BLOCKHEIGHT", 36),
            256 => ("WIRE_CHANNEL_ANNOUNCEMENT", 430),
            257 => ("WIRE_NODE_ANNOUNCEMENT", 140),
            258 => ("WIRE_CHANNEL_UPDATE", 128),
            259 => ("WIRE_ANNOUNCEMENT_SIGNATURES", 168),
            261 => ("WIRE_QUERY_SHORT_CHANNEL_IDS", 34),
            262 => ("WIRE_REPLY_SHORT_CHANNEL_IDS_END", 33),
            263 => ("WIRE_QUERY_CHANNEL_RANGE", 40),
            264 => ("WIRE_REPLY_CHANNEL_RANGE", 43),
            265 => ("WIRE_GOSSIP_TIMESTAMP_FILTER", 40),
            513 => ("WIRE_ONION_MESSAGE", 35),
            _ => return None,
        })
    }
}

impl fmt::Display for MessageType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.say(f)
    }
}

impl MessageType {
    /// What `Display` shows, without formatting.
    pub(crate) fn say(self, to: &mut impl fmt::Write) -> fmt::Result {
        let number = Number(self.0.into());
        match self.name() {
            Some(name) => words::write(to, &[number, Text(" ("), Text(name), Text(")")]),
            None => words::write(to, &[number]),
        }
    }
}

impl From<u16> for MessageType {
    fn from(number: u16) -> Self {
        Self(number)
    }
}

impl From<MessageType> for u16 {
    fn from(kind: MessageType) -> Self {
        kind.0
    }
}

/// The groups into which BOLT 1 parts the message types, by the highest bit that is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum TypeRange {
    /// 0 to 31: setting up the connection and keeping it (BOLT 1).
    SetupAndControl,
    /// 32 to 127: opening and closing channels (BOLT 2).
    Channel,
    /// 128 to 255: updating a channel's commitment transaction (BOLT 2).
    Commitment,
    /// 256 to 511: gossip about nodes and channels (BOLT 7).
    Routing,
    /// 512 to 32,767: no group of its own; BOLT 4's `onion_message` is here.
    Unassigned,
    /// 32,768 to 65,535: experiments and applications.
    Custom,
}

/// Parts a message into its type and its payload; `None` if it is too short to have a type.
pub fn split(message: &[u8]) -> Option<(MessageType, &[u8])> {
    let mut reader = Reader::new(message);
    let kind = MessageType(reader.u16("type").ok()?);
    Some((kind, reader.rest()))
}
