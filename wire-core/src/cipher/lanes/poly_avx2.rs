//! Many limbs at once into the sum of Poly1305, with the multiplication of 32 by 32 bits of AVX2.
//!
//! Numbers are five words of 26 bits, in four lanes. Lane sums stay apart until the end: with `r` for the point, four limbs
//! that come are `sum = sum * r^4 + limbs` in all lanes at once, and the last multiplication gives each lane the power that
//! its place asks for. Eight limbs are taken at a time, `sum = sum * r^8 + first * r^4 + second`, so that two products are
//! reduced together.
//!
//! Bounds: words of a sum are below 2^28, of a power below 2^27, and what is folded is 5 times that, below 2^30. So operands
//! fit 32 bits, and ten products add up to less than 2^62.

use core::arch::x86_64::{
    __m256i, _mm256_add_epi64, _mm256_and_si256, _mm256_loadu_si256, _mm256_mul_epu32, _mm256_or_si256,
    _mm256_set1_epi64x, _mm256_setzero_si256, _mm256_slli_epi64, _mm256_srli_epi64, _mm256_storeu_si256,
    _mm256_unpackhi_epi64, _mm256_unpacklo_epi64,
};

use crate::cipher::poly1305::LIMB_LEN;

/// Limbs that are taken at a time.
const GROUP: usize = 8;

/// Fewer groups go faster one limb at a time, since the powers must be made first. Measured.
pub(super) const WORTH_IT: usize = 12;

/// Which limb is in which lane: what falls out of unpacking two vectors.
const LIMB_OF_LANE: [usize; LANES] = [0, 2, 1, 3];
const LANES: usize = 4;

const MASK: u64 = (1 << 26) - 1;

/// A number per lane, in words of 26 bits.
type Number = [__m256i; 5];

/// A number to multiply with, and its four upper words five times: 2^130 is 5.
struct Factor {
    words: Number,
    folded: [__m256i; 4],
}

/// What the sum `value` becomes with the limbs of all groups, nearly reduced.
#[target_feature(enable = "avx2")]
pub(super) fn absorb(
    value: [u64; 3],
    powers: &[[u64; 3]; GROUP],
    groups: &[[[u8; LIMB_LEN]; GROUP]],
) -> [u64; 3] {
    let fourth = factor(&[split(powers[3]); LANES]);
    let eighth = factor(&[split(powers[7]); LANES]);
    // The sum so far belongs to the first limb.
    let mut first_lane = [[0; 5]; LANES];
    first_lane[0] = split(value);
    let mut start = lanes(&first_lane);
    let mut sum = [_mm256_setzero_si256(); 5];
    for limbs in groups {
        let (vectors, _) = limbs.as_flattened().as_chunks();
        let first = add(load_limbs([&vectors[0], &vectors[1]]), start);
        start = [_mm256_setzero_si256(); 5];
        let products = add(product(sum, &eighth), product(first, &fourth));
        sum = add(reduce(products), load_limbs([&vectors[2], &vectors[3]]));
    }
    let last = factor(&LIMB_OF_LANE.map(|limb| split(powers[3 - limb])));
    joined(reduce(product(sum, &last)))
}

/// Partial products, each word the sum of those that belong to the same power of two.
#[inline]
#[target_feature(enable = "avx2")]
fn product([a0, a1, a2, a3, a4]: Number, by: &Factor) -> Number {
    let [b0, b1, b2, b3, b4] = by.words;
    let [f1, f2, f3, f4] = by.folded;
    [
        sum_of_products([(a0, b0), (a1, f4), (a2, f3), (a3, f2), (a4, f1)]),
        sum_of_products([(a0, b1), (a1, b0), (a2, f4), (a3, f3), (a4, f2)]),
        sum_of_products([(a0, b2), (a1, b1), (a2, b0), (a3, f4), (a4, f3)]),
        sum_of_products([(a0, b3), (a1, b2), (a2, b1), (a3, b0), (a4, f4)]),
        sum_of_products([(a0, b4), (a1, b3), (a2, b2), (a3, b1), (a4, b0)]),
    ]
}

#[inline]
#[target_feature(enable = "avx2")]
fn sum_of_products([first, second, third, fourth, fifth]: [(__m256i, __m256i); 5]) -> __m256i {
    let lower = _mm256_add_epi64(multiply(first), multiply(second));
    let upper = _mm256_add_epi64(multiply(third), multiply(fourth));
    _mm256_add_epi64(_mm256_add_epi64(lower, upper), multiply(fifth))
}

#[inline]
#[target_feature(enable = "avx2")]
fn multiply((a, b): (__m256i, __m256i)) -> __m256i {
    _mm256_mul_epu32(a, b)
}

