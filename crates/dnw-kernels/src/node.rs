//! The node function of a channel, fused: instance norm, ReLU, depthwise 3 x 3.
//!
//! `z = k * relu(gamma (i - mean) / sqrt(var + eps) + beta)`, with mean and (biased) variance over the pixels of
//! one channel of one image, `*` the cross-correlation with one pixel of zero padding, stride 1
//! (Wortsman et al. 2019, section 3.1, as in the published tiny classifiers).
//!
//! A map is copied once into a buffer with one column of zeros between its rows and a row of zeros
//! above and below. There, each of the nine taps is a plain shift of the flat buffer, so that the whole
//! convolution vectorises whatever the width of the map.

use rayon::prelude::*;

use crate::part_size;
use crate::simd::{LANES, dot, multiply_add, sum, vectorised};

/// The sizes of the nodes' maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeShape {
    /// Images in the batch.
    pub images: usize,
    /// Nodes, one channel each.
    pub nodes: usize,
    /// Height of a map.
    pub height: usize,
    /// Width of a map.
    pub width: usize,
}

impl NodeShape {
    /// Pixels of a map.
    pub fn pixels(&self) -> usize {
        self.height * self.width
    }

    /// Flat length of a map with its separating column, rounded up to whole vectors.
    fn stride(&self) -> usize {
        (self.height * (self.width + 1)).next_multiple_of(LANES)
    }

