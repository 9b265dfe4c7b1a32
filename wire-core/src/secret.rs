//! Bytes and keys that must not leak: they overwrite themselves when dropped, print nothing of their content,
//! compare in constant time, and can be neither copied nor cloned.
//!
//! - [`Secret`]: any bytes. What they mean is known by the module that holds them.
//! - [`StaticKey`]: the key that a node keeps for life, with the [`NodeId`] that belongs to it.
//! - [`EphemeralKey`]: a key for one handshake, one onion or one blinded path, which consumes it.
//!
//! All arithmetic on keys is that of `curve`, in constant time. Where random bytes come from is the caller's
//! concern.
//!
//! Moving a value may leave its old bytes behind, and the types of the crates for the curve are `Copy`: wiping here
//! reaches every place that this crate can name, not those that only the compiler knows.

use core::fmt;

use subtle::ConstantTimeEq as _;
use zeroize::ZeroizeOnDrop;

use crate::{
    curve::{Point, Scalar},
    limits::KEY_LEN,
    node_id::NodeId,
};

/// `N` secret bytes: overwritten with zeros when dropped, redacted in `Debug`, compared in constant time.
#[derive(ZeroizeOnDrop)]
pub struct Secret<const N: usize>([u8; N]);

impl<const N: usize> Secret<N> {
    /// Takes over the bytes. The array is moved in; a copy that the caller keeps is the caller's to wipe.
    pub const fn new(bytes: [u8; N]) -> Self {
        Self(bytes)
    }

    /// The bytes, for as long as the secret lives. Do not copy them without need.
    pub fn expose(&self) -> &[u8; N] {
        &self.0
    }

    /// The bytes, to be written where they lie: what is computed in place leaves no copy elsewhere.
    pub(crate) fn expose_mut(&mut self) -> &mut [u8; N] {
        &mut self.0
    }
}

impl<const N: usize> PartialEq for Secret<N> {
    /// Takes the same time wherever the first difference is.
    fn eq(&self, other: &Self) -> bool {
        self.0.as_slice().ct_eq(other.0.as_slice()).into()
    }
}

impl<const N: usize> Eq for Secret<N> {}

impl<const N: usize> fmt::Debug for Secret<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret<{N}>(redacted)")
    }
}

#[cfg(feature = "defmt")]
impl<const N: usize> defmt::Format for Secret<N> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "Secret<{}>(redacted)", N);
    }
}

/// Our node's static key: the secret, and the [`NodeId`] by which others know us.
pub struct StaticKey {
    scalar: Scalar,
    node_id: NodeId,
}

impl StaticKey {
    /// Takes a node's secret key and computes its node id. The bytes stay with the caller, who wipes them by
    /// dropping them.
    ///
    /// # Errors
    /// [`InvalidSecretKey`] for zero and for what is not below the order of the curve.
    pub fn from_bytes(bytes: &Secret<KEY_LEN>) -> Result<StaticKey, InvalidSecretKey> {
        let scalar = Scalar::from_bytes(bytes).ok_or(InvalidSecretKey)?;
        let node_id = NodeId::from_point(scalar.public());
        Ok(StaticKey { scalar, node_id })
    }

    /// The node id that belongs to this key.
    pub fn node_id(&self) -> NodeId {
        self.node_id
    }

    /// What this key and the secret key of `point` have in common, hashed as BOLT 8 asks ("Handshake State",
    /// ECDH).
    pub(crate) fn ecdh(&self, point: &Point) -> Secret<KEY_LEN> {
        self.scalar.ecdh(point)
    }

    /// A recoverable ECDSA signature, with the nonce of RFC 6979. What the digest is of is the caller's business.
    #[cfg(feature = "libsecp256k1")]
    pub(crate) fn sign_digest(&self, digest: secp256k1::Message) -> secp256k1::ecdsa::RecoverableSignature {
        secp256k1::ecdsa::RecoverableSignature::sign_ecdsa_recoverable(digest, self.scalar.as_secret_key())
    }

    /// The key of the same node under another name: this key times `factor` (BOLT 4, "Route Blinding").
    pub(crate) fn blinded(&self, factor: &Scalar) -> Option<Scalar> {
        self.scalar.times(factor)
    }
}

impl AsRef<StaticKey> for StaticKey {
    fn as_ref(&self) -> &StaticKey {
        self
    }
}

impl fmt::Debug for StaticKey {
    /// Shows the node id, which is public, and nothing of the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StaticKey(redacted, of node {})", self.node_id)
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for StaticKey {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "StaticKey(redacted, of node {})", self.node_id);
    }
}

/// A key pair for one handshake, one onion or one blinded path. What it is made for consumes it, so it cannot
/// serve twice; it must come from a good source of random numbers, and forward secrecy rests on it.
pub struct EphemeralKey {
    scalar: Scalar,
}

