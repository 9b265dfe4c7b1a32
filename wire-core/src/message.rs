//! What stands in the plaintext of one Lightning message (BOLT 1): a type, a payload, perhaps a TLV stream behind it.
//!
//! One file per thing on the wire. Decoders borrow from the message and never allocate; encoders fill a
//! [`Writer`](crate::cursor::Writer). `decode` takes the payload, that is the message without its two type bytes
//! ([`kind::split`] parts them); `encode` writes the type too. Bytes behind the last field of a message that has no TLV
//! stream of its own are a later extension and are ignored (BOLT 1, message format).
//!
//! | file | holds |
//! |---|---|
//! | [`kind`] | message types: names, parity, ranges, least lengths, which ones a node handles itself |
//! | [`init`], [`features`], [`address`] | what two peers tell each other first |
//! | [`error`], [`text`] | `error` and `warning`, and how their text may be shown |
//! | [`ping`] | `ping` and `pong` |
//! | [`onion_message`] | an onion between two neighbours |
//! | [`channel`] | which channel a BOLT 2 message is about, for answering that we have none |
//! | [`bigsize`], [`tlv`] | the encodings that the rest is made of |
//!
//! Nothing here knows what state a connection is in or what is done about a bad message: that is
//! [`connection`](crate::connection)'s.

pub mod address;
pub mod bigsize;
pub mod channel;
pub mod error;
pub mod features;
pub mod init;
pub mod kind;
pub mod onion_message;
pub mod ping;
pub mod text;
pub mod tlv;
