//! The selection of edges that is measured.

use dnw_kernels::selection::{Kept, select_top_k};

/// Selects the `k` weights of largest magnitude without a previous threshold, the slowest case. The benchmarks and
/// `cargo xtask bench-peers` measure it. `real` has one bit per weight.
///
/// # Panics
/// If a weight is NaN, there are fewer than `k` weights, or the length of `real` does not fit.
pub fn select(weights: &[f32], k: usize, real: &mut [u64]) -> Kept {
    select_top_k(weights, None, k, real).expect("no NaN")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_magnitudes_are_selected() {
        let mut real = [0];
        select(&[0.5, -3.0, 2.0, 0.1], 2, &mut real);
        assert_eq!(real, [0b0110]);
    }
}
