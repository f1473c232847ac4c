//! The fifth axis of a rule: what swaps as one.

use serde::{Deserialize, Serialize};

use crate::{TensorView, Wiring, WiringError, select_top_edges};

/// What competes with what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Single edges, all of a tensor against each other.
    #[default]
    Edge,
    /// Single edges within their target: each target keeps the same number (or all it has, where it has fewer).
    FanIn,
}

impl Unit {
    /// The `k` best candidates of a tensor by these scores.
    ///
    /// # Errors
    /// As [`select_top_edges`].
    pub fn select(
        self,
        tensor: &TensorView<'_>,
        scores: &[f32],
        k: usize,
    ) -> Result<Wiring, WiringError> {
        match self {
            Self::Edge => select_top_edges(tensor.name, scores, tensor.candidates, k),
            Self::FanIn => {
                let mut rows = vec![Vec::new(); tensor.shape.targets];
                for entry in tensor.candidates.iter() {
                    rows[tensor.shape.edge(entry).0].push(entry);
                }
                let sizes: Vec<usize> = rows.iter().map(Vec::len).collect();
                let mut real = Wiring::empty(scores.len());
                for (row, quota) in rows.iter().zip(share_out(&sizes, k)) {
                    let row = Wiring::from_entries(scores.len(), row.iter().copied());
                    real = real.union(&select_top_edges(tensor.name, scores, &row, quota)?);
                }
                Ok(real)
            }
        }
    }
}

/// Splits `k` over bins of the given sizes as evenly as they allow; what does not divide goes to the first bins.
fn share_out(sizes: &[usize], k: usize) -> Vec<usize> {
    let mut quotas = vec![0; sizes.len()];
    let mut left = k.min(sizes.iter().sum());
    while left > 0 {
        let open: Vec<usize> = (0..sizes.len()).filter(|&i| quotas[i] < sizes[i]).collect();
        let each = (left / open.len()).max(1);
        for &i in &open {
            let more = each.min(sizes[i] - quotas[i]).min(left);
            quotas[i] += more;
            left -= more;
        }
    }
    quotas
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_shared_out_budget_is_spent_exactly_and_evenly(
            sizes in proptest::collection::vec(0usize..20, 1..12), share in 0.0f64..=1.0,
        ) {
            let all: usize = sizes.iter().sum();
            let k = (share * all as f64) as usize;
            let quotas = share_out(&sizes, k);
            prop_assert_eq!(quotas.iter().sum::<usize>(), k);
            let most = quotas.iter().max().copied().unwrap_or(0);
            for (&quota, &size) in quotas.iter().zip(&sizes) {
                prop_assert!(quota == size || quota + 1 >= most, "{quotas:?} of {sizes:?}");
            }
        }
    }
}
