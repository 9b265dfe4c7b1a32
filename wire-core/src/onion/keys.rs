//! The shared secret of a hop and all that is drawn from it (BOLT 4, "Key Generation" and "Shared Secret").
//!
//! A key for one use is HMAC-SHA256 with the name of the use as key and the secret as text, so no key tells another.

use sha2::{Digest as _, Sha256, digest::Output};

use crate::{
    cipher::key_schedule::hmac,
    curve::Scalar,
    limits::{KEY_LEN, PUBLIC_KEY_LEN},
    secret::Secret,
};

/// What the sender of an onion and one node on its route have in common: 32 bytes, by ECDH.
///
/// Its owner at a hop needs it again when an error travels back; otherwise it goes with the packet.
#[derive(Debug, PartialEq, Eq)]
pub struct SharedSecret(Secret<KEY_LEN>);

impl SharedSecret {
    /// Takes over a secret that was kept elsewhere.
    pub fn new(secret: Secret<KEY_LEN>) -> Self {
        Self(secret)
    }

    /// The bytes, for as long as the secret lives.
    pub fn expose(&self) -> &[u8; KEY_LEN] {
        self.0.expose()
    }

    /// The key for one use.
    pub(super) fn key(&self, usage: Usage) -> Secret<KEY_LEN> {
        derive(usage, self.expose())
    }

    /// SHA-256(`point` || secret), by which the next hop's ephemeral key or path key follows from this one. `None` if it
    /// is no scalar, which nobody can bring about (one in 2^127).
    pub(super) fn blinding_factor(&self, point: &[u8; PUBLIC_KEY_LEN]) -> Option<Scalar> {
        let mut factor = Secret::new([0; KEY_LEN]);
        let room: &mut Output<Sha256> = factor.expose_mut().into();
        Sha256::new().chain_update(point).chain_update(self.expose()).finalize_into(room);
        Scalar::from_bytes(&factor)
    }

    /// What turns this hop's node id, and its key, into those of a blinded hop. `None` as above.
    pub(super) fn node_id_factor(&self) -> Option<Scalar> {
        Scalar::from_bytes(&self.key(Usage::BlindedNodeId))
    }
}

impl Default for SharedSecret {
    /// Room for a secret, all zeros: what [`construct`](super::construct()) writes over.
    fn default() -> Self {
        Self(Secret::new([0; KEY_LEN]))
    }
}

/// What a key is for. BOLT 4, "Key Generation" and "Route Blinding".
#[derive(Clone, Copy, Debug)]
pub(super) enum Usage {
    /// Encrypts the payloads of a hop; in blinded paths, the data for it.
    Rho,
    /// Authenticates the payloads.
    Mu,
    /// Authenticates an error at the node where it arose.
    Um,
    /// Encrypts an error on its way back.
    Ammag,
    /// Fills what the sender does not use, drawn from the session key.
    Pad,
    /// Hides the node ids of a blinded path.
    BlindedNodeId,
}

/// The key that `secret` gives for one use.
pub(super) fn derive(usage: Usage, secret: &[u8; KEY_LEN]) -> Secret<KEY_LEN> {
    let name: &[u8] = match usage {
        Usage::Rho => b"rho",
        Usage::Mu => b"mu",
        Usage::Um => b"um",
        Usage::Ammag => b"ammag",
        Usage::Pad => b"pad",
        Usage::BlindedNodeId => b"blinded_node_id",
    };
    // HMAC pads a short key with zeros (RFC 2104), so a padded name is the same key.
    let mut key = Secret::new([0; KEY_LEN]);
    key.expose_mut().iter_mut().zip(name).for_each(|(to, from)| *to = *from);
    hmac(&key, &[secret])
}
