//! 8 blocks at once with the rotations and the 32 registers of AVX-512VL: for a frame alone, where 16 lanes would take longer.
//! Everything but the rounds is `avx2`'s.

use core::arch::x86_64::{__m256i, _mm256_rol_epi32};

use super::{
    Block, Place,
    avx2::{self, LANES, add, xor},
    rounds::rounds,
};

/// The block of each place.
#[target_feature(enable = "avx512f,avx512vl")]
pub(super) fn blocks(key: &[u32; 8], places: &[Place; LANES], room: &mut [Block; LANES]) {
    let start = avx2::start(key, places);
    let mut state = start;
    rounds!(state, ());
    for (word, start) in state.iter_mut().zip(&start) {
        *word = add(*word, *start);
    }
    avx2::store_blocks(room, &avx2::transpose(&state));
}

#[inline]
#[target_feature(enable = "avx512f,avx512vl")]
fn rotate_16(a: __m256i, (): ()) -> __m256i {
    _mm256_rol_epi32::<16>(a)
}

#[inline]
#[target_feature(enable = "avx512f,avx512vl")]
fn rotate_12(a: __m256i, (): ()) -> __m256i {
    _mm256_rol_epi32::<12>(a)
}

#[inline]
#[target_feature(enable = "avx512f,avx512vl")]
fn rotate_8(a: __m256i, (): ()) -> __m256i {
    _mm256_rol_epi32::<8>(a)
}

#[inline]
#[target_feature(enable = "avx512f,avx512vl")]
fn rotate_7(a: __m256i, (): ()) -> __m256i {
    _mm256_rol_epi32::<7>(a)
}
