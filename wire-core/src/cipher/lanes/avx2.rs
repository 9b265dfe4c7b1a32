//! 8 blocks at once with AVX2.

use core::arch::x86_64::{
    __m256i, _mm256_add_epi32, _mm256_loadu_si256, _mm256_or_si256, _mm256_permute2x128_si256,
    _mm256_set1_epi32, _mm256_setr_epi8, _mm256_setzero_si256, _mm256_shuffle_epi8, _mm256_slli_epi32,
    _mm256_srli_epi32, _mm256_storeu_si256, _mm256_unpackhi_epi32, _mm256_unpackhi_epi64,
    _mm256_unpacklo_epi32, _mm256_unpacklo_epi64, _mm256_xor_si256,
};

use core::hint::black_box;

use super::{
    Block, Place,
    portable::CONSTANTS,
    rounds::{counters_and_nonces, following, rounds},
};

/// Blocks that are made at once.
pub(super) const LANES: usize = 8;

/// Half a block: what a vector holds.
type Half = [u8; 32];

/// The block of each place.
#[target_feature(enable = "avx2")]
pub(super) fn blocks(key: &[u32; 8], places: &[Place; LANES], room: &mut [Block; LANES]) {
    store_blocks(room, &keystream(key, places));
}

/// Xors whole blocks of one text with its stream from `place` on.
#[target_feature(enable = "avx2")]
pub(super) fn xor_blocks(key: &[u32; 8], place: Place, text: &mut [Block; LANES]) {
    for (half, stream) in halves(text).iter_mut().zip(keystream(key, &following(place)).as_flattened()) {
        let sealed = xor(load(half), *stream);
        store(half, sealed);
    }
}

#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn store_blocks(room: &mut [Block; LANES], blocks: &[[__m256i; 2]; LANES]) {
    for (half, bytes) in halves(room).iter_mut().zip(blocks.as_flattened()) {
        store(half, *bytes);
    }
}

fn halves(blocks: &mut [Block; LANES]) -> &mut [Half] {
    blocks.as_flattened_mut().as_chunks_mut().0
}

#[inline]
#[target_feature(enable = "avx2")]
fn keystream(key: &[u32; 8], places: &[Place; LANES]) -> [[__m256i; 2]; LANES] {
    let start = start(key, places);
    let mut state = start;
    let moves = ByteMoves::new();
    rounds!(state, &moves);
    for (word, start) in state.iter_mut().zip(&start) {
        *word = add(*word, *start);
    }
    transpose(&state)
}

/// Rotations by whole bytes, as moves of bytes: one step in place of three.
struct ByteMoves {
    by_16: __m256i,
    by_8: __m256i,
}

impl ByteMoves {
    /// The compiler must not know them: it would split each move in two, which takes longer.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn new() -> Self {
        #[rustfmt::skip]
        let by_16 = _mm256_setr_epi8(
            2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13,
            2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13,
        );
        #[rustfmt::skip]
        let by_8 = _mm256_setr_epi8(
            3, 0, 1, 2, 7, 4, 5, 6, 11, 8, 9, 10, 15, 12, 13, 14,
            3, 0, 1, 2, 7, 4, 5, 6, 11, 8, 9, 10, 15, 12, 13, 14,
        );
        black_box(Self { by_16, by_8 })
    }
}

/// Constants and key are the same in all lanes, counter and nonce each lane's own. The two other words are zero: BOLT 8's
/// nonce is 32 zero bits and a number of 64 bits, which stays below 1,000.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn start(key: &[u32; 8], places: &[Place; LANES]) -> [__m256i; 16] {
    let mut state = [_mm256_setzero_si256(); 16];
    for (word, all) in state.iter_mut().zip(CONSTANTS.iter().chain(key)) {
        *word = _mm256_set1_epi32(all.cast_signed());
    }
    let [counters, nonces] = counters_and_nonces(places);
    state[12] = load_words(&counters);
    state[14] = load_words(&nonces);
    state
}

/// From word `n` of every block to both halves of block `n`.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn transpose(words: &[__m256i; 16]) -> [[__m256i; 2]; LANES] {
    let mut blocks = [[_mm256_setzero_si256(); 2]; LANES];
    // Four words of a block side by side: in `quarters[q][n]`, words 4q to 4q + 3 of the blocks n and 4 + n.
    let mut quarters = [[_mm256_setzero_si256(); 4]; 4];
    for (quarter, [a, b, c, d]) in quarters.iter_mut().zip(words.as_chunks().0) {
        let (low, low_2) = (_mm256_unpacklo_epi32(*a, *b), _mm256_unpacklo_epi32(*c, *d));
        let (high, high_2) = (_mm256_unpackhi_epi32(*a, *b), _mm256_unpackhi_epi32(*c, *d));
        *quarter = [
            _mm256_unpacklo_epi64(low, low_2),
            _mm256_unpackhi_epi64(low, low_2),
            _mm256_unpacklo_epi64(high, high_2),
            _mm256_unpackhi_epi64(high, high_2),
        ];
    }
    let [first, second, third, fourth] = &quarters;
    for n in 0..4 {
        // The lower halves of two vectors (0x20), and the upper ones (0x31).
        blocks[n] = [
            _mm256_permute2x128_si256::<0x20>(first[n], second[n]),
            _mm256_permute2x128_si256::<0x20>(third[n], fourth[n]),
        ];
        blocks[4 + n] = [
            _mm256_permute2x128_si256::<0x31>(first[n], second[n]),
            _mm256_permute2x128_si256::<0x31>(third[n], fourth[n]),
        ];
    }
    blocks
}

#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn add(a: __m256i, b: __m256i) -> __m256i {
    _mm256_add_epi32(a, b)
}

#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn xor(a: __m256i, b: __m256i) -> __m256i {
    _mm256_xor_si256(a, b)
}

#[inline]
#[target_feature(enable = "avx2")]
fn rotate_16(a: __m256i, moves: &ByteMoves) -> __m256i {
    _mm256_shuffle_epi8(a, moves.by_16)
}

#[inline]
#[target_feature(enable = "avx2")]
fn rotate_12(a: __m256i, _: &ByteMoves) -> __m256i {
    _mm256_or_si256(_mm256_slli_epi32::<12>(a), _mm256_srli_epi32::<20>(a))
}

#[inline]
#[target_feature(enable = "avx2")]
fn rotate_8(a: __m256i, moves: &ByteMoves) -> __m256i {
    _mm256_shuffle_epi8(a, moves.by_8)
}

#[inline]
#[target_feature(enable = "avx2")]
fn rotate_7(a: __m256i, _: &ByteMoves) -> __m256i {
    _mm256_or_si256(_mm256_slli_epi32::<7>(a), _mm256_srli_epi32::<25>(a))
}

#[inline]
#[target_feature(enable = "avx2")]
fn load_words(words: &[u32; LANES]) -> __m256i {
    // SAFETY: reads 32 bytes, which is how long the array is; any alignment will do.
    unsafe { _mm256_loadu_si256(words.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn load(half: &Half) -> __m256i {
    // SAFETY: reads 32 bytes, which is how long the array is; any alignment will do.
    unsafe { _mm256_loadu_si256(half.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn store(half: &mut Half, bytes: __m256i) {
    // SAFETY: writes 32 bytes, which is how long the array is; any alignment will do.
    unsafe { _mm256_storeu_si256(half.as_mut_ptr().cast(), bytes) }
}
