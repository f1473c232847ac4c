//! Synthetic runs to compare.

use super::random::Random;
use super::{Size, recording};
use crate::comparison::{ComparedRun, Comparison};
use crate::recording::Curves;

const POSSIBLE: usize = 3984;

/// A synthetic rule: its accuracy and its swaps relative to the first rule.
struct Rule {
    words: &'static str,
    short: &'static str,
    gain: f32,
    swapping: f32,
}

const RULES: [Rule; 3] = [
    Rule {
        words: "largest |w|",
        short: "dnw",
        gain: 0.0,
        swapping: 1.0,
    },
    Rule {
        words: "largest |w|, shrinking budget",
        short: "shrink",
        gain: 0.004,
        swapping: 1.7,
    },
    Rule {
        words: "random",
        short: "random",
        gain: -0.012,
        swapping: 0.0,
    },
];

/// Synthetic runs of three rules with four budgets and three seeds each; one of them collapsed.
pub fn comparison() -> Comparison {
    let template = recording(&Size::small()).curves;
    let mut random = Random::new(11);
    let mut runs = Vec::new();
    for rule in &RULES {
        for edges in [119, 199, 398, 797] {
            for seed in 0..3 {
                runs.push(run(rule, edges, seed, template.clone(), &mut random));
            }
        }
    }
    let overlap = (0..runs.len())
        .map(|a| {
            (0..runs.len())
                .map(|b| Some(if a == b { 1.0 } else { overlap(&runs, a, b) }))
                .collect()
        })
        .collect();
    Comparison {
        runs,
        overlap,
        command: "cargo run --package dnw-report --example demo".into(),
    }
}

fn run(
    rule: &Rule,
    edges: usize,
    seed: u64,
    mut curves: Curves,
    random: &mut Random,
) -> ComparedRun {
    let density = edges as f32 / POSSIBLE as f32;
    let collapsed = rule.short == "dnw" && edges == 199 && seed == 2;
    let fall = if collapsed { 0.07 } else { 0.0 };
    let accuracy = 0.985 + rule.gain - 0.0011 / density - fall + random.triangular() * 0.003;
    for value in curves
        .test
        .accuracy
        .iter_mut()
        .chain(&mut curves.train.accuracy)
    {
        *value = (*value / 0.975 * accuracy + random.triangular() * 0.004).clamp(0.0, 1.0);
    }
    for value in curves.test.loss.iter_mut().chain(&mut curves.train.loss) {
        *value *= (1.0 - accuracy) / 0.02 + random.triangular() * 0.05;
    }
    for value in &mut curves.train.swaps {
        *value = (*value as f32 * rule.swapping * density * 20.0) as u32;
    }
    curves.test.confusion.clear();
    if let Some(last) = curves.test.accuracy.last_mut() {
        *last = accuracy;
    }
    ComparedRun {
        name: format!("{}-{edges}-s{seed}", rule.short),
        group: format!("{}, {edges} edges", rule.words),
        rule: rule.words.into(),
        recipe: "synthetic".into(),
        seed,
        edges_real: edges,
        edges_possible: POSSIBLE,
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
    }
}

/// Runs of the same rule have a larger overlap, and the overlap of a small and a large wiring is bounded.
fn overlap(runs: &[ComparedRun], a: usize, b: usize) -> f32 {
    let (one, other) = (&runs[a], &runs[b]);
    let few = one.edges_real.min(other.edges_real) as f32;
    let many = one.edges_real.max(other.edges_real) as f32;
    let overlap = if one.rule == other.rule && one.rule != "random" {
        0.55
    } else {
        0.12
    };
    few / many * (overlap + 0.01 * ((a * 7 + b * 7) % 5) as f32)
}
