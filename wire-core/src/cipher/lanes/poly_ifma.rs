//! Many limbs at once into the sum of Poly1305, with the multiplication of 52 by 52 bits of AVX-512 IFMA.
//!
//! Numbers are three words of 44 bits (the top one 42), in eight lanes. Lane sums stay apart until the end: with `r` for the
//! point, eight limbs that come are `sum = sum * r^8 + limbs` in all lanes at once, and the last multiplication gives each
//! lane the power that its place asks for. Sixteen limbs are taken at a time, `sum = sum * r^16 + first * r^8 + second`, so
//! that two products are reduced together.
//!
//! Bounds: words of a sum are below 2^45, of a power below 2^44, and what is folded is 20 times that, below 2^49. So
//! operands fit 52 bits, and six products of either half add up to less than 2^55.

use core::arch::x86_64::{
    __m512i, _mm512_add_epi64, _mm512_and_si512, _mm512_loadu_si512, _mm512_madd52hi_epu64,
    _mm512_madd52lo_epu64, _mm512_or_si512, _mm512_set1_epi64, _mm512_setzero_si512, _mm512_slli_epi64,
    _mm512_srli_epi64, _mm512_storeu_si512, _mm512_unpackhi_epi64, _mm512_unpacklo_epi64,
};

use crate::cipher::poly1305::LIMB_LEN;

/// Limbs that are taken at a time.
const GROUP: usize = 16;

/// Fewer groups go faster one limb at a time, since the powers must be made first. Measured.
pub(super) const WORTH_IT: usize = 3;

/// Which limb is in which lane: what falls out of unpacking two vectors.
const LIMB_OF_LANE: [usize; LANES] = [0, 4, 1, 5, 2, 6, 3, 7];
const LANES: usize = 8;

pub(super) const MASK_44: u64 = (1 << 44) - 1;
pub(super) const MASK_42: u64 = (1 << 42) - 1;

/// A number per lane, in words of 44 bits.
pub(super) type Number = [__m512i; 3];

/// A number to multiply with, and its two upper words 20 times: 2^132 is four times 2^130, which is 5.
pub(super) struct Factor {
    words: Number,
    folded: [__m512i; 2],
}

/// The low and high 52 bits of products, added up, before they are reduced.
pub(super) struct Products {
    low: Number,
    high: Number,
}

/// What the sum `value` becomes with the limbs of all groups, nearly reduced.
#[target_feature(enable = "avx512f,avx512ifma")]
pub(super) fn absorb(
    value: [u64; 3],
    powers: &[[u64; 3]; GROUP],
    groups: &[[[u8; LIMB_LEN]; GROUP]],
) -> [u64; 3] {
    let eighth = factor(&[split(powers[7]); LANES]);
    let sixteenth = factor(&[split(powers[15]); LANES]);
    // The sum so far belongs to the first limb.
    let mut first_lane = [[0; 3]; LANES];
    first_lane[0] = split(value);
    let mut start = lanes(&first_lane);
    let mut sum = [_mm512_setzero_si512(); 3];
    for limbs in groups {
        let (vectors, _) = limbs.as_flattened().as_chunks();
        let [first, second] = [[&vectors[0], &vectors[1]], [&vectors[2], &vectors[3]]];
        let first = add(load_limbs(first), start);
        start = [_mm512_setzero_si512(); 3];
        let mut products = nothing();
        multiply(&mut products, sum, &sixteenth);
        multiply(&mut products, first, &eighth);
        sum = add(reduce(&products), load_limbs(second));
    }
    let last = factor(&LIMB_OF_LANE.map(|limb| split(powers[7 - limb])));
    let mut products = nothing();
    multiply(&mut products, sum, &last);
    joined(reduce(&products))
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn nothing() -> Products {
    Products { low: [_mm512_setzero_si512(); 3], high: [_mm512_setzero_si512(); 3] }
}

/// Adds all partial products that belong to the same power of two.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
pub(super) fn multiply(products: &mut Products, [a0, a1, a2]: Number, by: &Factor) {
    let [b0, b1, b2] = by.words;
    let [b1_folded, b2_folded] = by.folded;
    let Products { low, high } = products;
    low[0] = sum_of_lower(low[0], [(a0, b0), (a1, b2_folded), (a2, b1_folded)]);
    high[0] = sum_of_upper(high[0], [(a0, b0), (a1, b2_folded), (a2, b1_folded)]);
    low[1] = sum_of_lower(low[1], [(a0, b1), (a1, b0), (a2, b2_folded)]);
    high[1] = sum_of_upper(high[1], [(a0, b1), (a1, b0), (a2, b2_folded)]);
    low[2] = sum_of_lower(low[2], [(a0, b2), (a1, b1), (a2, b0)]);
    high[2] = sum_of_upper(high[2], [(a0, b2), (a1, b1), (a2, b0)]);
}

/// The low halves of three products, added up.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn sum_of_lower(sum: __m512i, [first, second, third]: [(__m512i, __m512i); 3]) -> __m512i {
    let sum = _mm512_madd52lo_epu64(sum, first.0, first.1);
    let sum = _mm512_madd52lo_epu64(sum, second.0, second.1);
    _mm512_madd52lo_epu64(sum, third.0, third.1)
}

/// The high halves.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn sum_of_upper(sum: __m512i, [first, second, third]: [(__m512i, __m512i); 3]) -> __m512i {
    let sum = _mm512_madd52hi_epu64(sum, first.0, first.1);
    let sum = _mm512_madd52hi_epu64(sum, second.0, second.1);
    _mm512_madd52hi_epu64(sum, third.0, third.1)
}

