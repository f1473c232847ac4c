//! The node function, fused: a norm, ReLU and a depthwise 3 x 3 convolution.
//!
//! `z = k * relu(gamma (i - mean) / sqrt(var + eps) + beta)`, where `*` is the cross-correlation with one pixel of zero padding. The norm
//! decides which mean and (biased) variance are used: those of one feature map ([`Norm::Instance`], Wortsman et al. 2019, section 3.1, as
//! in the published tiny classifiers), those of a channel over the whole batch ([`Norm::Batch`], MobileNetV1), or running statistics
//! ([`Norm::Running`]). Nodes of cyclic graphs may have no norm.
//!
//! The feature maps of a channel are contiguous, `[nodes, images, pixels]`. Each is convolved in a padded copy.

mod backward;
mod forward;
mod padded;
mod parameters;
mod shape;
mod statistics;

use crate::layout::transpose;
use crate::pool::Buffer;
use parameters::check;
use statistics::statistics_of;

pub(crate) use backward::{backward_rows, denormalise};
pub(crate) use forward::{forward_rows, normalise};
pub(crate) use parameters::GRADIENTS;
pub use parameters::{NodeGradients, NodeParameters};
pub use shape::{NodeShape, Norm};

/// Computes the node function with instance norm.
///
/// # Shapes
/// `x`: `[images, nodes, height, width]`; `y`: `[images, nodes, output height, output width]`.
///
/// # Panics
/// If a length does not fit `shape`.
pub fn forward(shape: NodeShape, x: &[f32], parameters: &NodeParameters<'_>, y: &mut [f32]) {
    check(shape, x, y, parameters);
    let mut rows = Buffer::uninitialised(x.len());
    transpose(x, [shape.images, shape.nodes], shape.pixels(), &mut rows);
    let mut activations = Buffer::uninitialised(y.len());
    forward_rows(shape, Norm::Instance, &rows, parameters, &mut activations);
    transpose(
        &activations,
        [shape.nodes, shape.images],
        shape.output_pixels(),
        y,
    );
}

/// The backward pass of [`forward`]: writes the gradient of `x` to `dx` and returns the gradients of the parameters.
///
/// # Shapes
/// `x` and `dx`: `[images, nodes, height, width]`, `x` being the input of the forward pass; `dy`: `[images, nodes, output height, output width]`.
///
/// # Panics
/// If a length does not fit `shape`.
pub fn backward(
    shape: NodeShape,
    x: &[f32],
    parameters: &NodeParameters<'_>,
    dy: &[f32],
    dx: &mut [f32],
) -> NodeGradients {
    check(shape, x, dy, parameters);
    assert_eq!(dx.len(), x.len(), "length of dx");
    let by_node = |images: &[f32], pixels| {
        let mut rows = Buffer::uninitialised(images.len());
        transpose(images, [shape.images, shape.nodes], pixels, &mut rows);
        rows
    };
    let (rows, d_activations) = (
        by_node(x, shape.pixels()),
        by_node(dy, shape.output_pixels()),
    );
    let statistics = statistics_of(shape, Norm::Instance, &rows);
    let mut d_rows = Buffer::uninitialised(x.len());
    let mut gradients = vec![0.0; GRADIENTS * shape.nodes];
    backward_rows(
        shape,
        Norm::Instance,
        &rows,
        &statistics,
        parameters,
        &d_activations,
        &mut d_rows,
        &mut gradients,
    );
    transpose(&d_rows, [shape.nodes, shape.images], shape.pixels(), dx);
    NodeGradients::of(&gradients)
}
