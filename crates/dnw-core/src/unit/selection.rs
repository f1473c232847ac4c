//! Selection of edges unit by unit.

use super::Unit;
use crate::{TensorView, WeightShape, Wiring, WiringError, select_top_edges};

impl Unit {
    /// The `k` best candidates of a tensor by score, as nearly as complete units allow.
    ///
    /// # Errors
    /// As [`select_top_edges`]; [`WiringError::Unit`] if the tensor does not divide into units,
    /// [`WiringError::Layout`] if it is not known how.
    pub fn select(
        self,
        tensor: &TensorView<'_>,
        scores: &[f32],
        k: usize,
    ) -> Result<Wiring, WiringError> {
        // A tensor that keeps all its edges need not divide into units.
        if self == Self::Edge || k == tensor.candidates.count() {
            return select_top_edges(tensor.name, scores, tensor.candidates, k);
        }
        self.check(tensor.name, tensor.shape)?;
        let groups = self.groups(tensor.shape, tensor.candidates);
        match self {
            Self::Block { .. } => best_blocks(tensor, scores, groups, k),
            _ => {
                let quotas = self.quotas(&groups, k);
                best_of_each(tensor, scores, &groups, &quotas)
            }
        }
    }

    /// The `stays` best real edges of a tensor, before others grow in the places of the rest.
    pub(crate) fn keep(
        self,
        tensor: &TensorView<'_>,
        scores: &[f32],
        stays: usize,
    ) -> Result<Wiring, WiringError> {
        let real = tensor.wiring.intersection(tensor.candidates);
        let among_real = TensorView {
            candidates: &real,
            ..*tensor
        };
        match self {
            Self::Block { .. } => self.select(&among_real, scores, stays),
            _ => Self::Edge.select(&among_real, scores, stays),
        }
    }

    /// The kept edges of a tensor together with the best others, `k` in all, as nearly as complete units allow.
    pub(crate) fn grow(
        self,
        tensor: &TensorView<'_>,
        growth: &[f32],
        kept: &Wiring,
        k: usize,
    ) -> Result<Wiring, WiringError> {
        let others = tensor.candidates.difference(kept);
        let places = k.saturating_sub(kept.count()).min(others.count());
        let among_others = TensorView {
            candidates: &others,
            ..*tensor
        };
        let grown = match self {
            Self::Edge | Self::Block { .. } => self.select(&among_others, growth, places)?,
            Self::FanIn | Self::NOfM { .. } => {
                self.check(tensor.name, tensor.shape)?;
                let mut groups = self.groups(tensor.shape, tensor.candidates);
                let mut quotas = self.quotas(&groups, k);
                for (group, quota) in groups.iter_mut().zip(&mut quotas) {
                    let all = group.len();
                    group.retain(|&entry| !kept.contains(entry));
                    *quota = quota.saturating_sub(all - group.len());
                }
                best_of_each(tensor, growth, &groups, &quotas)?
            }
        };
        Ok(kept.union(&grown))
    }

    /// The number of edges that stay for a budget of `k`.
    ///
    /// # Errors
    /// [`WiringError::Unit`] if the tensor does not divide into units, [`WiringError::Layout`] if it is not known
    /// how.
    pub fn budget(
        self,
        name: &str,
        shape: &WeightShape,
        candidates: &Wiring,
        k: usize,
    ) -> Result<usize, WiringError> {
        self.check(name, shape)?;
        Ok(match self {
            Self::Edge | Self::FanIn | Self::Block { .. } => k,
            Self::NOfM { keep, .. } => {
                let groups = self.groups(shape, candidates);
                groups.iter().map(|group| group.len().min(keep)).sum()
            }
        })
    }

    /// Whether a tensor of this shape divides into units.
    pub(crate) fn check(self, name: &str, shape: &WeightShape) -> Result<(), WiringError> {
        match self {
            Self::Edge => Ok(()),
            _ if shape.layout.is_none() => Err(WiringError::Layout {
                tensor: name.to_owned(),
                missing: "which dimension is its layer's output",
                unit: self,
            }),
            Self::NOfM { of, .. } if !shape.sources.is_multiple_of(of) => Err(WiringError::Unit {
                tensor: name.to_owned(),
                unit: self,
                sources: shape.sources,
            }),
            _ => Ok(()),
        }
    }

    /// The candidates, grouped by what competes or swaps together. Groups without candidates are left out.
    fn groups(self, shape: &WeightShape, candidates: &Wiring) -> Vec<Vec<usize>> {
        let mut groups: Vec<Vec<usize>> = Vec::new();
        for entry in candidates.iter() {
            let (target, source, position) = shape.edge(entry);
            let group = match self {
                Self::Edge => 0,
                Self::FanIn => target,
                Self::Block { targets } => {
                    (target / targets * shape.sources + source) * shape.kernel + position
                }
                Self::NOfM { of, .. } => {
                    (target * (shape.sources / of) + source / of) * shape.kernel + position
                }
            };
            if group >= groups.len() {
                groups.resize(group + 1, Vec::new());
            }
            groups[group].push(entry);
        }
        groups.retain(|group| !group.is_empty());
        groups
    }

    /// How many of `k` edges each group keeps. While the budget is larger than n of m, each group keeps more
    /// than n.
    fn quotas(self, groups: &[Vec<usize>], k: usize) -> Vec<usize> {
        let sizes: Vec<usize> = groups.iter().map(Vec::len).collect();
        match self {
            Self::NOfM { keep, .. } => {
                let each = keep.max(k / groups.len().max(1));
                sizes.iter().map(|&size| size.min(each)).collect()
            }
            _ => share_out(&sizes, k),
        }
    }
}

