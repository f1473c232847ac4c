//! Every kind of graph, forward and backward, compared with plain tensors on flex.

use std::sync::Arc;

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use dnw_core::graph::{
    BatchNodes, CyclicGraph, CyclicGraphConfig, GraphConfig, GraphSpec, ImageNodes, Kernels,
    NeuralGraph, NodeFunction, Outputs, ScalarNodes, random,
};
use dnw_core::{Budget, Wire, Wired, Wiring};
use dnw_ode::{Control, Gradient, Integrator, solvers};

use crate::TestDevice;
use crate::case::{Case, Failure, Outcome, ensure};
use crate::compare::close_to;
use crate::model::{gradients, with_random_weights};
use crate::random::{Random, upload};
use crate::test_device::reference_device;
use crate::tolerance::{EQUATIONS, NETWORKS, Tolerance};

/// A result and its name.
type Part = (String, TensorData);

type Pass<'a, M> = &'a dyn Fn(&Wired<M>, Tensor<4>) -> Result<Tensor<4>, Failure>;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new("graphs::levels_with_outputs_apart", |target| {
            levels(target, Outputs::OwnLevel(5))
        }),
        Case::new("graphs::levels_with_outputs_in_the_last", |target| {
            levels(target, Outputs::InLastLevel(3))
        }),
        Case::new("graphs::scalar_nodes", scalar),
        Case::new("graphs::chain_with_strides", chain),
        Case::new("graphs::random", random_graph),
        Case::new("graphs::discrete_time", discrete),
        Case::new("graphs::continuous_time::through", |target| {
            continuous(target, Gradient::Through)
        }),
        Case::new("graphs::continuous_time::checkpointed", |target| {
            continuous(target, Gradient::Checkpointed)
        }),
        Case::new("graphs::continuous_time::adjoint", |target| {
            continuous(target, Gradient::Adjoint)
        }),
    ]
}

/// Compares the forward and backward pass of a graph with plain tensors on flex.
fn compare<M: Module>(
    target: &TestDevice,
    make: impl Fn(&Device, Kernels) -> Result<M, Failure>,
    pass: Pass<'_, M>,
    input: [usize; 4],
    tolerance: Tolerance,
) -> Outcome {
    let run = |device: &Device, kernels| -> Result<(Vec<Part>, Vec<Wiring>), Failure> {
        let model = with_random_weights(make(device, kernels)?, 5);
        let model = Wire::dnw(Budget::Density(0.4)).attach(model)?;
        let mut random = Random::new(6);
        let x = upload(&random.normal(input.iter().product()), input, device).require_grad();
        let y = pass(&model, x.clone())?;
        let along = random.normal(y.shape().num_elements());
        let grads = (y.clone() * upload(&along, y.dims(), device))
            .sum()
            .backward();
        let input_gradient = x.grad(&grads).map(Tensor::into_data);
        let input_gradient =
            input_gradient.ok_or_else(|| Failure::wrong("there is no gradient of the input"))?;
        let mut parts: Vec<Part> = vec![
            ("the result".into(), y.into_data()),
            ("the gradient of the input".into(), input_gradient),
        ];
        let gradients = gradients(&model, &grads).into_iter();
        parts.extend(gradients.map(|(path, data)| (format!("the gradient of {path}"), data)));
        let wirings = model.tensors().into_iter().map(|t| t.wiring).collect();
        Ok((parts, wirings))
    };
    let (found, edges) = run(&target.autodiff(), Kernels::Fastest)?;
    let (expected, expected_edges) = run(&reference_device(), Kernels::Reference)?;
    ensure(edges == expected_edges, || {
        "the real edges differ from those on flex".into()
    })?;
    let names = |parts: &[Part]| parts.iter().map(|p| p.0.clone()).collect::<Vec<_>>();
    ensure(names(&found) == names(&expected), || {
        format!("there are {:?}, not {:?}", names(&found), names(&expected))
    })?;
    for ((what, found), (_, expected)) in found.iter().zip(&expected) {
        close_to(
            &format!("{what} (input {input:?})"),
            found,
            expected,
            tolerance,
        )?;
    }
    Ok(())
}

