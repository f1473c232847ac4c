//! Layers and graphs on kernels against the same on plain tensors: outputs, gradients, running averages.

#![cfg(any(feature = "flex", feature = "ndarray"))]

use burn::module::{Module, ModuleDisplay, ModuleVisitor, Param, ParamGroup};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, LinearConfig, PaddingConfig2d};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Distribution, Gradients, Tensor, TensorData, Tolerance};
use dnw_core::graph::{
    BatchNodes, CyclicGraph, CyclicGraphConfig, GraphConfig, GraphSpec, ImageNodes, Kernels,
    NeuralGraph, NodeFunction, Outputs, batch_norm, batch_norm_rectified,
};
use dnw_core::layers::{apply, convolve};
use dnw_core::{Budget, Wire, Wired, rules};
use proptest::prelude::*;

/// The CPU backends of this build.
fn devices() -> Vec<Device> {
    vec![
        #[cfg(feature = "flex")]
        Device::flex(),
        #[cfg(feature = "ndarray")]
        Device::ndarray(),
    ]
}

/// Every gradient of a model, by the order of its parameters.
struct Found<'a>(&'a Gradients, Vec<TensorData>);

impl ModuleVisitor for Found<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = param.base().grad(self.0) {
            self.1.push(gradient.to_data());
        }
    }
}

fn agree(a: &[TensorData], b: &[TensorData]) {
    assert_eq!(a.len(), b.len());
    for (a, b) in a.iter().zip(b) {
        a.assert_approx_eq(b, Tolerance::<f32>::rel_abs(2e-3, 1e-3));
    }
}

/// The result of a model and every gradient, for one input and one direction.
fn run<M: Module>(
    model: &M,
    x: &Tensor<4>,
    forward: impl Fn(&M, Tensor<4>) -> Tensor<4>,
) -> Vec<TensorData> {
    let x = x.clone().detach().require_grad();
    let y = forward(model, x.clone());
    let n = y.shape().num_elements();
    let direction = (0..n)
        .map(|i| ((i * 7919 + 13) % 101) as f32 / 50.0 - 1.0)
        .collect::<Vec<_>>();
    let direction = Tensor::<4>::from_data(TensorData::new(direction, y.dims()), &x.device());
    let gradients = (y.clone() * direction).sum().backward();
    let mut found = Found(
        &gradients,
        vec![
            y.to_data(),
            x.grad(&gradients).expect("a gradient").to_data(),
        ],
    );
    model.visit(&mut found);
    found.1
}

/// A share of the candidates, at least one.
fn budget(density: f64, candidates: usize) -> Budget {
    Budget::Edges(((density * candidates as f64) as usize).max(1))
}

/// A graph on kernels and the same on plain tensors, wired.
fn pair<F: NodeFunction + ModuleDisplay>(
    spec: &GraphSpec,
    function: F,
    density: f64,
    device: &Device,
) -> [Wired<NeuralGraph<F>>; 2] {
    let make = |kernels| {
        let graph = GraphConfig::new(spec.clone())
            .with_kernels(kernels)
            .init(function.clone(), device);
        Wire::new(rules::random(), budget(density, spec.legal().count()))
            .attach(graph)
            .unwrap()
    };
    let (fast, plain) = (make(Kernels::Fastest), make(Kernels::Reference));
    let plain = plain.load_record(fast.clone().into_record());
    [fast, plain]
}

fn averages(norms: &[BatchNorm]) -> Vec<TensorData> {
    let of = |norm: &BatchNorm| {
        [
            norm.running_mean.value_sync().to_data(),
            norm.running_var.value_sync().to_data(),
        ]
    };
    norms.iter().flat_map(of).collect()
}

