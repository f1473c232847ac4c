//! What nodes do: the node function, its norms, the nodes of every kind of graph.

use burn::module::{Module, Param, RunningState};
use burn::nn::{BatchNorm, BatchNormConfig, InstanceNormConfig};
use burn::tensor::Device;
use dnw_core::graph::{
    BatchNodes, CyclicGraphConfig, GraphSpec, ImageNodes, Kernels, NodeFunction, Outputs,
    batch_norm,
};
use dnw_core::{Budget, Wire};

use super::layers::put_weights;
use crate::UnderTest;
use crate::case::{Case, Verdict};
use crate::compare::close;
use crate::loops::{self, Conv, largest};
use crate::numbers::{Numbers, on_drawings, upload};
use crate::operation::{self, Input, Made, Operation, learned};
use crate::tolerance::NORMS;

/// The norms' summand under the root, Burn's and PyTorch's default.
const EPSILON: f64 = 1e-5;

pub(crate) fn cases() -> Vec<Case> {
    let all: &[&str] = &["input", "gamma", "beta", "kernel"];
    let norm: &[&str] = &["input", "gamma", "beta"];
    let field: &[&str] = &["input", "weight", "gamma", "beta", "kernel"];
    let mut cases = operation::cases("nodes::image", all, NORMS, 5, image_nodes);
    cases.extend(operation::cases("nodes::batch", all, NORMS, 5, batch_nodes));
    cases.extend(operation::cases(
        "nodes::state",
        field,
        NORMS,
        4,
        state_nodes,
    ));
    cases.extend(operation::cases(
        "nodes::instance_norm",
        norm,
        NORMS,
        5,
        instance_norm,
    ));
    cases.extend(operation::cases(
        "nodes::batch_norm",
        norm,
        NORMS,
        5,
        batch_norm_in_training,
    ));
    cases.push(Case::new("nodes::batch_norm::running_moments", |under| {
        on_drawings(4, |numbers| running_moments(under, numbers))
    }));
    cases.push(Case::new("nodes::batch_norm::evaluation", |under| {
        on_drawings(4, |numbers| batch_norm_in_evaluation(under, numbers))
    }));
    cases
}

/// `[batch, channels, height, width]` with pixels enough that no variance is near zero.
fn maps(numbers: &mut Numbers) -> [usize; 4] {
    [
        numbers.size(2..=3),
        numbers.size(1..=4),
        numbers.size(3..=6),
        numbers.size(3..=6),
    ]
}

fn norm_inputs(numbers: &mut Numbers, [b, c, h, w]: [usize; 4]) -> Vec<Input> {
    vec![
        Input::new("input", numbers.normal(b * c * h * w)),
        Input::new("gamma", numbers.uniform(c, 0.5, 1.5)),
        Input::new("beta", numbers.normal(c)),
    ]
}

fn image_nodes(numbers: &mut Numbers) -> Operation {
    let shape = maps(numbers);
    let [_, nodes, h, w] = shape;
    let mut inputs = norm_inputs(numbers, shape);
    inputs.push(Input::new("kernel", numbers.normal(9 * nodes)));
    Operation {
        shapes: format!("input {shape:?}"),
        inputs,
        device: Box::new(move |device, inputs| {
            let spec = GraphSpec::levels(vec![nodes], Outputs::OwnLevel(1))?;
            let mut function = ImageNodes::new(&spec, device);
            let [gamma, beta] =
                [1, 2].map(|i| Param::from_tensor(upload(&inputs[i].values, [nodes], device)));
            function.kernel =
                Param::from_tensor(upload(&inputs[3].values, [nodes, 1, 3, 3], device));
            let learns = vec![
                ("gamma", learned(gamma.val())),
                ("beta", learned(beta.val())),
                ("kernel", learned(function.kernel.val())),
            ];
            (function.norm[0].gamma, function.norm[0].beta) = (Some(gamma), Some(beta));
            let x = upload(&inputs[0].values, shape, device).require_grad();
            let y = function.forward(0, 0..nodes, x.clone(), Kernels::Fastest);
            Ok(made(y, x, learns))
        }),
        loops: Box::new(move |inputs| {
            let normed = loops::instance_norm(&inputs[0], &inputs[1], &inputs[2], h * w, EPSILON);
            Conv::depthwise(nodes, 1).apply(
                &loops::relu(&normed),
                shape,
                &inputs[3],
                [nodes, 1, 3, 3],
            )
        }),
    }
}

