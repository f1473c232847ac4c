//! The backward pass of nodes, channel by channel.

use rayon::prelude::*;

use super::padded::{correlate, pad, shift, spread};
use super::parameters::{GRADIENTS, Node, NodeParameters, check};
use super::shape::{NodeShape, Norm};
use super::statistics::{affine, relu, statistics_of_image};
use crate::simd::{LANES, multiply_add, sum, sum_lanes, vectorised};
use crate::tiles::Tiles;

/// The backward pass of [`forward_rows`](super::forward_rows), which returned the `statistics`.
///
/// Writes the gradient of `x` to `dx` and adds the gradients of the parameters to `gradients`, `[nodes, 11]`: nine filter taps, gamma, beta.
#[allow(clippy::too_many_arguments)]
pub(crate) fn backward_rows(
    shape: NodeShape,
    norm: Norm<'_>,
    x: &[f32],
    statistics: &[f32],
    parameters: &NodeParameters<'_>,
    dz: &[f32],
    dx: &mut [f32],
    gradients: &mut [f32],
) {
    let _span = tracing::trace_span!("nodes").entered();
    check(shape, x, dz, parameters);
    assert_eq!(dx.len(), x.len(), "length of dx");
    let (row, output) = (
        shape.images * shape.pixels(),
        shape.images * shape.output_pixels(),
    );
    if row == 0 {
        return;
    }
    let of_node = 2 * shape.statistics_per_node(norm);
    let through = match norm {
        Norm::None => ThroughNorm::Identity,
        Norm::Running { .. } => ThroughNorm::Scale,
        Norm::Instance => ThroughNorm::PerImage,
        Norm::Batch => ThroughNorm::PerNode,
    };
    let tiles = Tiles::new(dx, row);
    gradients
        .par_chunks_exact_mut(GRADIENTS)
        .zip(x.par_chunks_exact(row).zip(dz.par_chunks_exact(output)))
        .enumerate()
        .for_each_init(
            || vec![0.0; 2 * shape.buffer_length() + shape.padded_length()],
            |scratch, (node, (gradients, (x, dz)))| {
                let statistics = &statistics[node * of_node..][..of_node];
                // SAFETY: a task writes its own node's row.
                let dx = unsafe { tiles.row(node, 0..row) };
                backward_row(
                    shape,
                    through,
                    parameters.node(node),
                    statistics,
                    x,
                    dz,
                    scratch,
                    gradients,
                    dx,
                );
            },
        );
}

/// How the gradient passes through the norm.
#[derive(Clone, Copy, PartialEq)]
enum ThroughNorm {
    /// There is no norm: the gradient is unchanged.
    Identity,
    /// The statistics do not depend on the input: the gradient is scaled.
    Scale,
    /// Each image has its own statistics.
    PerImage,
    /// All images share the node's statistics.
    PerNode,
}

vectorised! {
    fn backward_row(
        shape: NodeShape,
        through: ThroughNorm,
        node: Node<'_>,
        statistics: &[f32],
        x: &[f32],
        dz: &[f32],
        scratch: &mut [f32],
        gradients: &mut [f32],
        dx: &mut [f32],
    ) = backward_row_body;
}

