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

        let mut products = [0_u64; 5];
        // By what each limb is multiplied on its way to each place of the product. No index, so no panic in firmware.
        let mut factors = self.point;
        for sum in self.value {
            for (product, factor) in products.iter_mut().zip(factors) {
                *product += u64::from(sum) * u64::from(factor);
            }
            // The next limb stands 26 bits higher; what passes 2^130 comes round as 5.
            let [first, second, third, fourth, fifth] = factors;
            factors = [fifth * 5, first, second, third, fourth];
        }
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
