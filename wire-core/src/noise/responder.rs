//! The side that is called: it learns who calls in act three, after having proved its own identity.

use super::{
    EPHEMERAL, EPHEMERAL_TAG, FINAL_TAG, HandshakeError, STATIC, STATIC_TAG, Transport, VERSION, field,
    symmetric::Symmetric,
};
use crate::{
    curve::Point,
    limits::{ACT_ONE_LEN, ACT_THREE_LEN, ACT_TWO_LEN, HANDSHAKE_VERSION, KEY_LEN, PUBLIC_KEY_LEN},
    node_id::NodeId,
    secret::{EphemeralKey, Secret, StaticKey},
};

/// The role that waits for a call: the place where its first state is made. There is no value of this type,
/// because nothing happens before the first act.
#[derive(Debug)]
pub enum Responder {}

impl Responder {
    /// A handshake with whoever calls the owner of `key`. The ephemeral key must be fresh.
    #[expect(
        clippy::new_ret_no_self,
        reason = "the states are named for what they wait for, the role is where they begin"
    )]
    pub fn new(key: &StaticKey, ephemeral: EphemeralKey) -> AwaitActOne {
        AwaitActOne { ephemeral, symmetric: Symmetric::new(&key.node_id()) }
    }
}

/// We were called; the peer owes act one.
#[derive(Debug)]
pub struct AwaitActOne {
    ephemeral: EphemeralKey,
    symmetric: Symmetric,
}

impl AwaitActOne {
    /// Reads act one and writes act two (BOLT 8, "Act One", receiver, and "Act Two", sender).
    ///
    /// `key` is the one that the handshake began with; with another one no act one is accepted.
    ///
    /// # Errors
    /// The three of [`HandshakeError`] on act one. The handshake is gone; close the connection.
    pub fn act_one(
        mut self,
        key: &StaticKey,
        act: &[u8; ACT_ONE_LEN],
    ) -> Result<([u8; ACT_TWO_LEN], AwaitActThree), HandshakeError> {
        if act[VERSION] != HANDSHAKE_VERSION {
            return Err(HandshakeError::ActOneBadVersion(act[VERSION]));
        }
        let their_ephemeral =
            Point::from_bytes(&field(act, EPHEMERAL)).ok_or(HandshakeError::ActOneBadPublicKey)?;
        self.symmetric.mix_hash(&[&act[EPHEMERAL]]);
        let temp_key1 = self.symmetric.mix_key(&key.ecdh(&their_ephemeral));
        self.symmetric
            .open(&temp_key1, 0, &mut [], &field(act, EPHEMERAL_TAG))
            .map_err(|_| HandshakeError::ActOneBadTag)?;

        // Act two. The peer has shown that it knows us, so it is worth two more multiplications.
        let public = self.ephemeral.public();
        self.symmetric.mix_hash(&[public.as_bytes()]);
        let temp_key2 = self.symmetric.mix_key(&self.ephemeral.ecdh(&their_ephemeral));
        let tag = self.symmetric.seal(&temp_key2, 0, &mut []);

        let mut act = [0; ACT_TWO_LEN];
        act[VERSION] = HANDSHAKE_VERSION;
        act[EPHEMERAL].copy_from_slice(public.as_bytes());
        act[EPHEMERAL_TAG].copy_from_slice(&tag);
        Ok((act, AwaitActThree { ephemeral: self.ephemeral, symmetric: self.symmetric, temp_key2 }))
    }
}

/// We were called and have answered; the peer owes act three, in which it says who it is.
#[derive(Debug)]
pub struct AwaitActThree {
    ephemeral: EphemeralKey,
    symmetric: Symmetric,
    /// Of act two; act three begins under the same key.
    temp_key2: Secret<KEY_LEN>,
}

impl AwaitActThree {
    /// Reads act three (BOLT 8, "Act Three", receiver): who calls, and the keys to talk with.
    ///
    /// # Errors
    /// The four of [`HandshakeError`] on act three. The handshake is gone; close the connection.
    pub fn act_three(mut self, act: &[u8; ACT_THREE_LEN]) -> Result<(NodeId, Transport), HandshakeError> {
        if act[VERSION] != HANDSHAKE_VERSION {
            return Err(HandshakeError::ActThreeBadVersion(act[VERSION]));
        }
        // Nonce 1: nonce 0 of this key was act two's.
        let mut their_id: [u8; PUBLIC_KEY_LEN] = field(act, STATIC);
        self.symmetric
            .open(&self.temp_key2, 1, &mut their_id, &field(act, STATIC_TAG))
            .map_err(|_| HandshakeError::ActThreeBadCiphertext)?;
        let their_static = Point::from_bytes(&their_id).ok_or(HandshakeError::ActThreeBadPublicKey)?;
        let temp_key3 = self.symmetric.mix_key(&self.ephemeral.ecdh(&their_static));
        self.symmetric
            .open(&temp_key3, 0, &mut [], &field(act, FINAL_TAG))
            .map_err(|_| HandshakeError::ActThreeBadTag)?;

        let [receiving, sending] = self.symmetric.split();
        Ok((NodeId::from_point(their_static), Transport { sending, receiving }))
    }
}
