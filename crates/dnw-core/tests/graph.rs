//! Graphs against an interpreter that visits one node at a time.

#![cfg(feature = "flex")]

use burn::module::Module;
use burn::tensor::{Device, Distribution, Tensor, Tolerance};
use dnw_core::graph::{
    BatchNodes, CyclicGraphConfig, GraphConfig, GraphSpec, ImageNodes, Kernels, NeuralGraph,
    NodeFunction, Outputs, ScalarNodes, batch_norm,
};
use dnw_core::{Budget, Ranking, Wire, Wired, rules};
use proptest::prelude::*;

/// A graph of scalar nodes with these levels and a random wiring.
fn scalar_graph(spec: GraphSpec, seed: u64) -> Wired<NeuralGraph<ScalarNodes>> {
    let device = Device::flex();
    let function = ScalarNodes::new(&spec, &device);
    let graph = GraphConfig::new(spec).init(function, &device);
    Wire::new(rules::random(), Budget::Density(0.5))
        .seed(seed)
        .attach(graph)
        .unwrap()
}

/// One node at a time, in the order of their numbers.
fn interpret(graph: &Wired<NeuralGraph<ScalarNodes>>, input: &[f32]) -> Vec<f64> {
    let spec = graph.spec().clone();
    let tensor = &graph.tensors()[0];
    let bias: Vec<f32> = graph.function.bias.val().to_data().iter().collect();
    let mut gathered = vec![0.0f64; spec.nodes()];
    let mut activations = vec![0.0f64; spec.nodes()];
    for (node, &x) in input.iter().enumerate() {
        gathered[node] = f64::from(x);
    }
    let incoming = |node: usize, activations: &[f64], from: std::ops::Range<usize>| -> f64 {
        from.filter_map(|source| {
            let row = node.checked_sub(spec.first_target())?;
            let entry = row * spec.sources() + source;
            tensor
                .wiring
                .contains(entry)
                .then(|| f64::from(tensor.weights[entry]) * activations[source])
        })
        .sum()
    };
    for node in 0..spec.nodes() {
        let level = spec.level_of(node);
        let before = spec.function_levels()[..level.min(spec.function_levels().len())]
            .iter()
            .sum();
        if level > 0 {
            gathered[node] = incoming(node, &activations, 0..before);
            if node < spec.sources() {
                activations[node] = (gathered[node] + f64::from(bias[node])).max(0.0);
            }
        } else {
            activations[node] = gathered[node];
        }
    }
    let last = spec.level(spec.function_levels().len() - 1);
    spec.output_nodes()
        .map(|node| match spec.outputs() {
            Outputs::OwnLevel(_) => gathered[node],
            Outputs::InLastLevel(_) => gathered[node] + incoming(node, &activations, last.clone()),
        })
        .collect()
}

fn check(graph: &Wired<NeuralGraph<ScalarNodes>>, seed: u64) {
    let inputs = graph.spec().inputs();
    let input: Vec<f32> = (0..inputs)
        .map(|i| ((seed as f32) * 0.7 + i as f32 * 1.3).sin())
        .collect();
    let x = Tensor::<1>::from_floats(input.as_slice(), &Device::flex()).reshape([1, inputs, 1, 1]);
    let expected = interpret(graph, &input);
    let found: Vec<f32> = graph.forward(x).to_data().iter().collect();
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!(
            (f64::from(*found) - expected).abs() < 1e-4,
            "{found} is not {expected}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_graph_of_levels_is_what_its_nodes_compute_one_by_one(
        levels in proptest::collection::vec(1usize..6, 1..5), outputs in 1usize..4, apart: bool, seed in 0u64..1000,
    ) {
        let outputs = if apart { Outputs::OwnLevel(outputs) } else { Outputs::InLastLevel(outputs.min(*levels.last().unwrap())) };
        let spec = GraphSpec::levels(levels, outputs).unwrap();
        if spec.legal().count() > 1 {
            check(&scalar_graph(spec, seed), seed);
        }
    }

    #[test]
    fn a_graph_of_any_edges_is_what_its_nodes_compute_one_by_one(
        edges in proptest::collection::btree_set((0usize..9, 0usize..9), 1..30), seed in 0u64..1000,
    ) {
        // Nodes 0 and 1 are inputs, 8 and 9 outputs; edges run up, and each output gets one so that it can be reached.
        let mut edges: Vec<(usize, usize)> = edges.into_iter().map(|(a, b)| (a.min(b), a.max(b) + 1))
            .filter(|&(a, b)| b >= 2 && a < 8).collect();
        edges.extend([(0, 8), (1, 9)]);
        edges.sort();
        edges.dedup();
        let (spec, _) = GraphSpec::from_edges(10, 2, 2, &edges).unwrap();
        prop_assert_eq!(spec.legal().count(), edges.len());
        check(&scalar_graph(spec, seed), seed);
    }
}

