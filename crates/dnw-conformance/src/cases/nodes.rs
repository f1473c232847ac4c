//! Node functions of every kind of graph, and their norms.

use burn::module::{Module, Param, RunningState};
use burn::nn::{BatchNorm, BatchNormConfig, InstanceNormConfig};
use burn::tensor::{Device, Tensor};
use dnw_core::graph::{
    BatchNodes, CyclicGraphConfig, GraphSpec, ImageNodes, Kernels, NodeFunction, Outputs,
    batch_norm,
};
use dnw_core::{Budget, Wire};

use super::layers::set_weights;
use crate::TestDevice;
use crate::case::{Case, Outcome};
use crate::compare::close;
use crate::loops::{self, Conv, largest};
use crate::operation::{self, Input, Operation, Output, ReadGradient, Sample, gradient_of};
use crate::random::{Random, for_seeds, upload};
use crate::tolerance::NORMS;

/// Added to the variance by norms: the default of Burn and PyTorch.
const EPSILON: f64 = 1e-5;

pub(crate) fn cases() -> Vec<Case> {
    let all: &[&str] = &["input", "gamma", "beta", "kernel"];
    let norm: &[&str] = &["input", "gamma", "beta"];
    let field: &[&str] = &["input", "weight", "gamma", "beta", "kernel"];
    let operations: [(_, _, _, Sample); 5] = [
        ("nodes::image", all, 5, image_nodes),
        ("nodes::batch", all, 5, batch_nodes),
        ("nodes::state", field, 4, state_nodes),
        ("nodes::instance_norm", norm, 5, instance_norm),
        ("nodes::batch_norm", norm, 5, batch_norm_in_training),
    ];
    let cases = operations.map(|(subject, gradients, samples, sample)| {
        operation::cases(subject, gradients, NORMS, samples, sample)
    });
    let mut cases: Vec<Case> = cases.into_iter().flatten().collect();
    cases.push(Case::new(
        "nodes::batch_norm::running_statistics",
        |target| for_seeds(4, |random| running_statistics(target, random)),
    ));
    cases.push(Case::new("nodes::batch_norm::evaluation", |target| {
        for_seeds(4, |random| batch_norm_in_evaluation(target, random))
    }));
    cases
}

/// `[batch, channels, height, width]` with enough pixels that no variance is near zero.
fn shape(random: &mut Random) -> [usize; 4] {
    [
        random.size(2..=3),
        random.size(1..=4),
        random.size(3..=6),
        random.size(3..=6),
    ]
}

fn norm_inputs(random: &mut Random, [b, c, h, w]: [usize; 4]) -> Vec<Input> {
    vec![
        Input::new("input", random.normal(b * c * h * w)),
        Input::new("gamma", random.uniform(c, 0.5, 1.5)),
        Input::new("beta", random.normal(c)),
    ]
}

/// The depthwise 3 x 3 convolution of the ReLU of `x`, in loops.
fn depthwise_of_relu(x: &[f64], shape: [usize; 4], kernel: &[f64], stride: usize) -> Vec<f64> {
    let nodes = shape[1];
    Conv::depthwise(nodes, stride).apply(&loops::relu(x), shape, kernel, [nodes, 1, 3, 3])
}

fn image_nodes(random: &mut Random) -> Operation {
    let shape = shape(random);
    let [_, nodes, h, w] = shape;
    let mut inputs = norm_inputs(random, shape);
    inputs.push(Input::new("kernel", random.normal(9 * nodes)));
    Operation {
        shapes: format!("input {shape:?}"),
        inputs,
        device: Box::new(move |device, inputs| {
            let spec = GraphSpec::levels(vec![nodes], Outputs::OwnLevel(1))?;
            let mut function = ImageNodes::new(&spec, device);
            let [gamma, beta] = [1, 2].map(|i| inputs[i].param([nodes], device));
            function.kernel = inputs[3].param([nodes, 1, 3, 3], device);
            let gradients = vec![
                ("gamma", gradient_of(gamma.val())),
                ("beta", gradient_of(beta.val())),
                ("kernel", gradient_of(function.kernel.val())),
            ];
            (function.norm[0].gamma, function.norm[0].beta) = (Some(gamma), Some(beta));
            let x = inputs[0].tensor(shape, device);
            let y = function.forward(0, 0..nodes, x.clone(), Kernels::Fastest);
            Ok(output(y, x, gradients))
        }),
        loops: Box::new(move |inputs| {
            let normed = loops::instance_norm(&inputs[0], &inputs[1], &inputs[2], h * w, EPSILON);
            depthwise_of_relu(&normed, shape, &inputs[3], 1)
        }),
    }
}

