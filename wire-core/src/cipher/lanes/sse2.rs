//! 4 blocks at once with SSE2, which every x86-64 has.

use core::arch::x86_64::{
    __m128i, _mm_add_epi32, _mm_loadu_si128, _mm_or_si128, _mm_set1_epi32, _mm_setzero_si128,
    _mm_shufflehi_epi16, _mm_shufflelo_epi16, _mm_slli_epi32, _mm_srli_epi32, _mm_storeu_si128,
    _mm_unpackhi_epi32, _mm_unpackhi_epi64, _mm_unpacklo_epi32, _mm_unpacklo_epi64, _mm_xor_si128,
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
#[target_feature(enable = "sse2")]
pub(super) fn blocks(key: &[u32; 8], places: &[Place; LANES], room: &mut [Block; LANES]) {
    for (quarter, stream) in quarters(room).iter_mut().zip(keystream(key, places).as_flattened()) {
        store(quarter, *stream);
    }
}

/// Xors whole blocks of one text with its stream from `place` on.
#[target_feature(enable = "sse2")]
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
#[target_feature(enable = "sse2")]
fn keystream(key: &[u32; 8], places: &[Place; LANES]) -> [[__m128i; 4]; LANES] {
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
#[target_feature(enable = "sse2")]
fn start(key: &[u32; 8], places: &[Place; LANES]) -> [__m128i; 16] {
    let mut state = [_mm_setzero_si128(); 16];
    for (word, all) in state.iter_mut().zip(CONSTANTS.iter().chain(key)) {
        *word = _mm_set1_epi32(all.cast_signed());
    }
    let [counters, nonces] = counters_and_nonces(places);
    state[12] = load_words(&counters);
    state[14] = load_words(&nonces);
    state
}

/// From word `n` of every block to the four quarters of block `n`.
#[inline]
#[target_feature(enable = "sse2")]
fn transpose(words: &[__m128i; 16]) -> [[__m128i; 4]; LANES] {
    let mut blocks = [[_mm_setzero_si128(); 4]; LANES];
    for (q, [a, b, c, d]) in words.as_chunks().0.iter().enumerate() {
        let (low, low_2) = (_mm_unpacklo_epi32(*a, *b), _mm_unpacklo_epi32(*c, *d));
        let (high, high_2) = (_mm_unpackhi_epi32(*a, *b), _mm_unpackhi_epi32(*c, *d));
        blocks[0][q] = _mm_unpacklo_epi64(low, low_2);
        blocks[1][q] = _mm_unpackhi_epi64(low, low_2);
        blocks[2][q] = _mm_unpacklo_epi64(high, high_2);
        blocks[3][q] = _mm_unpackhi_epi64(high, high_2);
    }
    blocks
}

#[inline]
#[target_feature(enable = "sse2")]
fn add(a: __m128i, b: __m128i) -> __m128i {
    _mm_add_epi32(a, b)
}

#[inline]
#[target_feature(enable = "sse2")]
fn xor(a: __m128i, b: __m128i) -> __m128i {
    _mm_xor_si128(a, b)
}

/// Half words are moved in two steps, one less than shifts take.
#[inline]
#[target_feature(enable = "sse2")]
fn rotate_16(a: __m128i, (): ()) -> __m128i {
    _mm_shufflehi_epi16::<0b10_11_00_01>(_mm_shufflelo_epi16::<0b10_11_00_01>(a))
}

#[inline]
#[target_feature(enable = "sse2")]
fn rotate_12(a: __m128i, (): ()) -> __m128i {
    _mm_or_si128(_mm_slli_epi32::<12>(a), _mm_srli_epi32::<20>(a))
}

#[inline]
#[target_feature(enable = "sse2")]
fn rotate_8(a: __m128i, (): ()) -> __m128i {
    _mm_or_si128(_mm_slli_epi32::<8>(a), _mm_srli_epi32::<24>(a))
}

#[inline]
#[target_feature(enable = "sse2")]
fn rotate_7(a: __m128i, (): ()) -> __m128i {
    _mm_or_si128(_mm_slli_epi32::<7>(a), _mm_srli_epi32::<25>(a))
}

#[inline]
#[target_feature(enable = "sse2")]
fn load_words(words: &[u32; LANES]) -> __m128i {
    // SAFETY: reads 16 bytes, which is how long the array is; any alignment will do.
    unsafe { _mm_loadu_si128(words.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "sse2")]
fn load(quarter: &Quarter) -> __m128i {
    // SAFETY: reads 16 bytes, which is how long the array is; any alignment will do.
    unsafe { _mm_loadu_si128(quarter.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "sse2")]
fn store(quarter: &mut Quarter, bytes: __m128i) {
    // SAFETY: writes 16 bytes, which is how long the array is; any alignment will do.
    unsafe { _mm_storeu_si128(quarter.as_mut_ptr().cast(), bytes) }
}
