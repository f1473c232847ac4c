//! The first axis of a rule: how an edge is ranked.

use crate::TensorView;

/// Ranks the edges of a tensor: higher is better.
///
/// Implement it outside this crate for a rule of your own; [`crate::rule`] shows how.
pub trait Score: std::fmt::Debug + Send + Sync {
    /// Writes one score per entry of the tensor. `scores` comes empty; only candidates' scores are read.
    fn score(&self, tensor: &TensorView<'_>, scores: &mut Vec<f32>);
}

/// By the magnitude of the weight (Wortsman et al. 2019, section 2.2).
#[derive(Clone, Copy, Debug)]
pub struct Magnitude;

impl Score for Magnitude {
    fn score(&self, tensor: &TensorView<'_>, scores: &mut Vec<f32>) {
        scores.extend(tensor.weights.iter().map(|w| w.abs()));
    }
}

/// By chance: a function of the seed, the tensor's name and the entry, so that the same seed draws the same edges on every
/// machine and backend.
#[derive(Clone, Copy, Debug)]
pub struct Chance;

impl Score for Chance {
    fn score(&self, tensor: &TensorView<'_>, scores: &mut Vec<f32>) {
        // FNV-1a of the name, so that tensors of one model draw apart.
        let name = tensor
            .name
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            });
        scores.extend((0..tensor.weights.len() as u64).map(|entry| {
            let bits = split_mix(split_mix(tensor.seed ^ name).wrapping_add(entry));
            (bits >> 40) as f32
        }));
    }
}

/// One output of the SplitMix64 generator for state `x` (Steele, Lea, Flood 2014).
pub(crate) fn split_mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
