//! Mean and variance of feature maps, and the affine map that a norm is.

use rayon::prelude::*;

use super::parameters::Node;
use super::shape::{NodeShape, Norm};
use crate::pool::Buffer;
use crate::simd::{LANES, multiply_add, sum, sum_lanes, vectorised};

/// Writes mean and variance of a node's row: of each feature map, or of the whole row.
pub(super) fn compute_statistics(
    norm: Norm<'_>,
    node: usize,
    x: &[f32],
    pixels: usize,
    statistics: &mut [f32],
) {
    match norm {
        Norm::None => {}
        Norm::Running { mean, variance } => {
            statistics.copy_from_slice(&[mean[node], variance[node]]);
        }
        Norm::Instance => {
            let feature_maps = statistics.chunks_exact_mut(2).zip(x.chunks_exact(pixels));
            feature_maps.for_each(|(statistics, map)| mean_and_variance(map, statistics));
        }
        Norm::Batch => mean_and_variance(x, statistics),
    }
}

/// Mean and variance of each feature map or row; zeros if there are no images.
pub(super) fn statistics_of(shape: NodeShape, norm: Norm<'_>, x: &[f32]) -> Buffer {
    let (row, of_node) = (
        shape.images * shape.pixels(),
        2 * shape.statistics_per_node(norm),
    );
    let mut statistics = Buffer::zeros(shape.nodes * of_node);
    if row > 0 && of_node > 0 {
        let rows = statistics
            .par_chunks_exact_mut(of_node)
            .zip(x.par_chunks_exact(row));
        rows.enumerate().for_each(|(node, (statistics, x))| {
            compute_statistics(norm, node, x, shape.pixels(), statistics);
        });
    }
    statistics
}

vectorised! {
    fn mean_and_variance(x: &[f32], statistics: &mut [f32]) = mean_and_variance_body;
}

#[inline(always)]
fn mean_and_variance_body<const SET: u8>(x: &[f32], statistics: &mut [f32]) {
    let mean = sum(x) / x.len() as f32;
    let mut lanes = [0.0f32; LANES];
    let chunks = x.chunks_exact(LANES);
    let mut square = 0.0;
    for &value in chunks.remainder() {
        let d = value - mean;
        square = multiply_add::<SET>(d, d, square);
    }
    for chunk in chunks {
        for i in 0..LANES {
            let d = chunk[i] - mean;
            lanes[i] = multiply_add::<SET>(d, d, lanes[i]);
        }
    }
    let variance = (sum_lanes(lanes) + square) / x.len() as f32;
    statistics.copy_from_slice(&[mean, variance]);
}

/// The norm as `factor x + offset`: `factor = gamma / sqrt(variance + epsilon)`, `offset = beta - factor mean`.
#[inline(always)]
pub(super) fn affine(node: Node<'_>, statistics: &[f32]) -> (f32, f32) {
    match *statistics {
        [mean, variance] => {
            let factor = node.gamma * node.scale(variance);
            (factor, node.beta - factor * mean)
        }
        _ => (1.0, 0.0),
    }
}

/// The statistics that apply to an image: its own if a node has one pair per image, otherwise the node's only pair.
#[inline(always)]
pub(super) fn statistics_of_image(statistics: &[f32], image: usize) -> &[f32] {
    if statistics.len() > 2 {
        &statistics[2 * image..][..2]
    } else {
        statistics
    }
}

/// ReLU. It propagates NaN, as tensor libraries do, so that a NaN in a weight shows up in the loss.
#[inline(always)]
pub(super) fn relu(x: f32) -> f32 {
    if x <= 0.0 { 0.0 } else { x }
}
