//! Text that a node signed with its static key, so that whoever has the text and the signature finds the node id.
//!
//! No BOLT describes it: Core Lightning (`signmessage`) and LND agreed on it. What is signed is the double SHA-256 of
//! `Lightning Signed Message:` and the message; the prefix keeps a node from being talked into signing anything that the
//! protocol itself signs. How a signature is written down (zbase32, hex) is its user's business.
//!
//! There with the feature `libsecp256k1` alone: a peer connection signs nothing, and signatures from which the signer is
//! found would double what firmware links of the crate `k256`.

use core::fmt;

use secp256k1::{Message, ecdsa};
use sha2::{Digest as _, Sha256};

use crate::{node_id::NodeId, secret::StaticKey};

/// What is hashed before the message.
const PREFIX: &[u8] = b"Lightning Signed Message:";

/// Bytes of a signature without its recovery id: the numbers r and s, big-endian.
pub const COMPACT_LEN: usize = 64;

/// An ECDSA signature with the two bits that tell which of the possible keys made it.
#[derive(Copy, Clone, PartialEq, Eq)]
pub struct RecoverableSignature {
    recovery_id: ecdsa::RecoveryId,
    compact: [u8; COMPACT_LEN],
}

impl RecoverableSignature {
    /// Takes a signature that was received. Whether it belongs to anything is found by [`signer`](Self::signer).
    ///
    /// # Errors
    /// [`InvalidSignature`].
    pub fn from_parts(recovery_id: u8, compact: [u8; COMPACT_LEN]) -> Result<Self, InvalidSignature> {
        let recovery_id =
            ecdsa::RecoveryId::try_from(i32::from(recovery_id)).map_err(|_| InvalidSignature::RecoveryId)?;
        ecdsa::RecoverableSignature::from_compact(&compact, recovery_id)
            .map_err(|_| InvalidSignature::OutOfRange)?;
        Ok(RecoverableSignature { recovery_id, compact })
    }

    /// From 0 to 3.
    pub fn recovery_id(&self) -> u8 {
        self.recovery_id.to_u8()
    }

    /// r and s, 32 bytes each, big-endian.
    pub fn compact(&self) -> &[u8; COMPACT_LEN] {
        &self.compact
    }

    /// The node that signed this message. Every signature yields some key for almost every message: it is the caller who
    /// must know whose signature is wanted. `None` for the few that yield none.
    pub fn signer(&self, message: &[u8]) -> Option<NodeId> {
        let signature = ecdsa::RecoverableSignature::from_compact(&self.compact, self.recovery_id).ok()?;
        let point = signature.recover_ecdsa(digest(message)).ok()?;
        NodeId::from_bytes(&point.serialize()).ok()
    }
}

impl fmt::Debug for RecoverableSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecoverableSignature")
            .field("recovery_id", &self.recovery_id())
            .finish_non_exhaustive()
    }
}

impl StaticKey {
    /// Signs a message of any length. The same message always gets the same signature (RFC 6979).
    pub fn sign_message(&self, message: &[u8]) -> RecoverableSignature {
        let (recovery_id, compact) = self.sign_digest(digest(message)).serialize_compact();
        RecoverableSignature { recovery_id, compact }
    }
}

fn digest(message: &[u8]) -> Message {
    let first = Sha256::new().chain_update(PREFIX).chain_update(message).finalize();
    Message::from_digest(Sha256::digest(first).into())
}

/// Why some bytes are not a signature.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum InvalidSignature {
    /// The recovery id is above 3.
    RecoveryId,
    /// r or s is not below the order of the curve.
    OutOfRange,
}

impl fmt::Display for InvalidSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            InvalidSignature::RecoveryId => "a signature's recovery id is a number from 0 to 3",
            InvalidSignature::OutOfRange => {
                "the two numbers of a signature must be below the order of secp256k1; this is no signature"
            }
        })
    }
}

impl core::error::Error for InvalidSignature {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    #[test]
    fn the_signer_is_found_from_what_it_signed() {
        let key = StaticKey::from_bytes(&Secret::new([0x42; 32])).unwrap();
        for message in [&b""[..], b"hi", &[0xff; 1_000]] {
            let signature = key.sign_message(message);
            assert_eq!(signature.signer(message), Some(key.node_id()));
            assert_ne!(signature.signer(b"something else"), Some(key.node_id()));
            let received =
                RecoverableSignature::from_parts(signature.recovery_id(), *signature.compact()).unwrap();
            assert_eq!(received, signature);
        }
    }

    #[test]
    fn what_is_no_signature_is_told_from_one_that_fits_nothing() {
        assert_eq!(RecoverableSignature::from_parts(4, [1; 64]), Err(InvalidSignature::RecoveryId));
        assert_eq!(RecoverableSignature::from_parts(224, [1; 64]), Err(InvalidSignature::RecoveryId));
        assert_eq!(RecoverableSignature::from_parts(0, [0xff; 64]), Err(InvalidSignature::OutOfRange));
        let zero = RecoverableSignature::from_parts(0, [0; 64]).unwrap();
        assert_eq!(zero.signer(b"hi"), None);
    }
}