/// Brings the words back to 26 bits, nearly.
#[inline]
#[target_feature(enable = "avx2")]
fn reduce(products: Number) -> Number {
    let mask = all(MASK);
    let mut words = products;
    let mut carry = _mm256_setzero_si256();
    for word in &mut words {
        let sum = _mm256_add_epi64(*word, carry);
        *word = _mm256_and_si256(sum, mask);
        carry = _mm256_srli_epi64::<26>(sum);
    }
    // The last carry is worth 2^130, so 5.
    let five_carries = _mm256_add_epi64(carry, _mm256_slli_epi64::<2>(carry));
    let sum = _mm256_add_epi64(words[0], five_carries);
    words[0] = _mm256_and_si256(sum, mask);
    let sum = _mm256_add_epi64(words[1], _mm256_srli_epi64::<26>(sum));
    words[1] = _mm256_and_si256(sum, mask);
    words[2] = _mm256_add_epi64(words[2], _mm256_srli_epi64::<26>(sum));
    words
}

#[inline]
#[target_feature(enable = "avx2")]
fn add([a0, a1, a2, a3, a4]: Number, [b0, b1, b2, b3, b4]: Number) -> Number {
    [
        _mm256_add_epi64(a0, b0),
        _mm256_add_epi64(a1, b1),
        _mm256_add_epi64(a2, b2),
        _mm256_add_epi64(a3, b3),
        _mm256_add_epi64(a4, b4),
    ]
}

#[inline]
#[target_feature(enable = "avx2")]
fn all(word: u64) -> __m256i {
    _mm256_set1_epi64x(word.cast_signed())
}

/// Four limbs as numbers, each with the bit above it set. RFC 8439, 2.5.
#[inline]
#[target_feature(enable = "avx2")]
fn load_limbs([first, second]: [&[u8; 32]; 2]) -> Number {
    let (first, second) = (load(first), load(second));
    let low = _mm256_unpacklo_epi64(first, second);
    let high = _mm256_unpackhi_epi64(first, second);
    let mask = all(MASK);
    let middle = _mm256_or_si256(_mm256_srli_epi64::<52>(low), _mm256_slli_epi64::<12>(high));
    [
        _mm256_and_si256(low, mask),
        _mm256_and_si256(_mm256_srli_epi64::<26>(low), mask),
        _mm256_and_si256(middle, mask),
        _mm256_and_si256(_mm256_srli_epi64::<14>(high), mask),
        _mm256_or_si256(_mm256_srli_epi64::<40>(high), all(1 << 24)),
    ]
}

/// A number for each lane to be multiplied with.
#[inline]
#[target_feature(enable = "avx2")]
fn factor(numbers: &[[u64; 5]; LANES]) -> Factor {
    let words = lanes(numbers);
    let [_, mut folded @ ..] = words;
    for word in &mut folded {
        *word = _mm256_add_epi64(*word, _mm256_slli_epi64::<2>(*word));
    }
    Factor { words, folded }
}

/// Numbers side by side.
#[inline]
#[target_feature(enable = "avx2")]
fn lanes(numbers: &[[u64; 5]; LANES]) -> Number {
    let mut words = [_mm256_setzero_si256(); 5];
    for (word, vector) in words.iter_mut().enumerate() {
        *vector = load_words(&numbers.map(|number| number[word]));
    }
    words
}

/// A number of 64-bit words in words of 26 bits. It is nearly reduced, so the top one stays below 2^27.
#[inline]
fn split([low, middle, high]: [u64; 3]) -> [u64; 5] {
    [
        low & MASK,
        low >> 26 & MASK,
        (low >> 52 | middle << 12) & MASK,
        middle >> 14 & MASK,
        middle >> 40 | high << 24,
    ]
}

/// The sum of all lanes in words of 64 bits, nearly reduced.
#[inline]
#[target_feature(enable = "avx2")]
fn joined(number: Number) -> [u64; 3] {
    let mut words = [0; 5];
    for (word, vector) in words.iter_mut().zip(&number) {
        *word = store_words(*vector).iter().sum::<u64>();
    }
    let mut carry = 0;
    // Twice, since five times the first carry from the top may carry again.
    for _ in 0..2 {
        words[0] += 5 * carry;
        carry = 0;
        for word in &mut words {
            *word += carry;
            carry = *word >> 26;
            *word &= MASK;
        }
    }
    let [w0, w1, w2, w3, w4] = words;
    // What is left of the carry is worth 2^130: the top word has room for it.
    let w4 = w4 + (carry << 26);
    [w0 | w1 << 26 | w2 << 52, w2 >> 12 | w3 << 14 | w4 << 40, w4 >> 24]
}

#[inline]
#[target_feature(enable = "avx2")]
fn load(bytes: &[u8; 32]) -> __m256i {
    // SAFETY: reads 32 bytes, which is how long the array is; any alignment will do.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn load_words(words: &[u64; LANES]) -> __m256i {
    // SAFETY: reads 32 bytes, which is how long the array is; any alignment will do.
    unsafe { _mm256_loadu_si256(words.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn store_words(vector: __m256i) -> [u64; LANES] {
    let mut words = [0; LANES];
    // SAFETY: writes 32 bytes, which is how long the array is; any alignment will do.
    unsafe { _mm256_storeu_si256(words.as_mut_ptr().cast(), vector) };
    words
}
