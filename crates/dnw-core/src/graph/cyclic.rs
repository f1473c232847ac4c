//! Graphs with cycles, whose nodes all run at once.
//!
//! A cyclic graph has no levels to order its nodes, so it evolves in time: nodes hold a state, and a
//! [`field`](CyclicGraph::field) maps the state to what the nodes gather. Repeated steps are the paper's
//! discrete-time setting, integration the continuous one (Wortsman et al. 2019, section 2.1).

use std::ops::Range;

use burn::module::{Module, Param};
use burn::nn::{Initializer, InstanceNorm, InstanceNormConfig};
use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor, activation};

use super::edges::GraphEdges;
use super::node::kernels;
use crate::layers::{attach, edges_of};
use crate::ops::{self, GraphNodes, GraphNorm, Kernels};
use crate::real_edges::RealEdges;
use crate::{Gradient, Wiring};

/// Configuration of a [`CyclicGraph`].
#[derive(Clone, Debug)]
pub struct CyclicGraphConfig {
    nodes: usize,
    kernels: Kernels,
}

impl CyclicGraphConfig {
    /// A graph of `nodes` nodes, at least one. Edges start uniform in -1/sqrt(nodes)..1/sqrt(nodes), as in
    /// the published program.
    pub fn new(nodes: usize) -> Self {
        Self {
            nodes,
            kernels: Kernels::default(),
        }
    }

    /// Sets which implementations of the operations run.
    #[must_use]
    pub fn with_kernels(mut self, kernels: Kernels) -> Self {
        self.kernels = kernels;
        self
    }

    /// Creates the graph. Every edge is legal, self-loops included, and real until the model is wired.
    pub fn init(self, device: &Device) -> CyclicGraph {
        let bound = 1.0 / (self.nodes as f64).sqrt();
        let initializer = Initializer::Uniform {
            min: -bound,
            max: bound,
        };
        let all = Wiring::full(self.nodes * self.nodes);
        let edges = RealEdges::new(&all, None, Gradient::AllEdges, device);
        CyclicGraph {
            weight: attach(
                initializer.init([self.nodes, self.nodes, 1, 1], device),
                edges,
            ),
            function: StateNodes {
                kernel: kernels(self.nodes, device),
                norm: InstanceNormConfig::new(self.nodes).init(device),
            },
            kernels: self.kernels,
        }
    }
}

/// A graph in which any node may feed any node.
#[derive(Module, Debug)]
pub struct CyclicGraph {
    /// The weight of every edge, `[nodes, nodes, 1, 1]` (targets, sources), with its wiring.
    pub weight: Param<Tensor<4>>,
    /// The node function.
    pub function: StateNodes,
    #[module(skip)]
    kernels: Kernels,
}

/// Nodes with a state. Each outputs a depthwise 3 x 3 convolution of the ReLU of its state; its input is
/// normalised per image.
#[derive(Module, Debug)]
pub struct StateNodes {
    /// One 3 x 3 kernel per node, `[nodes, 1, 3, 3]`.
    pub kernel: Param<Tensor<4>>,
    /// The norm of the nodes' inputs.
    pub norm: InstanceNorm,
}

impl CyclicGraph {
    /// The number of nodes.
    pub fn nodes(&self) -> usize {
        self.weight.lazy_shape()[0]
    }

    /// The real edges, read from the device.
    pub fn wiring(&self) -> Wiring {
        edges_of(&self.weight).wiring()
    }

    /// The initial state: the first nodes hold the input, the others zero.
    ///
    /// # Shapes
    /// - `input`: `[batch, inputs, height, width]`
    /// - result: `[batch, nodes, height, width]`
    ///
    /// # Panics
    /// If there are more inputs than nodes.
    pub fn start(&self, input: Tensor<4>) -> Tensor<4> {
        padded_state(input, self.nodes())
    }

    /// The edges and node parameters, read once for the evaluations of a pass.
    pub fn field(&self) -> Field {
        let norm = &self.function.norm;
        let affine = (norm.gamma.as_ref(), norm.beta.as_ref());
        let (Some(gamma), Some(beta)) = affine else {
            unreachable!("the norm of state nodes is affine");
        };
        Field {
            edges: GraphEdges::new(&self.weight, self.kernels),
            kernel: self.function.kernel.val(),
            gamma: gamma.val(),
            beta: beta.val(),
            epsilon: norm.epsilon,
            kernels: self.kernels,
        }
    }
}

/// The input of the nodes of a [`CyclicGraph`] as a function of their state:
/// `norm(W depthwise(ReLU(state)))`.
#[derive(Clone, Debug)]
pub struct Field {
    edges: GraphEdges,
    kernel: Tensor<4>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    epsilon: f64,
    kernels: Kernels,
}

