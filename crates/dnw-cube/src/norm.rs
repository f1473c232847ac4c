//! Batch norm with the ReLU after it, forward and backward, and running averages.
//!
//! The statistics of a channel are the sum over its pixels in all images, then the sum of squared differences from their mean. Workgroups sum
//! chunks of a channel, each by itself, with the mean of the chunk; where a channel has several, a second kernel joins them. Another kernel
//! normalises. The backward pass likewise sums two numbers per channel and then writes the gradient of the input. Each pass over the pixels
//! recomputes what it needs from the input, so that nothing but the input and the statistics is kept.

use cubecl::prelude::*;

use crate::buffer::{Buffer, WORKGROUP_SIZE, workgroups};

pub(crate) mod kernels;

use kernels::{
    apply, apply_backward, average, join_statistics, join_sums, sum_backward, sum_statistics,
};

/// The sizes of a batch of feature maps and how they are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NormShape {
    /// Channels.
    pub channels: usize,
    /// Images in the batch.
    pub images: usize,
    /// Pixels of a feature map.
    pub pixels: usize,
    /// Whether all feature maps of a channel are adjacent, `[channels, images, pixels]`, instead of `[images, channels, pixels]`.
    pub channels_first: bool,
}

/// How often a thread adds before its chunk ends.
const ADDS: usize = 16;
/// The most chunks of a channel.
const CHUNKS: usize = 64;

impl NormShape {
    pub(crate) fn length(self) -> usize {
        self.channels * self.images * self.pixels
    }

    /// How many vectors of how many elements the pixels of a feature map are.
    fn lanes(self) -> usize {
        let lanes = [4, 2, 1].into_iter();
        let mut fit = lanes.filter(|&lanes| self.pixels.is_multiple_of(lanes));
        fit.next().unwrap_or(1)
    }

    /// Threads of a workgroup, and chunks of a channel.
    fn chunks(self) -> (u32, usize) {
        let vectors = self.images * self.pixels / self.lanes();
        let threads = vectors
            .next_power_of_two()
            .clamp(32, WORKGROUP_SIZE as usize);
        let chunks = vectors.div_ceil(threads * ADDS).clamp(1, CHUNKS);
        (threads as u32, chunks)
    }

    /// Elements from a channel to the next, and from an image to the next, in vectors.
    fn strides(self) -> [u32; 2] {
        let pixels = self.pixels / self.lanes();
        let strides = match self.channels_first {
            true => [self.images * pixels, pixels],
            false => [pixels, self.channels * pixels],
        };
        strides.map(|stride| stride as u32)
    }
}

/// Mean and biased variance of each channel.
#[derive(Clone, Debug)]
pub struct Statistics {
    /// The means, `[channels]`.
    pub mean: Buffer,
    /// The biased variances, `[channels]`.
    pub variance: Buffer,
}

/// What a batch norm applies.
#[derive(Clone, Debug)]
pub struct Affine {
    /// The scale, `[channels]`.
    pub gamma: Buffer,
    /// The shift, `[channels]`.
    pub beta: Buffer,
    /// Added to the variance.
    pub epsilon: f32,
    /// Whether a ReLU follows.
    pub rectified: bool,
}

impl Affine {
    fn check(&self, shape: NormShape) {
        assert_eq!(self.gamma.length(), shape.channels, "length of gamma");
        assert_eq!(self.beta.length(), shape.channels, "length of beta");
    }
}

/// The statistics of a batch.
///
/// # Panics
/// If a length does not fit.
pub fn statistics(client: &Client, shape: NormShape, x: &Buffer) -> Statistics {
    assert_eq!(x.length(), shape.length(), "length of the input");
    let of_channels = || Buffer::uninitialised(client, shape.channels);
    let found = Statistics {
        mean: of_channels(),
        variance: of_channels(),
    };
    if x.length() == 0 {
        return found;
    }
    let (threads, chunks) = shape.chunks();
    let lanes = shape.lanes();
    let [channel_stride, image_stride] = shape.strides();
    let parts = match chunks {
        1 => found.clone(),
        _ => Statistics {
            mean: Buffer::uninitialised(client, shape.channels * chunks),
            variance: Buffer::uninitialised(client, shape.channels * chunks),
        },
    };
    // SAFETY: there is a workgroup per chunk of a channel, and vectors are checked against their number.
    unsafe {
        sum_statistics::launch_unchecked(
            client,
            CubeCount::Static(chunks as u32, shape.channels as u32, 1),
            CubeDim::new_1d(threads),
            lanes,
            x.arg(lanes),
            parts.mean.arg(1),
            parts.variance.arg(1),
            channel_stride,
            image_stride,
            (shape.pixels / lanes) as u32,
            (shape.images * shape.pixels / lanes) as u32,
            threads,
        );
    }
    if chunks > 1 {
        // SAFETY: threads beyond the last channel return at once.
        unsafe {
            join_statistics::launch_unchecked(
                client,
                workgroups(shape.channels),
                CubeDim::new_1d(WORKGROUP_SIZE),
                parts.mean.arg(1),
                parts.variance.arg(1),
                found.mean.arg(1),
                found.variance.arg(1),
                chunks as u32,
                (shape.images * shape.pixels / lanes) as u32,
                lanes as u32,
            );
        }
    }
    found
}