fn image_graph(kernels: Kernels, seed: u64) -> Wired<NeuralGraph<ImageNodes>> {
    let device = Device::flex().autodiff();
    device.seed(seed);
    let spec = GraphSpec::levels(vec![3, 5, 6], Outputs::OwnLevel(4)).unwrap();
    let graph = GraphConfig::new(spec.clone())
        .with_kernels(kernels)
        .init(ImageNodes::new(&spec, &device), &device);
    Wire::dnw(Budget::Density(0.4)).attach(graph).unwrap()
}

#[test]
fn a_graph_on_kernels_is_the_graph_on_plain_tensors_forward_and_backward() {
    let device = Device::flex().autodiff();
    let fast = image_graph(Kernels::Fastest, 5);
    let plain = image_graph(Kernels::Reference, 6).load_record(fast.clone().into_record());
    let x = Tensor::random([4, 3, 6, 5], Distribution::Normal(0.0, 1.0), &device).require_grad();
    let direction = Tensor::random([4, 4, 6, 5], Distribution::Normal(0.0, 1.0), &device);
    let tolerance = Tolerance::<f32>::rel_abs(2e-3, 5e-4);
    let run = |graph: &Wired<NeuralGraph<ImageNodes>>| {
        let y = graph.forward(x.clone());
        let grads = (y.clone() * direction.clone()).sum().backward();
        let norm = graph.function.norm[1].gamma.as_ref().unwrap().val();
        vec![
            y.to_data(),
            x.grad(&grads).unwrap().to_data(),
            graph.weight.base().grad(&grads).unwrap().to_data(),
            graph.function.kernel.val().grad(&grads).unwrap().to_data(),
            norm.grad(&grads).unwrap().to_data(),
        ]
    };
    for (a, b) in run(&fast).into_iter().zip(run(&plain)) {
        a.assert_approx_eq(&b, tolerance);
    }
}

#[test]
fn an_impossible_edge_takes_no_place_unless_all_entries_are_ranked() {
    let device = Device::flex();
    let spec = GraphSpec::levels(vec![4, 4, 4], Outputs::InLastLevel(2)).unwrap();
    let legal = spec.legal().clone();
    let make = || GraphConfig::new(spec.clone()).init(ScalarNodes::new(&spec, &device), &device);
    let wire = Wire::dnw(Budget::Density(0.5));
    let lawful = wire.clone().attach(make()).unwrap().tensors().remove(0);
    assert_eq!(lawful.wiring.count(), legal.count() / 2);
    assert_eq!(lawful.wiring.difference(&legal).count(), 0);
    let published = wire
        .ranking(Ranking::AllEntries)
        .attach(make())
        .unwrap()
        .tensors()
        .remove(0);
    assert_eq!(published.wiring.count(), 72);
    assert!(
        published.active().count() < 72,
        "impossible edges use budget and do not take part"
    );
    assert!(published.wiring.difference(&legal).count() > 0);
}

/// One node at a time: each gathers the activations of the others along the real edges and is normalised over
/// its pixels.
fn gather_one_by_one(
    weights: &[f32],
    real: &dnw_core::Wiring,
    activations: &[Vec<f64>],
) -> Vec<Vec<f64>> {
    let nodes = activations.len();
    let gathered = (0..nodes).map(|target| {
        let mut map = vec![0.0; activations[target].len()];
        for source in (0..nodes).filter(|source| real.contains(target * nodes + source)) {
            let weight = f64::from(weights[target * nodes + source]);
            for (sum, x) in map.iter_mut().zip(&activations[source]) {
                *sum += weight * x;
            }
        }
        let n = map.len() as f64;
        let mean = map.iter().sum::<f64>() / n;
        let variance = map.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
        map.iter()
            .map(|x| (x - mean) / (variance + 1e-5).sqrt())
            .collect()
    });
    gathered.collect()
}