/// Brings the words back to 44 bits, nearly. A high half is worth 2^52, which is 2^8 in the next word.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn reduce(Products { low, high }: &Products) -> Number {
    let (mask_44, mask_42) = (all(MASK_44), all(MASK_42));
    let carry = _mm512_srli_epi64::<44>(low[0]);
    let word_0 = _mm512_and_si512(low[0], mask_44);
    let word_1 = sum([low[1], _mm512_slli_epi64::<8>(high[0]), carry]);
    let carry = _mm512_srli_epi64::<44>(word_1);
    let word_1 = _mm512_and_si512(word_1, mask_44);
    let word_2 = sum([low[2], _mm512_slli_epi64::<8>(high[1]), carry]);
    let carry = _mm512_srli_epi64::<42>(word_2);
    let word_2 = _mm512_and_si512(word_2, mask_42);
    // The carry is worth 2^130, so 5; the last high half 2^8 times 2^132, so 2^8 times 20.
    let five_carries = _mm512_add_epi64(carry, _mm512_slli_epi64::<2>(carry));
    let folded = _mm512_add_epi64(_mm512_slli_epi64::<10>(high[2]), _mm512_slli_epi64::<12>(high[2]));
    let word_0 = sum([word_0, five_carries, folded]);
    let carry = _mm512_srli_epi64::<44>(word_0);
    [_mm512_and_si512(word_0, mask_44), _mm512_add_epi64(word_1, carry), word_2]
}

#[inline]
#[target_feature(enable = "avx512f")]
fn sum([a, b, c]: [__m512i; 3]) -> __m512i {
    _mm512_add_epi64(_mm512_add_epi64(a, b), c)
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn add(a: Number, b: Number) -> Number {
    [_mm512_add_epi64(a[0], b[0]), _mm512_add_epi64(a[1], b[1]), _mm512_add_epi64(a[2], b[2])]
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn all(word: u64) -> __m512i {
    _mm512_set1_epi64(word.cast_signed())
}

/// Eight limbs as numbers, each with the bit above it set. RFC 8439, 2.5.
#[inline]
#[target_feature(enable = "avx512f")]
fn load_limbs([first, second]: [&[u8; 64]; 2]) -> Number {
    let (first, second) = (load(first), load(second));
    let low = _mm512_unpacklo_epi64(first, second);
    let high = _mm512_unpackhi_epi64(first, second);
    let [low, middle, high] = of_halves(low, high);
    [low, middle, _mm512_or_si512(high, all(1 << 40))]
}

/// Numbers of 128 bits, of which each lane has both halves.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn of_halves(low: __m512i, high: __m512i) -> Number {
    let middle = _mm512_or_si512(_mm512_srli_epi64::<44>(low), _mm512_slli_epi64::<20>(high));
    [
        _mm512_and_si512(low, all(MASK_44)),
        _mm512_and_si512(middle, all(MASK_44)),
        _mm512_srli_epi64::<24>(high),
    ]
}

/// A number for each lane to be multiplied with.
#[inline]
#[target_feature(enable = "avx512f")]
fn factor(numbers: &[[u64; 3]; LANES]) -> Factor {
    to_multiply_with(lanes(numbers))
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn to_multiply_with(words: Number) -> Factor {
    let [_, mut folded @ ..] = words;
    for word in &mut folded {
        *word = _mm512_add_epi64(_mm512_slli_epi64::<2>(*word), _mm512_slli_epi64::<4>(*word));
    }
    Factor { words, folded }
}

/// Numbers side by side.
#[inline]
#[target_feature(enable = "avx512f")]
fn lanes(numbers: &[[u64; 3]; LANES]) -> Number {
    let mut words = [_mm512_setzero_si512(); 3];
    for (word, vector) in words.iter_mut().enumerate() {
        *vector = load_words(&numbers.map(|number| number[word]));
    }
    words
}

/// A number of 64-bit words in words of 44 bits. It is nearly reduced, so the top one stays below 2^43.
#[inline]
fn split([low, middle, high]: [u64; 3]) -> [u64; 3] {
    [low & MASK_44, (low >> 44 | middle << 20) & MASK_44, middle >> 24 | high << 40]
}

/// The sum of all lanes in words of 64 bits, nearly reduced.
#[inline]
#[target_feature(enable = "avx512f")]
fn joined(number: Number) -> [u64; 3] {
    let mut words = [0; 3];
    for (word, vector) in words.iter_mut().zip(&number) {
        *word = store_words(*vector).iter().sum::<u64>();
    }
    let [mut low, mut middle, mut high] = words;
    // Twice, since five times the first carry from the top may carry again.
    for _ in 0..2 {
        middle += low >> 44;
        low &= MASK_44;
        high += middle >> 44;
        middle &= MASK_44;
        low += 5 * (high >> 42);
        high &= MASK_42;
    }
    middle += low >> 44;
    low &= MASK_44;
    high += middle >> 44;
    middle &= MASK_44;
    [low | middle << 44, middle >> 20 | high << 24, high >> 40]
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load(bytes: &[u8; 64]) -> __m512i {
    // SAFETY: reads 64 bytes, which is how long the array is; any alignment will do.
    unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn load_words(words: &[u64; LANES]) -> __m512i {
    // SAFETY: reads 64 bytes, which is how long the array is; any alignment will do.
    unsafe { _mm512_loadu_si512(words.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn store_words(vector: __m512i) -> [u64; LANES] {
    let mut words = [0; LANES];
    // SAFETY: writes 64 bytes, which is how long the array is; any alignment will do.
    unsafe { _mm512_storeu_si512(words.as_mut_ptr().cast(), vector) };
    words
}
