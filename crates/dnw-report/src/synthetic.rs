//! A run that never happened: small, deterministic, shaped like a real one.
//!
//! Tests, documentation and demos need a [`Recording`] without training anything. The weights here
//! drift towards values drawn beforehand while noise shakes them, ever less; the wiring is the
//! `k` largest |w| after every update, exactly as in training, so edges swap, and the history is honest.

mod pictures;
mod random;

use crate::comparison::{ComparedRun, Comparison};
use crate::history::{self, Change};
use crate::recording::{
    Blob, Curves, DataFacts, Layer, Node, NodeKind, Outcome, RECORDING_VERSION, Recording,
    RunFacts, TestCurve, TrainCurve,
};
use random::Random;

/// How the budget moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Budget {
    /// The same number of edges throughout.
    Fixed,
    /// From every edge down to the budget, cubically, over the first half.
    Shrinking,
}

/// Which levels are wired to which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One tensor: every level feeds every later one.
    Graph,
    /// One tensor for each level: it feeds the next one only.
    Chain,
}

/// What the made-up run looks like.
#[derive(Clone, Debug)]
pub struct Size {
    /// Nodes of each level; the last level holds the output nodes.
    pub levels: Vec<usize>,
    /// Which levels are wired to which.
    pub shape: Shape,
    /// Real edges of the whole network at the end.
    pub edges: usize,
    /// How the number of real edges moves.
    pub budget: Budget,
    /// Updates made.
    pub updates: u64,
    /// Moments at which weights, samples and features were recorded.
    pub frames: usize,
    /// Sample images.
    pub images: usize,
    /// Side of a feature map; 0 for a run without feature maps.
    pub feature_side: usize,
    /// What the random numbers start from.
    pub seed: u64,
}

impl Size {
    /// 36 nodes, 60 real edges, 240 updates: made in milliseconds.
    pub fn small() -> Self {
        Self {
            levels: vec![6, 10, 10, 10],
            shape: Shape::Graph,
            edges: 60,
            budget: Budget::Fixed,
            updates: 240,
            frames: 13,
            images: 4,
            feature_side: 5,
            seed: 1,
        }
    }

    /// 100 nodes and 398 real edges, like the graph that learns MNIST.
    pub fn medium() -> Self {
        Self {
            levels: vec![16, 20, 20, 20, 24],
            edges: 398,
            budget: Budget::Shrinking,
            updates: 3000,
            frames: 61,
            images: 10,
            feature_side: 7,
            seed: 7,
            ..Self::small()
        }
    }

    /// 1,194 nodes in three layers: too many to draw as nodes and edges.
    pub fn wide() -> Self {
        Self {
            levels: vec![784, 300, 100, 10],
            shape: Shape::Chain,
            edges: 5300,
            updates: 400,
            frames: 5,
            images: 6,
            feature_side: 0,
            seed: 3,
            ..Self::small()
        }
    }

    /// 898 nodes and 50,000 real edges: as much as is drawn as nodes and edges.
    pub fn large() -> Self {
        Self {
            levels: vec![48, 150, 150, 150, 150, 150, 100],
            edges: 50_000,
            updates: 120,
            frames: 4,
            images: 3,
            feature_side: 0,
            seed: 5,
            ..Self::small()
        }
    }
}

const CLASSES: usize = 10;

