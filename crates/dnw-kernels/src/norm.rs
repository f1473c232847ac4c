//! Batch norm, optionally fused with a ReLU, forward and backward.
//!
//! `y = gamma (x - mean) / sqrt(var + eps) + beta` with the mean and (biased) variance of a channel over the batch
//! (Ioffe and Szegedy 2015).

use rayon::prelude::*;

use crate::simd::{LANES, multiply_add, sum_lanes, vectorised};
use crate::tiles::Tiles;

/// The sizes of a batch, `[images, channels, pixels]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NormShape {
    /// Images in the batch.
    pub images: usize,
    /// Channels.
    pub channels: usize,
    /// Pixels of a feature map.
    pub pixels: usize,
}

/// The parameters of a batch norm.
#[derive(Clone, Copy, Debug)]
pub struct NormParameters<'a> {
    /// Scale, `[channels]`.
    pub gamma: &'a [f32],
    /// Shift, `[channels]`.
    pub beta: &'a [f32],
    /// Added to the variance.
    pub epsilon: f32,
    /// Whether a ReLU follows.
    pub rectified: bool,
}

impl NormShape {
    fn check(&self, x: &[f32], y: &[f32], parameters: &NormParameters<'_>) {
        assert_eq!(
            x.len(),
            self.images * self.channels * self.pixels,
            "length of x"
        );
        assert_eq!(y.len(), x.len(), "length of y");
        assert_eq!(parameters.gamma.len(), self.channels, "length of gamma");
        assert_eq!(parameters.beta.len(), self.channels, "length of beta");
    }
}

/// A channel of the batch and its parameters.
#[derive(Clone, Copy)]
struct Channel {
    shape: NormShape,
    channel: usize,
    gamma: f32,
    beta: f32,
    epsilon: f32,
    rectified: bool,
}

impl Channel {
    fn of(shape: NormShape, channel: usize, parameters: &NormParameters<'_>) -> Self {
        Self {
            shape,
            channel,
            gamma: parameters.gamma[channel],
            beta: parameters.beta[channel],
            epsilon: parameters.epsilon,
            rectified: parameters.rectified,
        }
    }

    #[inline(always)]
    fn row(&self, image: usize) -> usize {
        image * self.shape.channels + self.channel
    }

    #[inline(always)]
    fn feature_map<'a>(&self, batch: &'a [f32], image: usize) -> &'a [f32] {
        &batch[self.row(image) * self.shape.pixels..][..self.shape.pixels]
    }

    /// The norm as `factor x + offset`.
    #[inline(always)]
    fn affine(&self, [mean, variance]: [f32; 2]) -> (f32, f32) {
        let factor = self.gamma / (variance + self.epsilon).sqrt();
        (factor, self.beta - factor * mean)
    }
}

/// Writes the output to `y` and returns mean and biased variance of each channel, `[channels, 2]`.
///
/// # Shapes
/// `x` and `y`: `[images, channels, pixels]`.
///
/// # Panics
/// If a length does not fit `shape`.
pub fn forward(
    shape: NormShape,
    x: &[f32],
    parameters: &NormParameters<'_>,
    y: &mut [f32],
) -> Vec<f32> {
    shape.check(x, y, parameters);
    let mut statistics = vec![0.0; 2 * shape.channels];
    if x.is_empty() {
        return statistics;
    }
    let tiles = Tiles::new(y, shape.pixels);
    statistics
        .par_chunks_exact_mut(2)
        .enumerate()
        .for_each(|(channel, statistics)| {
            normalise(
                Channel::of(shape, channel, parameters),
                x,
                statistics,
                &tiles,
            );
        });
    statistics
}

/// The backward pass of [`forward`], which returned the `statistics`: writes the gradient of `x` to `dx` and returns the gradients of gamma and
/// beta, `[channels]` each.
///
/// # Shapes
/// `x`, `dy` and `dx`: `[images, channels, pixels]`.
///
/// # Panics
/// If a length does not fit `shape`.
pub fn backward(
    shape: NormShape,
    x: &[f32],
    statistics: &[f32],
    parameters: &NormParameters<'_>,
    dy: &[f32],
    dx: &mut [f32],
) -> [Vec<f32>; 2] {
    shape.check(x, dy, parameters);
    assert_eq!(dx.len(), x.len(), "length of dx");
    assert_eq!(
        statistics.len(),
        2 * shape.channels,
        "length of the statistics"
    );
    let (mut gamma, mut beta) = (vec![0.0; shape.channels], vec![0.0; shape.channels]);
    if !x.is_empty() {
        let tiles = Tiles::new(dx, shape.pixels);
        gamma
            .par_iter_mut()
            .zip(&mut beta)
            .enumerate()
            .for_each(|(channel, (gamma, beta))| {
                let statistics = [statistics[2 * channel], statistics[2 * channel + 1]];
                let mut gradients = [0.0; 2];
                let channel = Channel::of(shape, channel, parameters);
                denormalise(channel, x, statistics, dy, &mut gradients, &tiles);
                [*gamma, *beta] = gradients;
            });
    }
    [gamma, beta]
}

