//! Pseudorandom numbers that are the same on every machine.

/// SplitMix64.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// Uniform from 0 to 1.
    pub(super) fn uniform(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u64 << 24) as f32
    }

    /// Triangular distribution from -1 to 1.
    pub(super) fn triangular(&mut self) -> f32 {
        let bits = self.next();
        ((bits >> 40) as f32 - (bits << 24 >> 40) as f32) / (1u64 << 24) as f32
    }

    /// Approximately normal with mean 0 and standard deviation 1: four triangular numbers of variance 1/6 each.
    pub(super) fn normal(&mut self) -> f32 {
        (0..4).map(|_| self.triangular()).sum::<f32>() * 1.224_745
    }
}