/// The best candidates of each group, as many as its quota.
fn best_of_each(
    tensor: &TensorView<'_>,
    scores: &[f32],
    groups: &[Vec<usize>],
    quotas: &[usize],
) -> Result<Wiring, WiringError> {
    let mut real = Wiring::empty(scores.len());
    for (group, &quota) in groups.iter().zip(quotas) {
        let of_group: Vec<f32> = group.iter().map(|&entry| scores[entry]).collect();
        let best = select_top_edges(tensor.name, &of_group, &Wiring::full(group.len()), quota);
        // The error has the position in the group; it is mapped to the entry of the tensor.
        let best = best.map_err(|error| match error {
            WiringError::NotANumber { tensor, entry } => WiringError::NotANumber {
                tensor,
                entry: group[entry],
            },
            other => other,
        })?;
        best.iter()
            .for_each(|position| real.insert(group[position]));
    }
    Ok(real)
}

/// The blocks of highest mean score that fit into `k` edges; of equal blocks the later stays.
fn best_blocks(
    tensor: &TensorView<'_>,
    scores: &[f32],
    mut blocks: Vec<Vec<usize>>,
    k: usize,
) -> Result<Wiring, WiringError> {
    let nan = tensor
        .candidates
        .iter()
        .find(|&entry| scores[entry].is_nan());
    if let Some(entry) = nan {
        return Err(WiringError::NotANumber {
            tensor: tensor.name.to_owned(),
            entry,
        });
    }
    let mean = |block: &[usize]| {
        block
            .iter()
            .map(|&entry| f64::from(scores[entry]))
            .sum::<f64>()
            / block.len() as f64
    };
    blocks.reverse();
    blocks.sort_by(|a, b| mean(b).total_cmp(&mean(a)));
    let mut remaining = k;
    let mut real = Wiring::empty(scores.len());
    for block in blocks {
        if block.len() > remaining {
            break;
        }
        remaining -= block.len();
        block.into_iter().for_each(|entry| real.insert(entry));
    }
    Ok(real)
}

/// Splits `k` over bins of these sizes as evenly as possible; the rest goes to the first bins.
fn share_out(sizes: &[usize], k: usize) -> Vec<usize> {
    let mut quotas = vec![0; sizes.len()];
    let mut remaining = k.min(sizes.iter().sum());
    while remaining > 0 {
        let open: Vec<usize> = (0..sizes.len()).filter(|&i| quotas[i] < sizes[i]).collect();
        let each = (remaining / open.len()).max(1);
        for &i in &open {
            let more = each.min(sizes[i] - quotas[i]).min(remaining);
            quotas[i] += more;
            remaining -= more;
        }
    }
    quotas
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Clock;
    use proptest::prelude::*;

    fn select(unit: &str, dims: &[usize], scores: &[f32], k: usize) -> Result<Wiring, WiringError> {
        let shape = WeightShape::new(dims);
        let (all, none) = (Wiring::full(scores.len()), Wiring::empty(scores.len()));
        let view = TensorView {
            name: "w",
            shape: &shape,
            weights: scores,
            candidates: &all,
            wiring: &none,
            budget: k,
            dense: false,
            learns: true,
            clock: Clock::default(),
            seed: 0,
            gradients: None,
            threshold: 0.0,
        };
        unit.parse::<Unit>().unwrap().select(&view, scores, k)
    }

    #[test]
    fn a_source_count_that_does_not_divide_is_refused() {
        let error = select("2-of-4", &[2, 6, 1, 1], &[0.5; 12], 6).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("2-of-4") && text.contains('6') && text.contains("`w`"),
            "{text}"
        );
    }

    proptest! {
        #[test]
        fn blocks_are_whole_and_fit_the_budget_as_nearly_as_they_can(
            rows in 1usize..6, sources in 1usize..6, kernel in 1usize..4, width in 1usize..5, share in 0.0f64..=1.0, seed: u32,
        ) {
            let targets = rows * width;
            let entries = targets * sources * kernel;
            let score = |i: usize| (seed.wrapping_mul(2654435761).wrapping_add(i as u32).wrapping_mul(2246822519) >> 8) as f32;
            let scores: Vec<f32> = (0..entries).map(score).collect();
            let k = (share * entries as f64) as usize;
            let real = select(&format!("block-{width}"), &[targets, sources, 1, kernel], &scores, k).unwrap();
            prop_assert_eq!(real.count(), k - k % width);
            let shape = WeightShape::new(&[targets, sources, 1, kernel]);
            for entry in real.iter() {
                let (target, source, position) = shape.edge(entry);
                for mate in target / width * width..(target / width + 1) * width {
                    prop_assert!(real.contains((mate * sources + source) * kernel + position));
                }
            }
        }

        #[test]
        fn every_group_of_m_sources_keeps_its_n_best(
            targets in 1usize..5, groups in 1usize..4, of in 1usize..6, keep in 1usize..6,
            scores in proptest::collection::vec(-9.0f32..9.0, 90),
        ) {
            let keep = keep.min(of);
            let sources = groups * of;
            let scores = &scores[..(targets * sources).min(90)];
            prop_assume!(scores.len() == targets * sources);
            let real = select(&format!("{keep}-of-{of}"), &[targets, sources, 1, 1], scores, 1).unwrap();
            for group in 0..targets * groups {
                let entries: Vec<usize> = (group * of..(group + 1) * of).collect();
                let (kept, dropped): (Vec<usize>, Vec<usize>) = entries.into_iter().partition(|&e| real.contains(e));
                prop_assert_eq!(kept.len(), keep);
                let weakest = kept.iter().map(|&e| scores[e]).fold(f32::INFINITY, f32::min);
                prop_assert!(dropped.iter().all(|&e| scores[e] <= weakest));
            }
        }

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