fn batch_nodes(numbers: &mut Numbers) -> Operation {
    let shape = maps(numbers);
    let [_, nodes, h, w] = shape;
    let stride = numbers.size(1..=2);
    let mut inputs = norm_inputs(numbers, shape);
    inputs.push(Input::new("kernel", numbers.normal(9 * nodes)));
    Operation {
        shapes: format!("input {shape:?}, stride {stride}"),
        inputs,
        device: Box::new(move |device, inputs| {
            let spec = GraphSpec::levels(vec![nodes], Outputs::OwnLevel(1))?;
            let mut function = BatchNodes::new(&spec, stride, device);
            let norm = norm_of(device, &inputs[1].values, &inputs[2].values);
            function.input_kernel =
                Param::from_tensor(upload(&inputs[3].values, [nodes, 1, 3, 3], device));
            let learns = vec![
                ("gamma", learned(norm.gamma.val())),
                ("beta", learned(norm.beta.val())),
                ("kernel", learned(function.input_kernel.val())),
            ];
            function.norm[0] = norm;
            let x = upload(&inputs[0].values, shape, device).require_grad();
            let y = function.forward(0, 0..nodes, x.clone(), Kernels::Fastest);
            Ok(made(y, x, learns))
        }),
        loops: Box::new(move |inputs| {
            let moments = loops::moments_of_channels(&inputs[0], nodes, h * w);
            let normed =
                loops::channel_norm(&inputs[0], &moments, &inputs[1], &inputs[2], h * w, EPSILON);
            Conv::depthwise(nodes, stride).apply(
                &loops::relu(&normed),
                shape,
                &inputs[3],
                [nodes, 1, 3, 3],
            )
        }),
    }
}

/// What the nodes of a cyclic graph gather from a state.
fn state_nodes(numbers: &mut Numbers) -> Operation {
    let shape = maps(numbers);
    let [batch, nodes, h, w] = shape;
    let weights = numbers.normal(nodes * nodes);
    let k = numbers.size(nodes.min(3)..=nodes * nodes);
    let real = largest(&weights, k);
    let [input, gamma, beta]: [Input; 3] =
        norm_inputs(numbers, shape).try_into().ok().expect("three");
    let kernel = Input::new("kernel", numbers.normal(9 * nodes));
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
            put_weights(&mut graph, &inputs[1].values)?;
            let [gamma, beta] =
                [2, 3].map(|i| Param::from_tensor(upload(&inputs[i].values, [nodes], device)));
            let kernel = Param::from_tensor(upload(&inputs[4].values, [nodes, 1, 3, 3], device));
            let learns = vec![
                ("weight", learned(graph.weight.base())),
                ("gamma", learned(gamma.val())),
                ("beta", learned(beta.val())),
                ("kernel", learned(kernel.val())),
            ];
            let function = &mut graph.function;
            function.kernel = kernel;
            (function.norm.gamma, function.norm.beta) = (Some(gamma), Some(beta));
            let x = upload(&inputs[0].values, shape, device).require_grad();
            Ok(made(graph.field().at(x.clone()), x, learns))
        }),
        loops: Box::new(move |inputs| {
            let given = Conv::depthwise(nodes, 1).apply(
                &loops::relu(&inputs[0]),
                shape,
                &inputs[4],
                [nodes, 1, 3, 3],
            );
            let product = Conv {
                padding: [0; 2],
                groups: 1,
                ..Conv::depthwise(1, 1)
            };
            let gathered = product.apply(
                &given,
                [batch, nodes, h, w],
                &inputs[1],
                [nodes, nodes, 1, 1],
            );
            loops::instance_norm(&gathered, &inputs[2], &inputs[3], h * w, EPSILON)
        }),
    }
}

