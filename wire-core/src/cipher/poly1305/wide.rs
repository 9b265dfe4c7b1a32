//! The sum in two words of 64 bits and a few bits more, for machines that multiply 64 by 64 bits.

use super::{CLAMP, LIMB_LEN};

/// The polynomial so far, and the point at which it is taken.
#[derive(Clone)]
pub(in crate::cipher) struct Sum {
    /// The point, clamped: less than 2^124, and the low two bits of its upper word are zero.
    point: [u64; 2],
    /// Five quarters of the upper word of the point: what a product that begins at 2^128 is worth at 2^0, since 2^130 is
    /// 5 and the upper word is a multiple of 4.
    folded: u64,
    /// Less than 2^130 plus a little: the top word stays below 8.
    value: [u64; 3],
}

impl Sum {
    pub(in crate::cipher) fn new(point: u128) -> Self {
        let [low, high] = halves(point & CLAMP);
        Self { point: [low, high], folded: high + (high >> 2), value: [0; 3] }
    }

    /// For each limb, sum = (sum + 2^128 + limb) * point.
    #[inline]
    pub(in crate::cipher) fn absorb(&mut self, limbs: &[[u8; LIMB_LEN]]) {
        for limb in limbs {
            let [low, high] = halves(u128::from_le_bytes(*limb));
            let (h0, carry) = self.value[0].carrying_add(low, false);
            let (h1, carry) = self.value[1].carrying_add(high, carry);
            self.value = [h0, h1, self.value[2] + 1 + u64::from(carry)];
            self.multiply();
        }
    }

    /// sum = sum * point, nearly reduced.
    #[inline]
    fn multiply(&mut self) {
        let [h0, h1, h2] = self.value;
        let [r0, r1] = self.point;
        // With a sum below 2^131 and a clamped point no line here exceeds 128 bits, nor `d2` 64.
        let d0 = product(h0, r0) + product(h1, self.folded);
        let d1 = product(h0, r1) + product(h1, r0) + u128::from(h2 * self.folded);
        let d2 = h2 * r0;

        let [h0, carry] = halves(d0);
        let [h1, carry] = halves(d1 + u128::from(carry));
        let h2 = d2 + carry;
        // What lies above 2^130, times 5: `h2` is less than 2^63.5, so five quarters of it fit a word.
        let (h0, carry) = h0.carrying_add((h2 & !3) + (h2 >> 2), false);
        let (h1, carry) = h1.carrying_add(0, carry);
        self.value = [h0, h1, (h2 & 3) + u64::from(carry)];
    }

    /// The sum, reduced, without what lies above 128 bits.
    pub(in crate::cipher) fn reduced(&self) -> u128 {
        let [h0, h1, h2] = self.value;
        // sum - (2^130 - 5), of which the bits from 130 on tell whether the sum was less.
        let (g0, carry) = h0.carrying_add(5, false);
        let (g1, carry) = h1.carrying_add(0, carry);
        let g2 = h2 + u64::from(carry);
        let reduced = u128::from(g1) << 64 | u128::from(g0);
        let unreduced = u128::from(h1) << 64 | u128::from(h0);
        // All ones if the sum was 2^130 - 5 or more.
        let mask = u128::from(g2 >> 2 != 0).wrapping_neg();
        (reduced & mask) | (unreduced & !mask)
    }

    pub(in crate::cipher) fn wipe(&mut self) {
        self.point = [0; 2];
        self.folded = 0;
        self.value = [0; 3];
    }
}

/// What vector arithmetic needs, which only x86-64 has so far.
#[cfg(target_arch = "x86_64")]
impl Sum {
    /// The first `N` powers of the point, each nearly reduced.
    pub(in crate::cipher) fn powers<const N: usize>(&self) -> [[u64; 3]; N] {
        let [low, high] = self.point;
        let mut power = Self { value: [low, high, 0], ..self.clone() };
        let powers = core::array::from_fn(|number| {
            if number > 0 {
                power.multiply();
            }
            power.value
        });
        power.wipe();
        powers
    }

    /// The sum, nearly reduced.
    pub(in crate::cipher) fn value(&self) -> [u64; 3] {
        self.value
    }

    /// What the sum has become elsewhere, nearly reduced: the top word below 8.
    pub(in crate::cipher) fn set_value(&mut self, value: [u64; 3]) {
        self.value = value;
    }
}

#[inline]
fn product(a: u64, b: u64) -> u128 {
    u128::from(a) * u128::from(b)
}

/// The low word, then the high one.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "to take a number apart is the purpose")]
fn halves(number: u128) -> [u64; 2] {
    [number as u64, (number >> 64) as u64]
}