/// The 3 x 3 convolution of the ReLU of a feature map, zero-padded.
fn convolve(map: &[f64], kernel: &[f32], side: usize) -> Vec<f64> {
    let at = |y: usize, x: usize| {
        let inside = (1..=side).contains(&y) && (1..=side).contains(&x);
        if inside {
            map[(y - 1) * side + x - 1].max(0.0)
        } else {
            0.0
        }
    };
    let pixels = (0..side * side).map(|pixel| {
        let (y, x) = (pixel / side, pixel % side);
        (0..9)
            .map(|k| f64::from(kernel[k]) * at(y + k / 3, x + k % 3))
            .sum()
    });
    pixels.collect()
}

#[test]
fn a_cyclic_graph_steps_as_its_nodes_do_one_by_one() {
    let (device, side, nodes) = (Device::flex(), 4, 6);
    device.seed(11);
    let graph = CyclicGraphConfig::new(nodes).init(&device);
    let graph = Wire::dnw(Budget::Density(0.4)).attach(graph).unwrap();
    let input = Tensor::<4>::random([1, 2, side, side], Distribution::Normal(0.0, 1.0), &device);
    let kernels: Vec<f32> = graph.function.kernel.val().to_data().iter().collect();
    let tensor = &graph.tensors()[0];
    let values: Vec<f64> = input.to_data().iter::<f32>().map(f64::from).collect();
    let mut state: Vec<Vec<f64>> = values.chunks(side * side).map(<[f64]>::to_vec).collect();
    state.resize(nodes, vec![0.0; side * side]);
    for _ in 0..3 {
        let activations: Vec<Vec<f64>> = (0..nodes)
            .map(|node| convolve(&state[node], &kernels[9 * node..], side))
            .collect();
        state = gather_one_by_one(&tensor.weights, &tensor.wiring, &activations);
    }
    let expected = burn::tensor::TensorData::new(state.concat(), [1, nodes, side, side]);
    let field = graph.field();
    let tolerance = Tolerance::<f32>::rel_abs(1e-3, 1e-4);
    let stepped = field.steps(graph.start(input.clone()), 3).state;
    stepped
        .to_data()
        .assert_approx_eq(&expected.clone().convert::<f32>(), tolerance);
    let start = graph.start(input);
    let evaluated = (0..3).fold(start, |state, _| field.at(state));
    evaluated
        .to_data()
        .assert_approx_eq(&expected.convert::<f32>(), tolerance);
}

#[test]
fn the_running_variance_is_that_of_unbiased_estimates() {
    let device = Device::flex().autodiff();
    let norm = burn::nn::BatchNormConfig::new(1).init(&device);
    // The values 1, 2, 3, 6 have mean 3, squared distances 4 + 1 + 0 + 9, and so variance 14 / 3 as an
    // unbiased estimate.
    let x = Tensor::<1>::from_floats([1.0, 2.0, 3.0, 6.0], &device).reshape([2, 1, 1, 2]);
    let y = batch_norm(&norm, x.clone());
    let [mean, variance] = [
        norm.running_mean.value_sync(),
        norm.running_var.value_sync(),
    ]
    .map(|state| state.into_scalar::<f32>());
    assert!((mean - 0.1 * 3.0).abs() < 1e-6, "{mean}");
    assert!(
        (variance - (0.9 + 0.1 * 14.0 / 3.0)).abs() < 1e-6,
        "{variance}"
    );
    let first: f32 = y.slice([0..1, 0..1, 0..1, 0..1]).into_scalar();
    assert!(
        (first + 2.0 / 3.5f32.sqrt()).abs() < 1e-4,
        "normalised by the biased variance: {first}"
    );
    // In evaluation the running averages are used and do not change.
    let z = batch_norm(&norm.valid(), x.inner());
    let first: f32 = z.slice([0..1, 0..1, 0..1, 0..1]).into_scalar();
    assert!(
        (first - (1.0 - mean) / (variance + 1e-5).sqrt()).abs() < 1e-5,
        "{first}"
    );
}

#[test]
fn the_input_level_of_batch_nodes_steps_over_the_image_and_later_levels_do_not() {
    let device = Device::flex();
    let spec = GraphSpec::levels(vec![2, 3, 3], Outputs::OwnLevel(3)).unwrap();
    let nodes = BatchNodes::new(&spec, 2, &device);
    let x = Tensor::<4>::ones([1, 2, 7, 8], &device);
    let activations = nodes.forward(0, spec.level(0), x.clone(), Kernels::default());
    assert_eq!(activations.dims(), [1, 2, 4, 4]);
    let graph = GraphConfig::new(spec).init(nodes, &device);
    assert_eq!(graph.forward(x).dims(), [1, 3, 4, 4]);
}
