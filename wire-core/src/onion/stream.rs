//! The keystream of onions: ChaCha20 from block 0 with a nonce of zeros (BOLT 4, "Pseudo Random Byte Stream").
//!
//! The only place of the onions that names the cipher. A key is used for one stream only, so the nonce may be zero.

use crate::{
    cipher::{
        Lanes,
        aead::Under,
        lanes::{BLOCK_LEN, Blocks, Place, xor_bytes},
    },
    limits::KEY_LEN,
    secret::Secret,
};

/// The nonce of every stream, and of the data for a hop of a blinded path.
const NONCE: u16 = 0;

/// The stream under one key, at some place of it.
pub(super) struct Stream {
    key: Secret<KEY_LEN>,
    lanes: Lanes,
    /// The block of the next byte, and which byte of it that is. No buffer has 2^32 blocks.
    block: u32,
    offset: usize,
}

impl Stream {
    /// From its first byte.
    pub(super) fn new(key: Secret<KEY_LEN>) -> Self {
        Self::starting_at(key, 0)
    }

    /// From the byte at `position`.
    pub(super) fn starting_at(key: Secret<KEY_LEN>, position: usize) -> Self {
        let block = u32::try_from(position / BLOCK_LEN).unwrap_or(u32::MAX);
        Self { key, lanes: Lanes::best(), block, offset: position % BLOCK_LEN }
    }

    /// Xors the next bytes of the stream over `text`.
    pub(super) fn apply(&mut self, text: &mut [u8]) {
        let (front, rest) = text.split_at_mut(text.len().min(self.left_of_block()));
        if !front.is_empty() {
            let mut room = Blocks::<1>::new();
            self.lanes.blocks(self.key.expose(), &[self.place()], room.as_mut_slice());
            let block = room.as_slice().as_flattened();
            xor_bytes(front, block.get(self.offset..).unwrap_or_default());
            self.advance(front.len());
        }
        if !rest.is_empty() {
            self.lanes.xor(self.key.expose(), self.place(), rest);
            self.advance(rest.len());
        }
    }

    fn place(&self) -> Place {
        Place { nonce: NONCE, counter: self.block }
    }

    /// What is left of a block that was begun; nothing at the start of one.
    fn left_of_block(&self) -> usize {
        match self.offset {
            0 => 0,
            begun => BLOCK_LEN.saturating_sub(begun),
        }
    }

    fn advance(&mut self, len: usize) {
        let end = self.offset.saturating_add(len);
        let blocks = u32::try_from(end / BLOCK_LEN).unwrap_or(u32::MAX);
        self.block = self.block.saturating_add(blocks);
        self.offset = end % BLOCK_LEN;
    }
}

/// How the data for a hop of a blinded path is sealed: ChaCha20-Poly1305 under its key, with a nonce of zeros (BOLT 4,
/// "Route Blinding").
pub(super) fn under(key: &Secret<KEY_LEN>) -> Under<'_> {
    Under { lanes: Lanes::best(), key, nonce: NONCE }
}
