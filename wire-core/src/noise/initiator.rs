//! The side that dials: it knows whom it calls, and shows who it is in act three, when nobody else can read
//! it.

use super::{
    EPHEMERAL, EPHEMERAL_TAG, FINAL_TAG, HandshakeError, STATIC, STATIC_TAG, Transport, VERSION, field,
    symmetric::Symmetric,
};
use crate::{
    curve::Point,
    limits::{ACT_ONE_LEN, ACT_THREE_LEN, ACT_TWO_LEN, HANDSHAKE_VERSION},
    node_id::NodeId,
    secret::{EphemeralKey, StaticKey},
};

/// A handshake that we begin, before its first act.
#[derive(Debug)]
pub struct Initiator {
    our_id: NodeId,
    their_id: NodeId,
    ephemeral: EphemeralKey,
    symmetric: Symmetric,
}

impl Initiator {
    /// A handshake as the owner of `key` with the node `their_id`. The ephemeral key must be fresh.
    pub fn new(key: &StaticKey, their_id: NodeId, ephemeral: EphemeralKey) -> Initiator {
        Initiator { our_id: key.node_id(), their_id, ephemeral, symmetric: Symmetric::new(&their_id) }
    }

    /// Writes act one (BOLT 8, "Act One", sender) and waits for act two.
    pub fn act_one(mut self) -> ([u8; ACT_ONE_LEN], AwaitActTwo) {
        let public = self.ephemeral.public();
        self.symmetric.mix_hash(&[public.as_bytes()]);
        let temp_key1 = self.symmetric.mix_key(&self.ephemeral.ecdh_with_node(&self.their_id));
        let tag = self.symmetric.seal(&temp_key1, 0, &mut []);

        let mut act = [0; ACT_ONE_LEN];
        act[VERSION] = HANDSHAKE_VERSION;
        act[EPHEMERAL].copy_from_slice(public.as_bytes());
        act[EPHEMERAL_TAG].copy_from_slice(&tag);
        (act, AwaitActTwo { our_id: self.our_id, ephemeral: self.ephemeral, symmetric: self.symmetric })
    }
}

/// We dialed, act one is out; the peer owes act two.
#[derive(Debug)]
pub struct AwaitActTwo {
    our_id: NodeId,
    ephemeral: EphemeralKey,
    symmetric: Symmetric,
}

impl AwaitActTwo {
    /// Reads act two and writes act three (BOLT 8, "Act Two", receiver, and "Act Three", sender).
    ///
    /// From here on the peer is known to be the node that was called. `key` is the one that the handshake
    /// began with; with another one the peer refuses act three, since the node id in it would not be proven.
    ///
    /// # Errors
    /// The three of [`HandshakeError`] on act two. The handshake is gone; close the connection.
    pub fn act_two(
        mut self,
        key: &StaticKey,
        act: &[u8; ACT_TWO_LEN],
    ) -> Result<([u8; ACT_THREE_LEN], Transport), HandshakeError> {
        if act[VERSION] != HANDSHAKE_VERSION {
            return Err(HandshakeError::ActTwoBadVersion(act[VERSION]));
        }
        let their_ephemeral =
            Point::from_bytes(&field(act, EPHEMERAL)).ok_or(HandshakeError::ActTwoBadPublicKey)?;
        self.symmetric.mix_hash(&[&act[EPHEMERAL]]);
        let temp_key2 = self.symmetric.mix_key(&self.ephemeral.ecdh(&their_ephemeral));
        self.symmetric
            .open(&temp_key2, 0, &mut [], &field(act, EPHEMERAL_TAG))
            .map_err(|_| HandshakeError::ActTwoBadTag)?;

        // Act three, steps 1 to 5. Nonce 1: nonce 0 of this key was act two's.
        let mut our_id = *self.our_id.as_bytes();
        let our_id_tag = self.symmetric.seal(&temp_key2, 1, &mut our_id);
        let temp_key3 = self.symmetric.mix_key(&key.ecdh(&their_ephemeral));
        let tag = self.symmetric.seal(&temp_key3, 0, &mut []);

        let mut act = [0; ACT_THREE_LEN];
        act[VERSION] = HANDSHAKE_VERSION;
        act[STATIC].copy_from_slice(&our_id);
        act[STATIC_TAG].copy_from_slice(&our_id_tag);
        act[FINAL_TAG].copy_from_slice(&tag);
        let [sending, receiving] = self.symmetric.split();
        Ok((act, Transport { sending, receiving }))
    }
}
