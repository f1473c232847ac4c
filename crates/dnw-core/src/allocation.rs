//! How a budget is spread over the tensors of a model: the second half of the budget axis.

use serde::{Deserialize, Serialize};

use crate::WeightShape;

/// How the budget is spread over tensors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Allocation {
    /// Each tensor keeps its own budget, as in the published method. With one density for all tensors the
    /// literature calls this *uniform*.
    #[default]
    PerTensor,
    /// The budget of all tensors together is spread once, before training. A tensor's density is proportional to the sum
    /// of its dimensions over their product, and at most one, so small layers stay denser
    /// (Erdős–Rényi-kernel; Evci et al. 2020, section 3). The sum is met exactly.
    ErdosRenyiKernel,
    /// All tensors compete for their common budget at every selection, except those that a budget of their own
    /// keeps dense.
    Global,
    /// Tensors start with their own budgets. At each selection the edges that were removed are redistributed
    /// over tensors in proportion to the mean growth score of their real edges (sparse momentum; Dettmers and
    /// Zettlemoyer 2019, section 3).
    Moving,
    /// Every candidate with a positive score is real, however many those are. The budget is ignored, except that
    /// a tensor which its own budget keeps dense stays dense.
    Free,
}

/// Spreads `total` edges by Erdős–Rényi-kernel. Each tensor is its shape and its number of candidates. No
/// tensor gets more edges than candidates, and none gets zero edges unless `total` is smaller than the number
/// of tensors.
pub(crate) fn erdos_renyi_kernel(tensors: &[(&WeightShape, usize)], total: usize) -> Vec<usize> {
    let weight = |shape: &WeightShape, candidates: usize| {
        let sum: usize = shape.dims.iter().sum();
        sum as f64 / shape.entries() as f64 * candidates as f64
    };
    let weights: Vec<f64> = tensors
        .iter()
        .map(|(shape, candidates)| weight(shape, *candidates))
        .collect();
    let most: Vec<usize> = tensors.iter().map(|(_, candidates)| *candidates).collect();
    let mut counts = fill(&weights, &most, total);
    while let Some(empty) = counts.iter().position(|&count| count == 0) {
        let Some(largest) = (0..counts.len())
            .filter(|&i| counts[i] > 1)
            .max_by_key(|&i| counts[i])
        else {
            break;
        };
        counts[largest] -= 1;
        counts[empty] += 1;
    }
    counts
}

/// Spreads `total` over bins in proportion to their weights, exactly, with at most `most` in each bin. The
/// excess of full bins goes to the others.
pub(crate) fn fill(weights: &[f64], most: &[usize], total: usize) -> Vec<usize> {
    let mut counts = vec![0; weights.len()];
    let mut remaining = total.min(most.iter().sum());
    let sound = |i: usize| weights[i] > 0.0 && weights[i].is_finite();
    let mut open: Vec<usize> = (0..weights.len())
        .filter(|&i| sound(i) && most[i] > 0)
        .collect();
    while remaining > 0 {
        if open.is_empty() {
            // Only bins of weight zero have capacity left.
            for (count, &most) in counts.iter_mut().zip(most) {
                let more = remaining.min(most - *count);
                *count += more;
                remaining -= more;
            }
            break;
        }
        let sum: f64 = open.iter().map(|&i| weights[i]).sum();
        let share = |i: usize| remaining as f64 * weights[i] / sum;
        let full: Vec<usize> = open
            .iter()
            .copied()
            .filter(|&i| share(i) >= most[i] as f64)
            .collect();
        if full.is_empty() {
            for &i in &open {
                counts[i] = share(i).floor() as usize;
            }
            let assigned: usize = open.iter().map(|&i| counts[i]).sum();
            // Rounding down leaves a rest, which goes to the largest remainders; of equal ones to the first.
            let mut by_remainder = open.clone();
            by_remainder.sort_by(|&a, &b| share(b).fract().total_cmp(&share(a).fract()));
            for &i in by_remainder.iter().take(remaining - assigned) {
                counts[i] += 1;
            }
            break;
        }
        for i in full {
            counts[i] = most[i];
            remaining -= most[i];
            open.retain(|&other| other != i);
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_total_is_met_exactly_within_every_capacity(
            bins in proptest::collection::vec((0.0f64..5.0, 0usize..50), 1..12), share in 0.0f64..=1.2,
        ) {
            let (weights, most): (Vec<f64>, Vec<usize>) = bins.into_iter().unzip();
            let all: usize = most.iter().sum();
            let total = (share * all as f64) as usize;
            let counts = fill(&weights, &most, total);
            prop_assert_eq!(counts.iter().sum::<usize>(), total.min(all));
            prop_assert!(counts.iter().zip(&most).all(|(count, most)| count <= most));
        }

        #[test]
        fn erdos_renyi_kernel_meets_the_total_and_follows_its_formula_below_capacity(
            shapes in proptest::collection::vec((1usize..20, 1usize..20, 1usize..4), 1..8), density in 0.05f64..1.0,
        ) {
            let shapes: Vec<WeightShape> =
                shapes.into_iter().map(|(t, s, k)| WeightShape::new(&[t, s, k, k])).collect();
            let tensors: Vec<(&WeightShape, usize)> = shapes.iter()
                .map(|shape| (shape, shape.entries()))
                .collect();
            let all: usize = tensors.iter().map(|t| t.1).sum();
            let total = ((density * all as f64) as usize).max(shapes.len());
            let counts = erdos_renyi_kernel(&tensors, total);
            prop_assert_eq!(counts.iter().sum::<usize>(), total);
            // Below capacity, density times product over sum of the dimensions is the same for all layers.
            let scale = |i: usize| counts[i] as f64 / shapes[i].dims.iter().sum::<usize>() as f64;
            let slack = |i: usize| 1.0 / shapes[i].dims.iter().sum::<usize>() as f64;
            for i in 0..shapes.len() {
                for j in 0..shapes.len() {
                    let open = |i: usize| counts[i] < tensors[i].1 && counts[i] > 1;
                    if open(i) && open(j) && counts.iter().all(|&count| count > 1) {
                        prop_assert!((scale(i) - scale(j)).abs() <= slack(i) + slack(j), "{counts:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_layer_at_its_capacity_leaves_the_rest_to_the_others() {
        assert_eq!(fill(&[100.0, 1.0, 1.0], &[10, 50, 50], 40), [10, 15, 15]);
    }
}