impl EphemeralKey {
    /// Takes 32 fresh random bytes.
    ///
    /// # Errors
    /// [`InvalidSecretKey`] for zero and for what is not below the order of the curve: one draw in 2^127.
    /// Draw again.
    pub fn from_bytes(bytes: Secret<KEY_LEN>) -> Result<EphemeralKey, InvalidSecretKey> {
        let scalar = Scalar::from_bytes(&bytes).ok_or(InvalidSecretKey)?;
        // Taken by value so that it goes here: nobody can make a second key of the same bytes.
        drop(bytes);
        Ok(EphemeralKey { scalar })
    }

    /// The public half, as the acts carry it. Computed here and not with the key: whoever calls us and says nothing costs no
    /// multiplication.
    pub(crate) fn public(&self) -> NodeId {
        NodeId::from_point(self.scalar.public())
    }

    /// As [`StaticKey::ecdh`].
    pub(crate) fn ecdh(&self, point: &Point) -> Secret<KEY_LEN> {
        self.scalar.ecdh(point)
    }

    /// As [`Self::ecdh`], with the node of the given id.
    ///
    /// An id is a point by construction. Were it not, the result is one that nobody but us can compute, so
    /// that the handshake fails at the first tag: this keeps the first act without an error and without a
    /// panic.
    pub(crate) fn ecdh_with_node(&self, id: &NodeId) -> Secret<KEY_LEN> {
        match id.point() {
            Some(point) => self.scalar.ecdh(&point),
            None => self.scalar.ecdh(&self.scalar.public()),
        }
    }

    /// The key that follows this one along a route: this key times `factor` (BOLT 4, "Shared Secret" and "Route
    /// Blinding").
    pub(crate) fn times(&self, factor: &Scalar) -> Option<EphemeralKey> {
        Some(EphemeralKey { scalar: self.scalar.times(factor)? })
    }

    /// The secret itself, as a key of HMAC: senders draw the padding of an onion from it (BOLT 4, "Packet
    /// Construction").
    pub(crate) fn to_secret(&self) -> Secret<KEY_LEN> {
        self.scalar.to_secret()
    }
}

impl fmt::Debug for EphemeralKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EphemeralKey(redacted)")
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for EphemeralKey {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "EphemeralKey(redacted)");
    }
}

/// These 32 bytes are no secret key: zero, or not below the order of secp256k1.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct InvalidSecretKey;

impl fmt::Display for InvalidSecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "a secret key is neither zero nor above the order of secp256k1; take 32 other random bytes",
        )
    }
}

impl core::error::Error for InvalidSecretKey {}

#[cfg(test)]
mod tests {
    use std::format;

    use super::*;

    #[test]
    fn nothing_secret_is_printed() {
        let secret = Secret::new([0xab; 32]);
        let printed = format!("{secret:?} {:?}", StaticKey::from_bytes(&secret).unwrap());
        assert!(printed.starts_with("Secret<32>(redacted) StaticKey(redacted, of node 0"));
        assert!(!printed.contains("abab") && !printed.contains("171"));
        assert_eq!(format!("{:?}", EphemeralKey::from_bytes(secret).unwrap()), "EphemeralKey(redacted)");
    }

    #[test]
    fn equal_is_equal_in_every_byte() {
        for position in 0..32 {
            let mut other = [7; 32];
            assert_eq!(Secret::new([7; 32]), Secret::new(other));
            other[position] ^= 0x80;
            assert_ne!(Secret::new([7; 32]), Secret::new(other));
        }
    }

    #[test]
    fn secrets_are_wiped_on_drop() {
        // The bound holds only while the derive that overwrites on drop is there; a key's wrapper has its own
        // Drop.
        fn wiped_on_drop<T: ZeroizeOnDrop>() {}
        wiped_on_drop::<Secret<32>>();
        assert!(core::mem::needs_drop::<Scalar>());
    }

    #[test]
    fn zero_and_the_order_are_no_keys() {
        const ORDER: [u8; 32] = [
            0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe,
            0xba, 0xae, 0xdc, 0xe6, 0xaf, 0x48, 0xa0, 0x3b, 0xbf, 0xd2, 0x5e, 0x8c, 0xd0, 0x36, 0x41, 0x41,
        ];
        for bytes in [[0; 32], ORDER, [0xff; 32]] {
            assert_eq!(StaticKey::from_bytes(&Secret::new(bytes)).err(), Some(InvalidSecretKey));
            assert_eq!(EphemeralKey::from_bytes(Secret::new(bytes)).err(), Some(InvalidSecretKey));
        }
        let mut last = ORDER;
        last[31] -= 1;
        assert!(StaticKey::from_bytes(&Secret::new(last)).is_ok());
    }

    #[test]
    fn both_sides_find_the_same_secret() {
        let ours = StaticKey::from_bytes(&Secret::new([0x11; 32])).unwrap();
        let theirs = EphemeralKey::from_bytes(Secret::new([0x12; 32])).unwrap();
        let common = ours.ecdh(&theirs.public().point().unwrap());
        assert_eq!(theirs.ecdh_with_node(&ours.node_id()), common);
        assert_eq!(theirs.ecdh(&ours.node_id().point().unwrap()), common);
    }
}
