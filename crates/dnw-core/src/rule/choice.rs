//! How a rule's axes come together into one choice, over all tensors of a model.

use super::Rule;
use crate::allocation::fill;
use crate::score::{Chance, draw};
use crate::{Allocation, Clock, Forward, Score, TensorView, Wiring, WiringError, select_top_edges};

/// What a rule chose for a tensor, and why.
#[derive(Clone, Debug)]
pub struct Choice {
    /// The edges that are real from now on.
    pub wiring: Wiring,
    /// The scores that decided it, one per entry.
    pub scores: Vec<f32>,
    /// The magnitude below which an edge gives nothing, where the rule sets one.
    pub threshold: Option<f32>,
    /// The hallucinated edges that take part while training, where the rule lets some.
    pub joined: Option<Wiring>,
}

impl Rule {
    /// The wirings that this rule gives the tensors of a model now. Whether it is time to choose is the schedule's to say, and
    /// [`Wired::rewire`](crate::Wired::rewire)'s to ask.
    ///
    /// # Errors
    /// [`WiringError::NotANumber`] if a score is none; [`WiringError::Unit`] if a tensor does not divide into units.
    pub fn choose(&self, tensors: &[TensorView<'_>]) -> Result<Vec<Choice>, WiringError> {
        let scores = all_scores(self.score.as_ref(), tensors);
        let wirings = match &self.growth {
            None => self.choose_best(tensors, &scores)?,
            Some(growth) => self.exchange(growth.as_ref(), tensors, &scores)?,
        };
        let thresholds = self.thresholds(tensors, &scores, &wirings);
        let choices = tensors
            .iter()
            .zip(scores)
            .zip(wirings.into_iter().zip(thresholds));
        Ok(choices
            .map(|((tensor, scores), (wiring, threshold))| Choice {
                joined: joined(self.forward, tensor, &wiring),
                wiring,
                scores,
                threshold,
            })
            .collect())
    }

    /// The best edges by one score.
    fn choose_best(
        &self,
        tensors: &[TensorView<'_>],
        scores: &[Vec<f32>],
    ) -> Result<Vec<Wiring>, WiringError> {
        let counts = self.counts(tensors, scores)?;
        let chosen = tensors.iter().zip(scores).zip(counts);
        chosen
            .map(|((tensor, scores), k)| self.unit.select(tensor, scores, k))
            .collect()
    }

    /// How many edges each tensor keeps.
    fn counts(
        &self,
        tensors: &[TensorView<'_>],
        scores: &[Vec<f32>],
    ) -> Result<Vec<usize>, WiringError> {
        let edges = |tensor: &TensorView<'_>| {
            let candidates = tensor.candidates.count();
            self.schedule.edges(tensor.clock, candidates, tensor.budget)
        };
        Ok(match self.allocation {
            Allocation::PerTensor | Allocation::ErdosRenyiKernel | Allocation::Moving => {
                tensors.iter().map(edges).collect()
            }
            Allocation::Free => {
                let positive = |(tensor, scores): (&TensorView<'_>, &Vec<f32>)| {
                    tensor
                        .candidates
                        .iter()
                        .filter(|&entry| scores[entry] > 0.0)
                        .count()
                };
                tensors.iter().zip(scores).map(positive).collect()
            }
            Allocation::Global => {
                let clock = tensors
                    .first()
                    .map_or_else(Clock::default, |tensor| tensor.clock);
                let sum = |f: fn(&TensorView<'_>) -> usize| tensors.iter().map(f).sum();
                let (candidates, budget) = (sum(|t| t.candidates.count()), sum(|t| t.budget));
                let k = self.schedule.edges(clock, candidates, budget);
                best_of_all(tensors, scores, k)?
            }
        })
    }

    /// Keeps the best of the real edges and lets others grow in the places that are made free.
    fn exchange(
        &self,
        growth: &dyn Score,
        tensors: &[TensorView<'_>],
        scores: &[Vec<f32>],
    ) -> Result<Vec<Wiring>, WiringError> {
        if tensors
            .first()
            .is_some_and(|tensor| tensor.clock.update == 0)
        {
            return self.choose_best(tensors, &all_scores(&Chance, tensors));
        }
        let growth = all_scores(growth, tensors);
        let kept: Vec<Wiring> = tensors
            .iter()
            .zip(scores)
            .map(|(tensor, scores)| {
                let real = tensor.wiring.intersection(tensor.candidates);
                let leaving = self.schedule.turnover(tensor.clock) * real.count() as f64;
                let stays = real.count() - leaving.round() as usize;
                let among_real = TensorView {
                    candidates: &real,
                    ..*tensor
                };
                self.unit.select(&among_real, scores, stays)
            })
            .collect::<Result<_, _>>()?;
        let counts = match self.allocation {
            Allocation::Moving => moved(tensors, &growth, &kept),
            _ => self.counts(tensors, scores)?,
        };
        let grown = tensors.iter().zip(&growth).zip(kept.iter().zip(counts));
        grown
            .map(|((tensor, growth), (kept, k))| {
                let others = tensor.candidates.difference(kept);
                let among_others = TensorView {
                    candidates: &others,
                    ..*tensor
                };
                let places = k.saturating_sub(kept.count()).min(others.count());
                Ok(kept.union(&self.unit.select(&among_others, growth, places)?))
            })
            .collect()
    }

    /// The magnitude below which edges give nothing: that of the strongest candidate that is not real. Where all tensors compete,
    /// it is one score for all.
    fn thresholds(
        &self,
        tensors: &[TensorView<'_>],
        scores: &[Vec<f32>],
        wirings: &[Wiring],
    ) -> Vec<Option<f32>> {
        if !self.forward.has_threshold() {
            return vec![None; tensors.len()];
        }
        let strongest = |((tensor, scores), wiring): ((&TensorView<'_>, &Vec<f32>), &Wiring)| {
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

fn all_scores(score: &dyn Score, tensors: &[TensorView<'_>]) -> Vec<Vec<f32>> {
    let of = |tensor: &TensorView<'_>| {
        let mut scores = Vec::with_capacity(tensor.weights.len());
        score.score(tensor, &mut scores);
        scores
    };
    tensors.iter().map(of).collect()
}

/// How many of the `k` best edges of a whole model lie in each of its tensors.
fn best_of_all(
    tensors: &[TensorView<'_>],
    scores: &[Vec<f32>],
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
    let chosen = select_top_edges("", &scores.concat(), &candidates, k);
    let chosen = chosen.map_err(|error| match error {
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
    for entry in chosen.iter() {
        while entry >= ends[tensor] {
            tensor += 1;
        }
        counts[tensor] += 1;
    }
    Ok(counts)
}

/// How many edges each tensor has once the places that became free have moved to where the growth score is highest.
fn moved(tensors: &[TensorView<'_>], growth: &[Vec<f32>], kept: &[Wiring]) -> Vec<usize> {
    let mean = |(tensor, growth): (&TensorView<'_>, &Vec<f32>)| {
        let real = tensor.wiring.intersection(tensor.candidates);
        let sum: f64 = real.iter().map(|entry| f64::from(growth[entry])).sum();
        sum / real.count().max(1) as f64
    };
    let weights: Vec<f64> = tensors.iter().zip(growth).map(mean).collect();
    let stayed: Vec<usize> = kept.iter().map(Wiring::count).collect();
    let now: usize = tensors
        .iter()
        .map(|tensor| tensor.wiring.intersection(tensor.candidates).count())
        .sum();
    let room: Vec<usize> = tensors
        .iter()
        .zip(&stayed)
        .map(|(tensor, stayed)| tensor.candidates.count() - stayed)
        .collect();
    let free = fill(&weights, &room, now - stayed.iter().sum::<usize>());
    stayed
        .iter()
        .zip(free)
        .map(|(stayed, free)| stayed + free)
        .collect()
}

/// The hallucinated candidates that take part while training.
fn joined(forward: Forward, tensor: &TensorView<'_>, wiring: &Wiring) -> Option<Wiring> {
    if !matches!(forward, Forward::Dropout { .. }) {
        return None;
    }
    let dropped = forward.drop_probability(tensor.clock.share());
    let others = tensor.candidates.difference(wiring);
    let stays = |&entry: &usize| {
        let chance = (draw(tensor, entry) >> 11) as f64 / (1u64 << 53) as f64;
        chance >= dropped
    };
    let joined: Vec<usize> = others.iter().filter(stays).collect();
    Some(Wiring::from_entries(wiring.entries(), joined))
}