/// A made-up run of the given size; the same size gives the same run.
///
/// # Panics
/// If a level has no node, or there are fewer than two levels.
pub fn recording(size: &Size) -> Recording {
    assert!(
        size.levels.len() >= 2 && size.levels.iter().all(|&nodes| nodes > 0),
        "two levels or more, none empty"
    );
    let mut random = Random::new(size.seed);
    let starts: Vec<usize> = size
        .levels
        .iter()
        .scan(0, |next, &nodes| {
            *next += nodes;
            Some(*next - nodes)
        })
        .collect();
    let blank = blank_layers(size, &starts);
    let possible: usize = blank.iter().map(|layer| layer.possible).sum();
    let mut swaps = vec![0u32; size.updates as usize + 1];
    let mut real = vec![0u32; size.updates as usize + 1];
    let layers: Vec<Layer> = blank
        .into_iter()
        .map(|layer| {
            let budget = (size.edges * layer.possible)
                .div_ceil(possible)
                .min(layer.possible);
            train_layer(size, layer, budget, &mut random, &mut swaps, &mut real)
        })
        .collect();
    let curves = curves(size, &swaps, &real, &mut random);
    let nodes = nodes(size, &mut random);
    let samples = pictures::samples(size, &frames(size), nodes.len(), &mut random);
    let edges_real = layers.iter().map(|layer| layer.budget).sum();
    let accuracy = &curves.test.accuracy;
    Recording {
        version: RECORDING_VERSION,
        run: facts(size),
        data: DataFacts {
            name: "seven-segment digits".into(),
            classes: (0..CLASSES).map(|class| class.to_string()).collect(),
            train_images: 60_000,
            test_images: 10_000,
        },
        outcome: Outcome {
            test_accuracy: f64::from(*accuracy.last().unwrap_or(&0.0)),
            best_test_accuracy: accuracy.iter().copied().fold(0.0, f32::max).into(),
            edges_real,
            edges_possible: possible,
            parameters: edges_real + nodes.len() * 11 + 250,
        },
        updates: size.updates,
        curves,
        nodes,
        layers,
        samples: Some(samples),
    }
}

fn facts(size: &Size) -> RunFacts {
    RunFacts {
        name: format!("synthetic-{}", size.edges),
        recipe: "synthetic".into(),
        recipe_text: format!(
            "# A made-up run: no network was trained.\nseed = {}\nupdates = {}\n\n[graph]\nlevels = {:?}\n\n[budget]\nedges = {}\nschedule = \"{:?}\"\n",
            size.seed, size.updates, size.levels, size.edges, size.budget
        ),
        command: "cargo run --package dnw-report --example demo".into(),
        rule: "the largest |w| of each tensor, chosen again after every update".into(),
        seed: size.seed,
        environment: vec![
            (
                "Program".into(),
                concat!("dnw-report ", env!("CARGO_PKG_VERSION")).into(),
            ),
            ("Device".into(), "none: made up".into()),
        ],
        seconds: size.updates as f64 * 0.01,
        finished: true,
    }
}

fn nodes(size: &Size, random: &mut Random) -> Vec<Node> {
    let last = size.levels.len() - 1;
    let mut nodes = Vec::new();
    for (level, &count) in size.levels.iter().enumerate() {
        for _ in 0..count {
            nodes.push(Node {
                level: level as u32,
                kind: match level {
                    0 => NodeKind::Input,
                    _ if level == last => NodeKind::Output,
                    _ => NodeKind::Hidden,
                },
                kernel: if size.shape == Shape::Graph {
                    (0..9).map(|_| random.normal() * 0.4).collect()
                } else {
                    vec![]
                },
            });
        }
    }
    nodes
}