/// The state of all nodes: the input, then zeros.
fn padded_state(input: Tensor<4>, nodes: usize) -> Tensor<4> {
    let [batch, inputs, height, width] = input.dims();
    let others = nodes - inputs;
    if others == 0 {
        return input;
    }
    let zeros = Tensor::zeros(
        [batch, others, height, width],
        (&input.device(), input.dtype()),
    );
    Tensor::cat(vec![input, zeros], 1)
}

impl Field {
    /// One evaluation of the field.
    ///
    /// # Shapes
    /// - `state`: `[batch, nodes, height, width]`
    /// - result: the same
    pub fn at(&self, state: Tensor<4>) -> Tensor<4> {
        let nodes = self.nodes();
        self.after(state, 1, 0..nodes)
    }

    fn nodes(&self) -> usize {
        self.kernel.dims()[0]
    }

    /// The state of the nodes `outputs` after `steps` steps, at least one. Nodes without an input state start
    /// at zero. CPU kernels take all steps in one pass.
    ///
    /// # Shapes
    /// - `state`: `[batch, nodes with an input state, height, width]`
    /// - result: `[batch, outputs, height, width]`
    pub fn after(&self, state: Tensor<4>, steps: usize, outputs: Range<usize>) -> Tensor<4> {
        if steps > 0 && self.kernels.on_cpu(&state) {
            let nodes = GraphNodes {
                gamma: self.gamma.clone(),
                beta: self.beta.clone(),
                kernel: self.kernel.clone(),
                epsilon: self.epsilon,
                stride: 1,
                norm: GraphNorm::Instance,
            };
            let (weight, real) = (self.edges.weight().clone(), self.edges.real().clone());
            return ops::steps(
                state,
                weight,
                real,
                nodes,
                outputs,
                steps,
                self.edges.index(),
            );
        }
        let state = padded_state(state, self.nodes());
        let state = match steps {
            1 => self.normalised(self.edges.product(self.output(state))),
            _ => self.steps(state, steps).state,
        };
        let batch = state.dims()[0];
        state.slice([0..batch, outputs])
    }

    /// The parameters, each flattened: weight, kernels, gamma and beta of the norm.
    pub fn parameters(&self) -> [Tensor<1>; 4] {
        let weight = self.edges.weight().clone().flatten(0, 3);
        let kernel = self.kernel.clone().flatten(0, 3);
        [weight, kernel, self.gamma.clone(), self.beta.clone()]
    }

    /// The same field with other [`parameters`](Self::parameters), for custom differentiation.
    ///
    /// # Panics
    /// If they are not four tensors of the same sizes.
    #[must_use]
    pub fn with_parameters(&self, parameters: &[Tensor<1>]) -> Self {
        let [weight, kernel, gamma, beta] = parameters else {
            panic!("a field has four parameters, not {}", parameters.len());
        };
        Self {
            edges: self.edges.with_weight(weight.clone()),
            kernel: kernel.clone().reshape(self.kernel.dims()),
            gamma: gamma.clone(),
            beta: beta.clone(),
            ..self.clone()
        }
    }

    /// Takes `steps` steps. Each replaces the state by what the nodes gather from it.
    ///
    /// On CPU backends the norm of a step and the node function of the next step are one operation.
    ///
    /// # Shapes
    /// - `state`: `[batch, nodes, height, width]`
    /// - result: twice the same
    pub fn steps(&self, state: Tensor<4>, steps: usize) -> CyclicPass {
        let mut output = self.output(state.clone());
        if steps == 0 {
            return CyclicPass { state, output };
        }
        for _ in 1..steps {
            output = ops::node_function(
                self.edges.product(output),
                self.gamma.clone(),
                self.beta.clone(),
                self.kernel.clone(),
                self.epsilon,
                self.kernels,
            );
        }
        let state = self.normalised(self.edges.product(output.clone()));
        CyclicPass { state, output }
    }

    /// The output of nodes with this state.
    pub fn output(&self, state: Tensor<4>) -> Tensor<4> {
        let nodes = self.nodes();
        let options = ConvOptions::new([1, 1], [1, 1], [1, 1], nodes);
        conv2d(activation::relu(state), self.kernel.clone(), None, options)
    }

    fn normalised(&self, gathered: Tensor<4>) -> Tensor<4> {
        ops::instance_norm(
            gathered,
            self.gamma.clone(),
            self.beta.clone(),
            self.epsilon,
            Kernels::default(),
        )
    }
}

/// The result of a number of steps.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CyclicPass {
    /// The nodes' state, `[batch, nodes, height, width]`.
    pub state: Tensor<4>,
    /// The nodes' output in the last step, `[batch, nodes, height, width]`.
    pub output: Tensor<4>,
}
