//! Random choices that can be repeated.

/// `SplitMix64`: small, and good enough to choose a moment.
pub(crate) struct Chance(u64);

impl Chance {
    /// From `ODDWIRE_SEED`, or from this number.
    pub(crate) fn new(default: u64) -> Chance {
        let seed = std::env::var("ODDWIRE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(default);
        // Shown if the test fails.
        println!("ODDWIRE_SEED={seed}");
        Chance(seed)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    /// True once in so many times.
    pub(crate) fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }
}
