//! Inputs that the benches share.

use dnw_core::Wiring;
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
pub fn edges(targets: usize, sources: usize, density: f32) -> EdgeIndex {
    let drawn = numbers(7, targets * sources)
        .into_iter()
        .map(|x| (x + 1.0) / 2.0 < density);
    EdgeIndex::from_mask(targets, sources, drawn)
}

/// All entries of a tensor as candidates.
pub fn all(entries: usize) -> Wiring {
    Wiring::full(entries)
}
