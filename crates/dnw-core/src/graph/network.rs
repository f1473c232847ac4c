//! Static graphs as modules.

use std::ops::Range;
use std::sync::Arc;

use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::{Device, Tensor};

use super::edges::GraphEdges;
use super::{GraphSpec, NodeFunction, Outputs};
use crate::layers::{attach, edges_of};
use crate::ops::{self, GraphNodes, Kernels};
use crate::real_edges::RealEdges;
use crate::{Gradient, Wiring};

/// Configuration of a [`NeuralGraph`].
#[derive(Clone, Debug)]
pub struct GraphConfig {
    spec: GraphSpec,
    initializer: Option<Initializer>,
    kernels: Kernels,
}

impl GraphConfig {
    /// A graph of this specification. Edges start uniform in -1/sqrt(sources)..1/sqrt(sources), as in the
    /// published program.
    pub fn new(spec: GraphSpec) -> Self {
        Self {
            spec,
            initializer: None,
            kernels: Kernels::default(),
        }
    }

    /// Sets the initializer of the edges. If norms follow, the scale of the edges does not change the output,
    /// but it affects how many edges swap.
    #[must_use]
    pub fn with_initializer(mut self, initializer: Initializer) -> Self {
        self.initializer = Some(initializer);
        self
    }

    /// Sets which implementations of the operations run.
    #[must_use]
    pub fn with_kernels(mut self, kernels: Kernels) -> Self {
        self.kernels = kernels;
        self
    }

    /// Creates the graph with this node function. Every legal edge is real until the model is wired.
    pub fn init<F: NodeFunction>(self, function: F, device: &Device) -> NeuralGraph<F> {
        let bound = 1.0 / (self.spec.sources() as f64).sqrt();
        let initializer = self.initializer.unwrap_or(Initializer::Uniform {
            min: -bound,
            max: bound,
        });
        let weight = initializer.init([self.spec.targets(), self.spec.sources(), 1, 1], device);
        let legal = self.spec.legal();
        let edges = RealEdges::new(legal, Some(legal), Gradient::AllEdges, device);
        NeuralGraph {
            weight: attach(weight, edges),
            function,
            spec: Arc::new(self.spec),
            kernels: self.kernels,
        }
    }
}

/// A static neural graph.
#[derive(Module, Debug)]
pub struct NeuralGraph<F: NodeFunction> {
    /// The weight of every possible edge, `[targets, sources, 1, 1]`, with its wiring.
    pub weight: Param<Tensor<4>>,
    /// The node function.
    pub function: F,
    #[module(skip)]
    spec: Arc<GraphSpec>,
    #[module(skip)]
    kernels: Kernels,
}

/// The intermediate and final results of a forward pass.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct GraphPass {
    /// The output of the nodes of each level with a node function, `[batch, nodes, height, width]`.
    pub activations: Vec<Tensor<4>>,
    /// The sums of the output nodes, `[batch, outputs, height, width]`.
    pub outputs: Tensor<4>,
}

impl<F: NodeFunction> NeuralGraph<F> {
    /// The nodes and possible edges of the graph.
    pub fn spec(&self) -> &GraphSpec {
        &self.spec
    }

    /// The real edges, read from the device.
    pub fn wiring(&self) -> Wiring {
        edges_of(&self.weight).wiring()
    }

    /// The sums of the output nodes.
    ///
    /// # Shapes
    /// - `input`: `[batch, inputs, height, width]`
    /// - result: `[batch, outputs, height, width]`
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let trains = input.is_autodiff();
        let on_gpu = self.kernels.on_gpu(&input)
            && trains
            && self.function.normalises_by_batch()
            && matches!(self.spec.outputs(), Outputs::OwnLevel(_));
        if (on_gpu || self.kernels.on_cpu(&input))
            && let Some(nodes) = self.function.as_graph_nodes(trains)
        {
            return self.forward_fused(nodes, input);
        }
        self.pass(input).outputs
    }

    /// The whole graph in one fused operation.
    fn forward_fused(&self, nodes: GraphNodes, input: Tensor<4>) -> Tensor<4> {
        let edges = GraphEdges::new(&self.weight, self.kernels);
        let [batch, _, height, width] = input.dims();
        let (weight, real) = (edges.weight().clone(), edges.real().clone());
        let (outputs, statistics) =
            ops::levels(input, weight, real, nodes, &self.spec, edges.index());
        if let Some(statistics) = statistics {
            let [_, _, later_height, later_width] = outputs.dims();
            let counts = [height * width, later_height * later_width].map(|pixels| batch * pixels);
            self.function.update_statistics(statistics, counts);
        }
        outputs
    }

    /// As [`forward`](Self::forward), with the output of every node.
    pub fn pass(&self, input: Tensor<4>) -> GraphPass {
        let edges = GraphEdges::new(&self.weight, self.kernels);
        let spec = &self.spec;
        let mut activations: Vec<Tensor<4>> = Vec::new();
        let mut gathered = input;
        for level in 0..spec.function_levels().len() {
            let nodes = spec.level(level);
            if level > 0 {
                gathered = edges.gather(spec, &activations, 0..nodes.start, nodes.clone());
            }
            activations.push(
                self.function
                    .forward(level, nodes, gathered.clone(), self.kernels),
            );
        }
        let outputs = spec.output_nodes();
        let outputs = match spec.outputs() {
            Outputs::OwnLevel(_) => {
                edges.gather(spec, &activations, 0..spec.function_nodes(), outputs)
            }
            Outputs::InLastLevel(n) => {
                let last = spec.level(spec.function_levels().len() - 1);
                let held =
                    gathered.slice([0..activations[0].dims()[0], last.len() - n..last.len()]);
                held + edges.gather(spec, &activations[activations.len() - 1..], last, outputs)
            }
        };
        GraphPass {
            activations,
            outputs,
        }
    }
}

impl GraphEdges {
    /// The sums of the `targets` over the `sources`, whose feature maps are in `activations`, level by level.
    fn gather(
        &self,
        spec: &GraphSpec,
        activations: &[Tensor<4>],
        sources: Range<usize>,
        targets: Range<usize>,
    ) -> Tensor<4> {
        let x = match activations {
            [only] => only.clone(),
            several => Tensor::cat(several.to_vec(), 1),
        };
        let first = spec.first_target();
        self.block([targets.start - first..targets.end - first, sources])
            .product(x)
    }
}
