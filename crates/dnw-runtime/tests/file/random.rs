//! Random numbers that depend on a seed only.

/// SplitMix64.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    /// A number less than `end`, or 0 if that is 0.
    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % (end as u64).max(1)) as usize
    }

    /// True once in `n` times.
    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// Roughly a normal distribution of this deviation.
    pub fn weight(&mut self, deviation: f32) -> f32 {
        let uniform = |bits: u64| (bits >> 40) as f32 / (1_u64 << 24) as f32 - 0.5;
        (0..12).map(|_| uniform(self.next())).sum::<f32>() * deviation
    }

    pub fn weights(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.weight(0.1)).collect()
    }

    /// `count` numbers less than `end`, of which a few do not follow the others' distance.
    pub fn progression(&mut self, count: usize, end: usize) -> Vec<u32> {
        let distance = self.below(20) as u32;
        let mut last = self.below(end) as u32;
        let mut values = Vec::new();
        for _ in 0..count {
            if self.one_in(8) {
                last = self.below(end) as u32;
            }
            values.push(last);
            last = last.wrapping_add(distance);
        }
        values
    }

    pub fn text(&mut self, names: &[&str]) -> String {
        let name = names[self.below(names.len())];
        if self.one_in(3) {
            format!("{name}{}", self.below(5))
        } else {
            name.to_owned()
        }
    }
}
