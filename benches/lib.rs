//! The library of the benchmarks and measuring programs: inputs, dense products for comparison, the limits of the machine, and the
//! protocol of the measuring programs.

pub mod dense;
pub mod dialogue;
pub mod products;
pub mod roofline;
pub mod selection;
pub mod timing;

use dnw_kernels::EdgeIndex;

/// Pseudorandom values in -1..1, determined by `seed`.
pub fn random_values(seed: u64, n: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..n)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        })
        .collect()
}

/// A random wiring of a `[targets, sources]` matrix with this density.
pub fn edges(targets: usize, sources: usize, density: f64) -> EdgeIndex {
    let drawn = random_values(7, targets * sources)
        .into_iter()
        .map(|x| (f64::from(x) + 1.0) / 2.0 < density);
    EdgeIndex::from_mask(targets, sources, drawn)
}
