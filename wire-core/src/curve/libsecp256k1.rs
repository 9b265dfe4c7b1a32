//! The curve by libsecp256k1.

use secp256k1::{
    PublicKey, SecretKey,
    ecdh::{self, SharedSecret},
};
use zeroize::Zeroize as _;

use crate::{
    limits::{KEY_LEN, PUBLIC_KEY_LEN},
    secret::Secret,
};

/// A point of the curve.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Point(PublicKey);

impl Point {
    /// The point of a compressed encoding; `None` if it is none.
    pub(crate) fn from_bytes(bytes: &[u8; PUBLIC_KEY_LEN]) -> Option<Self> {
        PublicKey::from_byte_array_compressed(*bytes).ok().map(Self)
    }

    /// Its compressed encoding.
    pub(crate) fn to_bytes(self) -> [u8; PUBLIC_KEY_LEN] {
        self.0.serialize()
    }
}

/// A secret key that erases itself.
pub(crate) struct Scalar(SecretKey);

impl Scalar {
    /// `None` for zero and for what is not below the order of the curve.
    pub(crate) fn from_bytes(bytes: &Secret<KEY_LEN>) -> Option<Self> {
        SecretKey::from_secret_bytes(*bytes.expose()).ok().map(Self)
    }

    /// The number itself.
    pub(crate) fn to_secret(&self) -> Secret<KEY_LEN> {
        Secret::new(*self.0.as_secret_bytes())
    }

    /// What libsecp256k1 signs with.
    pub(crate) fn as_secret_key(&self) -> &SecretKey {
        &self.0
    }

    /// The point that belongs to it.
    pub(crate) fn public(&self) -> Point {
        Point(PublicKey::from_secret_key(&self.0))
    }

    /// The product of two secret scalars. `None` for zero, which two that are valid cannot give.
    pub(crate) fn times(&self, factor: &Scalar) -> Option<Self> {
        // From a key that was checked in constant time; reading a tweak from bytes is not constant time.
        let mut tweak = secp256k1::Scalar::from(factor.0);
        let product = self.0.mul_tweak(&tweak).ok().map(Self);
        tweak.non_secure_erase();
        product
    }

    /// The product of this scalar and a point.
    ///
    /// By the curve multiplication of ECDH, which is constant in time; that of a public key's tweak is not, and what
    /// is multiplied here would link a blinded node to its name. `None` cannot happen: the product of a valid scalar and
    /// a valid point is one.
    pub(crate) fn times_point(&self, point: &Point) -> Option<Point> {
        let mut product = ecdh::shared_secret_point(&point.0, &self.0);
        // SEC 1, 2.3.3: 4, then both coordinates.
        let mut encoded = [4; 65];
        let (_, coordinates) = encoded.split_at_mut(1);
        coordinates.copy_from_slice(&product);
        product.zeroize();
        PublicKey::from_byte_array_uncompressed(encoded).ok().map(Point)
    }

    /// BOLT 8, "Handshake State": SHA-256 of the compressed product, which is libsecp256k1's default.
    pub(crate) fn ecdh(&self, point: &Point) -> Secret<KEY_LEN> {
        let mut shared = SharedSecret::new(&point.0, &self.0);
        let secret = Secret::new(*shared.as_secret_bytes());
        shared.non_secure_erase();
        secret
    }
}

impl Drop for Scalar {
    fn drop(&mut self) {
        self.0.non_secure_erase();
    }
}
