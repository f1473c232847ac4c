//! Batch norm, and the ReLU that mostly follows it, in one operation each way.
//!
//! `y = gamma (x - mean) / sqrt(var + eps) + beta` with the mean and the (biased) variance of a channel's pixels in the whole batch
//! (Ioffe and Szegedy 2015).

use rayon::prelude::*;

use crate::simd::{LANES, multiply_add, sum_lanes, vectorised};
use crate::tiles::Tiles;

/// A batch and its channels, `[images, channels, pixels]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NormShape {
    /// Images in the batch.
    pub images: usize,
    /// Channels, each with a norm of its own.
    pub channels: usize,
    /// Pixels of a map.
    pub pixels: usize,
}

/// The numbers of a norm.
#[derive(Clone, Copy, Debug)]
pub struct NormParameters<'a> {
    /// Scale, `[channels]`.
    pub gamma: &'a [f32],
    /// Shift, `[channels]`.
    pub beta: &'a [f32],
    /// Added to the variance.
    pub epsilon: f32,
    /// Whether what is below zero is cut off.
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

/// A channel's place in the batch, and its numbers.
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
    fn map<'a>(&self, batch: &'a [f32], image: usize) -> &'a [f32] {
        &batch[self.row(image) * self.shape.pixels..][..self.shape.pixels]
    }

    /// Factor and summand of the norm.
    #[inline(always)]
    fn affine(&self, [mean, variance]: [f32; 2]) -> (f32, f32) {
        let factor = self.gamma / (variance + self.epsilon).sqrt();
        (factor, self.beta - factor * mean)
    }
}

/// Writes `y` and gives mean and biased variance of each channel, `[channels, 2]`.
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

/// Writes the gradient to `x` and gives those to gamma and beta, from the statistics of [`forward`].
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
                let mut found = [0.0; 2];
                let channel = Channel::of(shape, channel, parameters);
                denormalise(channel, x, statistics, dy, &mut found, &tiles);
                [*gamma, *beta] = found;
            });
    }
    [gamma, beta]
}

/// A sum in lanes, over maps of any size.
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
    reason = "lanes go side by side, and the compiler sees it so"
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
        let map = channel.map(x, image);
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
        let map = channel.map(x, image);
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
        for (y, &x) in y.iter_mut().zip(channel.map(x, image)) {
            let value = multiply_add::<SET>(a, x, b);
            // What is not a number goes through, so that it is seen in the loss.
            *y = if channel.rectified && value <= 0.0 {
                0.0
            } else {
                value
            };
        }
    }
}

vectorised! {
    fn denormalise(channel: Channel, x: &[f32], statistics: [f32; 2], dy: &[f32], found: &mut [f32; 2], dx: &Tiles<'_>) = denormalise_body;
}

#[inline(always)]
#[allow(clippy::needless_range_loop, reason = "as above")]
fn denormalise_body<const SET: u8>(
    channel: Channel,
    x: &[f32],
    statistics: [f32; 2],
    dy: &[f32],
    found: &mut [f32; 2],
    dx: &Tiles<'_>,
) {
    let NormShape { images, pixels, .. } = channel.shape;
    let n = (images * pixels) as f32;
    let whole = pixels - pixels % LANES;
    let [mean, variance] = statistics;
    let scale = 1.0 / (variance + channel.epsilon).sqrt();
    let (a, b) = channel.affine(statistics);
    let rectified = channel.rectified;
    let passed = |x: f32, d: f32| {
        let value = multiply_add::<SET>(a, x, b);
        if rectified && value <= 0.0 { 0.0 } else { d }
    };
    let (mut sum_d, mut sum_dx) = (Sum::new(), Sum::new());
    for image in 0..images {
        let (x, dy) = (channel.map(x, image), channel.map(dy, image));
        let chunks = x[..whole]
            .chunks_exact(LANES)
            .zip(dy[..whole].chunks_exact(LANES));
        for (x, dy) in chunks {
            for i in 0..LANES {
                let d = passed(x[i], dy[i]);
                sum_d.lanes[i] += d;
                sum_dx.lanes[i] = multiply_add::<SET>(d, x[i] - mean, sum_dx.lanes[i]);
            }
        }
        for (&x, &dy) in x[whole..].iter().zip(&dy[whole..]) {
            let d = passed(x, dy);
            sum_d.rest += d;
            sum_dx.rest = multiply_add::<SET>(d, x - mean, sum_dx.rest);
        }
    }
    let (beta, gamma) = (sum_d.value(), sum_dx.value() * scale);
    *found = [gamma, beta];
    let (mean_d, mean_dn) = (beta / n, gamma / n);
    for image in 0..images {
        // SAFETY: a task writes its own channel.
        let dx = unsafe { dx.row(channel.row(image), 0..pixels) };
        for ((dx, &x), &dy) in dx
            .iter_mut()
            .zip(channel.map(x, image))
            .zip(channel.map(dy, image))
        {
            let normed = (x - mean) * scale;
            *dx = a * (passed(x, dy) - mean_d - normed * mean_dn);
        }
    }
}