fn forward<F: NodeFunction>(
    graph: &Wired<NeuralGraph<F>>,
    x: Tensor<4>,
) -> Result<Tensor<4>, Failure> {
    Ok(graph.forward(x))
}

fn image_graph(spec: &GraphSpec, device: &Device, kernels: Kernels) -> NeuralGraph<ImageNodes> {
    let nodes = ImageNodes::new(spec, device);
    GraphConfig::new(spec.clone())
        .with_kernels(kernels)
        .init(nodes, device)
}

fn levels(target: &TestDevice, outputs: Outputs) -> Outcome {
    let spec = GraphSpec::levels(vec![3, 6, 5, 7], outputs)?;
    let make = |device: &Device, kernels| Ok(image_graph(&spec, device, kernels));
    compare(target, make, &forward, [3, 3, 6, 5], NETWORKS)
}

fn scalar(target: &TestDevice) -> Outcome {
    let spec = GraphSpec::levels(vec![4, 7, 6], Outputs::OwnLevel(3))?;
    let make = |device: &Device, kernels| {
        let nodes = ScalarNodes::new(&spec, device);
        Ok(GraphConfig::new(spec.clone())
            .with_kernels(kernels)
            .init(nodes, device))
    };
    compare(target, make, &forward, [5, 4, 1, 1], NETWORKS)
}

/// Two graphs like the stages of MobileNetV1, the second with stride 2.
fn chain(target: &TestDevice) -> Outcome {
    let [first, second] = [(vec![4, 5, 5], 6), (vec![6, 4], 5)]
        .map(|(levels, outputs)| GraphSpec::levels(levels, Outputs::OwnLevel(outputs)));
    let (first, second) = (first?, second?);
    let make = |device: &Device, kernels: Kernels| {
        let stage = |spec: &GraphSpec, stride| {
            let nodes = BatchNodes::new(spec, stride, device);
            GraphConfig::new(spec.clone())
                .with_kernels(kernels)
                .init(nodes, device)
        };
        Ok(vec![stage(&first, 1), stage(&second, 2)])
    };
    let pass = |stages: &Wired<Vec<NeuralGraph<BatchNodes>>>, x: Tensor<4>| {
        Ok(stages.iter().fold(x, |x, stage| stage.forward(x)))
    };
    compare(target, make, &pass, [4, 4, 7, 8], NETWORKS)
}

fn random_graph(target: &TestDevice) -> Outcome {
    let edges = random::watts_strogatz(12, 4, 0.75, 3)?;
    let (spec, _) = random::around(2, 12, 3, &edges)?;
    let make = |device: &Device, kernels| Ok(image_graph(&spec, device, kernels));
    compare(target, make, &forward, [3, 2, 5, 6], NETWORKS)
}

fn cyclic(device: &Device, kernels: Kernels) -> Result<CyclicGraph, Failure> {
    Ok(CyclicGraphConfig::new(9).with_kernels(kernels).init(device))
}

fn discrete(target: &TestDevice) -> Outcome {
    let pass =
        |graph: &Wired<CyclicGraph>, x: Tensor<4>| Ok(graph.field().steps(graph.start(x), 4).state);
    compare(target, cyclic, &pass, [2, 3, 5, 5], NETWORKS)
}

fn continuous(target: &TestDevice, gradient: Gradient) -> Outcome {
    // ReLUs have kinks, where the adjoint solution departs from the forward one. Constant steps keep the two comparable.
    let control = match gradient {
        Gradient::Adjoint => Control::Constant { steps: 4 },
        _ => Control::adaptive(1e-3, 1e-3),
    };
    let integrator = Integrator::new(solvers::DOPRI5, control).with_gradient(gradient);
    let pass = |graph: &Wired<CyclicGraph>, x: Tensor<4>| {
        let field = graph.field();
        let parameters = field.parameters();
        let slope =
            move |_: f64, state: Tensor<4>, p: &[Tensor<1>]| field.with_parameters(p).at(state);
        let solution =
            integrator.solve_field(Arc::new(slope), graph.start(x), &parameters, 0.0, 1.0)?;
        Ok(solution.state)
    };
    compare(target, cyclic, &pass, [2, 3, 5, 5], EQUATIONS)
}