prop_compose! {
    fn specs()(
        levels in proptest::collection::vec(1usize..7, 1..5), own in any::<bool>(), outputs in 1usize..7,
    ) -> GraphSpec {
        let last = levels[levels.len() - 1];
        let outputs = if own { Outputs::OwnLevel(outputs) } else { Outputs::InLastLevel(outputs.min(last)) };
        GraphSpec::levels(levels, outputs).unwrap()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn a_graph_of_image_nodes(
        spec in specs(), images in 1usize..4, height in 1usize..8, width in 1usize..8, density in 0.0f64..1.0, seed in 0u64..1000,
    ) {
        // A feature map of one pixel equals its own mean: what remains is the rounding error, times the
        // square root of a hundred thousand.
        prop_assume!(height * width > 3);
        for device in devices().into_iter().map(Device::autodiff) {
            device.seed(seed);
            let [fast, plain] = pair(&spec, ImageNodes::new(&spec, &device), density, &device);
            let x = Tensor::random([images, spec.inputs(), height, width], Distribution::Normal(0.0, 1.0), &device);
            agree(&run(&fast, &x, |graph, x| graph.forward(x)), &run(&plain, &x, |graph, x| graph.forward(x)));
        }
    }

    #[test]
    fn a_graph_of_batch_nodes(
        levels in proptest::collection::vec(1usize..7, 1..5), outputs in 1usize..7, images in 2usize..5,
        height in 2usize..9, width in 2usize..9, stride in 1usize..3, density in 0.0f64..1.0, seed in 0u64..1000,
    ) {
        let spec = GraphSpec::levels(levels, Outputs::OwnLevel(outputs)).unwrap();
        for device in devices().into_iter().map(Device::autodiff) {
            device.seed(seed);
            let [fast, plain] = [(); 2].map(|()| BatchNodes::new(&spec, stride, &device));
            let [fast, _] = pair(&spec, fast, density, &device);
            let [_, plain] = pair(&spec, plain, density, &device);
            let plain = plain.load_record(fast.clone().into_record());
            let x = Tensor::random([images, spec.inputs(), height, width], Distribution::Normal(0.5, 1.0), &device);
            agree(&run(&fast, &x, |graph, x| graph.forward(x)), &run(&plain, &x, |graph, x| graph.forward(x)));
            // The training pass updated the running averages; evaluation uses them and does not change them.
            agree(&averages(&fast.function.norm), &averages(&plain.function.norm));
            let (fast, plain) = (fast.valid(), plain.valid());
            let x = x.inner();
            agree(&[fast.forward(x.clone()).to_data()], &[plain.forward(x).to_data()]);
        }
    }

    #[test]
    fn a_cyclic_graph_after_some_steps(
        nodes in 2usize..9, images in 1usize..4, side in 2usize..7, steps in 1usize..4, share in 0.0f64..1.0,
        density in 0.0f64..1.0, seed in 0u64..1000,
    ) {
        let (inputs, first) = (1 + (share * (nodes - 1) as f64) as usize, (share * nodes as f64) as usize);
        for device in devices().into_iter().map(Device::autodiff) {
            device.seed(seed);
            let make = |kernels| {
                let graph = CyclicGraphConfig::new(nodes).with_kernels(kernels).init(&device);
                Wire::new(rules::random(), budget(density, nodes * nodes)).attach(graph).unwrap()
            };
            let (fast, plain) = (make(Kernels::Fastest), make(Kernels::Reference));
            let plain = plain.load_record(fast.clone().into_record());
            let x = Tensor::random([images, inputs, side, side], Distribution::Normal(0.0, 1.0), &device);
            let after = |graph: &Wired<CyclicGraph>, x| graph.field().after(x, steps, first..nodes);
            agree(&run(&fast, &x, after), &run(&plain, &x, after));
        }
    }

    #[test]
    fn a_wired_convolution(
        images in 1usize..4, inputs in 1usize..5, outputs in 1usize..5, groups in 1usize..3, height in 4usize..9, width in 4usize..9,
        kernel in 1usize..4, stride in 1usize..3, padding in 0usize..3, dilation in 1usize..3, density in 0.0f64..1.0, seed in 0u64..1000,
    ) {
        prop_assume!(dilation * (kernel - 1) < 4);
        // Groups of few channels are left to plain tensors, so there are eight times as many.
        let (inputs, outputs) = (8 * inputs * groups, outputs * groups);
        for device in devices().into_iter().map(Device::autodiff) {
            device.seed(seed);
            let conv = Conv2dConfig::new([inputs, outputs], [kernel, kernel])
                .with_stride([stride, stride])
                .with_dilation([dilation, dilation])
                .with_groups(groups)
                .with_padding(PaddingConfig2d::Explicit(padding, padding, padding, padding))
                .init(&device);
            let conv = Wire::new(rules::random(), budget(density, inputs * outputs / groups * kernel * kernel)).weights(ParamGroup::from_predicate("weight")).attach(conv).unwrap();
            let x = Tensor::random([images, inputs, height, width], Distribution::Normal(0.0, 1.0), &device);
            let plain = |conv: &Wired<Conv2d>, x| conv.forward(x);
            agree(&run(&conv, &x, |conv, x| convolve(conv, x)), &run(&conv, &x, plain));
        }
    }

    #[test]
    fn a_batch_norm_with_and_without_its_relu(
        images in 1usize..5, channels in 1usize..7, height in 1usize..7, width in 1usize..20, rectified: bool, seed in 0u64..1000,
    ) {
        // The deviation of few values may be small, and rounding errors are divided by it.
        prop_assume!(images * height * width > 7);
        for device in devices().into_iter().map(Device::autodiff) {
            device.seed(seed);
            let [ours, burns] = [(); 2].map(|()| BatchNormConfig::new(channels).init(&device));
            let x = Tensor::random([images, channels, height, width], Distribution::Normal(0.5, 2.0), &device);
            let norm = |norm: &BatchNorm, x| if rectified { batch_norm_rectified(norm, x) } else { batch_norm(norm, x) };
            let plain = |norm: &BatchNorm, x| {
                let y = norm.forward(x);
                if rectified { relu(y) } else { y }
            };
            agree(&run(&ours, &x, norm), &run(&burns, &x, plain));
            agree(&[ours.running_mean.value_sync().to_data()], &[burns.running_mean.value_sync().to_data()]);
        }
    }

    #[test]
    fn a_wired_linear_layer(
        rows in 1usize..9, inputs in 1usize..20, outputs in 1usize..20, density in 0.0f64..1.0, seed in 0u64..1000,
    ) {
        for device in devices().into_iter().map(Device::autodiff) {
            device.seed(seed);
            let linear = LinearConfig::new(inputs, outputs).init(&device);
            let linear = Wire::new(rules::random(), budget(density, inputs * outputs)).weights(ParamGroup::from_predicate("weight")).attach(linear).unwrap();
            let x = Tensor::random([1, 2, rows, inputs], Distribution::Normal(0.0, 1.0), &device);
            agree(&run(&linear, &x, |linear, x| apply(linear, x)), &run(&linear, &x, |linear, x| linear.forward(x)));
        }
    }
}
