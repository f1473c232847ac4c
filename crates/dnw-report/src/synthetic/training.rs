//! Synthetic weight updates, and the wiring that results from them.

use super::random::Random;
use super::size::{Budget, Shape, Size, frames};
use crate::history::{self, Change};
use crate::recording::{Blob, Layer};
use crate::weights::{Precision, encode};

/// Layers with their shapes and legal edges, not trained yet.
pub(super) fn blank_layers(size: &Size, starts: &[usize]) -> Vec<Layer> {
    let count: usize = size.levels.iter().sum();
    let blank =
        |name: String, targets: std::ops::Range<usize>, sources: std::ops::Range<usize>| Layer {
            name,
            shape: vec![targets.len(), sources.len()],
            possible: targets.len() * sources.len(),
            target_nodes: targets.map(|node| node as u32).collect(),
            source_nodes: sources.map(|node| node as u32).collect(),
            legal: None,
            budget: 0,
            initial: Blob::default(),
            history: Blob::default(),
            frames: Vec::new(),
            weights: Blob::default(),
            scale: Vec::new(),
            threshold: Vec::new(),
        };
    match size.shape {
        Shape::Chain => (1..size.levels.len())
            .map(|level| {
                let targets = starts[level]..starts[level] + size.levels[level];
                blank(
                    format!("fc{level}.weight"),
                    targets,
                    starts[level - 1]..starts[level],
                )
            })
            .collect(),
        Shape::Graph => {
            let level_of = |node: usize| starts.partition_point(|&start| start <= node);
            let sources = 0..starts[starts.len() - 1];
            let targets = starts[1]..count;
            let legal: Vec<bool> = targets
                .clone()
                .flat_map(|target| sources.clone().map(move |source| (target, source)))
                .map(|(target, source)| level_of(source) < level_of(target))
                .collect();
            let mut layer = blank("graph.weight".into(), targets, sources);
            layer.possible = legal.iter().filter(|&&legal| legal).count();
            layer.legal = Some(Blob::from_bits(legal));
            vec![layer]
        }
    }
}

fn budget_at(size: &Size, budget: usize, possible: usize, update: u64) -> usize {
    let shrinking = size.updates / 2;
    if size.budget == Budget::Fixed || update >= shrinking {
        return budget;
    }
    let left = 1.0 - update as f64 / shrinking as f64;
    budget + ((possible - budget) as f64 * left.powi(3)) as usize
}

/// Counts over all layers, per update.
pub(super) struct Tally {
    pub(super) swaps: Vec<u32>,
    pub(super) real: Vec<u32>,
}

/// Trains a layer in place and adds its counts to `tally`.
pub(super) fn train(
    size: &Size,
    layer: &mut Layer,
    budget: usize,
    random: &mut Random,
    tally: &mut Tally,
) {
    let mut learner = Learner::new(layer, random);
    let frames = frames(size);
    let (mut weights, mut history, mut previous) = (Blob::default(), Vec::new(), 0);
    let mut real = Vec::new();
    for update in 0..=size.updates {
        if update > 0 {
            learner.step(update as f32 / size.updates as f32, size.updates, random);
        }
        let keep = budget_at(size, budget, layer.possible, update);
        let chosen = learner.strongest(keep);
        if update == 0 {
            let mut flags = vec![false; learner.entries];
            chosen
                .iter()
                .for_each(|&entry| flags[entry as usize] = true);
            layer.initial = Blob::from_bits(flags);
        } else {
            let change = Change {
                update,
                added: missing(&chosen, &real),
                removed: missing(&real, &chosen),
            };
            if !change.added.is_empty() || !change.removed.is_empty() {
                tally.swaps[update as usize] += change.added.len() as u32;
                history::encode(&mut history, previous, &change);
                previous = update;
            }
        }
        tally.real[update as usize] += keep as u32;
        real = chosen;
        if frames.contains(&update) {
            let scale = encode(&mut weights, &learner.weight, Precision::Sixteen);
            layer.scale.push(scale);
            layer.threshold.push(learner.weakest(&real));
        }
    }
    layer.budget = budget;
    layer.frames = frames;
    layer.weights = weights;
    layer.history = Blob(history);
}

/// The entries of one ascending list that are not in the other.
fn missing(list: &[u32], other: &[u32]) -> Vec<u32> {
    list.iter()
        .copied()
        .filter(|entry| other.binary_search(entry).is_err())
        .collect()
}

struct Learner {
    /// Entries of the whole tensor.
    entries: usize,
    /// The legal entries, ascending. `weights` and `goals` have one element for each.
    legal: Vec<u32>,
    weight: Vec<f32>,
    goal: Vec<f32>,
}

impl Learner {
    fn new(layer: &Layer, random: &mut Random) -> Self {
        let entries: usize = layer.shape.iter().product();
        let is_legal = |entry: &u32| {
            layer
                .legal
                .as_ref()
                .is_none_or(|bits| bits.0[*entry as usize / 8] >> (entry % 8) & 1 == 1)
        };
        let legal: Vec<u32> = (0..entries as u32).filter(is_legal).collect();
        // Some nodes have larger weights than others, so that wirings have hubs and dead nodes as trained ones do.
        let mut worth = |count: usize| -> Vec<f32> {
            (0..count)
                .map(|_| random.uniform().powf(1.5) * 0.9 + 0.35)
                .collect()
        };
        let (rows, columns) = (worth(layer.shape[0]), worth(layer.shape[1]));
        let goal = legal
            .iter()
            .map(|&entry| {
                let (row, column) = (
                    entry as usize / columns.len(),
                    entry as usize % columns.len(),
                );
                random.normal() * rows[row] * columns[column]
            })
            .collect();
        let weight = legal.iter().map(|_| random.normal() * 0.12).collect();
        Self {
            entries,
            legal,
            weight,
            goal,
        }
    }

    fn step(&mut self, progress: f32, updates: u64, random: &mut Random) {
        let rate = 6.0 / updates as f32 * (1.0 - progress);
        let shake = 0.35 * (rate / 6.0).sqrt() * (1.0 - progress);
        for (weight, goal) in self.weight.iter_mut().zip(&self.goal) {
            *weight += rate * (goal - *weight) + shake * random.triangular();
        }
    }

    /// The `keep` entries of largest |w|, ascending.
    fn strongest(&self, keep: usize) -> Vec<u32> {
        let mut order: Vec<u32> = (0..self.legal.len() as u32).collect();
        if keep < order.len() {
            let size = |at: u32| self.weight[at as usize].abs();
            order
                .select_nth_unstable_by(keep, |&a, &b| size(b).total_cmp(&size(a)).then(a.cmp(&b)));
            order.truncate(keep);
        }
        let mut entries: Vec<u32> = order.iter().map(|&at| self.legal[at as usize]).collect();
        entries.sort_unstable();
        entries
    }

    /// The smallest |w| among these entries; 0 if there are none.
    fn weakest(&self, entries: &[u32]) -> f32 {
        let sizes = self.legal.iter().zip(&self.weight);
        let real = sizes.filter(|(entry, _)| entries.binary_search(entry).is_ok());
        real.map(|(_, weight)| weight.abs())
            .reduce(f32::min)
            .unwrap_or(0.0)
    }
}
