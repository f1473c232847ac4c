//! Synthetic runs: small, deterministic and shaped like real ones.
//!
//! Tests, documentation and demos use them as a [`Recording`] without training. The weights move towards random targets
//! with decreasing noise. The wiring is the `k` largest |w| after every update, as in training, so that edges swap and
//! the history is consistent.

mod pictures;
mod random;
mod runs;
mod size;
mod training;

use crate::recording::{
    Curves, DataFacts, Node, NodeKind, Outcome, RECORDING_VERSION, Recording, RunFacts, TestCurve,
    TrainCurve,
};
use random::Random;
pub use runs::comparison;
pub use size::{Budget, Shape, Size};
use size::{CLASSES, frames, skill};
use training::Tally;

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
    let mut layers = training::blank_layers(size, &starts);
    let possible: usize = layers.iter().map(|layer| layer.possible).sum();
    let updates = size.updates as usize + 1;
    let mut tally = Tally {
        swaps: vec![0; updates],
        real: vec![0; updates],
    };
    for layer in &mut layers {
        let budget = (size.edges * layer.possible)
            .div_ceil(possible)
            .min(layer.possible);
        training::train(size, layer, budget, &mut random, &mut tally);
    }
    let curves = Curves {
        train: train_curve(size, &tally, &mut random),
        test: test_curve(size, &mut random),
    };
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

fn train_curve(size: &Size, tally: &Tally, random: &mut Random) -> TrainCurve {
    let mut curve = TrainCurve::default();
    let step = (size.updates / 200).max(1);
    for update in (step..=size.updates).step_by(step as usize) {
        let progress = update as f32 / size.updates as f32;
        let accuracy = (skill(progress) + random.triangular() * 0.012).clamp(0.0, 1.0);
        let since = (update - step + 1) as usize..=update as usize;
        curve.update.push(update);
        curve.accuracy.push(accuracy);
        curve.loss.push((1.0 - accuracy) * 2.5 + 0.02);
        curve.swaps.push(tally.swaps[since].iter().sum());
        curve.learning_rate.push(0.2 * (1.0 - progress));
        curve.real.push(tally.real[update as usize]);
    }
    curve
}

fn test_curve(size: &Size, random: &mut Random) -> TestCurve {
    let mut curve = TestCurve::default();
    for update in frames(size) {
        let wanted = skill(update as f32 / size.updates as f32) + random.triangular() * 0.004;
        let confusion = confusion(1.0 - wanted, random);
        let right: u32 = (0..CLASSES)
            .map(|class| confusion[class * CLASSES + class])
            .sum();
        curve.update.push(update);
        curve
            .accuracy
            .push(right as f32 / (CLASSES as u32 * PER_CLASS) as f32);
        curve.loss.push((1.0 - wanted) * 2.7 + 0.03);
        curve.confusion.push(confusion);
    }
    curve
}

/// Test images of each class.
const PER_CLASS: u32 = 1000;

/// A confusion matrix in which about a fraction `missed` of each class is misclassified.
fn confusion(missed: f32, random: &mut Random) -> Vec<u32> {
    let mut matrix = vec![0; CLASSES * CLASSES];
    for class in 0..CLASSES {
        let misses = (missed * (1.0 + 0.4 * random.triangular()) * PER_CLASS as f32) as u32;
        let misses = misses.min(PER_CLASS);
        matrix[class * CLASSES + class] = PER_CLASS - misses;
        for _ in 0..misses {
            let away =
                1 + (random.uniform().powi(2) * (CLASSES - 1) as f32) as usize % (CLASSES - 1);
            matrix[class * CLASSES + (class + away) % CLASSES] += 1;
        }
    }
    matrix
}
