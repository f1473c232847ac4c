//! The forward pass of nodes, channel by channel.

use rayon::prelude::*;

use super::padded::{collect, correlate, pad};
use super::parameters::{Node, NodeParameters, check};
use super::shape::{NodeShape, Norm};
use super::statistics::{affine, compute_statistics, relu, statistics_of, statistics_of_image};
use crate::pool::Buffer;
use crate::simd::{multiply_add, vectorised};
use crate::tiles::Tiles;

/// Computes the node function of feature maps in the layout `[nodes, images, pixels]`.
///
/// Returns mean and (biased) variance of the norm: `[nodes, images, 2]` for instance norm, `[nodes, 1, 2]` for batch norm, empty for no norm.
pub(crate) fn forward_rows(
    shape: NodeShape,
    norm: Norm<'_>,
    x: &[f32],
    parameters: &NodeParameters<'_>,
    z: &mut [f32],
) -> Buffer {
    let _span = tracing::trace_span!("nodes").entered();
    check(shape, x, z, parameters);
    let of_node = 2 * shape.statistics_per_node(norm);
    let (row, output) = (
        shape.images * shape.pixels(),
        shape.images * shape.output_pixels(),
    );
    if row == 0 {
        return statistics_of(shape, norm, x);
    }
    let mut statistics = Buffer::uninitialised(shape.nodes * of_node);
    let tiles = Tiles::new(&mut statistics, of_node);
    z.par_chunks_exact_mut(output)
        .zip(x.par_chunks_exact(row))
        .enumerate()
        .for_each_init(
            || vec![0.0; shape.buffer_length() + shape.padded_length()],
            |scratch, (node, (z, x))| {
                // SAFETY: a task writes its own node's statistics.
                let statistics = unsafe { tiles.row(node, 0..of_node) };
                // Per row, because the row is in cache for the convolution then.
                compute_statistics(norm, node, x, shape.pixels(), statistics);
                forward_row(shape, parameters.node(node), statistics, x, scratch, z);
            },
        );
    statistics
}

vectorised! {
    fn forward_row(shape: NodeShape, node: Node<'_>, statistics: &[f32], x: &[f32], scratch: &mut [f32], z: &mut [f32]) = forward_row_body;
}

#[inline(always)]
fn forward_row_body<const SET: u8>(
    shape: NodeShape,
    node: Node<'_>,
    statistics: &[f32],
    x: &[f32],
    scratch: &mut [f32],
    z: &mut [f32],
) {
    let (active, flat) = scratch.split_at_mut(shape.buffer_length());
    let feature_maps = x
        .chunks_exact(shape.pixels())
        .zip(z.chunks_exact_mut(shape.output_pixels()));
    for (image, (x, z)) in feature_maps.enumerate() {
        let (a, b) = affine(node, statistics_of_image(statistics, image));
        pad(shape, x, active, |x| relu(multiply_add::<SET>(a, x, b)));
        correlate::<SET>(shape, active, node.kernel, flat);
        collect(shape, flat, z);
    }
}

/// Computes the norm alone, without ReLU and convolution, of feature maps `[nodes, images, pixels]`. Returns the statistics.
pub(crate) fn normalise(
    shape: NodeShape,
    norm: Norm<'_>,
    x: &[f32],
    parameters: &NodeParameters<'_>,
    y: &mut [f32],
) -> Buffer {
    let _span = tracing::trace_span!("nodes").entered();
    assert_eq!(x.len(), y.len(), "length of y");
    let statistics = statistics_of(shape, norm, x);
    let (row, of_node, pixels) = (
        shape.images * shape.pixels(),
        2 * shape.statistics_per_node(norm),
        shape.pixels(),
    );
    if row > 0 {
        y.par_chunks_exact_mut(row)
            .zip(x.par_chunks_exact(row))
            .enumerate()
            .for_each(|(node, (y, x))| {
                let statistics = &statistics[node * of_node..][..of_node];
                let node = Node {
                    gamma: parameters.gamma[node],
                    beta: parameters.beta[node],
                    kernel: &[0.0; 9],
                    epsilon: parameters.epsilon,
                };
                for (image, (y, x)) in y
                    .chunks_exact_mut(pixels)
                    .zip(x.chunks_exact(pixels))
                    .enumerate()
                {
                    let (a, b) = affine(node, statistics_of_image(statistics, image));
                    for (y, &x) in y.iter_mut().zip(x) {
                        *y = a * x + b;
                    }
                }
            });
    }
    statistics
}