fn made(
    y: burn::tensor::Tensor<4>,
    x: burn::tensor::Tensor<4>,
    mut learns: Vec<(&'static str, operation::Learned)>,
) -> Made {
    learns.push(("input", learned(x)));
    Made {
        forward: y.flatten(0, 3),
        learned: learns,
    }
}

/// Burn's own, which models use over what output nodes gather.
fn instance_norm(numbers: &mut Numbers) -> Operation {
    let shape = maps(numbers);
    let [_, channels, h, w] = shape;
    Operation {
        shapes: format!("input {shape:?}"),
        inputs: norm_inputs(numbers, shape),
        device: Box::new(move |device, inputs| {
            let mut norm = InstanceNormConfig::new(channels).init(device);
            let [gamma, beta] =
                [1, 2].map(|i| Param::from_tensor(upload(&inputs[i].values, [channels], device)));
            let learns = vec![
                ("gamma", learned(gamma.val())),
                ("beta", learned(beta.val())),
            ];
            (norm.gamma, norm.beta) = (Some(gamma), Some(beta));
            let x = upload(&inputs[0].values, shape, device).require_grad();
            Ok(made(norm.forward(x.clone()), x, learns))
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

fn batch_norm_in_training(numbers: &mut Numbers) -> Operation {
    let shape = maps(numbers);
    let [_, channels, h, w] = shape;
    Operation {
        shapes: format!("input {shape:?}"),
        inputs: norm_inputs(numbers, shape),
        device: Box::new(move |device, inputs| {
            let norm = norm_of(device, &inputs[1].values, &inputs[2].values);
            let learns = vec![
                ("gamma", learned(norm.gamma.val())),
                ("beta", learned(norm.beta.val())),
            ];
            let x = upload(&inputs[0].values, shape, device).require_grad();
            Ok(made(batch_norm(&norm, x.clone()), x, learns))
        }),
        loops: Box::new(move |inputs| {
            let moments = loops::moments_of_channels(&inputs[0], channels, h * w);
            loops::channel_norm(&inputs[0], &moments, &inputs[1], &inputs[2], h * w, EPSILON)
        }),
    }
}

/// Two batches move the running moments as PyTorch's do.
fn running_moments(under: &UnderTest, numbers: &mut Numbers) -> Verdict {
    let shape = maps(numbers);
    let [batch, channels, h, w] = shape;
    let device = under.learning();
    let norm = norm_of(&device, &vec![1.0; channels], &vec![0.0; channels]);
    let n = (batch * h * w) as f64;
    let mut expected = vec![(0.0, 1.0); channels];
    for _ in 0..2 {
        let x = numbers.normal(shape.iter().product());
        batch_norm(&norm, upload(&x, shape, &device));
        let x: Vec<f64> = x.into_iter().map(f64::from).collect();
        let moments = loops::moments_of_channels(&x, channels, h * w);
        for ((mean, variance), (m, v)) in expected.iter_mut().zip(moments) {
            *mean = 0.9 * *mean + 0.1 * m;
            *variance = 0.9 * *variance + 0.1 * v * n / (n - 1.0);
        }
    }
    let (means, variances): (Vec<f64>, Vec<f64>) = expected.into_iter().unzip();
    let within = |s: crate::Shortfall| s.within(&format!("after two batches {shape:?}"));
    close(
        "the running mean",
        &norm.running_mean.value_sync().into_data(),
        &means,
        NORMS,
    )
    .map_err(within)?;
    close(
        "the running variance",
        &norm.running_var.value_sync().into_data(),
        &variances,
        NORMS,
    )
    .map_err(within)
}

fn batch_norm_in_evaluation(under: &UnderTest, numbers: &mut Numbers) -> Verdict {
    let shape = maps(numbers);
    let [_, channels, h, w] = shape;
    let [input, gamma, beta]: [Input; 3] =
        norm_inputs(numbers, shape).try_into().ok().expect("three");
    let (mean, variance) = (
        numbers.normal(channels),
        numbers.uniform(channels, 0.5, 2.0),
    );
    let device = under.learning();
    let mut norm = norm_of(&device, &gamma.values, &beta.values);
    norm.running_mean = RunningState::new(upload(&mean, [channels], &device));
    norm.running_var = RunningState::new(upload(&variance, [channels], &device));
    let y = batch_norm(&norm.valid(), upload(&input.values, shape, &under.device));
    let wide = |x: &[f32]| x.iter().map(|&x| f64::from(x)).collect::<Vec<f64>>();
    let moments: Vec<_> = wide(&mean).into_iter().zip(wide(&variance)).collect();
    let [x, gamma, beta] = [&input, &gamma, &beta].map(|input| wide(&input.values));
    let expected = loops::channel_norm(&x, &moments, &gamma, &beta, h * w, EPSILON);
    close(
        &format!("evaluated {shape:?}"),
        &y.into_data(),
        &expected,
        NORMS,
    )
}
