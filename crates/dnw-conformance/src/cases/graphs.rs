//! Every kind of graph, forward and backward, beside the same in plain tensors on flex.

use std::sync::Arc;

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use dnw_core::graph::{
    BatchNodes, CyclicGraph, CyclicGraphConfig, GraphConfig, GraphSpec, ImageNodes, Kernels,
    NeuralGraph, NodeFunction, Outputs, ScalarNodes, random,
};
use dnw_core::{Budget, Wire, Wired, Wiring};
use dnw_ode::{Control, Gradient, Integrator, solvers};

use crate::UnderTest;
use crate::case::{Case, Shortfall, Verdict, ensure};
use crate::compare::alike;
use crate::model::{filled, gradients};
use crate::numbers::{Numbers, upload};
use crate::tolerance::{Allowed, EQUATIONS, NETWORKS};
use crate::under_test::reference;

/// What was computed, by what it is.
type Part = (String, TensorData);

type Pass<'a, M> = &'a dyn Fn(&Wired<M>, Tensor<4>) -> Result<Tensor<4>, Shortfall>;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new("graphs::levels_with_outputs_apart", |under| {
            levels(under, Outputs::OwnLevel(5))
        }),
        Case::new("graphs::levels_with_outputs_in_the_last", |under| {
            levels(under, Outputs::InLastLevel(3))
        }),
        Case::new("graphs::scalar_nodes", scalar),
        Case::new("graphs::chain_with_strides", chain),
        Case::new("graphs::drawn_at_random", drawn),
        Case::new("graphs::discrete_time", discrete),
        Case::new("graphs::continuous_time::through", |under| {
            continuous(under, Gradient::Through)
        }),
        Case::new("graphs::continuous_time::checkpointed", |under| {
            continuous(under, Gradient::Checkpointed)
        }),
        Case::new("graphs::continuous_time::adjoint", |under| {
            continuous(under, Gradient::Adjoint)
        }),
    ]
}

/// The device's pass through a graph and its gradients, beside flex' with plain tensors.
fn compare<M: Module>(
    under: &UnderTest,
    make: impl Fn(&Device, Kernels) -> Result<M, Shortfall>,
    pass: Pass<'_, M>,
    input: [usize; 4],
    allowed: Allowed,
) -> Verdict {
    let made = |device: &Device, kernels| -> Result<(Vec<Part>, Vec<Wiring>), Shortfall> {
        let model = filled(make(device, kernels)?, 5);
        let model = Wire::dnw(Budget::Density(0.4)).attach(model)?;
        let mut numbers = Numbers::new(6);
        let x = upload(&numbers.normal(input.iter().product()), input, device).require_grad();
        let y = pass(&model, x.clone())?;
        let along = numbers.normal(y.shape().num_elements());
        let grads = (y.clone() * upload(&along, y.dims(), device))
            .sum()
            .backward();
        let to_input = x.grad(&grads).map(Tensor::into_data);
        let to_input =
            to_input.ok_or_else(|| Shortfall::wrong("there is no gradient to the input"))?;
        let mut parts: Vec<Part> = vec![
            ("the result".into(), y.into_data()),
            ("the gradient to the input".into(), to_input),
        ];
        let learned = gradients(&model, &grads).into_iter();
        parts.extend(learned.map(|(path, data)| (format!("the gradient to {path}"), data)));
        let wirings = model.tensors().into_iter().map(|t| t.wiring).collect();
        Ok((parts, wirings))
    };
    let (found, edges) = made(&under.learning(), Kernels::Fastest)?;
    let (expected, expected_edges) = made(&reference(), Kernels::Reference)?;
    ensure(edges == expected_edges, || {
        "the real edges are others than on flex".into()
    })?;
    let names = |parts: &[Part]| parts.iter().map(|p| p.0.clone()).collect::<Vec<_>>();
    ensure(names(&found) == names(&expected), || {
        format!("there are {:?}, not {:?}", names(&found), names(&expected))
    })?;
    for ((what, found), (_, expected)) in found.iter().zip(&expected) {
        alike(
            &format!("of input {input:?}, {what}"),
            found,
            expected,
            allowed,
        )?;
    }
    Ok(())
}

fn forward<F: NodeFunction>(
    graph: &Wired<NeuralGraph<F>>,
    x: Tensor<4>,
) -> Result<Tensor<4>, Shortfall> {
    Ok(graph.forward(x))
}

fn image_graph(spec: &GraphSpec, device: &Device, kernels: Kernels) -> NeuralGraph<ImageNodes> {
    let nodes = ImageNodes::new(spec, device);
    GraphConfig::new(spec.clone())
        .with_kernels(kernels)
        .init(nodes, device)
}

fn levels(under: &UnderTest, outputs: Outputs) -> Verdict {
    let spec = GraphSpec::levels(vec![3, 6, 5, 7], outputs)?;
    let make = |device: &Device, kernels| Ok(image_graph(&spec, device, kernels));
    compare(under, make, &forward, [3, 3, 6, 5], NETWORKS)
}

fn scalar(under: &UnderTest) -> Verdict {
    let spec = GraphSpec::levels(vec![4, 7, 6], Outputs::OwnLevel(3))?;
    let make = |device: &Device, kernels| {
        let nodes = ScalarNodes::new(&spec, device);
        Ok(GraphConfig::new(spec.clone())
            .with_kernels(kernels)
            .init(nodes, device))
    };
    compare(under, make, &forward, [5, 4, 1, 1], NETWORKS)
}

/// Two graphs as the stages of MobileNetV1, the second of which halves the image.
fn chain(under: &UnderTest) -> Verdict {
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
    compare(under, make, &pass, [4, 4, 7, 8], NETWORKS)
}

fn drawn(under: &UnderTest) -> Verdict {
    let edges = random::watts_strogatz(12, 4, 0.75, 3)?;
    let (spec, _) = random::around(2, 12, 3, &edges)?;
    let make = |device: &Device, kernels| Ok(image_graph(&spec, device, kernels));
    compare(under, make, &forward, [3, 2, 5, 6], NETWORKS)
}

fn cyclic(device: &Device, kernels: Kernels) -> Result<CyclicGraph, Shortfall> {
    Ok(CyclicGraphConfig::new(9).with_kernels(kernels).init(device))
}

fn discrete(under: &UnderTest) -> Verdict {
    let pass =
        |graph: &Wired<CyclicGraph>, x: Tensor<4>| Ok(graph.field().steps(graph.start(x), 4).state);
    compare(under, cyclic, &pass, [2, 3, 5, 5], NETWORKS)
}

fn continuous(under: &UnderTest, gradient: Gradient) -> Verdict {
    // Nodes have kinks, at which the way back of the adjoint leaves that of the state: constant steps keep it comparable.
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
    compare(under, cyclic, &pass, [2, 3, 5, 5], EQUATIONS)
}
