//! What nodes do with what they gathered, fused: a norm, ReLU, depthwise 3 x 3.
//!
//! `z = k * relu(gamma (i - mean) / sqrt(var + eps) + beta)`, `*` the cross-correlation with one pixel of zero padding. Mean and
//! (biased) variance are those of one map ([`Norm::Instance`], Wortsman et al. 2019, section 3.1, as in the published tiny
//! classifiers), of a channel's maps in the whole batch ([`Norm::Batch`], MobileNetV1) or known before ([`Norm::Running`]);
//! nodes in cyclic graphs may have none.
//!
//! Maps of a channel lie side by side; each is convolved in a padded copy.

use rayon::prelude::*;

mod padded;
mod shape;

use crate::layout::transpose;
use crate::pool::Buffer;
use crate::simd::{LANES, multiply_add, sum, sum_lanes, vectorised};
use crate::tiles::Tiles;
pub use shape::NodeShape;

use padded::{collect, correlate, pad, shift, spread};

/// What is done to a node's maps before the ReLU.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Norm<'a> {
    /// Nothing.
    None,
    /// Each map of each image by its own statistics.
    Instance,
    /// All maps of a node by the statistics of the batch.
    Batch,
    /// By running statistics.
    Running {
        /// `[nodes]`.
        mean: &'a [f32],
        /// `[nodes]`.
        variance: &'a [f32],
    },
}

impl<'a> Norm<'a> {
    /// Means and variances that it has for each node.
    fn statistics(self, shape: NodeShape) -> usize {
        match self {
            Self::None => 0,
            Self::Instance => shape.images,
            Self::Batch | Self::Running { .. } => 1,
        }
    }

    /// That of some of the nodes.
    pub(crate) fn of(self, nodes: std::ops::Range<usize>) -> Self {
        match self {
            Self::Running { mean, variance } => Self::Running {
                mean: &mean[nodes.clone()],
                variance: &variance[nodes],
            },
            other => other,
        }
    }
}

/// The learned numbers of the nodes.
#[derive(Clone, Copy, Debug)]
pub struct NodeParameters<'a> {
    /// Scale after the norm, `[nodes]`.
    pub gamma: &'a [f32],
    /// Shift after the norm, `[nodes]`.
    pub beta: &'a [f32],
    /// Depthwise kernels, `[nodes, 3, 3]`.
    pub kernel: &'a [f32],
    /// Added to the variance.
    pub epsilon: f32,
}

impl<'a> NodeParameters<'a> {
    /// Those of some of the nodes.
    pub(crate) fn of(&self, nodes: std::ops::Range<usize>) -> Self {
        Self {
            gamma: &self.gamma[nodes.clone()],
            beta: &self.beta[nodes.clone()],
            kernel: &self.kernel[9 * nodes.start..9 * nodes.end],
            epsilon: self.epsilon,
        }
    }

    fn node(&self, node: usize) -> Node<'a> {
        Node {
            gamma: self.gamma[node],
            beta: self.beta[node],
            kernel: self.kernel[9 * node..][..9].try_into().expect("nine taps"),
            epsilon: self.epsilon,
        }
    }
}

/// The learned numbers of one node.
#[derive(Clone, Copy)]
struct Node<'a> {
    gamma: f32,
    beta: f32,
    kernel: &'a [f32; 9],
    epsilon: f32,
}

impl Node<'_> {
    /// The reciprocal deviation.
    #[inline(always)]
    fn scale(&self, variance: f32) -> f32 {
        1.0 / (variance + self.epsilon).sqrt()
    }
}

/// The gradients of [`NodeParameters`].
#[derive(Clone, Debug, PartialEq)]
pub struct NodeGradients {
    /// To the scale, `[nodes]`.
    pub gamma: Vec<f32>,
    /// To the shift, `[nodes]`.
    pub beta: Vec<f32>,
    /// To the kernels, `[nodes, 3, 3]`.
    pub kernel: Vec<f32>,
}

/// Numbers that a node's gradients are: nine taps, gamma, beta.
pub(crate) const GRADIENTS: usize = 11;

impl NodeGradients {
    /// From `[nodes, 11]`.
    pub(crate) fn of(gradients: &[f32]) -> Self {
        let nodes = gradients.chunks_exact(GRADIENTS);
        Self {
            gamma: nodes.clone().map(|g| g[9]).collect(),
            beta: nodes.clone().map(|g| g[10]).collect(),
            kernel: nodes.flat_map(|g| g[..9].to_vec()).collect(),
        }
    }
}

