//! What the benches and the measuring programs share: inputs, the dense products that kernels stand beside, the limits of the machine,
//! and how a program answers one that asks it to measure.

pub mod dense;
pub mod dialogue;
pub mod products;
pub mod roofline;
pub mod selection;
pub mod timing;

use dnw_kernels::EdgeIndex;

/// Numbers in -1..1 that depend on `seed` alone.
pub fn numbers(seed: u64, n: usize) -> Vec<f32> {
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

/// A share of the edges of a `[targets, sources]` matrix, drawn at random.
pub fn edges(targets: usize, sources: usize, density: f64) -> EdgeIndex {
    let drawn = numbers(7, targets * sources)
        .into_iter()
        .map(|x| (f64::from(x) + 1.0) / 2.0 < density);
    EdgeIndex::from_mask(targets, sources, drawn)
}
