//! The selection of edges that is measured.

use dnw_kernels::selection::{Kept, select_top_k};

/// The `k` weights of largest magnitude, a bit each in `real`, as training chooses them where it has no threshold to begin from: the longest
/// way there is, and so what the benches and `cargo xtask bench-peers` measure.
///
/// # Panics
/// If a weight is NaN, there are fewer than `k`, or `real` is not a word for each 64 weights.
pub fn choose(weights: &[f32], k: usize, real: &mut [u64]) -> Kept {
    select_top_k(weights, None, k, real).expect("numbers, and enough of them")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_of_either_sign_are_chosen() {
        let mut real = [0];
        choose(&[0.5, -3.0, 2.0, 0.1], 2, &mut real);
        assert_eq!(real, [0b0110]);
    }
}
