//! The curve by the crate `k256`, without its tables of the generator: 30 kB that firmware has a better use for.

use ::k256::{
    AffinePoint, FieldBytes, ProjectivePoint,
    elliptic_curve::{
        ff::PrimeField as _,
        point::{AffineCoordinates as _, DecompressPoint as _},
    },
};
use sha2::{Digest as _, Sha256, digest::Output};
use subtle::Choice;
use zeroize::Zeroize as _;

use crate::{
    limits::{KEY_LEN, PUBLIC_KEY_LEN},
    secret::Secret,
};

/// The first byte of a compressed point with an even y; the odd one's is the next. SEC 1, 2.3.3.
const EVEN: u8 = 2;

/// A point of the curve, and not the one at infinity.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Point(AffinePoint);

impl Point {
    /// The point of a compressed encoding; `None` if it is none.
    pub(crate) fn from_bytes(bytes: &[u8; PUBLIC_KEY_LEN]) -> Option<Self> {
        let (sign, x) = bytes.split_first()?;
        let odd = sign.checked_sub(EVEN).filter(|odd| *odd <= 1)?;
        let x: &[u8; KEY_LEN] = x.try_into().ok()?;
        let point = AffinePoint::decompress(&FieldBytes::from(*x), Choice::from(odd));
        Option::from(point).map(Self)
    }

    /// Its compressed encoding.
    pub(crate) fn to_bytes(self) -> [u8; PUBLIC_KEY_LEN] {
        let mut bytes = [EVEN + self.0.y_is_odd().unwrap_u8(); PUBLIC_KEY_LEN];
        bytes.iter_mut().skip(1).zip(self.0.x()).for_each(|(to, byte)| *to = byte);
        bytes
    }
}

/// A scalar that is not zero, and erases itself.
pub(crate) struct Scalar(::k256::Scalar);

impl Scalar {
    /// `None` for zero and for what is not below the order of the curve.
    pub(crate) fn from_bytes(bytes: &Secret<KEY_LEN>) -> Option<Self> {
        let number = ::k256::Scalar::from_repr(FieldBytes::from(*bytes.expose()));
        Option::from(number).map(Self).filter(|scalar| !bool::from(scalar.0.is_zero()))
    }

    /// The number itself.
    pub(crate) fn to_secret(&self) -> Secret<KEY_LEN> {
        Secret::new(self.0.to_bytes().into())
    }

    /// The point that belongs to it.
    pub(crate) fn public(&self) -> Point {
        Point(ProjectivePoint::mul_by_generator(&self.0).to_affine())
    }

    /// The product of two secret scalars; never zero, as neither is and their order is prime.
    #[expect(clippy::unnecessary_wraps, reason = "as the other curve has it, which can refuse")]
    pub(crate) fn times(&self, factor: &Scalar) -> Option<Self> {
        Some(Self(self.0 * factor.0))
    }

    /// The product of this scalar and a point; never infinity, for the same reason.
    #[expect(clippy::unnecessary_wraps, reason = "as the other curve has it, which can refuse")]
    pub(crate) fn times_point(&self, point: &Point) -> Option<Point> {
        let mut product = ProjectivePoint::from(point.0) * self.0;
        let affine = product.to_affine();
        product.zeroize();
        Some(Point(affine))
    }

    /// BOLT 8, "Handshake State": SHA-256 of the compressed product.
    pub(crate) fn ecdh(&self, point: &Point) -> Secret<KEY_LEN> {
        let mut product = ProjectivePoint::from(point.0) * self.0;
        let mut affine = product.to_affine();
        product.zeroize();
        let mut encoded = Point(affine).to_bytes();
        affine.zeroize();
        let mut secret = Secret::new([0; KEY_LEN]);
        let room: &mut Output<Sha256> = secret.expose_mut().into();
        Sha256::new().chain_update(encoded).finalize_into(room);
        encoded.zeroize();
        secret
    }
}

impl Drop for Scalar {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}