/// A sum accumulated in lanes, over feature maps of any size.
struct Sum {
    lanes: [f32; LANES],
    rest: f32,
}

impl Sum {
    #[inline(always)]
    fn new() -> Self {
        Self {
            lanes: [0.0; LANES],
            rest: 0.0,
        }
    }

    #[inline(always)]
    fn value(self) -> f32 {
        sum_lanes(self.lanes) + self.rest
    }
}

vectorised! {
    fn normalise(channel: Channel, x: &[f32], statistics: &mut [f32], y: &Tiles<'_>) = normalise_body;
}

#[inline(always)]
#[allow(
    clippy::needless_range_loop,
    reason = "the compiler vectorises the indexed loop"
)]
fn normalise_body<const SET: u8>(
    channel: Channel,
    x: &[f32],
    statistics: &mut [f32],
    y: &Tiles<'_>,
) {
    let NormShape { images, pixels, .. } = channel.shape;
    let n = (images * pixels) as f32;
    let whole = pixels - pixels % LANES;
    let mut sum = Sum::new();
    for image in 0..images {
        let map = channel.feature_map(x, image);
        for chunk in map[..whole].chunks_exact(LANES) {
            for i in 0..LANES {
                sum.lanes[i] += chunk[i];
            }
        }
        for value in &map[whole..] {
            sum.rest += value;
        }
    }
    let mean = sum.value() / n;
    let mut squares = Sum::new();
    for image in 0..images {
        let map = channel.feature_map(x, image);
        for chunk in map[..whole].chunks_exact(LANES) {
            for i in 0..LANES {
                let d = chunk[i] - mean;
                squares.lanes[i] = multiply_add::<SET>(d, d, squares.lanes[i]);
            }
        }
        for value in &map[whole..] {
            let d = value - mean;
            squares.rest = multiply_add::<SET>(d, d, squares.rest);
        }
    }
    let variance = squares.value() / n;
    statistics.copy_from_slice(&[mean, variance]);
    let (a, b) = channel.affine([mean, variance]);
    for image in 0..images {
        // SAFETY: a task writes its own channel.
        let y = unsafe { y.row(channel.row(image), 0..pixels) };
        for (y, &x) in y.iter_mut().zip(channel.feature_map(x, image)) {
            let value = multiply_add::<SET>(a, x, b);
            // NaN is propagated, so that it shows up in the loss.
            *y = if channel.rectified && value <= 0.0 {
                0.0
            } else {
                value
            };
        }
    }
}

vectorised! {
    fn denormalise(channel: Channel, x: &[f32], statistics: [f32; 2], dy: &[f32], gradients: &mut [f32; 2], dx: &Tiles<'_>) = denormalise_body;
}

#[inline(always)]
#[allow(clippy::needless_range_loop, reason = "as above")]
fn denormalise_body<const SET: u8>(
    channel: Channel,
    x: &[f32],
    statistics: [f32; 2],
    dy: &[f32],
    gradients: &mut [f32; 2],
    dx: &Tiles<'_>,
) {
    let NormShape { images, pixels, .. } = channel.shape;
    let n = (images * pixels) as f32;
    let whole = pixels - pixels % LANES;
    let [mean, variance] = statistics;
    let scale = 1.0 / (variance + channel.epsilon).sqrt();
    let (a, b) = channel.affine(statistics);
    let rectified = channel.rectified;
    let through_relu = |x: f32, d: f32| {
        let value = multiply_add::<SET>(a, x, b);
        if rectified && value <= 0.0 { 0.0 } else { d }
    };
    let (mut sum_d, mut sum_dx) = (Sum::new(), Sum::new());
    for image in 0..images {
        let (x, dy) = (
            channel.feature_map(x, image),
            channel.feature_map(dy, image),
        );
        let chunks = x[..whole]
            .chunks_exact(LANES)
            .zip(dy[..whole].chunks_exact(LANES));
        for (x, dy) in chunks {
            for i in 0..LANES {
                let d = through_relu(x[i], dy[i]);
                sum_d.lanes[i] += d;
                sum_dx.lanes[i] = multiply_add::<SET>(d, x[i] - mean, sum_dx.lanes[i]);
            }
        }
        for (&x, &dy) in x[whole..].iter().zip(&dy[whole..]) {
            let d = through_relu(x, dy);
            sum_d.rest += d;
            sum_dx.rest = multiply_add::<SET>(d, x - mean, sum_dx.rest);
        }
    }
    let (beta, gamma) = (sum_d.value(), sum_dx.value() * scale);
    *gradients = [gamma, beta];
    let (mean_d, mean_dn) = (beta / n, gamma / n);
    for image in 0..images {
        // SAFETY: a task writes its own channel.
        let dx = unsafe { dx.row(channel.row(image), 0..pixels) };
        for ((dx, &x), &dy) in dx
            .iter_mut()
            .zip(channel.feature_map(x, image))
            .zip(channel.feature_map(dy, image))
        {
            let normed = (x - mean) * scale;
            *dx = a * (through_relu(x, dy) - mean_d - normed * mean_dn);
        }
    }
}
