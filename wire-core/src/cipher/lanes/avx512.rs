//! 16 blocks at once with AVX-512F.

use core::arch::x86_64::{
    __m512i, _mm512_add_epi32, _mm512_loadu_si512, _mm512_rol_epi32, _mm512_set1_epi32, _mm512_setzero_si512,
    _mm512_shuffle_i32x4, _mm512_storeu_si512, _mm512_unpackhi_epi32, _mm512_unpackhi_epi64,
    _mm512_unpacklo_epi32, _mm512_unpacklo_epi64, _mm512_xor_si512,
};

use super::{
    Block, Place,
    portable::CONSTANTS,
    rounds::{counters_and_nonces, following, rounds},
};

/// Blocks that are made at once.
pub(super) const LANES: usize = 16;

/// The block of each place.
#[target_feature(enable = "avx512f")]
pub(super) fn blocks(key: &[u32; 8], places: &[Place; LANES], room: &mut [Block; LANES]) {
    let blocks = transpose(&words(key, places));
    for (block, stream) in room.iter_mut().zip(&blocks) {
        store(block, *stream);
    }
}

/// Xors whole blocks of one text with its stream from `place` on.
#[target_feature(enable = "avx512f")]
pub(super) fn xor_blocks(key: &[u32; 8], place: Place, text: &mut [Block; LANES]) {
    let blocks = transpose(&words(key, &following(place)));
    for (block, stream) in text.iter_mut().zip(&blocks) {
        let sealed = xor(load(block), *stream);
        store(block, sealed);
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn words(key: &[u32; 8], places: &[Place; LANES]) -> [__m512i; 16] {
    let start = start(key, places);
    let mut state = start;
    rounds!(state, ());
    for (word, start) in state.iter_mut().zip(&start) {
        *word = add(*word, *start);
    }
    state
}

/// Constants and key are the same in all lanes, counter and nonce each lane's own. The two other words are zero: BOLT 8's
/// nonce is 32 zero bits and a number of 64 bits, which stays below 1,000.
#[inline]
#[target_feature(enable = "avx512f")]
fn start(key: &[u32; 8], places: &[Place; LANES]) -> [__m512i; 16] {
    let mut state = [_mm512_setzero_si512(); 16];
    for (word, all) in state.iter_mut().zip(CONSTANTS.iter().chain(key)) {
        *word = _mm512_set1_epi32(all.cast_signed());
    }
    let [counters, nonces] = counters_and_nonces(places);
    state[12] = load_words(&counters);
    state[14] = load_words(&nonces);
    state
}

/// From word `n` of every block to block `n`.
#[inline]
#[target_feature(enable = "avx512f")]
fn transpose(words: &[__m512i; 16]) -> [__m512i; LANES] {
    let mut blocks = [_mm512_setzero_si512(); LANES];
    // Four words of a block side by side: in `quarters[q][n]`, words 4q to 4q + 3 of the blocks n, 4 + n, 8 + n, 12 + n.
    let mut quarters = [[_mm512_setzero_si512(); 4]; 4];
    for (quarter, [a, b, c, d]) in quarters.iter_mut().zip(words.as_chunks().0) {
        let (low, low_2) = (_mm512_unpacklo_epi32(*a, *b), _mm512_unpacklo_epi32(*c, *d));
        let (high, high_2) = (_mm512_unpackhi_epi32(*a, *b), _mm512_unpackhi_epi32(*c, *d));
        *quarter = [
            _mm512_unpacklo_epi64(low, low_2),
            _mm512_unpackhi_epi64(low, low_2),
            _mm512_unpacklo_epi64(high, high_2),
            _mm512_unpackhi_epi64(high, high_2),
        ];
    }
    let [first, second, third, fourth] = &quarters;
    for n in 0..4 {
        // The even quarters of two vectors (0x88), and the odd ones (0xdd).
        let even = _mm512_shuffle_i32x4::<0x88>(first[n], second[n]);
        let odd = _mm512_shuffle_i32x4::<0xdd>(first[n], second[n]);
        let even_2 = _mm512_shuffle_i32x4::<0x88>(third[n], fourth[n]);
        let odd_2 = _mm512_shuffle_i32x4::<0xdd>(third[n], fourth[n]);
        blocks[n] = _mm512_shuffle_i32x4::<0x88>(even, even_2);
        blocks[4 + n] = _mm512_shuffle_i32x4::<0x88>(odd, odd_2);
        blocks[8 + n] = _mm512_shuffle_i32x4::<0xdd>(even, even_2);
        blocks[12 + n] = _mm512_shuffle_i32x4::<0xdd>(odd, odd_2);
    }
    blocks
}

#[inline]
#[target_feature(enable = "avx512f")]
fn add(a: __m512i, b: __m512i) -> __m512i {
    _mm512_add_epi32(a, b)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn xor(a: __m512i, b: __m512i) -> __m512i {
    _mm512_xor_si512(a, b)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn rotate_16(a: __m512i, (): ()) -> __m512i {
    _mm512_rol_epi32::<16>(a)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn rotate_12(a: __m512i, (): ()) -> __m512i {
    _mm512_rol_epi32::<12>(a)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn rotate_8(a: __m512i, (): ()) -> __m512i {
    _mm512_rol_epi32::<8>(a)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn rotate_7(a: __m512i, (): ()) -> __m512i {
    _mm512_rol_epi32::<7>(a)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load_words(words: &[u32; LANES]) -> __m512i {
    // SAFETY: reads 64 bytes, which is how long the array is; any alignment will do.
    unsafe { _mm512_loadu_si512(words.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load(block: &Block) -> __m512i {
    // SAFETY: reads 64 bytes, which is how long a block is; any alignment will do.
    unsafe { _mm512_loadu_si512(block.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store(block: &mut Block, bytes: __m512i) {
    // SAFETY: writes 64 bytes, which is how long a block is; any alignment will do.
    unsafe { _mm512_storeu_si512(block.as_mut_ptr().cast(), bytes) }
}
