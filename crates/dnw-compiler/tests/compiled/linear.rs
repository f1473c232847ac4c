//! Linear layers behind others: what they read is copied where it must be, and nowhere else.

use dnw_circuit::{Circuit, CircuitBuilder, CircuitError, Tensor, Window, interpret};
use dnw_compiler::{Passes, compile};
use dnw_runtime::plan::{Input, Op};

use crate::passes::run;

/// A linear layer behind a flattened image. Every third pixel is never read; of the other edges, one of `every` is real (1 or 7).
fn network(every: usize) -> Result<Circuit, CircuitError> {
    let (targets, sources) = (20, 3 * 25);
    let real: Vec<bool> = (0..targets * sources)
        .map(|edge| edge % sources % 3 != 0 && edge * 31 % every == 0)
        .collect();
    let weights = (0..real.len()).map(|edge| (edge as f32).sin()).collect();
    let mut circuit = CircuitBuilder::new([3, 5, 5])?;
    let pixels = circuit.flatten(circuit.input())?;
    let edges = circuit.tensor(Tensor::edges("fc", [targets, sources, 1, 1], weights, real))?;
    let weights = circuit.whole(edges);
    let classes = circuit.conv(pixels, weights, None, Window::default())?;
    circuit.finish(classes)
}

#[test]
fn a_sparse_layer_reads_the_pixels_that_it_needs_where_they_lie() {
    // With a seventh of them edge by edge, with all of them as a matrix, whose vector has no gaps.
    for (every, copies) in [(7, 1), (1, 2)] {
        let circuit = network(every).expect("a valid network");
        let plan = compile(&circuit, Input::default(), Passes::default());
        let copied = |step: &&dnw_runtime::plan::Step| matches!(step.op, Op::Copy(_));
        assert_eq!(plan.steps.iter().filter(copied).count(), copies);
        let image: Vec<f32> = (0..75).map(|i| (i as f32).cos()).collect();
        let expected = interpret(&circuit, &image).expect("an image of the network's size");
        let found = run(&circuit, Passes::default(), 1, &image);
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            assert!((f64::from(*found) - expected).abs() < 1e-5);
        }
    }
}