    /// Length of a buffer in which every tap of every output is in range.
    fn buffer(&self) -> usize {
        self.stride() + 2 * (self.width + 2)
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

fn check(shape: NodeShape, x: &[f32], y: &[f32], parameters: &NodeParameters<'_>) {
    assert_eq!(
        x.len(),
        shape.images * shape.nodes * shape.pixels(),
        "length of x"
    );
    assert_eq!(y.len(), x.len(), "length of y");
    assert_eq!(parameters.gamma.len(), shape.nodes, "length of gamma");
    assert_eq!(parameters.beta.len(), shape.nodes, "length of beta");
    assert_eq!(
        parameters.kernel.len(),
        9 * shape.nodes,
        "length of the kernel"
    );
}

/// Writes `y [images, nodes, height, width]` from `x` of the same shape.
///
/// # Panics
/// If a length does not fit `shape`.
pub fn forward(shape: NodeShape, x: &[f32], parameters: &NodeParameters<'_>, y: &mut [f32]) {
    check(shape, x, y, parameters);
    let image = shape.nodes * shape.pixels();
    if x.is_empty() {
        return;
    }
    let part = part_size(shape.images) * image;
    x.par_chunks(part)
        .zip(y.par_chunks_mut(part))
        .for_each(|(x, y)| {
            let mut active = vec![0.0; shape.buffer()];
            fire(shape, x, parameters, &mut active, y);
        });
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
    let image = shape.nodes * shape.pixels();
    let mut total = vec![0.0; 11 * shape.nodes];
    if !x.is_empty() {
        let part = part_size(shape.images) * image;
        let partial: Vec<Vec<f32>> = x
            .par_chunks(part)
            .zip(dy.par_chunks(part))
            .zip(dx.par_chunks_mut(part))
            .map(|((x, dy), dx)| {
                let mut scratch = vec![0.0; 2 * shape.buffer() + 2 * shape.stride()];
                let mut gradients = vec![0.0; 11 * shape.nodes];
                recall(shape, x, parameters, dy, &mut scratch, &mut gradients, dx);
                gradients
            })
            .collect();
        for part in partial {
            for (sum, value) in total.iter_mut().zip(part) {
                *sum += value;
            }
        }
    }
    NodeGradients {
        gamma: total.chunks_exact(11).map(|g| g[9]).collect(),
        beta: total.chunks_exact(11).map(|g| g[10]).collect(),
        kernel: total
            .chunks_exact(11)
            .flat_map(|g| g[..9].to_vec())
            .collect(),
    }
}

/// Mean and reciprocal standard deviation of a map.
#[inline(always)]
fn moments<const FUSED: bool>(x: &[f32], epsilon: f32) -> (f32, f32) {
    let mean = sum(x) / x.len() as f32;
    let mut lanes = [0.0f32; LANES];
    let chunks = x.chunks_exact(LANES);
    let mut square = 0.0;
    for &value in chunks.remainder() {
        let d = value - mean;
        square = multiply_add::<FUSED>(d, d, square);
    }
    for chunk in chunks {
        for i in 0..LANES {
            let d = chunk[i] - mean;
            lanes[i] = multiply_add::<FUSED>(d, d, lanes[i]);
        }
    }
    let variance = (sum(&lanes) + square) / x.len() as f32;
    (mean, 1.0 / (variance + epsilon).sqrt())
}

/// ReLU that lets NaN through, as plain tensors do, so that a weight gone wrong is seen in the loss.
#[inline(always)]
fn rectified(x: f32) -> f32 {
    if x <= 0.0 { 0.0 } else { x }
}

/// Copies a map through `value` into a padded buffer; the padding must be zero already.
#[inline(always)]
fn pad(shape: NodeShape, map: &[f32], buffer: &mut [f32], value: impl Fn(f32) -> f32) {
    let (width, row) = (shape.width, shape.width + 1);
    for (y, line) in map.chunks_exact(width).enumerate() {
        let out = &mut buffer[(y + 1) * row + 1..][..width];
        for (out, &x) in out.iter_mut().zip(line) {
            *out = value(x);
        }
    }
}

/// Where tap `(row, column)` of the kernel reads, relative to an output's flat place.
#[inline(always)]
fn shift(shape: NodeShape, tap: usize) -> usize {
    (tap / 3) * (shape.width + 1) + tap % 3
}

vectorised! {
    fn fire(shape: NodeShape, x: &[f32], parameters: &NodeParameters<'_>, active: &mut [f32], y: &mut [f32]) = fire_body;
}

#[inline(always)]
fn fire_body<const FUSED: bool>(
    shape: NodeShape,
    x: &[f32],
    parameters: &NodeParameters<'_>,
    active: &mut [f32],
    y: &mut [f32],
) {
    let pixels = shape.pixels();
    for (i, (x, y)) in x
        .chunks_exact(pixels)
        .zip(y.chunks_exact_mut(pixels))
        .enumerate()
    {
        let node = i % shape.nodes;
        let (mean, scale) = moments::<FUSED>(x, parameters.epsilon);
        let a = parameters.gamma[node] * scale;
        let b = parameters.beta[node] - a * mean;
        pad(shape, x, active, |x| {
            rectified(multiply_add::<FUSED>(a, x, b))
        });
        let kernel: &[f32; 9] = parameters.kernel[9 * node..][..9]
            .try_into()
            .expect("nine taps");
        correlate::<FUSED>(shape, active, kernel, |start, out| {
            copy_out(shape, start, out, y)
        });
    }
}

/// Runs the nine taps over a padded buffer and hands over sixteen flat outputs at a time.
#[inline(always)]
fn correlate<const FUSED: bool>(
    shape: NodeShape,
    buffer: &[f32],
    kernel: &[f32; 9],
    mut put: impl FnMut(usize, &[f32; LANES]),
) {
    for start in (0..shape.stride()).step_by(LANES) {
        let mut out = [0.0f32; LANES];
        for (tap, &k) in kernel.iter().enumerate() {
            let read = &buffer[start + shift(shape, tap)..][..LANES];
            for i in 0..LANES {
                out[i] = multiply_add::<FUSED>(k, read[i], out[i]);
            }
        }
        put(start, &out);
    }
}

/// Copies the flat outputs that are pixels (not the separating column) into the map.
#[inline(always)]
fn copy_out(shape: NodeShape, start: usize, out: &[f32; LANES], map: &mut [f32]) {
    let row = shape.width + 1;
    let (mut y, mut column) = (start / row, start % row);
    let mut i = 0;
    while i < LANES && y < shape.height {
        let run = (shape.width - column.min(shape.width)).min(LANES - i);
        map[y * shape.width + column.min(shape.width)..][..run].copy_from_slice(&out[i..i + run]);
        i += run;
        column += run;
        if column >= shape.width && i < LANES {
            i += 1;
            y += 1;
            column = 0;
        }
    }
}

vectorised! {
    /// The backward pass of a part of the batch. `gradients` is `[nodes, 11]`: nine taps, gamma, beta.
    fn recall(
        shape: NodeShape,
        x: &[f32],
        parameters: &NodeParameters<'_>,
        dy: &[f32],
        scratch: &mut [f32],
        gradients: &mut [f32],
        dx: &mut [f32],
    ) = recall_body;
}

#[inline(always)]
#[allow(clippy::too_many_arguments)]
fn recall_body<const FUSED: bool>(
    shape: NodeShape,
    x: &[f32],
    parameters: &NodeParameters<'_>,
    dy: &[f32],
    scratch: &mut [f32],
    gradients: &mut [f32],
    dx: &mut [f32],
) {
    let (pixels, row) = (shape.pixels(), shape.width + 1);
    let (active, rest) = scratch.split_at_mut(shape.buffer());
    let (dz, rest) = rest.split_at_mut(shape.buffer());
    let (da, normed) = rest.split_at_mut(shape.stride());
    let maps = x
        .chunks_exact(pixels)
        .zip(dy.chunks_exact(pixels))
        .zip(dx.chunks_exact_mut(pixels));
    for (i, ((x, dy), dx)) in maps.enumerate() {
        let node = i % shape.nodes;
        let gradients = &mut gradients[11 * node..][..11];
        let (mean, scale) = moments::<FUSED>(x, parameters.epsilon);
        let (gamma, beta) = (parameters.gamma[node], parameters.beta[node]);
        let (a, b) = (gamma * scale, beta - gamma * scale * mean);
        pad(shape, x, active, |x| {
            rectified(multiply_add::<FUSED>(a, x, b))
        });
        pad(shape, dy, dz, |d| d);

        // The outputs' gradient starts one row and one column into its buffer, at the centre tap.
        let centre = &dz[row + 1..][..shape.stride()];
        for (tap, gradient) in gradients[..9].iter_mut().enumerate() {
            *gradient += dot::<FUSED>(centre, &active[shift(shape, tap)..][..shape.stride()]);
        }

        let mut flipped = [0.0; 9];
        for (tap, k) in flipped.iter_mut().enumerate() {
            *k = parameters.kernel[9 * node + 8 - tap];
        }
        correlate::<FUSED>(shape, dz, &flipped, |start, out| {
            da[start..start + LANES].copy_from_slice(out);
        });

        // Through the ReLU and into the norm, on the map without its padding.
        let (da, normed) = (&mut da[..], &mut normed[..pixels]);
        for y in 0..shape.height {
            for c in 0..shape.width {
                let gate = active[(y + 1) * row + 1 + c];
                let passes = gate > 0.0 || gate.is_nan();
                dx[y * shape.width + c] = if passes { da[y * row + c] } else { 0.0 };
            }
        }
        for (normed, &x) in normed.iter_mut().zip(x) {
            *normed = (x - mean) * scale;
        }
        let dbeta = sum(dx);
        let dgamma = dot::<FUSED>(dx, normed);
        gradients[9] += dgamma;
        gradients[10] += dbeta;
        let (mean_d, mean_dn) = (dbeta / pixels as f32, dgamma / pixels as f32);
        for (dx, &n) in dx.iter_mut().zip(normed.iter()) {
            *dx = a * (*dx - mean_d - n * mean_dn);
        }
    }
}
