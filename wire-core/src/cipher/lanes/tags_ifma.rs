//! The tags of sixteen small texts, each under a key of its own, with AVX-512 IFMA: a lane is a text.
//!
//! A text of a few limbs is too short for `poly_ifma`, which needs powers of its point; but small frames come several at a
//! time, with two texts each. There are two vectors of eight texts, which hide each other's latency. In a vector the texts
//! end together: a shorter one begins later, and until then its sum stays zero.
//!
//! Numbers and bounds are `poly_ifma`'s; a sum to which a limb is added has words below 2^46, which still fit 52 bits.

use core::arch::x86_64::{
    __m128i, __m512i, _mm_loadu_si128, _mm512_add_epi64, _mm512_and_si512, _mm512_castsi128_si512,
    _mm512_cmpgt_epu64_mask, _mm512_cmplt_epu64_mask, _mm512_inserti32x4, _mm512_mask_add_epi64,
    _mm512_mask_blend_epi64, _mm512_maskz_set1_epi64, _mm512_or_si512, _mm512_set1_epi64,
    _mm512_setzero_si512, _mm512_slli_epi64, _mm512_srli_epi64, _mm512_storeu_si512, _mm512_unpackhi_epi64,
    _mm512_unpacklo_epi64,
};

use super::poly_ifma::{
    Factor, MASK_42, MASK_44, Number, add, all, load_words, multiply, nothing, of_halves, reduce,
    to_multiply_with,
};
use crate::cipher::poly1305::{LIMB_LEN, Pairs, SHORT_LEN, filled_up};
use crate::limits::{KEY_LEN, TAG_LEN};

/// Pairs of texts, and lanes of a vector.
const LANES: usize = super::PAIRS;

/// RFC 8439, 2.5: these bits of a point stay, in its two words.
const CLAMP: [u64; 2] = [0x0fff_fffc_0fff_ffff, 0x0fff_fffc_0fff_fffc];

/// The bit above a limb, in the upper of three words of 44 bits.
const ABOVE: i64 = 1 << 40;

/// The tags of all short texts, and of all others.
#[target_feature(enable = "avx512f,avx512ifma")]
pub(super) fn tags(pairs: &Pairs<'_>, tags: &mut [[[u8; TAG_LEN]; LANES]; 2]) {
    // Apart from each other: the processor does the multiplications of both at the same time.
    let [short_tags, tags] = tags;
    let (point, mask) = of_keys(&pairs.short_keys);
    let sum = absorb([_mm512_setzero_si512(); 3], short_limbs(pairs), &point);
    let sum = absorb(sum, lengths(all(SHORT_LEN as u64)), &point);
    finish(sum, mask, short_tags);

    let (point, mask) = of_keys(&pairs.keys);
    let lens = load_words(&pairs.lens);
    let limbs = _mm512_srli_epi64::<4>(_mm512_add_epi64(lens, all(15)));
    let mut rests = [[0; LIMB_LEN]; LANES];
    let mut longest = 0;
    for (rest, text) in rests.iter_mut().zip(&pairs.texts) {
        longest = longest.max(text.len().div_ceil(LIMB_LEN));
        let (_, bytes) = text.as_chunks::<LIMB_LEN>();
        if !bytes.is_empty() {
            *rest = filled_up(bytes);
        }
    }
    let mut sum = [_mm512_setzero_si512(); 3];
    for from_end in (0..longest).rev() {
        let begun = _mm512_cmpgt_epu64_mask(limbs, all(from_end as u64));
        let [low, middle, high] = limbs_of(&pairs.texts, &rests, from_end);
        let high = _mm512_or_si512(high, _mm512_maskz_set1_epi64(begun, ABOVE));
        sum = absorb(sum, [low, middle, high], &point);
    }
    sum = absorb(sum, lengths(lens), &point);
    finish(sum, mask, tags);
}

