//! The random numbers of the data, and the order of images in an epoch.
//!
//! The algorithms here never change: a run that is resumed with a later version of the program must use the
//! same images in the same order. The generator is SplitMix64 (Steele, Lea and Flood 2014). Its state is a
//! hash of the purpose of the numbers, so any epoch, or any image of it, can be reproduced without the
//! previous ones.

const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;
const FOR_ORDER: u64 = u64::from_be_bytes(*b"dnworder");
const FOR_IMAGE: u64 = u64::from_be_bytes(*b"dnwimage");

/// SplitMix64, keyed by the purpose of its numbers.
#[derive(Clone, Debug)]
pub struct Rng {
    state: u64,
}

impl Rng {
    /// The generator for the shuffling of an epoch.
    pub fn for_order(seed: u64, epoch: u64) -> Self {
        Self::keyed(&[FOR_ORDER, seed, epoch])
    }

    /// The generator for the augmentation of an image in an epoch.
    pub fn for_image(seed: u64, epoch: u64, index: u32) -> Self {
        Self::keyed(&[FOR_IMAGE, seed, epoch, u64::from(index)])
    }

    /// Absorbs the words one after another: add the word by exclusive or, step, mix.
    fn keyed(words: &[u64]) -> Self {
        let state = words
            .iter()
            .fold(0, |state, word| mix((state ^ word).wrapping_add(GAMMA)));
        Self { state }
    }

    /// The next 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GAMMA);
        mix(self.state)
    }

    /// A uniform number in [0, 1): a multiple of 2^-53 from the upper 53 bits.
    pub fn unit(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A uniform integer in [0, `bound`) (Lemire 2019, on the upper 32 bits).
    ///
    /// # Panics
    /// If `bound` is zero.
    pub fn below(&mut self, bound: u32) -> u32 {
        assert!(bound > 0, "no number is below zero");
        // Of the 2^32 products, the first 2^32 mod bound are rejected, so that the rest divides evenly.
        let refused = bound.wrapping_neg() % bound;
        loop {
            let product = (self.next_u64() >> 32) * u64::from(bound);
            if product as u32 >= refused {
                return (product >> 32) as u32;
            }
        }
    }
}

fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// The order of the images in an epoch: every index once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order(Vec<u32>);

impl Order {
    /// `0, 1, 2, ..`
    pub fn sequential(images: u32) -> Self {
        Self((0..images).collect())
    }

    /// A permutation that depends only on `images`, `seed` and `epoch`: Fisher-Yates from the last element to
    /// the second, each swapped with itself or an earlier one.
    pub fn shuffled(images: u32, seed: u64, epoch: u64) -> Self {
        let mut rng = Rng::for_order(seed, epoch);
        let mut order = Self::sequential(images);
        for place in (1..images).rev() {
            order.0.swap(place as usize, rng.below(place + 1) as usize);
        }
        order
    }

    /// The indices in order.
    pub fn indices(&self) -> &[u32] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_is_splitmix64() {
        // The published first outputs for the state 0.
        let mut rng = Rng { state: 0 };
        assert_eq!(rng.next_u64(), 0xe220_a839_7b1d_cdaf);
        assert_eq!(rng.next_u64(), 0x6e78_9e6a_a1b9_65f4);
        assert_eq!(rng.next_u64(), 0x06c4_5d18_8009_454f);
    }
}