fn batch_nodes(random: &mut Random) -> Operation {
    let shape = shape(random);
    let [_, nodes, h, w] = shape;
    let stride = random.size(1..=2);
    let mut inputs = norm_inputs(random, shape);
    inputs.push(Input::new("kernel", random.normal(9 * nodes)));
    Operation {
        shapes: format!("input {shape:?}, stride {stride}"),
        inputs,
        device: Box::new(move |device, inputs| {
            let spec = GraphSpec::levels(vec![nodes], Outputs::OwnLevel(1))?;
            let mut function = BatchNodes::new(&spec, stride, device);
            let norm = norm_of(device, &inputs[1].values, &inputs[2].values);
            function.input_kernel = inputs[3].param([nodes, 1, 3, 3], device);
            let gradients = vec![
                ("gamma", gradient_of(norm.gamma.val())),
                ("beta", gradient_of(norm.beta.val())),
                ("kernel", gradient_of(function.input_kernel.val())),
            ];
            function.norm[0] = norm;
            let x = inputs[0].tensor(shape, device);
            let y = function.forward(0, 0..nodes, x.clone(), Kernels::Fastest);
            Ok(output(y, x, gradients))
        }),
        loops: Box::new(move |inputs| {
            let statistics = loops::channel_statistics(&inputs[0], nodes, h * w);
            let normed = loops::channel_norm(
                &inputs[0],
                &statistics,
                &inputs[1],
                &inputs[2],
                h * w,
                EPSILON,
            );
            depthwise_of_relu(&normed, shape, &inputs[3], stride)
        }),
    }
}

/// The field of a cyclic graph: what its nodes compute from a state.
fn state_nodes(random: &mut Random) -> Operation {
    let shape = shape(random);
    let [batch, nodes, h, w] = shape;
    let weights = random.normal(nodes * nodes);
    let k = random.size(nodes.min(3)..=nodes * nodes);
    let real = largest(&weights, k);
    let [input, gamma, beta]: [Input; 3] =
        norm_inputs(random, shape).try_into().ok().expect("three");
    let kernel = Input::new("kernel", random.normal(9 * nodes));
    Operation {
        shapes: format!("state {shape:?}, {k} real edges"),
        inputs: vec![
            input,
            Input::wired("weight", weights, &real),
            gamma,
            beta,
            kernel,
        ],
        device: Box::new(move |device, inputs| {
            let graph = CyclicGraphConfig::new(nodes).init(device);
            let mut graph = Wire::dnw(Budget::Edges(k)).attach(graph)?;
            set_weights(&mut graph, &inputs[1].values)?;
            let [gamma, beta] = [2, 3].map(|i| inputs[i].param([nodes], device));
            let kernel = inputs[4].param([nodes, 1, 3, 3], device);
            let gradients = vec![
                ("weight", gradient_of(graph.weight.base())),
                ("gamma", gradient_of(gamma.val())),
                ("beta", gradient_of(beta.val())),
                ("kernel", gradient_of(kernel.val())),
            ];
            let function = &mut graph.function;
            function.kernel = kernel;
            (function.norm.gamma, function.norm.beta) = (Some(gamma), Some(beta));
            let x = inputs[0].tensor(shape, device);
            Ok(output(graph.field().at(x.clone()), x, gradients))
        }),
        loops: Box::new(move |inputs| {
            let convolved = depthwise_of_relu(&inputs[0], shape, &inputs[4], 1);
            let product = Conv {
                padding: [0; 2],
                groups: 1,
                ..Conv::depthwise(1, 1)
            };
            let gathered = product.apply(
                &convolved,
                [batch, nodes, h, w],
                &inputs[1],
                [nodes, nodes, 1, 1],
            );
            loops::instance_norm(&gathered, &inputs[2], &inputs[3], h * w, EPSILON)
        }),
    }
}

