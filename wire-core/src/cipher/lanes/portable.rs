//! One block of ChaCha20 at a time in ordinary integers: for firmware, and the twin that the kernels are held against.
//!
//! Written for size, not speed: the rounds are a loop over a table of eight quarter rounds.

use zeroize::Zeroize as _;

use super::{Block, Place};

/// "expand 32-byte k". RFC 8439, 2.3.
pub(super) const CONSTANTS: [u32; 4] = [0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574];

/// 20 rounds are ten times four columns and four diagonals. RFC 8439, 2.3.
pub(super) const DOUBLE_ROUNDS: usize = 10;

/// The block of `key` at `place`.
pub(super) fn block(key: &[u32; 8], place: Place, room: &mut Block) {
    let start = state(key, place);
    let mut state = start;
    for _ in 0..DOUBLE_ROUNDS {
        for column in 0..4 {
            quarter_round(&mut state, column, 4 + column, 8 + column, 12 + column);
        }
        for diagonal in 0..4 {
            let place = |row: usize| 4 * row + (diagonal + row) % 4;
            quarter_round(&mut state, place(0), place(1), place(2), place(3));
        }
    }
    for (bytes, (word, start)) in room.as_chunks_mut().0.iter_mut().zip(state.iter().zip(start)) {
        *bytes = word.wrapping_add(start).to_le_bytes();
    }
    state.zeroize();
}

/// RFC 8439, 2.3: constants, key, counter, and BOLT 8's nonce: 32 zero bits, then 64 bits, little endian.
fn state(key: &[u32; 8], place: Place) -> [u32; 16] {
    let mut state = [0; 16];
    let (constants, rest) = state.split_at_mut(4);
    constants.copy_from_slice(&CONSTANTS);
    let (key_words, rest) = rest.split_at_mut(8);
    key_words.copy_from_slice(key);
    rest.copy_from_slice(&[place.counter, 0, place.nonce.into(), 0]);
    state
}

/// RFC 8439, 2.1.
#[inline]
fn quarter_round(state: &mut [u32; 16], a: usize, b: usize, c: usize, d: usize) {
    state[a] = state[a].wrapping_add(state[b]);
    state[d] = (state[d] ^ state[a]).rotate_left(16);
    state[c] = state[c].wrapping_add(state[d]);
    state[b] = (state[b] ^ state[c]).rotate_left(12);
    state[a] = state[a].wrapping_add(state[b]);
    state[d] = (state[d] ^ state[a]).rotate_left(8);
    state[c] = state[c].wrapping_add(state[d]);
    state[b] = (state[b] ^ state[c]).rotate_left(7);
}
