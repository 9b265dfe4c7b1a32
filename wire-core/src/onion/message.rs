//! Onion messages (BOLT 4, "Onion Messages"): bytes for a node several hops away, without a channel and without a payment.
//!
//! ```text
//!  compose   nodes, then perhaps a blinded path  ->  path key and onion for the first hop
//!  receive   key, path key, onion                ->  Received::Forward   to whom, with which path key, the next onion
//!                                                or  Received::Deliver   our path id, a path for the answer, the payload
//! ```
//!
//! Every hop is named by a blinded id, those that the sender chose too, so no node sees more than its neighbours. What
//! `onionmsg_tlv` has besides the reply path and the data for the hop belongs to applications and is not read here.

mod compose;
mod receive;

pub use compose::{ComposeError, Composed, Contents, Keys, MAX_HOPS, Route, compose};
pub use receive::{Delivery, Forwarding, NextHop, ReceiveError, Received, receive};

/// The path on which an answer is wanted, a record of `onionmsg_tlv`.
pub const REPLY_PATH: u64 = 2;

/// What the creator of the path tells the hop, a record of `onionmsg_tlv`.
pub const ENCRYPTED_RECIPIENT_DATA: u64 = 4;

/// From here on a record of `onionmsg_tlv` is a payload, of which a message carries one at most.
pub const FIRST_PAYLOAD: u64 = 64;
