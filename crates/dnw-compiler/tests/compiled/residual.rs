//! A residual block of which one target has no edges.

use dnw_circuit::{CircuitBuilder, Tensor, Window, interpret};
use dnw_compiler::{Passes, compile};
use dnw_runtime::plan::{Input, Op};
use dnw_runtime::{Model, Session};

/// `relu(x + W x + b)`, where the second target has a bias and no edge.
#[test]
fn a_target_without_edges_costs_no_copy() {
    let mut circuit = CircuitBuilder::new([3, 4, 5]).unwrap();
    let weight = Tensor::edges(
        "weight",
        [3, 3, 1, 1],
        vec![2.0, 0.0, -3.0, 9.0, 9.0, 9.0, 0.0, 0.5, 0.0],
        vec![true, false, true, false, false, false, false, true, false],
    );
    let weight = circuit.tensor(weight).unwrap();
    let bias = circuit
        .tensor(Tensor::bias("bias", vec![0.25, -0.75, 1.5]))
        .unwrap();
    let (weight, bias) = (circuit.whole(weight), circuit.whole(bias));
    let x = circuit.input();
    let y = circuit
        .conv(x, weight, Some(bias), Window::default())
        .unwrap();
    let y = circuit.add(&[y, x]).unwrap();
    let y = circuit.relu(y).unwrap();
    let circuit = circuit.finish(y).unwrap();

    let plan = compile(&circuit, Input::default(), Passes::default());
    let steps: Vec<_> = plan.steps.iter().map(|step| &step.op).collect();
    assert!(matches!(steps[..], [Op::Sums(_)]), "{steps:?}");

    let image: Vec<f32> = (0..60).map(|i| (i * 7 % 13) as f32 - 6.0).collect();
    let model = Model::new(plan).unwrap();
    let mut output = vec![0.0; model.output_len()];
    Session::new(&model, 1).run(&image, &mut output).unwrap();
    for (pixel, found) in output.iter().enumerate() {
        let (channel, at) = (pixel / 20, pixel % 20);
        let x = [image[at], image[20 + at], image[40 + at]];
        let sum = [2.0 * x[0] - 3.0 * x[2] + 0.25, -0.75, 0.5 * x[1] + 1.5][channel];
        assert_eq!(*found, (sum + x[channel]).max(0.0));
    }
    let reference = interpret(&circuit, &image).unwrap();
    assert!(
        reference
            .iter()
            .zip(&output)
            .all(|(a, b)| *a == f64::from(*b))
    );
}
