//! MobileNetV1 as five chained graphs: the published count of a random wiring.

use dnw_circuit::{Block, Circuit, CircuitBuilder, Tensor, Window, count};
use proptest::prelude::*;

use crate::random::Noise;
use crate::{Made, whole};

/// Sources, nodes per level, stride, levels.
type Stage = [usize; 4];

const FULL: [Stage; 5] = [
    [32, 64, 1, 1],
    [64, 128, 2, 2],
    [128, 256, 2, 2],
    [256, 512, 2, 6],
    [512, 1024, 2, 2],
];

const NARROW: [Stage; 5] = [
    [4, 6, 1, 1],
    [6, 7, 2, 2],
    [7, 8, 2, 2],
    [8, 9, 2, 4],
    [9, 10, 2, 2],
];

fn targets([_, nodes, _, levels]: Stage) -> usize {
    nodes * levels
}

fn sources([inputs, nodes, _, levels]: Stage) -> usize {
    inputs + nodes * (levels - 1)
}

fn mobilenet(stages: &[Stage], image: usize, classes: usize, real: &[Vec<bool>]) -> Made<Circuit> {
    let mut b = CircuitBuilder::new([3, image, image])?;
    b.layer("conv1");
    let first = stages[0][0];
    let weight = whole(&mut b, filled("conv1.weight", [first, 3, 3, 3]))?;
    let mut x = b.conv(b.input(), weight, None, Window::square(2, 1))?;
    for (s, (&stage, real)) in stages.iter().zip(real).enumerate() {
        b.layer(format!("stages.{s}"));
        let [inputs, nodes, stride, levels] = stage;
        let shape = [targets(stage), sources(stage), 1, 1];
        let weight = vec![1.0; shape.iter().product()];
        let edges = b.tensor(Tensor::edges(
            format!("stages.{s}.weight"),
            shape,
            weight,
            real.clone(),
        ))?;
        let kernel = filled(&format!("stages.{s}.inputs"), [inputs, 1, 3, 3]);
        let kernel = whole(&mut b, kernel)?;
        x = b.relu(x)?;
        x = b.depthwise(x, kernel, None, Window::square(stride, 1))?;
        let from_inputs = Block::new(edges, 0..targets(stage), 0..inputs);
        x = b.conv(x, from_inputs, None, Window::default())?;
        for level in 1..levels {
            let kernel = filled(&format!("stages.{s}.{level}"), [nodes, 1, 3, 3]);
            let kernel = whole(&mut b, kernel)?;
            let all = b.shape(x)[0];
            let here = b.select(x, 0..nodes)?;
            let later = b.select(x, nodes..all)?;
            let active = b.relu(here)?;
            let activations = b.depthwise(active, kernel, None, Window::square(1, 1))?;
            let column = inputs + (level - 1) * nodes;
            let block = Block::new(edges, level * nodes..targets(stage), column..column + nodes);
            let gathered = b.conv(activations, block, None, Window::default())?;
            x = b.add(&[later, gathered])?;
        }
    }
    b.layer("classifier");
    x = b.relu(x)?;
    x = b.global_average(x)?;
    let outputs = b.shape(x)[0];
    let weight = whole(&mut b, filled("linear.weight", [classes, outputs, 1, 1]))?;
    let logits = b.linear(x, weight, None)?;
    b.finish(logits)
}

fn filled(name: &str, shape: [usize; 4]) -> Tensor {
    Tensor::weight(name, shape, vec![1.0; shape.iter().product()])
}

/// A random wiring with this many real edges per stage.
fn random_wiring(
    stages: &[Stage],
    budget: impl Fn(usize, Stage) -> usize,
    seed: u64,
) -> Vec<Vec<bool>> {
    let mut noise = Noise(seed);
    let wire = |(s, &stage): (usize, &Stage)| {
        let mut real = vec![false; targets(stage) * sources(stage)];
        let mut left = budget(s, stage);
        while left > 0 {
            let entry = noise.below(real.len());
            left -= usize::from(!std::mem::replace(&mut real[entry], true));
        }
        real
    };
    stages.iter().enumerate().map(wire).collect()
}

/// Parameters and multiply-adds as in the tables, computed from the wirings: edges times pixels, nine for each node with an edge out, the
/// first convolution for its nodes with an edge out, the classifier for its nodes with an edge in.
fn published(stages: &[Stage], image: usize, classes: usize, real: &[Vec<bool>]) -> (u64, u64) {
    let (mut parameters, mut multiply_adds) = (0, 0);
    let mut side = image.div_ceil(2);
    for (s, (&stage, real)) in stages.iter().zip(real).enumerate() {
        let (targets, sources) = (targets(stage), sources(stage));
        let has_edge_out =
            |source: &usize| (0..targets).any(|target| real[target * sources + source]);
        if s == 0 {
            let live = (0..stage[0]).filter(has_edge_out).count();
            parameters += 27 * live;
            multiply_adds += 27 * live * side * side;
        }
        side = side.div_ceil(stage[2]);
        let edges = real.iter().filter(|&&real| real).count();
        let live = (0..sources).filter(has_edge_out).count();
        parameters += edges + 9 * live;
        multiply_adds += (edges + 9 * live) * side * side;
        if s == stages.len() - 1 {
            let has_edge_in = |target: &usize| real[target * sources..][..sources].contains(&true);
            let live = (targets - stage[1]..targets).filter(has_edge_in).count();
            parameters += classes * live;
            multiply_adds += classes * live;
        }
    }
    (parameters as u64, multiply_adds as u64)
}

proptest! {
    #[test]
    fn the_nominal_count_is_the_published_formula(seed: u64, share in 0.0..0.4f64) {
        let budget = |_, stage| (share * (targets(stage) * sources(stage)) as f64) as usize;
        let real = random_wiring(&NARROW, budget, seed);
        let nominal = count(&mobilenet(&NARROW, 37, 5, &real).unwrap()).total.nominal;
        let counted = (nominal.weights_and_edges(), nominal.multiply_adds);
        prop_assert_eq!(counted, published(&NARROW, 37, 5, &real));
    }
}

#[test]
fn a_random_mobilenet_has_the_published_counts() -> Made<()> {
    // The paper states 1.2 M parameters and 55.7 M multiply-adds for a random wiring of width 0.225 on images of 224 pixels. The
    // number of dead nodes in the first stage is random, and each removes 0.45 M multiply-adds.
    let kept = [104, 1245, 4977, 72991, 79627];
    let real = random_wiring(&FULL, |s, _| kept[s], 0);
    let nominal = count(&mobilenet(&FULL, 224, 1000, &real)?).total.nominal;
    assert_eq!((nominal.weights_and_edges() + 50_000) / 100_000, 12);
    let off = nominal.multiply_adds as f64 - 55.7e6;
    assert!(off.abs() < 3.0 * 0.45e6, "{nominal:?}");
    Ok(())
}
