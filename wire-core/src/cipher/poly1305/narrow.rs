//! The sum in five limbs of 26 bits, for machines that multiply 32 by 32 bits.

use super::{CLAMP, LIMB_LEN};

/// 26 bits.
const MASK: u32 = 0x03ff_ffff;

/// The polynomial so far, and the point at which it is taken.
#[derive(Clone)]
pub(in crate::cipher) struct Sum {
    point: [u32; 5],
    /// Each less than 2^26 plus a little.
    value: [u32; 5],
}

impl Sum {
    pub(in crate::cipher) fn new(point: u128) -> Self {
        Self { point: limbs(point & CLAMP), value: [0; 5] }
    }

    /// For each limb, sum = (sum + 2^128 + limb) * point, nearly reduced.
    pub(in crate::cipher) fn absorb(&mut self, limbs: &[[u8; LIMB_LEN]]) {
        for limb in limbs {
            self.absorb_one(limb);
        }
    }

    fn absorb_one(&mut self, limb: &[u8; LIMB_LEN]) {
        for (sum, limb) in self.value.iter_mut().zip(limbs(u128::from_le_bytes(*limb))) {
            *sum += limb;
        }
        self.value[4] += 1 << 24;

        // What passes 2^130 comes round as 5. Written out, as a loop of any shape costs twice the instructions.
        let [v0, v1, v2, v3, v4] = self.value;
        let [p0, p1, p2, p3, p4] = self.point;
        let [f1, f2, f3, f4] = [p1 * 5, p2 * 5, p3 * 5, p4 * 5];
        let products = [
            times(v0, p0) + times(v1, f4) + times(v2, f3) + times(v3, f2) + times(v4, f1),
            times(v0, p1) + times(v1, p0) + times(v2, f4) + times(v3, f3) + times(v4, f2),
            times(v0, p2) + times(v1, p1) + times(v2, p0) + times(v3, f4) + times(v4, f3),
            times(v0, p3) + times(v1, p2) + times(v2, p1) + times(v3, p0) + times(v4, f4),
            times(v0, p4) + times(v1, p3) + times(v2, p2) + times(v3, p1) + times(v4, p0),
        ];
        let mut carry = 0;
        for (sum, product) in self.value.iter_mut().zip(products) {
            let product = product + carry;
            *sum = low(product);
            carry = product >> 26;
        }
        let first = u64::from(self.value[0]) + carry * 5;
        self.value[0] = low(first);
        self.value[1] += low(first >> 26);
    }

    /// The sum, reduced, without what lies above 128 bits.
    pub(in crate::cipher) fn reduced(&self) -> u128 {
        let mut sum = self.value;
        let mut carry = 0;
        // Twice round: the first time the carry from the top may reach into the second limb again.
        for _ in 0..2 {
            sum[0] += carry * 5;
            carry = 0;
            for limb in &mut sum {
                *limb += carry;
                carry = *limb >> 26;
                *limb &= MASK;
            }
        }
        sum[0] += carry * 5;
        // sum - (2^130 - 5), of which bit 130 tells whether the sum was less.
        let mut reduced = [0; 5];
        let mut carry = 5;
        for (reduced, limb) in reduced.iter_mut().zip(sum) {
            *reduced = limb + carry;
            carry = *reduced >> 26;
            *reduced &= MASK;
        }
        let mask = carry.wrapping_neg();
        let mut value = 0;
        for (place, (reduced, limb)) in reduced.into_iter().zip(sum).enumerate() {
            // The top limb loses what lies above 128 bits.
            value |= u128::from((reduced & mask) | (limb & !mask)) << (26 * place);
        }
        value
    }

    pub(in crate::cipher) fn wipe(&mut self) {
        self.point = [0; 5];
        self.value = [0; 5];
    }
}

/// One instruction of a Cortex-M4.
#[inline(always)]
#[expect(clippy::inline_always, reason = "where code is made small, it would be a call of one instruction")]
fn times(one: u32, other: u32) -> u64 {
    u64::from(one) * u64::from(other)
}

fn limbs(number: u128) -> [u32; 5] {
    #[expect(clippy::cast_possible_truncation, reason = "to take a number apart is the purpose")]
    let limb = |place: u32| low((number >> (26 * place)) as u64);
    [limb(0), limb(1), limb(2), limb(3), limb(4)]
}

/// The low 26 bits.
#[expect(clippy::cast_possible_truncation, reason = "to take a number apart is the purpose")]
fn low(number: u64) -> u32 {
    number as u32 & MASK
}
