//! Sums of convolutions: stages that add each level to what the next levels have got so far, and blocks whose shortcut is a convolution.

use dnw_circuit::{Circuit, CircuitBuilder, Tensor, ValueId, Window, interpret};
use dnw_compiler::{Passes, compile};
use dnw_runtime::plan::{Input, Op, Sums};
use proptest::prelude::*;

use crate::passes::run;
use crate::units::Random;

/// A stage of the published MobileNetV1 of wired stages, of 1 x 1 convolutions without depthwise ones: `x` holds the sums of all levels that are not
/// computed yet, of which the first `nodes` are complete.
#[derive(Clone, Copy, Debug)]
struct Stage {
    sources: usize,
    nodes: usize,
    levels: usize,
    density: f64,
    /// Targets of a block, which have the same sources.
    block: usize,
    seed: u64,
}

impl Stage {
    fn conv(
        &self,
        circuit: &mut CircuitBuilder,
        random: &mut Random,
        x: ValueId,
        targets: usize,
    ) -> ValueId {
        let sources = circuit.shape(x)[0];
        let mut real = vec![false; targets * sources];
        for target in 0..targets {
            for source in 0..sources {
                let first = target - target % self.block;
                real[target * sources + source] = match target == first {
                    true => random.next() < self.density,
                    false => real[first * sources + source],
                };
            }
        }
        let weights = random.weights(real.len());
        let name = format!("weight{}", random.next());
        let weight = Tensor::edges(name, [targets, sources, 1, 1], weights, real);
        let weight = circuit.tensor(weight).unwrap();
        let weight = circuit.whole(weight);
        circuit.conv(x, weight, None, Window::default()).unwrap()
    }

    /// `is_read`: the sums of the last levels are read once more.
    fn circuit(&self, is_read: bool) -> Circuit {
        let random = &mut Random(self.seed);
        let mut circuit = CircuitBuilder::new([self.sources, 5, 3]).unwrap();
        let input = circuit.input();
        let mut x = self.conv(&mut circuit, random, input, self.nodes * self.levels);
        let mut more = Vec::new();
        for level in 1..self.levels {
            let later = self.nodes * (self.levels - level);
            let own = circuit.select(x, 0..self.nodes).unwrap();
            let own = circuit.relu(own).unwrap();
            let rest = circuit.select(x, self.nodes..self.nodes + later).unwrap();
            if is_read {
                more.push(circuit.select(x, [self.nodes]).unwrap());
            }
            let added = self.conv(&mut circuit, random, own, later);
            x = circuit.add(&[rest, added]).unwrap();
        }
        more.push(x);
        let output = circuit.concat(&more).unwrap();
        circuit.finish(output).unwrap()
    }

    fn image(&self) -> Vec<f32> {
        Random(self.seed ^ 1).weights(self.sources * 15)
    }
}

fn stages() -> impl Strategy<Value = Stage> {
    let sizes = (1usize..9, 1usize..14, 1usize..5);
    let block = prop::sample::select(vec![1usize, 2, 4]);
    (sizes, 0.05..1.0f64, block, any::<u64>()).prop_map(
        |((sources, nodes, levels), density, block, seed)| Stage {
            sources,
            nodes,
            levels,
            density,
            block,
            seed,
        },
    )
}

fn sums(circuit: &Circuit) -> Vec<Sums> {
    let plan = compile(circuit, Input::default(), Passes::default());
    let steps = plan.steps.into_iter().map(|step| match step.op {
        Op::Sums(sums) => sums,
        other => panic!("no sums of rows: {other:?}"),
    });
    steps.collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn stages_compute_what_the_interpreter_computes(stage in stages(), is_read: bool) {
        let (circuit, image) = (stage.circuit(is_read), stage.image());
        let expected = interpret(&circuit, &image).unwrap();
        let mut unpruned = Passes::default();
        unpruned.prune = false;
        for passes in [Passes::default(), unpruned] {
            let found = run(&circuit, passes, 1, &image);
            prop_assert_eq!(found.len(), expected.len());
            for (found, expected) in found.iter().zip(&expected) {
                let apart = (f64::from(*found) - expected).abs();
                prop_assert!(apart <= 1e-4 * expected.abs().max(1.0), "{found} instead of {expected} with {passes:?}");
            }
        }
    }
}

