//! Node functions: what a node computes from its input.

use std::ops::Range;

use burn::module::{Module, Param};
use burn::nn::{BatchNorm, BatchNormConfig, Initializer, InstanceNorm, InstanceNormConfig};
use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor, activation};

use super::norms::update_running_averages;
use super::{GraphSpec, batch_norm};
use crate::ops::{self, BatchStatistics, GraphNodes, GraphNorm, Kernels};

/// `Z_v = f_v(I_v)` for all nodes of a level.
pub trait NodeFunction: Module {
    /// The output of the nodes of a level.
    ///
    /// # Shapes
    /// - `input`: `[batch, nodes of the level, height, width]`
    /// - result: the same; the input level may change height and width, which all later levels then have
    fn forward(
        &self,
        level: usize,
        nodes: Range<usize>,
        input: Tensor<4>,
        kernels: Kernels,
    ) -> Tensor<4>;

    /// The parameters of all nodes, if each is a norm, ReLU and a depthwise 3 x 3 convolution: kernels then
    /// run the whole graph in one pass. `None` for other node functions. `trains`: whether gradients are
    /// needed.
    fn as_graph_nodes(&self, trains: bool) -> Option<GraphNodes> {
        let _ = trains;
        None
    }

    /// Whether gradients are needed and [`as_graph_nodes`](Self::as_graph_nodes) returns nodes with the norm of the batch. GPUs have a kernel
    /// for graphs of these.
    fn normalises_by_batch(&self) -> bool {
        false
    }

    /// Receives the statistics of the nodes' inputs of each level after a fused pass whose norm is that of the batch. `counts`: the number of
    /// values per node behind the statistics, in the input level and in later levels.
    fn update_statistics(&self, statistics: Vec<BatchStatistics>, counts: [usize; 2]) {
        let _ = (statistics, counts);
    }
}

/// Nodes that hold an image: instance norm, ReLU, depthwise 3 x 3 convolution (the node function of the
/// published tiny classifiers).
#[derive(Module, Debug)]
pub struct ImageNodes {
    /// One 3 x 3 kernel per node, `[nodes, 1, 3, 3]`.
    pub kernel: Param<Tensor<4>>,
    /// One norm per level.
    pub norm: Vec<InstanceNorm>,
}

impl ImageNodes {
    /// Nodes for a graph. Kernels start uniform in -1/3..1/3, as in PyTorch's depthwise convolution.
    pub fn new(spec: &GraphSpec, device: &Device) -> Self {
        let norms = spec.function_levels().iter();
        Self {
            kernel: kernels(spec.function_nodes(), device),
            norm: norms
                .map(|&nodes| InstanceNormConfig::new(nodes).init(device))
                .collect(),
        }
    }
}

impl NodeFunction for ImageNodes {
    fn forward(
        &self,
        level: usize,
        nodes: Range<usize>,
        input: Tensor<4>,
        kernels: Kernels,
    ) -> Tensor<4> {
        let norm = &self.norm[level];
        let kernel = self.kernel.val().slice([nodes]);
        let affine = (norm.gamma.as_ref(), norm.beta.as_ref());
        let (Some(gamma), Some(beta)) = affine else {
            unreachable!("the norms of image nodes are affine");
        };
        let (gamma, beta) = (gamma.val(), beta.val());
        ops::node_function(input, gamma, beta, kernel, norm.epsilon, kernels)
    }

    fn as_graph_nodes(&self, _: bool) -> Option<GraphNodes> {
        let gammas: Option<Vec<_>> = self
            .norm
            .iter()
            .map(|n| Some(n.gamma.as_ref()?.val()))
            .collect();
        let betas: Option<Vec<_>> = self
            .norm
            .iter()
            .map(|n| Some(n.beta.as_ref()?.val()))
            .collect();
        let epsilon = self.norm[0].epsilon;
        let is_one = self.norm.iter().all(|norm| norm.epsilon == epsilon);
        is_one.then_some(GraphNodes {
            gamma: Tensor::cat(gammas?, 0),
            beta: Tensor::cat(betas?, 0),
            kernel: self.kernel.val(),
            epsilon,
            stride: 1,
            norm: GraphNorm::Instance,
        })
    }
}

/// Nodes of MobileNetV1: batch norm, ReLU, depthwise 3 x 3 convolution, with a stride in the input level.
#[derive(Module, Debug)]
pub struct BatchNodes {
    /// One 3 x 3 kernel per input node, `[inputs, 1, 3, 3]`.
    pub input_kernel: Param<Tensor<4>>,
    /// One 3 x 3 kernel per later node with a function, `[nodes, 1, 3, 3]`; `None` if only the input level
    /// has a function.
    pub kernel: Option<Param<Tensor<4>>>,
    /// One norm per level.
    pub norm: Vec<BatchNorm>,
    /// The stride of the input level's kernels.
    pub stride: usize,
}

