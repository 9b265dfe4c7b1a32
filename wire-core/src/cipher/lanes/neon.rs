//! 4 blocks at once with NEON, which every 64-bit Arm has.

use core::arch::aarch64::{
    uint32x4_t, vaddq_u32, vdupq_n_u32, veorq_u32, vld1q_u8, vld1q_u32, vreinterpretq_u8_u32,
    vreinterpretq_u16_u32, vreinterpretq_u32_u8, vreinterpretq_u32_u16, vreinterpretq_u32_u64,
    vreinterpretq_u64_u32, vrev32q_u16, vshlq_n_u32, vsriq_n_u32, vst1q_u8, vtrn1q_u32, vtrn1q_u64,
    vtrn2q_u32, vtrn2q_u64,
};

use super::{
    Block, Place,
    portable::CONSTANTS,
    rounds::{counters_and_nonces, following, rounds},
};

/// Blocks that are made at once.
pub(super) const LANES: usize = 4;

/// A quarter of a block: what a vector holds.
type Quarter = [u8; 16];

/// The block of each place.
#[target_feature(enable = "neon")]
pub(super) fn blocks(key: &[u32; 8], places: &[Place; LANES], room: &mut [Block; LANES]) {
    for (quarter, stream) in quarters(room).iter_mut().zip(keystream(key, places).as_flattened()) {
        store(quarter, *stream);
    }
}

/// Xors whole blocks of one text with its stream from `place` on.
#[target_feature(enable = "neon")]
pub(super) fn xor_blocks(key: &[u32; 8], place: Place, text: &mut [Block; LANES]) {
    for (quarter, stream) in quarters(text).iter_mut().zip(keystream(key, &following(place)).as_flattened()) {
        let sealed = xor(load(quarter), *stream);
        store(quarter, sealed);
    }
}

fn quarters(blocks: &mut [Block; LANES]) -> &mut [Quarter] {
    blocks.as_flattened_mut().as_chunks_mut().0
}

#[inline]
#[target_feature(enable = "neon")]
fn keystream(key: &[u32; 8], places: &[Place; LANES]) -> [[uint32x4_t; 4]; LANES] {
    let start = start(key, places);
    let mut state = start;
    rounds!(state, ());
    for (word, start) in state.iter_mut().zip(&start) {
        *word = add(*word, *start);
    }
    transpose(&state)
}

/// Constants and key are the same in all lanes, counter and nonce each lane's own. The two other words are zero: BOLT 8's
/// nonce is 32 zero bits and a number of 64 bits, which stays below 1,000.
#[inline]
#[target_feature(enable = "neon")]
fn start(key: &[u32; 8], places: &[Place; LANES]) -> [uint32x4_t; 16] {
    let mut state = [vdupq_n_u32(0); 16];
    for (word, all) in state.iter_mut().zip(CONSTANTS.iter().chain(key)) {
        *word = vdupq_n_u32(*all);
    }
    let [counters, nonces] = counters_and_nonces(places);
    state[12] = load_words(&counters);
    state[14] = load_words(&nonces);
    state
}

/// From word `n` of every block to the four quarters of block `n`.
#[inline]
#[target_feature(enable = "neon")]
fn transpose(words: &[uint32x4_t; 16]) -> [[uint32x4_t; 4]; LANES] {
    let mut blocks = [[vdupq_n_u32(0); 4]; LANES];
    for (q, [a, b, c, d]) in words.as_chunks().0.iter().enumerate() {
        // Words of two blocks in turn, of the even blocks and of the odd ones.
        let (even, odd) = (vtrn1q_u32(*a, *b), vtrn2q_u32(*a, *b));
        let (even_2, odd_2) = (vtrn1q_u32(*c, *d), vtrn2q_u32(*c, *d));
        blocks[0][q] = lower(even, even_2);
        blocks[1][q] = lower(odd, odd_2);
        blocks[2][q] = upper(even, even_2);
        blocks[3][q] = upper(odd, odd_2);
    }
    blocks
}

/// The lower halves of both.
#[inline]
#[target_feature(enable = "neon")]
fn lower(a: uint32x4_t, b: uint32x4_t) -> uint32x4_t {
    vreinterpretq_u32_u64(vtrn1q_u64(vreinterpretq_u64_u32(a), vreinterpretq_u64_u32(b)))
}

/// The upper halves of both.
#[inline]
#[target_feature(enable = "neon")]
fn upper(a: uint32x4_t, b: uint32x4_t) -> uint32x4_t {
    vreinterpretq_u32_u64(vtrn2q_u64(vreinterpretq_u64_u32(a), vreinterpretq_u64_u32(b)))
}

#[inline]
#[target_feature(enable = "neon")]
fn add(a: uint32x4_t, b: uint32x4_t) -> uint32x4_t {
    vaddq_u32(a, b)
}

#[inline]
#[target_feature(enable = "neon")]
fn xor(a: uint32x4_t, b: uint32x4_t) -> uint32x4_t {
    veorq_u32(a, b)
}

#[inline]
#[target_feature(enable = "neon")]
fn rotate_16(a: uint32x4_t, (): ()) -> uint32x4_t {
    vreinterpretq_u32_u16(vrev32q_u16(vreinterpretq_u16_u32(a)))
}

#[inline]
#[target_feature(enable = "neon")]
fn rotate_12(a: uint32x4_t, (): ()) -> uint32x4_t {
    vsriq_n_u32::<20>(vshlq_n_u32::<12>(a), a)
}

#[inline]
#[target_feature(enable = "neon")]
fn rotate_8(a: uint32x4_t, (): ()) -> uint32x4_t {
    vsriq_n_u32::<24>(vshlq_n_u32::<8>(a), a)
}

#[inline]
#[target_feature(enable = "neon")]
fn rotate_7(a: uint32x4_t, (): ()) -> uint32x4_t {
    vsriq_n_u32::<25>(vshlq_n_u32::<7>(a), a)
}

#[inline]
#[target_feature(enable = "neon")]
fn load_words(words: &[u32; LANES]) -> uint32x4_t {
    // SAFETY: reads 16 bytes, which is how long the array is; any alignment will do.
    unsafe { vld1q_u32(words.as_ptr()) }
}

#[inline]
#[target_feature(enable = "neon")]
fn load(quarter: &Quarter) -> uint32x4_t {
    // SAFETY: reads 16 bytes, which is how long the array is; any alignment will do.
    vreinterpretq_u32_u8(unsafe { vld1q_u8(quarter.as_ptr()) })
}

#[inline]
#[target_feature(enable = "neon")]
fn store(quarter: &mut Quarter, bytes: uint32x4_t) {
    // SAFETY: writes 16 bytes, which is how long the array is; any alignment will do.
    unsafe { vst1q_u8(quarter.as_mut_ptr(), vreinterpretq_u8_u32(bytes)) }
}