#[inline(always)]
#[allow(clippy::too_many_arguments)]
fn backward_row_body<const SET: u8>(
    shape: NodeShape,
    through: ThroughNorm,
    node: Node<'_>,
    statistics: &[f32],
    x: &[f32],
    dz: &[f32],
    scratch: &mut [f32],
    gradients: &mut [f32],
    dx: &mut [f32],
) {
    let (pixels, row) = (shape.pixels(), shape.width + 1);
    let (active, rest) = scratch.split_at_mut(shape.buffer_length());
    let (d_outputs, d_active) = rest.split_at_mut(shape.buffer_length());
    let mut taps = [[0.0f32; LANES]; 9];
    let mut flipped = [0.0; 9];
    for (tap, k) in flipped.iter_mut().enumerate() {
        *k = node.kernel[8 - tap];
    }
    let (mut sum_d, mut sum_dn) = (0.0f32, 0.0f32);
    let feature_maps = x
        .chunks_exact(pixels)
        .zip(dz.chunks_exact(shape.output_pixels()))
        .zip(dx.chunks_exact_mut(pixels));
    for (image, ((x, dz), dx)) in feature_maps.enumerate() {
        let own = statistics_of_image(statistics, image);
        let (a, b) = affine(node, own);
        pad(shape, x, active, |x| relu(multiply_add::<SET>(a, x, b)));
        spread(shape, dz, d_outputs);

        // The outputs' gradient starts one row and one column into its buffer, at the centre tap.
        let centre = &d_outputs[row + 1..][..shape.padded_length()];
        for (tap, sums) in taps.iter_mut().enumerate() {
            let active = &active[shift(shape, tap)..][..shape.padded_length()];
            for (d, a) in centre.chunks_exact(LANES).zip(active.chunks_exact(LANES)) {
                for i in 0..LANES {
                    sums[i] = multiply_add::<SET>(d[i], a[i], sums[i]);
                }
            }
        }
        correlate::<SET>(shape, d_outputs, &flipped, d_active);

        // The gradient of the ReLU, on the feature map without its padding: zero where the activation is zero.
        for ((line, active), d) in dx
            .chunks_exact_mut(shape.width)
            .zip(active[row + 1..].chunks(row))
            .zip(d_active.chunks(row))
        {
            for ((dx, &gate), &d) in line.iter_mut().zip(active).zip(d) {
                *dx = if gate == 0.0 { 0.0 } else { d };
            }
        }
        let [mean, scale] = match *own {
            [mean, variance] => [mean, node.scale(variance)],
            _ => [0.0, 1.0],
        };
        match through {
            ThroughNorm::Identity => {}
            ThroughNorm::Scale | ThroughNorm::PerNode => {
                let (d, dn) = sums_with_normed::<SET>(dx, x, mean, scale);
                sum_d += d;
                sum_dn += dn;
                if through == ThroughNorm::Scale {
                    for dx in dx.iter_mut() {
                        *dx *= a;
                    }
                }
            }
            ThroughNorm::PerImage => {
                let (d, dn) = sums_with_normed::<SET>(dx, x, mean, scale);
                sum_d += d;
                sum_dn += dn;
                centre_gradient::<SET>(dx, x, [mean, scale], a, [d, dn], pixels);
            }
        }
    }
    if through == ThroughNorm::PerNode
        && let [mean, variance] = *statistics
    {
        let scale = node.scale(variance);
        centre_gradient::<SET>(
            dx,
            x,
            [mean, scale],
            node.gamma * scale,
            [sum_d, sum_dn],
            x.len(),
        );
    }
    for (gradient, sums) in gradients.iter_mut().zip(taps) {
        *gradient += sum_lanes(sums);
    }
    gradients[9] += sum_dn;
    gradients[10] += sum_d;
}

/// The sums of `d` and of `d x'`, where `x' = (x - mean) scale` is the normalised `x`.
#[inline(always)]
fn sums_with_normed<const SET: u8>(d: &[f32], x: &[f32], mean: f32, scale: f32) -> (f32, f32) {
    // The scale is applied once, to the sum of `d (x - mean)`.
    let mut lanes = [0.0f32; LANES];
    let (d_chunks, x_chunks) = (d.chunks_exact(LANES), x.chunks_exact(LANES));
    let mut rest = 0.0;
    for (d, x) in d_chunks.remainder().iter().zip(x_chunks.remainder()) {
        rest = multiply_add::<SET>(*d, x - mean, rest);
    }
    for (d, x) in d_chunks.zip(x_chunks) {
        for i in 0..LANES {
            lanes[i] = multiply_add::<SET>(d[i], x[i] - mean, lanes[i]);
        }
    }
    (sum(d), (sum_lanes(lanes) + rest) * scale)
}

/// The gradient through a norm whose statistics are computed over `n` values: `d = a (d - sum d / n - x' sum(d x') / n)`, where `x'` is the
/// normalised `x`.
#[inline(always)]
fn centre_gradient<const SET: u8>(
    d: &mut [f32],
    x: &[f32],
    [mean, scale]: [f32; 2],
    a: f32,
    [sum_d, sum_dn]: [f32; 2],
    n: usize,
) {
    let (mean_d, mean_dn) = (sum_d / n as f32, sum_dn / n as f32);
    for (d, &x) in d.iter_mut().zip(x) {
        let normed = (x - mean) * scale;
        *d = a * (*d - mean_d - normed * mean_dn);
    }
}

