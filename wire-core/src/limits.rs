//! Every number that the protocol fixes, once, with its unit and where it comes from.
//!
//! Nothing here is a choice of ours, so nothing here is configurable; the limits that a program may choose
//! (queues, waits, counts of peers) live with the crate that waits or queues.

/// A public key in compressed form, in bytes. BOLT 8, "Handshake State".
pub const PUBLIC_KEY_LEN: usize = 33;

/// A key of ChaCha20-Poly1305, a chaining key and a SHA-256 digest, in bytes. BOLT 8, "Handshake State".
pub const KEY_LEN: usize = 32;

/// A Poly1305 tag, in bytes. BOLT 8, "Lightning Message Specification".
pub const TAG_LEN: usize = 16;

/// The version byte that opens every act, in bytes. BOLT 8, "Handshake Exchange".
pub const HANDSHAKE_VERSION_LEN: usize = 1;

/// The only handshake version there is. Acts with another one are refused. BOLT 8, "Handshake Versioning".
pub const HANDSHAKE_VERSION: u8 = 0;

/// Act one: version, ephemeral key, tag; 50 bytes. BOLT 8, "Act One".
pub const ACT_ONE_LEN: usize = HANDSHAKE_VERSION_LEN + PUBLIC_KEY_LEN + TAG_LEN;

/// Act two: as act one; 50 bytes. BOLT 8, "Act Two".
pub const ACT_TWO_LEN: usize = HANDSHAKE_VERSION_LEN + PUBLIC_KEY_LEN + TAG_LEN;

/// Act three: version, encrypted static key and its tag, tag; 66 bytes. BOLT 8, "Act Three".
pub const ACT_THREE_LEN: usize = HANDSHAKE_VERSION_LEN + PUBLIC_KEY_LEN + TAG_LEN + TAG_LEN;

/// The length that precedes each message, big endian, in bytes. BOLT 8, "Lightning Message Specification".
pub const LENGTH_LEN: usize = 2;

/// A frame's header: the encrypted length and its tag; 18 bytes.
pub const HEADER_LEN: usize = LENGTH_LEN + TAG_LEN;

/// What a frame adds to its message: header and tag of the body; 34 bytes.
pub const FRAME_OVERHEAD: usize = HEADER_LEN + TAG_LEN;

/// The longest message, type and payload together, in bytes: the most that two bytes of length can say. BOLT
/// 1, "Connection Handling and Multiplexing" and BOLT 8.
pub const MAX_MESSAGE_LEN: usize = 65_535;

/// The longest frame on the wire, in bytes.
pub const MAX_FRAME_LEN: usize = MAX_MESSAGE_LEN + FRAME_OVERHEAD;

/// How many texts one key encrypts before it is replaced. BOLT 8, "Lightning Message Key Rotation".
pub const NONCES_PER_KEY: u16 = 1000;

/// How many messages one key encrypts: each takes two nonces, one for its length and one for its body.
pub const MESSAGES_PER_KEY: u16 = NONCES_PER_KEY / 2;

/// The type that opens every message, big endian, in bytes. BOLT 1, "Lightning Message Format".
pub const MESSAGE_TYPE_LEN: usize = 2;

/// A ping that asks for this many pong bytes or more asks for no pong at all. BOLT 1, "The `ping` and `pong`
/// Messages".
pub const NO_PONG_BYTES: u16 = 65_532;

/// The most padding that fits in a ping, in bytes: a message without type and without the two counts before
/// the padding.
pub const MAX_PING_PADDING: u16 = 65_529;

/// A channel id in `error`, `warning` and the messages of BOLT 2, in bytes. All zero: every channel. BOLT 1.
pub const CHANNEL_ID_LEN: usize = 32;

/// The hash of a chain's first block, as `networks` in `init` and the messages of BOLT 2 and 7 carry it, in
/// bytes.
pub const CHAIN_HASH_LEN: usize = 32;

/// The least number of a message type that is for experiments and applications. BOLT 1, "Lightning Message
/// Format".
pub const FIRST_CUSTOM_TYPE: u16 = 32_768;

/// The only onion version there is, its first byte. BOLT 4, "Packet Structure".
pub const ONION_VERSION: u8 = 0;

/// The HMAC of an onion, in bytes: SHA-256, whole. BOLT 4, "Conventions".
pub const ONION_HMAC_LEN: usize = 32;

/// What an onion has around the area for the hops' payloads: version, ephemeral key, HMAC; 66 bytes. BOLT 4, "Packet
/// Structure".
pub const ONION_OVERHEAD: usize = 1 + PUBLIC_KEY_LEN + ONION_HMAC_LEN;

/// The area for payloads in the onion of a payment, and the one that onion messages mostly have, in bytes. BOLT 4, "Packet
/// Structure" and "Onion Messages".
pub const ONION_AREA_LEN: usize = 1300;

/// The other area that BOLT 4 wants onion messages to have, in bytes, so that their lengths tell little. BOLT 4, "Onion
/// Messages".
pub const LARGE_ONION_AREA_LEN: usize = 32_768;

/// How many layers the sender of a failed payment opens however early it has found the failing hop, so that the time it
/// takes tells nothing. BOLT 4, "Returning Errors".
pub const ERROR_LAYERS: usize = 27;

/// The least that a failure message and its padding have together, in bytes, so that failures look alike. BOLT 4, "Returning
/// Errors".
pub const FAILURE_PADDED_LEN: usize = 256;

const _: () = assert!(ACT_ONE_LEN == 50 && ACT_TWO_LEN == 50 && ACT_THREE_LEN == 66);
const _: () = assert!(HEADER_LEN == 18 && FRAME_OVERHEAD == 34 && MAX_FRAME_LEN == 65_569);
// The length in a header is a u16: each of its values is an allowed length.
const _: () = assert!(MAX_MESSAGE_LEN == u16::MAX as usize);
// A key is replaced between two frames, never between the length of one and its body.
const _: () = assert!(NONCES_PER_KEY == 2 * MESSAGES_PER_KEY);
