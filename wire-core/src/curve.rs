//! The curve secp256k1: points, secret scalars, and the three products that the protocol asks for. Nothing above this module
//! knows which crate computes them.
//!
//! | feature | crate | for |
//! |---|---|---|
//! | `libsecp256k1`, the default | `secp256k1`, in C | hosts; the fewer instructions; signed messages |
//! | `k256` | `k256`, in Rust | firmware without a C compiler, or for a processor without compare-and-swap |
//!
//! With both the default is used, so that no crate of a program can take it away from another. Each module has a [`Point`]
//! and a [`Scalar`] with the same functions; where both are there, the tests hold them against each other.
//!
//! Constant time: all that is done with a scalar. Points are public. Wiping: scalars when dropped, and products that are
//! secret as soon as they are hashed. The types beneath are `Copy`, and never leave their wrappers.

#[cfg(not(any(feature = "libsecp256k1", feature = "k256")))]
compile_error!("wire-core needs a curve: switch on its feature `libsecp256k1` (the default) or `k256`");

#[cfg(all(feature = "k256", any(test, not(feature = "libsecp256k1"))))]
mod k256;
#[cfg(feature = "libsecp256k1")]
mod libsecp256k1;
#[cfg(all(test, feature = "k256", feature = "libsecp256k1"))]
mod tests;

#[cfg(all(feature = "k256", not(feature = "libsecp256k1")))]
pub(crate) use k256::{Point, Scalar};
#[cfg(feature = "libsecp256k1")]
pub(crate) use libsecp256k1::{Point, Scalar};
