//! How the axes of a rule combine into one selection over all tensors of a model.

use super::Rule;
use crate::allocation::fill;
use crate::score::{Random, draw};
use crate::{Allocation, Forward, Score, TensorView, Wiring, WiringError, select_top_edges};

/// The edges that a rule selected in a tensor, with their scores.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Selection {
    /// The new real edges.
    pub wiring: Wiring,
    /// The scores, one per entry.
    pub scores: Vec<f32>,
    /// The magnitude below which an edge contributes nothing, if the rule sets one.
    pub threshold: Option<f32>,
    /// The hallucinated edges that take part in training, if the rule allows any.
    pub joined: Option<Wiring>,
}

impl Rule {
    /// Selects the real edges of all tensors of a model. It does not check whether a selection is due;
    /// [`Wired::rewire`](crate::Wired::rewire) does.
    ///
    /// # Errors
    /// [`WiringError::NotANumber`] if a score is NaN; [`WiringError::Unit`] if a tensor does not divide into
    /// units.
    pub fn select(&self, tensors: &[TensorView<'_>]) -> Result<Vec<Selection>, WiringError> {
        let scores = all_scores(self.score.as_ref(), tensors);
        let mut made = Vec::with_capacity(tensors.len());
        for (tensor, scores) in tensors.iter().zip(&scores) {
            made.push(fixed(tensor, scores)?.map(|wiring| (wiring, None)));
        }
        let open: Vec<usize> = (0..made.len()).filter(|&i| made[i].is_none()).collect();
        let open_tensors: Vec<TensorView<'_>> = open.iter().map(|&i| tensors[i]).collect();
        let open_scores: Vec<&[f32]> = open.iter().map(|&i| scores[i].as_slice()).collect();
        let common = self.common_edges(tensors);
        let wirings = match &self.growth {
            None => self.select_best(&open_tensors, &open_scores, common)?,
            Some(growth) => self.exchange(growth.as_ref(), &open_tensors, &open_scores, common)?,
        };
        let thresholds = self.thresholds(&open_tensors, &open_scores, &wirings);
        for (i, selected) in open.into_iter().zip(wirings.into_iter().zip(thresholds)) {
            made[i] = Some(selected);
        }
        let selections = tensors.iter().zip(scores).zip(made.into_iter().flatten());
        Ok(selections
            .map(|((tensor, scores), (wiring, threshold))| Selection {
                joined: joined(self.forward, tensor, &wiring),
                wiring,
                scores,
                threshold,
            })
            .collect())
    }

    /// The best edges by one score.
    fn select_best(
        &self,
        tensors: &[TensorView<'_>],
        scores: &[&[f32]],
        common: usize,
    ) -> Result<Vec<Wiring>, WiringError> {
        let counts = self.counts(tensors, scores, common)?;
        let selected = tensors.iter().zip(scores).zip(counts);
        selected
            .map(|((tensor, scores), k)| self.unit.select(tensor, scores, k))
            .collect()
    }

    /// The edges for which all tensors compete that learn and do not stay dense. Those that do not learn keep
    /// theirs, out of the same budget. If they keep more than their part of it, the others still get their own.
    fn common_edges(&self, tensors: &[TensorView<'_>]) -> usize {
        let open = || tensors.iter().filter(|tensor| !tensor.dense);
        let learning = || open().filter(|tensor| tensor.learns);
        let Some(clock) = tensors.first().map(|tensor| tensor.clock) else {
            return 0;
        };
        let edges = |candidates, budget| self.schedule.edges(clock, candidates, budget);
        let of_all = edges(
            open().map(|tensor| tensor.candidates.count()).sum(),
            open().map(|tensor| tensor.budget).sum(),
        );
        let candidates = learning().map(|tensor| tensor.candidates.count()).sum();
        let of_learning = edges(candidates, learning().map(|tensor| tensor.budget).sum());
        let kept: usize = open()
            .filter(|tensor| !tensor.learns)
            .map(|tensor| tensor.wiring.count())
            .sum();
        of_all.saturating_sub(kept).max(of_learning).min(candidates)
    }

    /// How many edges each tensor keeps; `common` are for all that compete.
    fn counts(
        &self,
        tensors: &[TensorView<'_>],
        scores: &[&[f32]],
        common: usize,
    ) -> Result<Vec<usize>, WiringError> {
        let edges = |tensor: &TensorView<'_>| {
            let candidates = tensor.candidates.count();
            self.schedule.edges(tensor.clock, candidates, tensor.budget)
        };
        Ok(match self.allocation {
            // The unit says how many each tensor keeps, unless every score above zero counts.
            allocation if self.unit.sets_budget() && allocation != Allocation::Free => {
                tensors.iter().map(edges).collect()
            }
            Allocation::PerTensor | Allocation::ErdosRenyiKernel | Allocation::Moving => {
                tensors.iter().map(edges).collect()
            }
            Allocation::Free => {
                let positive = |(tensor, scores): (&TensorView<'_>, &&[f32])| {
                    tensor
                        .candidates
                        .iter()
                        .filter(|&entry| scores[entry] > 0.0)
                        .count()
                };
                tensors.iter().zip(scores).map(positive).collect()
            }
            Allocation::Global => best_of_all(tensors, scores, common)?,
        })
    }

    /// Keeps the best real edges and grows others in the places of those removed.
    fn exchange(
        &self,
        growth: &dyn Score,
        tensors: &[TensorView<'_>],
        scores: &[&[f32]],
        common: usize,
    ) -> Result<Vec<Wiring>, WiringError> {
        if tensors
            .first()
            .is_some_and(|tensor| tensor.clock.update == 0)
        {
            let random = all_scores(&Random, tensors);
            let random: Vec<&[f32]> = random.iter().map(Vec::as_slice).collect();
            return self.select_best(tensors, &random, common);
        }
        let growth = all_scores(growth, tensors);
        let kept: Vec<Wiring> = tensors
            .iter()
            .zip(scores)
            .map(|(tensor, scores)| {
                let real = tensor.wiring.intersection(tensor.candidates).count();
                let removed = self.schedule.turnover(tensor.clock) * real as f64;
                let stays = real - removed.round() as usize;
                self.unit.keep(tensor, scores, stays)
            })
            .collect::<Result<_, _>>()?;
        let counts = match self.allocation {
            Allocation::Moving if !self.unit.sets_budget() => moved(tensors, &growth, &kept),
            _ => self.counts(tensors, scores, common)?,
        };
        let grown = tensors.iter().zip(&growth).zip(kept.iter().zip(counts));
        grown
            .map(|((tensor, growth), (kept, k))| self.unit.grow(tensor, growth, kept, k))
            .collect()
    }

    /// The magnitude below which edges contribute nothing: that of the strongest candidate that is not real.
    /// If all tensors compete, they share one threshold score.
    fn thresholds(
        &self,
        tensors: &[TensorView<'_>],
        scores: &[&[f32]],
        wirings: &[Wiring],
    ) -> Vec<Option<f32>> {
        if !self.forward.has_threshold() {
            return vec![None; tensors.len()];
        }
        let strongest = |((tensor, scores), wiring): ((&TensorView<'_>, &&[f32]), &Wiring)| {
            let others = tensor.candidates.difference(wiring);
            others.iter().map(|entry| scores[entry]).fold(0.0, f32::max)
        };
        let mut highest: Vec<f32> = tensors
            .iter()
            .zip(scores)
            .zip(wirings)
            .map(strongest)
            .collect();
        if self.allocation == Allocation::Global {
            let of_all = highest.iter().copied().fold(0.0, f32::max);
            highest.fill(of_all);
        }
        let magnitude = |(tensor, score)| Some(self.score.magnitude(tensor, score));
        tensors.iter().zip(highest).map(magnitude).collect()
    }
}

/// The edges of a tensor that no selection changes.
fn fixed(tensor: &TensorView<'_>, scores: &[f32]) -> Result<Option<Wiring>, WiringError> {
    if !tensor.learns {
        return Ok(Some(tensor.wiring.clone()));
    }
    if !tensor.dense {
        return Ok(None);
    }
    let all = tensor.candidates;
    select_top_edges(tensor.name, scores, all, all.count()).map(Some)
}

fn all_scores(score: &dyn Score, tensors: &[TensorView<'_>]) -> Vec<Vec<f32>> {
    let of = |tensor: &TensorView<'_>| {
        let mut scores = Vec::with_capacity(tensor.weights.len());
        score.score(tensor, &mut scores);
        scores
    };
    tensors.iter().map(of).collect()
}

/// How many of the `k` best edges of the model each tensor has.
fn best_of_all(
    tensors: &[TensorView<'_>],
    scores: &[&[f32]],
    k: usize,
) -> Result<Vec<usize>, WiringError> {
    let end = |sum: &mut usize, tensor: &TensorView<'_>| {
        *sum += tensor.weights.len();
        Some(*sum)
    };
    let ends: Vec<usize> = tensors.iter().scan(0, end).collect();
    let starts = ends
        .iter()
        .zip(tensors)
        .map(|(end, tensor)| end - tensor.weights.len());
    let candidates = tensors
        .iter()
        .zip(starts.clone())
        .flat_map(|(tensor, start)| tensor.candidates.iter().map(move |entry| start + entry));
    let candidates = Wiring::from_entries(ends.last().copied().unwrap_or(0), candidates);
    let selected = select_top_edges("", &scores.concat(), &candidates, k);
    let selected = selected.map_err(|error| match error {
        WiringError::NotANumber { entry, .. } => {
            let tensor = ends.iter().position(|&end| entry < end).unwrap_or(0);
            WiringError::NotANumber {
                tensor: tensors[tensor].name.to_owned(),
                entry: entry + tensors[tensor].weights.len() - ends[tensor],
            }
        }
        other => other,
    })?;
    let mut counts = vec![0; tensors.len()];
    let mut tensor = 0;
    for entry in selected.iter() {
        while entry >= ends[tensor] {
            tensor += 1;
        }
        counts[tensor] += 1;
    }
    Ok(counts)
}

/// The number of edges of each tensor after the removed edges were redistributed by growth score.
fn moved(tensors: &[TensorView<'_>], growth: &[Vec<f32>], kept: &[Wiring]) -> Vec<usize> {
    let mean = |(tensor, growth): (&TensorView<'_>, &Vec<f32>)| {
        let real = tensor.wiring.intersection(tensor.candidates);
        let sum: f64 = real.iter().map(|entry| f64::from(growth[entry])).sum();
        sum / real.count().max(1) as f64
    };
    let weights: Vec<f64> = tensors.iter().zip(growth).map(mean).collect();
    let stayed: Vec<usize> = kept.iter().map(Wiring::count).collect();
    let before: usize = tensors
        .iter()
        .map(|tensor| tensor.wiring.intersection(tensor.candidates).count())
        .sum();
    let capacity: Vec<usize> = tensors
        .iter()
        .zip(&stayed)
        .map(|(tensor, stayed)| tensor.candidates.count() - stayed)
        .collect();
    let free = fill(&weights, &capacity, before - stayed.iter().sum::<usize>());
    stayed
        .iter()
        .zip(free)
        .map(|(stayed, free)| stayed + free)
        .collect()
}

/// The hallucinated candidates that take part in training.
fn joined(forward: Forward, tensor: &TensorView<'_>, wiring: &Wiring) -> Option<Wiring> {
    if !matches!(forward, Forward::Dropout { .. }) || !tensor.learns {
        return None;
    }
    let dropped = forward.drop_probability(tensor.clock.share());
    let others = tensor.candidates.difference(wiring);
    let stays = |&entry: &usize| {
        let random = (draw(tensor, entry) >> 11) as f64 / (1u64 << 53) as f64;
        random >= dropped
    };
    let joined: Vec<usize> = others.iter().filter(stays).collect();
    Some(Wiring::from_entries(wiring.entries(), joined))
}