fn check(shape: NodeShape, x: &[f32], y: &[f32], parameters: &NodeParameters<'_>) {
    let maps = shape.images * shape.nodes;
    assert!(shape.stride > 0, "a stride of zero");
    assert_eq!(x.len(), maps * shape.pixels(), "length of x");
    assert_eq!(y.len(), maps * shape.output_pixels(), "length of y");
    assert_eq!(parameters.gamma.len(), shape.nodes, "length of gamma");
    assert_eq!(parameters.beta.len(), shape.nodes, "length of beta");
    assert_eq!(
        parameters.kernel.len(),
        9 * shape.nodes,
        "length of the kernel"
    );
}

/// Writes `y [images, nodes, output height, output width]` from `x [images, nodes, height, width]`, each map with its own norm.
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

/// Writes the gradient to `x` and returns those to the parameters, from `dy` and the same `x` as forward.
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
    let by_node = |maps: &[f32], pixels| {
        let mut rows = Buffer::uninitialised(maps.len());
        transpose(maps, [shape.images, shape.nodes], pixels, &mut rows);
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

/// Forward pass of nodes whose feature maps lie `[nodes, images, pixels]`; returns the statistics of their norms: `[nodes, maps or 1, 2]`, mean and
/// (biased) variance.
pub(crate) fn forward_rows(
    shape: NodeShape,
    norm: Norm<'_>,
    x: &[f32],
    parameters: &NodeParameters<'_>,
    z: &mut [f32],
) -> Buffer {
    let _span = tracing::trace_span!("nodes").entered();
    check(shape, x, z, parameters);
    let of_node = 2 * norm.statistics(shape);
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
            || vec![0.0; shape.buffer() + shape.padded_length()],
            |scratch, (node, (z, x))| {
                // SAFETY: a task writes its own node's statistics.
                let statistics = unsafe { tiles.row(node, 0..of_node) };
                // The row is at hand when it runs.
                compute_statistics(norm, node, x, shape.pixels(), statistics);
                forward_row(shape, parameters.node(node), statistics, x, scratch, z);
            },
        );
    statistics
}

/// Writes the gradient to `x` and adds those to the parameters, `[nodes, 11]`: nine taps, gamma, beta. `statistics` are those of
/// [`forward_rows`].
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
    let of_node = 2 * norm.statistics(shape);
    let way = match norm {
        Norm::None => Way::Straight,
        Norm::Running { .. } => Way::Scaled,
        Norm::Instance => Way::ByMap,
        Norm::Batch => Way::ByNode,
    };
    let tiles = Tiles::new(dx, row);
    gradients
        .par_chunks_exact_mut(GRADIENTS)
        .zip(x.par_chunks_exact(row).zip(dz.par_chunks_exact(output)))
        .enumerate()
        .for_each_init(
            || vec![0.0; 2 * shape.buffer() + shape.padded_length()],
            |scratch, (node, (gradients, (x, dz)))| {
                let statistics = &statistics[node * of_node..][..of_node];
                // SAFETY: a task writes its own node's row.
                let dx = unsafe { tiles.row(node, 0..row) };
                backward_row(
                    shape,
                    way,
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

/// How a gradient goes back through the norm.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    /// There is no norm.
    Straight,
    /// Its statistics do not depend on the input.
    Scaled,
    /// Each map has its own statistics.
    ByMap,
    /// All maps of the node have the same.
    ByNode,
}

/// Writes mean and variance of each map, or of all maps, of a node's row.
fn compute_statistics(
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
            let maps = statistics.chunks_exact_mut(2).zip(x.chunks_exact(pixels));
            maps.for_each(|(statistics, map)| measure(map, statistics));
        }
        Norm::Batch => measure(x, statistics),
    }
}

/// Mean and variance of each map or row, zero where there are no images.
fn statistics_of(shape: NodeShape, norm: Norm<'_>, x: &[f32]) -> Buffer {
    let (row, of_node) = (shape.images * shape.pixels(), 2 * norm.statistics(shape));
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
    fn measure(x: &[f32], statistics: &mut [f32]) = measure_body;
}