/// The points of keys, and what masks the sums.
#[inline]
#[target_feature(enable = "avx512f")]
fn of_keys(keys: &[&[u8; KEY_LEN]; LANES]) -> (Factor, [__m512i; 2]) {
    let mut points = [&[0; LIMB_LEN]; LANES];
    let mut masks = [&[0; LIMB_LEN]; LANES];
    for lane in 0..LANES {
        let (halves, _) = keys[lane].as_chunks();
        (points[lane], masks[lane]) = (&halves[0], &halves[1]);
    }
    let [low, high] = side_by_side(&points);
    let low = _mm512_and_si512(low, all(CLAMP[0]));
    let high = _mm512_and_si512(high, all(CLAMP[1]));
    (to_multiply_with(of_halves(low, high)), side_by_side(&masks))
}

/// The only limb of each short text.
#[inline]
#[target_feature(enable = "avx512f")]
fn short_limbs(pairs: &Pairs<'_>) -> Number {
    let [low, middle, high] = of_halves(load_words(&pairs.short), _mm512_setzero_si512());
    [low, middle, _mm512_or_si512(high, _mm512_set1_epi64(ABOVE))]
}

/// The limb of each text that so many others of it follow; zero before the first.
#[inline]
#[target_feature(enable = "avx512f")]
fn limbs_of(texts: &[&[u8]; LANES], rests: &[[u8; LIMB_LEN]; LANES], from_end: usize) -> Number {
    let mut limbs = [&[0; LIMB_LEN]; LANES];
    for lane in 0..LANES {
        let (whole, _) = texts[lane].as_chunks();
        if let Some(index) = texts[lane].len().div_ceil(LIMB_LEN).checked_sub(from_end + 1) {
            limbs[lane] = whole.get(index).unwrap_or(&rests[lane]);
        }
    }
    let [low, high] = side_by_side(&limbs);
    of_halves(low, high)
}

/// The limb that ends the input: no associated data, and the length of the text. RFC 8439, 2.8.
#[inline]
#[target_feature(enable = "avx512f")]
fn lengths(lens: __m512i) -> Number {
    let [low, middle, high] = of_halves(_mm512_setzero_si512(), lens);
    [low, middle, _mm512_or_si512(high, _mm512_set1_epi64(ABOVE))]
}

/// (sum + limb) * point, nearly reduced.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn absorb(sum: Number, limbs: Number, point: &Factor) -> Number {
    let mut products = nothing();
    multiply(&mut products, add(sum, limbs), point);
    reduce(&products)
}

/// Reduces the sums, adds what masks them and puts down what is left below 2^128.
#[inline]
#[target_feature(enable = "avx512f")]
fn finish(sum: Number, [mask_low, mask_high]: [__m512i; 2], tags: &mut [[u8; TAG_LEN]; LANES]) {
    let [word_0, word_1, word_2] = carried(carried(sum));
    // sum - (2^130 - 5), of which the bits from 130 on tell whether the sum was less.
    let reduced_0 = _mm512_add_epi64(word_0, all(5));
    let reduced_1 = _mm512_add_epi64(word_1, _mm512_srli_epi64::<44>(reduced_0));
    let reduced_2 = _mm512_add_epi64(word_2, _mm512_srli_epi64::<44>(reduced_1));
    let is_more = _mm512_cmpgt_epu64_mask(reduced_2, all(MASK_42));
    let word_0 = _mm512_mask_blend_epi64(is_more, word_0, _mm512_and_si512(reduced_0, all(MASK_44)));
    let word_1 = _mm512_mask_blend_epi64(is_more, word_1, _mm512_and_si512(reduced_1, all(MASK_44)));
    let word_2 = _mm512_mask_blend_epi64(is_more, word_2, reduced_2);
    // What is above 128 bits is shifted out.
    let low = _mm512_or_si512(word_0, _mm512_slli_epi64::<44>(word_1));
    let high = _mm512_or_si512(_mm512_srli_epi64::<20>(word_1), _mm512_slli_epi64::<24>(word_2));

    let low = _mm512_add_epi64(low, mask_low);
    let carry = _mm512_cmplt_epu64_mask(low, mask_low);
    let high = _mm512_add_epi64(high, mask_high);
    let high = _mm512_mask_add_epi64(high, carry, high, all(1));
    let even = as_tags(_mm512_unpacklo_epi64(low, high));
    let odd = as_tags(_mm512_unpackhi_epi64(low, high));
    let (pairs, _) = tags.as_chunks_mut::<2>();
    for (number, pair) in pairs.iter_mut().enumerate() {
        *pair = [even[number], odd[number]];
    }
}

