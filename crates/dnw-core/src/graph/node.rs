//! What a node does with what it gathered.

use std::ops::Range;

use burn::module::{Module, Param};
use burn::nn::{Initializer, InstanceNorm, InstanceNormConfig};
use burn::tensor::{Device, Tensor, activation};

use super::GraphSpec;
use crate::ops::{self, Kernels};

/// `Z_v = f_v(I_v)` for the nodes of a level, all at once.
pub trait NodeFunction: Module {
    /// What the nodes of a level give.
    ///
    /// # Shapes
    /// - `input`: `[batch, nodes of the level, height, width]`
    /// - result: the same
    fn fire(
        &self,
        level: usize,
        nodes: Range<usize>,
        input: Tensor<4>,
        kernels: Kernels,
    ) -> Tensor<4>;
}

/// Nodes that hold an image each: instance norm, ReLU, depthwise 3 x 3 (the node function of the published tiny
/// classifiers).
#[derive(Module, Debug)]
pub struct ImageNodes {
    /// One 3 x 3 kernel per node, `[nodes, 1, 3, 3]`.
    pub kernel: Param<Tensor<4>>,
    /// One norm per level.
    pub norm: Vec<InstanceNorm>,
}

impl ImageNodes {
    /// Nodes for a graph. Kernels begin uniform in -1/3..1/3, as PyTorch's depthwise convolution does.
    pub fn new(spec: &GraphSpec, device: &Device) -> Self {
        let third = 1.0 / 3.0;
        let norms = spec.firing_levels().iter();
        Self {
            kernel: Initializer::Uniform {
                min: -third,
                max: third,
            }
            .init([spec.firing(), 1, 3, 3], device),
            norm: norms
                .map(|&nodes| InstanceNormConfig::new(nodes).init(device))
                .collect(),
        }
    }
}

impl NodeFunction for ImageNodes {
    fn fire(
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
}

/// Nodes that hold one number each: bias and ReLU. Input nodes pass on what they are given.
#[derive(Module, Debug)]
pub struct ScalarNodes {
    /// `[nodes]`.
    pub bias: Param<Tensor<1>>,
}

impl ScalarNodes {
    /// Nodes for a graph, with biases of zero.
    pub fn new(spec: &GraphSpec, device: &Device) -> Self {
        Self {
            bias: Initializer::Zeros.init([spec.firing()], device),
        }
    }
}

impl NodeFunction for ScalarNodes {
    fn fire(&self, level: usize, nodes: Range<usize>, input: Tensor<4>, _: Kernels) -> Tensor<4> {
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
