//! The handshake of BOLT 8: `Noise_XK` over secp256k1, three acts, and then a key for each direction.
//!
//! ```text
//!  initiator                                            responder
//!  Initiator --act one: 50 bytes, ephemeral key-------> AwaitActOne    proves: knows whom it calls
//!  AwaitActTwo <--act two: 50 bytes, ephemeral key----- AwaitActThree  proves: is the one who was called
//!      |      --act three: 66 bytes, static key------->     |          proves: who is calling
//!  Transport                                            (NodeId, Transport)
//! ```
//!
//! One type per state, named for what it waits for, and every step consumes it: an act out of order does not
//! compile, and an act that fails leaves nothing that could go on. Acts are arrays: whoever has fewer bytes
//! has no act yet and must wait; nothing is looked at before. What comes after an act belongs to the next act
//! or frame.
//!
//! The caller brings the randomness as an [`EphemeralKey`](crate::secret::EphemeralKey) and the time limits;
//! the static key is borrowed for the steps that need it.
//!
//! Constant time: all that is done with secrets. Which check failed is told in the error and may be seen in
//! time: these checks are on bytes that the peer itself has sent. Wiping: chaining key, ephemeral key,
//! temporary keys and ECDH results as soon as they are spent. The handshake hash is a hash of public bytes
//! and is left.

mod initiator;
mod responder;
mod symmetric;

use core::{fmt, ops::Range};

pub use initiator::{AwaitActTwo, Initiator};
pub use responder::{AwaitActOne, AwaitActThree, Responder};

use crate::{
    cipher::CipherState,
    frame::{Opener, Sealer},
    limits::{ACT_ONE_LEN, ACT_THREE_LEN, ACT_TWO_LEN, PUBLIC_KEY_LEN, TAG_LEN},
};

/// What a handshake ends with: the ciphers of both directions.
#[derive(Debug)]
pub struct Transport {
    sending: CipherState,
    receiving: CipherState,
}

impl Transport {
    /// The two directions. They have nothing in common any more and may live in different tasks.
    pub fn split(self) -> (Sealer, Opener) {
        (Sealer::new(self.sending), Opener::new(self.receiving))
    }
}

/// Why an act was refused. The names and their order are those of BOLT 8's checks.
///
/// In each case the peer is to be disconnected without an answer: there is no key yet to say anything with.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum HandshakeError {
    /// Act one begins with this version, not 0.
    ActOneBadVersion(u8),
    /// The ephemeral key in act one is no point of the curve.
    ActOneBadPublicKey,
    /// The tag of act one does not hold: the peer means another node, or it does not speak this protocol.
    ActOneBadTag,
    /// Act two begins with this version, not 0.
    ActTwoBadVersion(u8),
    /// The ephemeral key in act two is no point of the curve.
    ActTwoBadPublicKey,
    /// The tag of act two does not hold: the peer is not the node that we meant.
    ActTwoBadTag,
    /// Act three begins with this version, not 0.
    ActThreeBadVersion(u8),
    /// The encrypted static key in act three does not decrypt.
    ActThreeBadCiphertext,
    /// The static key in act three is no point of the curve.
    ActThreeBadPublicKey,
    /// The last tag of act three does not hold: the peer does not own the static key that it showed.
    ActThreeBadTag,
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ActOneBadVersion(version) => {
                write!(f, "act one has handshake version {version}; only version 0 is known")
            }
            Self::ActOneBadPublicKey => f.write_str("the ephemeral key in act one is not a valid public key"),
            Self::ActOneBadTag => f.write_str(
                "act one is not meant for this node: the peer expects another node id, or does not speak Lightning",
            ),
            Self::ActTwoBadVersion(version) => {
                write!(f, "act two has handshake version {version}; only version 0 is known")
            }
            Self::ActTwoBadPublicKey => f.write_str("the ephemeral key in act two is not a valid public key"),
            Self::ActTwoBadTag => {
                f.write_str("act two does not come from the node that was called: check the node id and the address")
            }
            Self::ActThreeBadVersion(version) => {
                write!(f, "act three has handshake version {version}; only version 0 is known")
            }
            Self::ActThreeBadCiphertext => f.write_str("the node id in act three does not decrypt"),
            Self::ActThreeBadPublicKey => f.write_str("the node id in act three is not a valid public key"),
            Self::ActThreeBadTag => {
                f.write_str("act three does not prove the node id that it shows: the peer does not own that key")
            }
        }
    }
}

impl core::error::Error for HandshakeError {}

/// Where the version stands in each act.
const VERSION: usize = 0;
/// Acts one and two: the ephemeral key, then the tag.
const EPHEMERAL: Range<usize> = VERSION + 1..VERSION + 1 + PUBLIC_KEY_LEN;
const EPHEMERAL_TAG: Range<usize> = EPHEMERAL.end..EPHEMERAL.end + TAG_LEN;
/// Act three: the encrypted static key, its tag, and the tag that proves possession.
const STATIC: Range<usize> = VERSION + 1..VERSION + 1 + PUBLIC_KEY_LEN;
const STATIC_TAG: Range<usize> = STATIC.end..STATIC.end + TAG_LEN;
const FINAL_TAG: Range<usize> = STATIC_TAG.end..STATIC_TAG.end + TAG_LEN;

// The acts are arrays of exactly these lengths, so no access at these places can be out of bounds.
const _: () = assert!(EPHEMERAL_TAG.end == ACT_ONE_LEN && EPHEMERAL_TAG.end == ACT_TWO_LEN);
const _: () = assert!(FINAL_TAG.end == ACT_THREE_LEN);

/// The bytes of an act at one of the ranges above, whose length is `N`.
fn field<const N: usize>(act: &[u8], at: Range<usize>) -> [u8; N] {
    let mut field = [0; N];
    field.copy_from_slice(&act[at]);
    field
}

#[cfg(test)]
pub(crate) mod tests;
