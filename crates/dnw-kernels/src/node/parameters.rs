//! The parameters of the nodes and their gradients.

use std::ops::Range;

use super::shape::NodeShape;

/// The parameters of the nodes.
#[derive(Clone, Copy, Debug)]
pub struct NodeParameters<'a> {
    /// Scale after the norm, `[nodes]`.
    pub gamma: &'a [f32],
    /// Shift after the norm, `[nodes]`.
    pub beta: &'a [f32],
    /// Kernel weights of the depthwise convolution, `[nodes, 3, 3]`.
    pub kernel: &'a [f32],
    /// Added to the variance.
    pub epsilon: f32,
}

impl<'a> NodeParameters<'a> {
    /// The parameters of a range of nodes.
    pub(crate) fn of(&self, nodes: Range<usize>) -> Self {
        Self {
            gamma: &self.gamma[nodes.clone()],
            beta: &self.beta[nodes.clone()],
            kernel: &self.kernel[9 * nodes.start..9 * nodes.end],
            epsilon: self.epsilon,
        }
    }

    pub(super) fn node(&self, node: usize) -> Node<'a> {
        Node {
            gamma: self.gamma[node],
            beta: self.beta[node],
            kernel: self.kernel[9 * node..][..9].try_into().expect("nine taps"),
            epsilon: self.epsilon,
        }
    }
}

/// The parameters of one node.
#[derive(Clone, Copy)]
pub(super) struct Node<'a> {
    pub(super) gamma: f32,
    pub(super) beta: f32,
    pub(super) kernel: &'a [f32; 9],
    pub(super) epsilon: f32,
}

impl Node<'_> {
    /// `1 / sqrt(variance + epsilon)`.
    #[inline(always)]
    pub(super) fn scale(&self, variance: f32) -> f32 {
        1.0 / (variance + self.epsilon).sqrt()
    }
}

/// The gradients of [`NodeParameters`].
#[derive(Clone, Debug, PartialEq)]
pub struct NodeGradients {
    /// Gradient of the scale, `[nodes]`.
    pub gamma: Vec<f32>,
    /// Gradient of the shift, `[nodes]`.
    pub beta: Vec<f32>,
    /// Gradient of the kernel weights, `[nodes, 3, 3]`.
    pub kernel: Vec<f32>,
}

/// Length of a node's gradients: nine filter taps, gamma, beta.
pub(crate) const GRADIENTS: usize = 11;

impl NodeGradients {
    /// Splits gradients `[nodes, 11]` into those of each parameter.
    pub(crate) fn of(gradients: &[f32]) -> Self {
        let nodes = gradients.chunks_exact(GRADIENTS);
        Self {
            gamma: nodes.clone().map(|g| g[9]).collect(),
            beta: nodes.clone().map(|g| g[10]).collect(),
            kernel: nodes.flat_map(|g| g[..9].to_vec()).collect(),
        }
    }
}

/// Checks the lengths against the shape.
pub(super) fn check(shape: NodeShape, x: &[f32], y: &[f32], parameters: &NodeParameters<'_>) {
    let channels = shape.images * shape.nodes;
    assert!(shape.stride > 0, "a stride of zero");
    assert_eq!(x.len(), channels * shape.pixels(), "length of x");
    assert_eq!(y.len(), channels * shape.output_pixels(), "length of y");
    assert_eq!(parameters.gamma.len(), shape.nodes, "length of gamma");
    assert_eq!(parameters.beta.len(), shape.nodes, "length of beta");
    assert_eq!(
        parameters.kernel.len(),
        9 * shape.nodes,
        "length of the kernel"
    );
}
