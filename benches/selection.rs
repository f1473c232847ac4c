//! The choice of edges that is measured.

use dnw_core::{Wiring, select_top_edges};

/// The `k` candidates of largest magnitude. **The** place to change when training chooses in another way: the benches and
/// `cargo xtask bench-peers` measure what stands here.
///
/// `scores` is room for as many numbers as there are weights.
///
/// # Panics
/// If a weight is NaN, or there are fewer candidates than `k`.
pub fn choose(weights: &[f32], candidates: &Wiring, k: usize, scores: &mut Vec<f32>) -> Wiring {
    scores.clear();
    scores.extend(weights.iter().map(|weight| weight.abs()));
    select_top_edges("weights", scores, candidates, k).expect("numbers, and enough of them")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::all;

    #[test]
    fn the_largest_of_either_sign_are_chosen() {
        let real = choose(&[0.5, -3.0, 2.0, 0.1], &all(4), 2, &mut Vec::new());
        assert_eq!(real.iter().collect::<Vec<_>>(), [1, 2]);
    }
}