/// Normalises `x` by the statistics into `y`.
///
/// # Panics
/// If a length does not fit.
pub fn forward(
    client: &Client,
    shape: NormShape,
    x: &Buffer,
    statistics: &Statistics,
    affine: &Affine,
    y: &Buffer,
) {
    affine.check(shape);
    assert_eq!(x.length(), shape.length(), "length of the input");
    assert_eq!(y.length(), shape.length(), "length of the output");
    if x.length() == 0 {
        return;
    }
    let lanes = shape.lanes();
    let [channel_stride, _] = shape.strides();
    // SAFETY: threads beyond the last vector return at once.
    unsafe {
        apply::launch_unchecked(
            client,
            workgroups(x.length() / lanes),
            CubeDim::new_1d(WORKGROUP_SIZE),
            lanes,
            x.arg(lanes),
            statistics.mean.arg(1),
            statistics.variance.arg(1),
            affine.gamma.arg(1),
            affine.beta.arg(1),
            y.arg(lanes),
            affine.epsilon,
            channel_stride,
            shape.channels as u32,
            affine.rectified,
        );
    }
}

/// The backward pass of [`forward`] with the statistics of `x` itself: writes the gradient of `x` to `dx` from element `first` on, and returns
/// those of gamma and beta.
///
/// # Panics
/// If a length does not fit.
#[allow(clippy::too_many_arguments)]
pub fn backward(
    client: &Client,
    shape: NormShape,
    x: &Buffer,
    statistics: &Statistics,
    affine: &Affine,
    dy: &Buffer,
    dx: &Buffer,
    first: usize,
) -> [Buffer; 2] {
    affine.check(shape);
    assert_eq!(x.length(), shape.length(), "length of the input");
    assert_eq!(dy.length(), shape.length(), "length of the gradient");
    let lanes = shape.lanes();
    assert!(
        first + shape.length() <= dx.length() && first.is_multiple_of(lanes),
        "length of the input's gradient"
    );
    let of_channels = || Buffer::uninitialised(client, shape.channels);
    let [dgamma, dbeta] = [of_channels(), of_channels()];
    if x.length() == 0 {
        return [dgamma, dbeta];
    }
    let (threads, chunks) = shape.chunks();
    let [channel_stride, image_stride] = shape.strides();
    let parts = match chunks {
        1 => [dgamma.clone(), dbeta.clone()],
        _ => [(); 2].map(|()| Buffer::uninitialised(client, shape.channels * chunks)),
    };
    // SAFETY: as in `statistics`.
    unsafe {
        sum_backward::launch_unchecked(
            client,
            CubeCount::Static(chunks as u32, shape.channels as u32, 1),
            CubeDim::new_1d(threads),
            lanes,
            x.arg(lanes),
            dy.arg(lanes),
            statistics.mean.arg(1),
            statistics.variance.arg(1),
            affine.gamma.arg(1),
            affine.beta.arg(1),
            parts[0].arg(1),
            parts[1].arg(1),
            affine.epsilon,
            channel_stride,
            image_stride,
            (shape.pixels / lanes) as u32,
            (shape.images * shape.pixels / lanes) as u32,
            affine.rectified,
            threads,
        );
        if chunks > 1 {
            join_sums::launch_unchecked(
                client,
                workgroups(shape.channels),
                CubeDim::new_1d(WORKGROUP_SIZE),
                parts[0].arg(1),
                parts[1].arg(1),
                dgamma.arg(1),
                dbeta.arg(1),
                chunks as u32,
            );
        }
        apply_backward::launch_unchecked(
            client,
            workgroups(x.length() / lanes),
            CubeDim::new_1d(WORKGROUP_SIZE),
            lanes,
            x.arg(lanes),
            dy.arg(lanes),
            statistics.mean.arg(1),
            statistics.variance.arg(1),
            affine.gamma.arg(1),
            affine.beta.arg(1),
            dgamma.arg(1),
            dbeta.arg(1),
            dx.arg(lanes),
            affine.epsilon,
            channel_stride,
            shape.channels as u32,
            (shape.images * shape.pixels) as u32,
            (first / lanes) as u32,
            affine.rectified,
        );
    }
    [dgamma, dbeta]
}

/// The running averages after a batch: `(1 - momentum) running + momentum of the batch`, with the variance of the batch times `unbiased`.
///
/// # Shapes
/// `running`, the result: mean and variance, `[channels]` each.
///
/// # Panics
/// If a length does not fit.
pub fn move_averages(
    client: &Client,
    running: [&Buffer; 2],
    of_batch: &Statistics,
    momentum: f32,
    unbiased: f32,
) -> [Buffer; 2] {
    let channels = running[0].length();
    assert_eq!(running[1].length(), channels, "length of the variances");
    for of_batch in [&of_batch.mean, &of_batch.variance] {
        assert_eq!(of_batch.length(), channels, "length of the statistics");
    }
    let moved = [(); 2].map(|()| Buffer::uninitialised(client, channels));
    if channels > 0 {
        // SAFETY: threads beyond the last channel return at once.
        unsafe {
            average::launch_unchecked(
                client,
                workgroups(channels),
                CubeDim::new_1d(WORKGROUP_SIZE),
                running[0].arg(1),
                running[1].arg(1),
                of_batch.mean.arg(1),
                of_batch.variance.arg(1),
                moved[0].arg(1),
                moved[1].arg(1),
                momentum,
                unbiased,
            );
        }
    }
    moved
}