/// Layers with their shapes and legal edges, not trained yet.
fn blank_layers(size: &Size, starts: &[usize]) -> Vec<Layer> {
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

/// The updates at which weights are recorded: evenly spread, both ends among them.
fn frames(size: &Size) -> Vec<u64> {
    let last = size.frames.max(2) as u64 - 1;
    (0..=last)
        .map(|frame| frame * size.updates / last)
        .collect()
}

fn budget_at(size: &Size, budget: usize, possible: usize, update: u64) -> usize {
    let shrinking = size.updates / 2;
    if size.budget == Budget::Fixed || update >= shrinking {
        return budget;
    }
    let left = 1.0 - update as f64 / shrinking as f64;
    budget + ((possible - budget) as f64 * left.powi(3)) as usize
}

fn train_layer(
    size: &Size,
    mut layer: Layer,
    budget: usize,
    random: &mut Random,
    swaps: &mut [u32],
    counts: &mut [u32],
) -> Layer {
    let entries: usize = layer.shape.iter().product();
    let legal: Vec<u32> = (0..entries as u32)
        .filter(|&entry| {
            layer
                .legal
                .as_ref()
                .is_none_or(|bits| bits.0[entry as usize / 8] >> (entry % 8) & 1 == 1)
        })
        .collect();
    // Some nodes matter more than others, so that wirings have hubs and dead nodes as trained ones do.
    let sides = |count: usize, random: &mut Random| -> Vec<f32> {
        (0..count)
            .map(|_| random.uniform().powf(1.5) * 0.9 + 0.35)
            .collect()
    };
    let (rows, columns) = (sides(layer.shape[0], random), sides(layer.shape[1], random));
    let goal: Vec<f32> = legal
        .iter()
        .map(|&entry| {
            let (row, column) = (
                entry as usize / layer.shape[1],
                entry as usize % layer.shape[1],
            );
            random.normal() * rows[row] * columns[column]
        })
        .collect();
    let mut weight: Vec<f32> = legal.iter().map(|_| random.normal() * 0.12).collect();
    let mut real = vec![false; entries];
    let frames = frames(size);
    let (mut weights, mut history, mut previous) = (Vec::new(), Vec::new(), 0);
    let mut order: Vec<u32> = (0..legal.len() as u32).collect();
    for update in 0..=size.updates {
        if update > 0 {
            let progress = update as f32 / size.updates as f32;
            let rate = 6.0 / size.updates as f32 * (1.0 - progress);
            let shake = 0.35 * (rate / 6.0).sqrt() * (1.0 - progress);
            for (weight, goal) in weight.iter_mut().zip(&goal) {
                *weight += rate * (goal - *weight) + shake * random.triangular();
            }
        }
        let keep = budget_at(size, budget, legal.len(), update);
        if keep < order.len() && keep > 0 {
            order.select_nth_unstable_by(keep - 1, |&a, &b| {
                weight[b as usize]
                    .abs()
                    .total_cmp(&weight[a as usize].abs())
                    .then(a.cmp(&b))
            });
        }
        let mut chosen = vec![false; entries];
        for &at in &order[..keep] {
            chosen[legal[at as usize] as usize] = true;
        }
        if update == 0 {
            layer.initial = Blob::from_bits(chosen.iter().copied());
        } else {
            let which = |wanted: bool| -> Vec<u32> {
                legal
                    .iter()
                    .copied()
                    .filter(|&e| {
                        chosen[e as usize] != real[e as usize] && chosen[e as usize] == wanted
                    })
                    .collect()
            };
            let change = Change {
                update,
                born: which(true),
                died: which(false),
            };
            if !change.born.is_empty() || !change.died.is_empty() {
                swaps[update as usize] += change.born.len() as u32;
                history::encode(&mut history, previous, &change);
                previous = update;
            }
        }
        counts[update as usize] += keep as u32;
        real = chosen;
        if frames.contains(&update) {
            let scale = weight
                .iter()
                .fold(f32::MIN_POSITIVE, |scale, weight| scale.max(weight.abs()));
            let mut frame = vec![0i16; entries];
            let mut threshold = f32::INFINITY;
            for (&entry, weight) in legal.iter().zip(&weight) {
                frame[entry as usize] = (weight / scale * 32767.0).round() as i16;
                if real[entry as usize] {
                    threshold = threshold.min(weight.abs());
                }
            }
            weights.extend(frame);
            layer.scale.push(scale);
            layer.threshold.push(if threshold.is_finite() {
                threshold
            } else {
                0.0
            });
        }
    }
    layer.budget = budget;
    layer.frames = frames;
    layer.weights = Blob::from_i16(weights);
    layer.history = Blob(history);
    layer
}

/// How well a made-up network does after a share `progress` of its training.
fn skill(progress: f32) -> f32 {
    0.975 - 0.875 * (-progress * 9.0).exp() - 0.02 * (1.0 - progress)
}

fn curves(size: &Size, swaps: &[u32], real: &[u32], random: &mut Random) -> Curves {
    let mut train = TrainCurve::default();
    let step = (size.updates / 200).max(1);
    for update in (step..=size.updates).step_by(step as usize) {
        let progress = update as f32 / size.updates as f32;
        let accuracy = (skill(progress) + random.triangular() * 0.012).clamp(0.0, 1.0);
        train.update.push(update);
        train.accuracy.push(accuracy);
        train.loss.push((1.0 - accuracy) * 2.5 + 0.02);
        train.swaps.push(
            swaps[(update - step + 1) as usize..=update as usize]
                .iter()
                .sum(),
        );
        train.learning_rate.push(0.2 * (1.0 - progress));
        train.real.push(real[update as usize]);
    }
    let mut test = TestCurve::default();
    for update in frames(size) {
        let accuracy = skill(update as f32 / size.updates as f32) + random.triangular() * 0.004;
        let (mut confusion, mut right) = (vec![0u32; CLASSES * CLASSES], 0);
        for class in 0..CLASSES {
            let missed = ((1.0 - accuracy) * 1000.0) as u32;
            confusion[class * CLASSES + class] = 1000 - missed;
            right += 1000 - missed;
            for miss in 0..missed {
                let other =
                    (class + 1 + (random.uniform().powi(2) * 9.0) as usize + miss as usize % 2)
                        % CLASSES;
                confusion[class * CLASSES
                    + if other == class {
                        (class + 5) % CLASSES
                    } else {
                        other
                    }] += 1;
            }
        }
        test.update.push(update);
        test.accuracy.push(right as f32 / 10_000.0);
        test.loss.push((1.0 - accuracy) * 2.7 + 0.03);
        test.confusion.push(confusion);
    }
    Curves { train, test }
}

/// Made-up runs of three rules at four budgets, three seeds each; one of them collapsed.
pub fn comparison() -> Comparison {
    let size = Size::small();
    let template = recording(&size).curves;
    let mut random = Random::new(11);
    let mut runs = Vec::new();
    let possible = 3984;
    for (rule, gain, swapping) in [
        ("largest |w|", 0.0, 1.0),
        ("largest |w|, shrinking budget", 0.004, 1.7),
        ("random", -0.012, 0.0),
    ] {
        for edges in [119usize, 199, 398, 797] {
            for seed in 0..3u64 {
                let density = edges as f32 / possible as f32;
                let collapsed = rule == "largest |w|" && edges == 199 && seed == 2;
                let accuracy = 0.985 + gain - 0.0011 / density - if collapsed { 0.07 } else { 0.0 }
                    + random.triangular() * 0.003;
                let mut curves = template.clone();
                for value in curves
                    .test
                    .accuracy
                    .iter_mut()
                    .chain(&mut curves.train.accuracy)
                {
                    *value =
                        (*value / 0.975 * accuracy + random.triangular() * 0.004).clamp(0.0, 1.0);
                }
                for value in curves.test.loss.iter_mut().chain(&mut curves.train.loss) {
                    *value *= (1.0 - accuracy) / 0.02 + random.triangular() * 0.05;
                }
                for value in &mut curves.train.swaps {
                    *value = (*value as f32 * swapping * density * 20.0) as u32;
                }
                if let Some(last) = curves.test.accuracy.last_mut() {
                    *last = accuracy;
                }
                runs.push(ComparedRun {
                    name: format!(
                        "{}-{edges}-s{seed}",
                        if gain > 0.0 {
                            "shrink"
                        } else if swapping > 0.0 {
                            "dnw"
                        } else {
                            "random"
                        }
                    ),
                    group: format!("{rule}, {edges} edges"),
                    rule: rule.into(),
                    recipe: "synthetic".into(),
                    seed,
                    edges_real: edges,
                    edges_possible: possible,
                    test_accuracy: accuracy.into(),
                    swaps: curves
                        .train
                        .swaps
                        .iter()
                        .map(|&swaps| u64::from(swaps))
                        .sum(),
                    dead_nodes: if collapsed {
                        31
                    } else {
                        (random.uniform() * 6.0) as usize
                    },
                    curves,
                });
            }
        }
    }
    let overlap = runs
        .iter()
        .enumerate()
        .map(|(a, one)| {
            runs.iter()
                .enumerate()
                .map(|(b, other)| match () {
                    () if a == b => Some(1.0),
                    () => {
                        let (few, many) = (
                            one.edges_real.min(other.edges_real),
                            one.edges_real.max(other.edges_real),
                        );
                        let alike = if one.rule == other.rule && one.rule != "random" {
                            0.55
                        } else {
                            0.12
                        };
                        Some(
                            few as f32 / many as f32
                                * (alike + 0.05 * ((a * 7 + b * 7) % 5) as f32 / 5.0),
                        )
                    }
                })
                .collect()
        })
        .collect();
    Comparison {
        runs,
        overlap,
        command: "cargo run --package dnw-report --example demo".into(),
    }
}