/// Carries once through all words and round. Twice, and each word is within its bits, since what comes round is small.
#[inline]
#[target_feature(enable = "avx512f")]
fn carried([word_0, word_1, word_2]: Number) -> Number {
    let word_1 = _mm512_add_epi64(word_1, _mm512_srli_epi64::<44>(word_0));
    let word_2 = _mm512_add_epi64(word_2, _mm512_srli_epi64::<44>(word_1));
    let carry = _mm512_srli_epi64::<42>(word_2);
    let five_carries = _mm512_add_epi64(carry, _mm512_slli_epi64::<2>(carry));
    [
        _mm512_add_epi64(_mm512_and_si512(word_0, all(MASK_44)), five_carries),
        _mm512_and_si512(word_1, all(MASK_44)),
        _mm512_and_si512(word_2, all(MASK_42)),
    ]
}

/// The lower and the upper halves of eight limbs, in their order.
#[inline]
#[target_feature(enable = "avx512f")]
fn side_by_side(limbs: &[&[u8; LIMB_LEN]; LANES]) -> [__m512i; 2] {
    let even = four([limbs[0], limbs[2], limbs[4], limbs[6]]);
    let odd = four([limbs[1], limbs[3], limbs[5], limbs[7]]);
    [_mm512_unpacklo_epi64(even, odd), _mm512_unpackhi_epi64(even, odd)]
}

#[inline]
#[target_feature(enable = "avx512f")]
fn four([a, b, c, d]: [&[u8; LIMB_LEN]; 4]) -> __m512i {
    let vector = _mm512_castsi128_si512(load(a));
    let vector = _mm512_inserti32x4::<1>(vector, load(b));
    let vector = _mm512_inserti32x4::<2>(vector, load(c));
    _mm512_inserti32x4::<3>(vector, load(d))
}

#[inline]
#[target_feature(enable = "sse2")]
fn load(limb: &[u8; LIMB_LEN]) -> __m128i {
    // SAFETY: reads 16 bytes, which is how long the array is; any alignment will do.
    unsafe { _mm_loadu_si128(limb.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn as_tags(vector: __m512i) -> [[u8; TAG_LEN]; 4] {
    let mut tags = [[0; TAG_LEN]; 4];
    // SAFETY: writes 64 bytes, which is how long the array is; any alignment will do.
    unsafe { _mm512_storeu_si512(tags.as_mut_ptr().cast(), vector) };
    tags
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Words that are a little too large, which no text is known to lead to: 2^130 + 2^45 - 1, which is 2^45 + 4.
    #[target_feature(enable = "avx512f")]
    fn carries() -> [[u8; TAG_LEN]; LANES] {
        let mut tags = [[0; TAG_LEN]; LANES];
        finish([all(MASK_44), all((1 << 44) + 1), all(MASK_42)], [_mm512_setzero_si512(); 2], &mut tags);
        tags
    }

    #[test]
    fn a_carry_goes_round_and_on() {
        if crate::cipher::lanes::Width::Avx512Ifma.is_here() {
            // SAFETY: its instructions are here.
            let tags = unsafe { carries() };
            assert_eq!(tags, [((1_u128 << 45) + 4).to_le_bytes(); LANES]);
        }
    }
}