/// Four levels are four sums of rows. Each is written once, though all but the first add to what earlier levels gave.
#[test]
fn each_level_of_a_stage_is_summed_once() {
    let stage = Stage {
        sources: 32,
        nodes: 40,
        levels: 4,
        density: 0.2,
        block: 1,
        seed: 7,
    };
    let sums = sums(&stage.circuit(false));
    assert_eq!(sums.len(), 4);
    assert!(sums.iter().all(|sums| sums.residual.is_empty()));
    let targets: usize = sums.iter().map(|sums| sums.to.shape[0]).sum();
    assert!(
        targets <= 160,
        "{targets} targets, where there are 160 nodes"
    );
}

/// The last targets of blocks are dead, so that the next block begins earlier.
#[test]
fn blocks_that_lost_some_targets_are_still_blocks() {
    let stage = Stage {
        sources: 64,
        nodes: 40,
        levels: 1,
        density: 0.4,
        block: 4,
        seed: 3,
    };
    let random = &mut Random(1);
    let mut circuit = CircuitBuilder::new([64, 5, 3]).unwrap();
    let input = circuit.input();
    let x = stage.conv(&mut circuit, random, input, 40);
    let alive = (0..40).filter(|target| !matches!(target, 3 | 17 | 30));
    let x = circuit.select(x, alive).unwrap();
    let circuit = circuit.finish(x).unwrap();
    let [sums] = &sums(&circuit)[..] else {
        panic!("one step");
    };
    assert_eq!(sums.block, 4);
    let rows: usize = sums.weights.len() / 4;
    let edges = sums.weights.iter().filter(|weight| **weight != 0.0).count();
    assert!(
        edges as f64 / rows as f64 > 3.5,
        "{edges} edges of {rows} rows"
    );
    let image = stage.image();
    let found = run(&circuit, Passes::default(), 2, &image);
    let expected = interpret(&circuit, &image).unwrap();
    for (found, expected) in found.iter().zip(&expected) {
        assert!((f64::from(*found) - expected).abs() < 1e-5);
    }
}

/// `relu(A x + B y)` of two convolutions is one, if both have few edges or both have many.
#[test]
fn a_shortcut_that_is_a_convolution_is_part_of_the_last_one() {
    for (densities, steps) in [([0.1, 0.1], 2), ([1.0, 1.0], 2), ([0.1, 1.0], 3)] {
        let stage = |density| Stage {
            sources: 24,
            nodes: 24,
            levels: 1,
            density,
            block: 1,
            seed: 5,
        };
        let random = &mut Random(2);
        let mut circuit = CircuitBuilder::new([24, 5, 3]).unwrap();
        let x = circuit.input();
        let y = stage(0.5).conv(&mut circuit, random, x, 24);
        let y = circuit.relu(y).unwrap();
        let y = stage(densities[0]).conv(&mut circuit, random, y, 24);
        let shortcut = stage(densities[1]).conv(&mut circuit, random, x, 24);
        let sum = circuit.add(&[y, shortcut]).unwrap();
        let sum = circuit.relu(sum).unwrap();
        let circuit = circuit.finish(sum).unwrap();
        assert_eq!(sums(&circuit).len(), steps, "{densities:?}");
        let image = stage(1.0).image();
        let found = run(&circuit, Passes::default(), 1, &image);
        let expected = interpret(&circuit, &image).unwrap();
        for (found, expected) in found.iter().zip(&expected) {
            assert!((f64::from(*found) - expected).abs() < 1e-4);
        }
    }
}
