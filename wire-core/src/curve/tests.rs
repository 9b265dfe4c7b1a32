//! Both implementations against each other.

use proptest::prelude::*;

use super::{k256, libsecp256k1};
use crate::secret::Secret;

/// The same number for both, if it is one.
fn scalars(bytes: [u8; 32]) -> (Option<k256::Scalar>, Option<libsecp256k1::Scalar>) {
    let secret = Secret::new(bytes);
    (k256::Scalar::from_bytes(&secret), libsecp256k1::Scalar::from_bytes(&secret))
}

proptest! {
    #[test]
    fn scalars_and_their_products_are_the_same(ours: [u8; 32], theirs: [u8; 32]) {
        let ((Some(ours), Some(same_ours)), (Some(theirs), Some(same_theirs))) = (scalars(ours), scalars(theirs))
        else {
            return Err(TestCaseError::reject("no scalar, one in 2^127"));
        };
        prop_assert_eq!(ours.to_secret(), same_ours.to_secret());
        let (point, same_point) = (theirs.public(), same_theirs.public());
        prop_assert_eq!(point.to_bytes(), same_point.to_bytes());
        prop_assert_eq!(ours.ecdh(&point), same_ours.ecdh(&same_point));
        let (product, same_product) = (ours.times(&theirs).unwrap(), same_ours.times(&same_theirs).unwrap());
        prop_assert_eq!(product.to_secret(), same_product.to_secret());
        let (product, same_product) = (ours.times_point(&point).unwrap(), same_ours.times_point(&same_point).unwrap());
        prop_assert_eq!(product.to_bytes(), same_product.to_bytes());
    }

    /// Half of all x coordinates are those of a point.
    #[test]
    fn the_same_bytes_are_points(sign in 0_u8..=6, x: [u8; 32], high: bool) {
        let mut bytes = [0xff; 33];
        bytes[0] = sign;
        bytes[1..].copy_from_slice(&x);
        if high {
            // About the prime of the field: 2^256 - 2^32 - 977.
            bytes[1..29].fill(0xff);
        }
        let (one, other) = (k256::Point::from_bytes(&bytes), libsecp256k1::Point::from_bytes(&bytes));
        prop_assert_eq!(one.map(k256::Point::to_bytes), other.map(libsecp256k1::Point::to_bytes));
    }
}

#[test]
fn the_same_bytes_are_no_scalars() {
    // The order of the curve.
    let mut bytes = [0xff; 32];
    bytes[15..].copy_from_slice(&[
        0xfe, 0xba, 0xae, 0xdc, 0xe6, 0xaf, 0x48, 0xa0, 0x3b, 0xbf, 0xd2, 0x5e, 0x8c, 0xd0, 0x36, 0x41, 0x41,
    ]);
    for no_scalar in [[0; 32], bytes, [0xff; 32]] {
        assert!(matches!(scalars(no_scalar), (None, None)));
    }
    bytes[31] -= 1;
    assert!(matches!(scalars(bytes), (Some(_), Some(_))));
}
