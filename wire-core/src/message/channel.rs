//! Which channel a message of BOLT 2 is about.
//!
//! A node without channels needs only this much of BOLT 2: a message about a channel that it does not have is answered
//! with an `error` that names the same channel (BOLT 1, `error`: types 32 to 255). The messages themselves are not
//! decoded.

use super::kind::MessageType;
use crate::{
    cursor::Reader,
    limits::{CHAIN_HASH_LEN, CHANNEL_ID_LEN},
};

/// The id of the channel that a message of this type and with this payload is about.
///
/// `None` for types that [do not concern a channel](MessageType::concerns_channel) and for a payload that ends before
/// the id. What comes back is the peer's word and may be 32 zero bytes, which in an answer would speak of all channels.
pub fn channel_id_of(kind: MessageType, payload: &[u8]) -> Option<[u8; CHANNEL_ID_LEN]> {
    if !kind.concerns_channel() {
        return None;
    }
    let mut reader = Reader::new(payload);
    // BOLT 2, `open_channel` and `open_channel2`: the temporary id comes second. Everywhere else the id comes first.
    if matches!(kind, MessageType::OPEN_CHANNEL | MessageType::OPEN_CHANNEL2) {
        reader.take(CHAIN_HASH_LEN, "chain_hash").ok()?;
    }
    reader.take_array("channel_id").ok()
}