#[inline(always)]
fn measure_body<const SET: u8>(x: &[f32], statistics: &mut [f32]) {
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

/// Factor and summand of the norm of a map, `gamma / deviation` and `beta - factor mean`.
#[inline(always)]
fn affine(node: Node<'_>, statistics: &[f32]) -> (f32, f32) {
    match *statistics {
        [mean, variance] => {
            let factor = node.gamma * node.scale(variance);
            (factor, node.beta - factor * mean)
        }
        _ => (1.0, 0.0),
    }
}

/// The statistics of an image's map, where a node has one pair for each or one for all.
#[inline(always)]
fn statistics_of_image(statistics: &[f32], image: usize) -> &[f32] {
    if statistics.len() > 2 {
        &statistics[2 * image..][..2]
    } else {
        statistics
    }
}

/// ReLU that lets NaN through, as plain tensors do, so that a weight gone wrong is seen in the loss.
#[inline(always)]
fn rectified(x: f32) -> f32 {
    if x <= 0.0 { 0.0 } else { x }
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
    let (active, flat) = scratch.split_at_mut(shape.buffer());
    let maps = x
        .chunks_exact(shape.pixels())
        .zip(z.chunks_exact_mut(shape.output_pixels()));
    for (image, (x, z)) in maps.enumerate() {
        let (a, b) = affine(node, statistics_of_image(statistics, image));
        pad(shape, x, active, |x| {
            rectified(multiply_add::<SET>(a, x, b))
        });
        correlate::<SET>(shape, active, node.kernel, flat);
        collect(shape, flat, z);
    }
}

vectorised! {
    fn backward_row(
        shape: NodeShape,
        way: Way,
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
    way: Way,
    node: Node<'_>,
    statistics: &[f32],
    x: &[f32],
    dz: &[f32],
    scratch: &mut [f32],
    gradients: &mut [f32],
    dx: &mut [f32],
) {
    let (pixels, row) = (shape.pixels(), shape.width + 1);
    let (active, rest) = scratch.split_at_mut(shape.buffer());
    let (d_outputs, d_active) = rest.split_at_mut(shape.buffer());
    let mut taps = [[0.0f32; LANES]; 9];
    let mut flipped = [0.0; 9];
    for (tap, k) in flipped.iter_mut().enumerate() {
        *k = node.kernel[8 - tap];
    }
    let (mut sum_d, mut sum_dn) = (0.0f32, 0.0f32);
    let maps = x
        .chunks_exact(pixels)
        .zip(dz.chunks_exact(shape.output_pixels()))
        .zip(dx.chunks_exact_mut(pixels));
    for (image, ((x, dz), dx)) in maps.enumerate() {
        let own = statistics_of_image(statistics, image);
        let (a, b) = affine(node, own);
        pad(shape, x, active, |x| {
            rectified(multiply_add::<SET>(a, x, b))
        });
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

        // Through the ReLU, on the map without its padding. What is not above zero and not NaN was cut.
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
        match way {
            Way::Straight => {}
            Way::Scaled | Way::ByNode => {
                let (d, dn) = sums_with_normed::<SET>(dx, x, mean, scale);
                sum_d += d;
                sum_dn += dn;
                if way == Way::Scaled {
                    for dx in dx.iter_mut() {
                        *dx *= a;
                    }
                }
            }
            Way::ByMap => {
                let (d, dn) = sums_with_normed::<SET>(dx, x, mean, scale);
                sum_d += d;
                sum_dn += dn;
                centre_gradient::<SET>(dx, x, [mean, scale], a, [d, dn], pixels);
            }
        }
    }
    if way == Way::ByNode
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

/// The sums of `d` and of `d (x - mean) scale`.
#[inline(always)]
fn sums_with_normed<const SET: u8>(d: &[f32], x: &[f32], mean: f32, scale: f32) -> (f32, f32) {
    // `sum of d (x - mean)` once, times the scale.
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

/// Through a norm whose statistics are those of `n` numbers: `d = a (d - sum d / n - x' sum(d x') / n)`, `x'` the normed `x`.
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

/// Norms maps `[nodes, images, pixels]` without the rest of the node function; returns the statistics.
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
        2 * norm.statistics(shape),
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

/// The gradient through [`normalise`] by each map's own statistics; adds to `gradients`, of which only gamma and beta have any.
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
            let gamma = parameters.gamma[node];
            let statistics = &statistics[2 * shape.images * node..];
            let maps = x
                .chunks_exact(pixels)
                .zip(dy.chunks_exact(pixels))
                .zip(dx.chunks_exact_mut(pixels));
            for (image, ((x, dy), dx)) in maps.enumerate() {
                let (mean, variance) = (statistics[2 * image], statistics[2 * image + 1]);
                let scale = 1.0 / (variance + parameters.epsilon).sqrt();
                dx.copy_from_slice(dy);
                let (d, dn) = sums_with_normed::<{ crate::simd::BASELINE }>(dx, x, mean, scale);
                gradients[9] += dn;
                gradients[10] += d;
                centre_gradient::<{ crate::simd::BASELINE }>(
                    dx,
                    x,
                    [mean, scale],
                    gamma * scale,
                    [d, dn],
                    pixels,
                );
            }
        });
}
