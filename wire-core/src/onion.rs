//! Onions (BOLT 4): bytes for the end of a route, wrapped so that each node on the way takes one layer off and learns
//! only where the rest goes next.
//!
//! ```text
//!  message         a whole onion message: composed for a route, received at a hop
//!   |         \
//!  blinded_path  encrypted_data     a route whose nodes the sender does not know, and what each of them is told
//!   |
//!  construct, packet, failure       the onion itself: wrapped, peeled, and the errors that travel back
//!   |
//!  keys, stream                     what each hop's shared secret becomes
//! ```
//!
//! An onion is a version, an ephemeral key, an area of fixed size that holds the payloads, and an HMAC. The area is as long
//! as the buffer that the caller hands in says: 1,300 bytes for payments, 1,300 or 32,768 for messages, or anything else.
//!
//! - To send: [`construct()`], or [`message::compose`] for a whole onion message.
//! - At a hop: [`Packet::parse`], the shared secret, [`Packet::peel`], then [`Forward::into_next`]; each step consumes the
//!   one before. [`message::receive`] does all of it for onion messages.
//! - Back: [`failure`].
//!
//! Nothing here knows who is connected, what was seen before (a replayed onion peels again) or what a payment is.
//!
//! Constant time: secret scalars meet only constant-time multiplication, HMACs are compared in constant
//! time, and a failed payment is traced in the same number of steps wherever it failed. The lengths of payloads decide
//! branches; the node that sees them may know them. Wiping: shared secrets, all keys drawn from them, and the keystream's
//! state; payloads lie in the caller's buffers.

pub mod blinded_path;
pub mod construct;
pub mod encrypted_data;
pub mod failure;
pub mod keys;
pub mod message;
pub mod packet;
mod stream;

pub use blinded_path::{BlindedIdentity, BlindedPath};
pub use construct::{ConstructError, Hop, construct};
pub use encrypted_data::EncryptedData;
pub use keys::SharedSecret;
pub use packet::{Deliver, Forward, Packet, PacketError, PeelError, Peeled};