fn output(y: Tensor<4>, x: Tensor<4>, mut gradients: Vec<(&'static str, ReadGradient)>) -> Output {
    gradients.push(("input", gradient_of(x)));
    Output {
        forward: y.flatten(0, 3),
        gradients,
    }
}

/// Burn's instance norm, which models apply to the output nodes.
fn instance_norm(random: &mut Random) -> Operation {
    let shape = shape(random);
    let [_, channels, h, w] = shape;
    Operation {
        shapes: format!("input {shape:?}"),
        inputs: norm_inputs(random, shape),
        device: Box::new(move |device, inputs| {
            let mut norm = InstanceNormConfig::new(channels).init(device);
            let [gamma, beta] = [1, 2].map(|i| inputs[i].param([channels], device));
            let gradients = vec![
                ("gamma", gradient_of(gamma.val())),
                ("beta", gradient_of(beta.val())),
            ];
            (norm.gamma, norm.beta) = (Some(gamma), Some(beta));
            let x = inputs[0].tensor(shape, device);
            Ok(output(norm.forward(x.clone()), x, gradients))
        }),
        loops: Box::new(move |inputs| {
            loops::instance_norm(&inputs[0], &inputs[1], &inputs[2], h * w, EPSILON)
        }),
    }
}

fn norm_of(device: &Device, gamma: &[f32], beta: &[f32]) -> BatchNorm {
    let channels = gamma.len();
    let mut norm = BatchNormConfig::new(channels).init(device);
    norm.gamma = Param::from_tensor(upload(gamma, [channels], device));
    norm.beta = Param::from_tensor(upload(beta, [channels], device));
    norm
}

fn batch_norm_in_training(random: &mut Random) -> Operation {
    let shape = shape(random);
    let [_, channels, h, w] = shape;
    Operation {
        shapes: format!("input {shape:?}"),
        inputs: norm_inputs(random, shape),
        device: Box::new(move |device, inputs| {
            let norm = norm_of(device, &inputs[1].values, &inputs[2].values);
            let gradients = vec![
                ("gamma", gradient_of(norm.gamma.val())),
                ("beta", gradient_of(norm.beta.val())),
            ];
            let x = inputs[0].tensor(shape, device);
            Ok(output(batch_norm(&norm, x.clone()), x, gradients))
        }),
        loops: Box::new(move |inputs| {
            let statistics = loops::channel_statistics(&inputs[0], channels, h * w);
            loops::channel_norm(
                &inputs[0],
                &statistics,
                &inputs[1],
                &inputs[2],
                h * w,
                EPSILON,
            )
        }),
    }
}

/// Two batches update the running statistics as in PyTorch.
fn running_statistics(target: &TestDevice, random: &mut Random) -> Outcome {
    let shape = shape(random);
    let [batch, channels, h, w] = shape;
    let device = target.autodiff();
    let norm = norm_of(&device, &vec![1.0; channels], &vec![0.0; channels]);
    let n = (batch * h * w) as f64;
    let mut expected = vec![(0.0, 1.0); channels];
    for _ in 0..2 {
        let x = random.normal(shape.iter().product());
        batch_norm(&norm, upload(&x, shape, &device));
        let x: Vec<f64> = x.into_iter().map(f64::from).collect();
        let statistics = loops::channel_statistics(&x, channels, h * w);
        for ((mean, variance), (m, v)) in expected.iter_mut().zip(statistics) {
            *mean = 0.9 * *mean + 0.1 * m;
            *variance = 0.9 * *variance + 0.1 * v * n / (n - 1.0);
        }
    }
    let (means, variances): (Vec<f64>, Vec<f64>) = expected.into_iter().unzip();
    let in_context =
        |failure: crate::Failure| failure.context(&format!("after two batches {shape:?}"));
    close(
        "the running mean",
        &norm.running_mean.value_sync().into_data(),
        &means,
        NORMS,
    )
    .map_err(in_context)?;
    close(
        "the running variance",
        &norm.running_var.value_sync().into_data(),
        &variances,
        NORMS,
    )
    .map_err(in_context)
}

fn batch_norm_in_evaluation(target: &TestDevice, random: &mut Random) -> Outcome {
    let shape = shape(random);
    let [_, channels, h, w] = shape;
    let [input, gamma, beta]: [Input; 3] =
        norm_inputs(random, shape).try_into().ok().expect("three");
    let (mean, variance) = (random.normal(channels), random.uniform(channels, 0.5, 2.0));
    let device = target.autodiff();
    let mut norm = norm_of(&device, &gamma.values, &beta.values);
    norm.running_mean = RunningState::new(upload(&mean, [channels], &device));
    norm.running_var = RunningState::new(upload(&variance, [channels], &device));
    let y = batch_norm(&norm.valid(), upload(&input.values, shape, &target.device));
    let wide = |x: &[f32]| x.iter().map(|&x| f64::from(x)).collect::<Vec<f64>>();
    let statistics: Vec<_> = wide(&mean).into_iter().zip(wide(&variance)).collect();
    let [x, gamma, beta] = [&input, &gamma, &beta].map(|input| wide(&input.values));
    let expected = loops::channel_norm(&x, &statistics, &gamma, &beta, h * w, EPSILON);
    close(
        &format!("evaluated {shape:?}"),
        &y.into_data(),
        &expected,
        NORMS,
    )
}