impl BatchNodes {
    /// Nodes for a graph. Kernels start uniform in -1/3..1/3, as in PyTorch's depthwise convolution.
    pub fn new(spec: &GraphSpec, stride: usize, device: &Device) -> Self {
        let later = spec.function_nodes() - spec.inputs();
        let norms = spec.function_levels().iter();
        Self {
            input_kernel: kernels(spec.inputs(), device),
            kernel: (later > 0).then(|| kernels(later, device)),
            norm: norms
                .map(|&nodes| BatchNormConfig::new(nodes).init(device))
                .collect(),
            stride,
        }
    }
}

impl NodeFunction for BatchNodes {
    fn forward(
        &self,
        level: usize,
        nodes: Range<usize>,
        input: Tensor<4>,
        _: Kernels,
    ) -> Tensor<4> {
        let x = activation::relu(batch_norm(&self.norm[level], input));
        let (kernel, stride) = match &self.kernel {
            Some(kernel) if level > 0 => {
                let inputs = self.input_kernel.lazy_shape()[0];
                let own = nodes.start - inputs..nodes.end - inputs;
                (kernel.val().slice([own]), 1)
            }
            _ => (self.input_kernel.val(), self.stride),
        };
        let options = ConvOptions::new([stride, stride], [1, 1], [1, 1], nodes.len());
        conv2d(x, kernel, None, options)
    }

    fn as_graph_nodes(&self, trains: bool) -> Option<GraphNodes> {
        let by_batch = self.norm.iter().all(|norm| norm.training.is_enabled());
        let by_running = self.norm.iter().all(|norm| !norm.training.is_enabled());
        let epsilon = self.norm[0].epsilon;
        let is_one = self.norm.iter().all(|norm| norm.epsilon == epsilon);
        if !is_one || (trains && !by_batch && !by_running) {
            return None;
        }
        let norm = if trains && by_batch {
            GraphNorm::Batch
        } else {
            let of = |running: fn(&BatchNorm) -> Tensor<1>| {
                let values = self.norm.iter().flat_map(|norm| {
                    let of_level: Vec<f32> = running(norm).to_data().iter().collect();
                    of_level
                });
                values.collect()
            };
            GraphNorm::Running([
                of(|norm| norm.running_mean.value_sync()),
                of(|norm| norm.running_var.value_sync()),
            ])
        };
        let kernels =
            std::iter::once(self.input_kernel.val()).chain(self.kernel.as_ref().map(Param::val));
        Some(GraphNodes {
            gamma: Tensor::cat(self.norm.iter().map(|norm| norm.gamma.val()).collect(), 0),
            beta: Tensor::cat(self.norm.iter().map(|norm| norm.beta.val()).collect(), 0),
            kernel: Tensor::cat(kernels.collect(), 0),
            epsilon,
            stride: self.stride,
            norm,
        })
    }

    fn normalises_by_batch(&self) -> bool {
        let epsilon = self.norm[0].epsilon;
        let by_batch = |norm: &BatchNorm| norm.training.is_enabled() && norm.epsilon == epsilon;
        self.norm.iter().all(by_batch)
    }

    fn update_statistics(&self, statistics: Vec<BatchStatistics>, counts: [usize; 2]) {
        for (level, (norm, statistics)) in self.norm.iter().zip(&statistics).enumerate() {
            update_running_averages(norm, statistics, counts[level.min(1)]);
        }
    }
}

/// One 3 x 3 kernel per node, uniform in -1/3..1/3.
pub(super) fn kernels(nodes: usize, device: &Device) -> Param<Tensor<4>> {
    let third = 1.0 / 3.0;
    let initializer = Initializer::Uniform {
        min: -third,
        max: third,
    };
    initializer.init([nodes, 1, 3, 3], device)
}

/// Nodes that hold one value: bias and ReLU. The output of input nodes is their input.
#[derive(Module, Debug)]
pub struct ScalarNodes {
    /// `[nodes]`.
    pub bias: Param<Tensor<1>>,
}

impl ScalarNodes {
    /// Nodes for a graph, with biases of zero.
    pub fn new(spec: &GraphSpec, device: &Device) -> Self {
        Self {
            bias: Initializer::Zeros.init([spec.function_nodes()], device),
        }
    }
}

impl NodeFunction for ScalarNodes {
    fn forward(
        &self,
        level: usize,
        nodes: Range<usize>,
        input: Tensor<4>,
        _: Kernels,
    ) -> Tensor<4> {
        if level == 0 {
            return input;
        }
        let bias = self
            .bias
            .val()
            .slice([nodes.clone()])
            .reshape([1, nodes.len(), 1, 1]);
        activation::relu(input + bias)
    }
}