/// The backward pass of [`normalise`](super::normalise) with instance norm. Adds the gradients of gamma and beta to `gradients`, `[nodes, 11]`.
pub(crate) fn denormalise(
    shape: NodeShape,
    x: &[f32],
    statistics: &[f32],
    parameters: &NodeParameters<'_>,
    dy: &[f32],
    dx: &mut [f32],
    gradients: &mut [f32],
) {
    let _span = tracing::trace_span!("nodes").entered();
    let (row, pixels) = (shape.images * shape.pixels(), shape.pixels());
    if row == 0 {
        return;
    }
    gradients
        .par_chunks_exact_mut(GRADIENTS)
        .zip(
            x.par_chunks_exact(row)
                .zip(dy.par_chunks_exact(row))
                .zip(dx.par_chunks_exact_mut(row)),
        )
        .enumerate()
        .for_each(|(node, (gradients, ((x, dy), dx)))| {
            let node_statistics = &statistics[2 * shape.images * node..][..2 * shape.images];
            denormalise_row(
                parameters.node(node),
                pixels,
                node_statistics,
                x,
                dy,
                gradients,
                dx,
            );
        });
}

vectorised! {
    fn denormalise_row(
        node: Node<'_>,
        pixels: usize,
        statistics: &[f32],
        x: &[f32],
        dy: &[f32],
        gradients: &mut [f32],
        dx: &mut [f32],
    ) = denormalise_row_body;
}

/// The maps of one node, each with statistics of its own.
#[inline(always)]
fn denormalise_row_body<const SET: u8>(
    node: Node<'_>,
    pixels: usize,
    statistics: &[f32],
    x: &[f32],
    dy: &[f32],
    gradients: &mut [f32],
    dx: &mut [f32],
) {
    dx.copy_from_slice(dy);
    let feature_maps = x.chunks_exact(pixels).zip(dx.chunks_exact_mut(pixels));
    for ((x, dx), statistics) in feature_maps.zip(statistics.chunks_exact(2)) {
        let (mean, scale) = (statistics[0], node.scale(statistics[1]));
        let (d, dn) = sums_with_normed::<SET>(dx, x, mean, scale);
        gradients[9] += dn;
        gradients[10] += d;
        centre_gradient::<SET>(dx, x, [mean, scale], node.gamma * scale, [d, dn], pixels);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::InstructionSet;

    /// On every machine with fused multiply-adds: one product that is rounded by itself, and trainings end with other weights there.
    #[test]
    fn the_gradient_of_a_norm_rounds_each_product_with_its_sum() {
        let is_fused =
            cfg!(target_arch = "aarch64") || InstructionSet::in_use() != InstructionSet::Baseline;
        let multiply_add = |a: f32, b: f32, c: f32| {
            if is_fused { a.mul_add(b, c) } else { a * b + c }
        };
        let whole = 64 * LANES;
        let pixels = whole + 3;
        let shape = NodeShape {
            images: 1,
            nodes: 1,
            height: 1,
            width: pixels,
            stride: 1,
        };
        let number = |i: usize| ((i * 7919 + 13) % 2003) as f32 / 1000.0 - 1.0;
        let (mean, variance, epsilon) = (0.1, 0.3, 1e-5);
        let parameters = NodeParameters {
            gamma: &[1.5],
            beta: &[0.0],
            kernel: &[0.0; 9],
            epsilon,
        };
        // Many maps, because the sums of one may be equal either way.
        for map in 0..64 {
            let x: Vec<f32> = (0..pixels).map(|i| number(i + map)).collect();
            let dy: Vec<f32> = (0..pixels).map(|i| number(3 * i + map + 1)).collect();
            let (mut dx, mut gradients) = (vec![0.0; pixels], vec![0.0; GRADIENTS]);
            let statistics = [mean, variance];
            denormalise(
                shape,
                &x,
                &statistics,
                &parameters,
                &dy,
                &mut dx,
                &mut gradients,
            );
            let mut lanes = [0.0; LANES];
            for i in 0..whole {
                lanes[i % LANES] = multiply_add(dy[i], x[i] - mean, lanes[i % LANES]);
            }
            let rest = (whole..pixels).fold(0.0, |sum, i| multiply_add(dy[i], x[i] - mean, sum));
            let scale = 1.0 / (variance + epsilon).sqrt();
            assert_eq!(gradients[9], (sum_lanes(lanes) + rest) * scale, "map {map}");
        }
    }
}
