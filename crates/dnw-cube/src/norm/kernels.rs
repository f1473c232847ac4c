//! The compute kernels of a batch norm.

use cubecl::prelude::*;

use crate::workgroup::sum_of_workgroup;

/// The sum of a vector's elements.
#[cube]
fn sum_of_lanes<N: Size>(vector: Vector<f32, N>) -> f32 {
    let mut sum = 0.0f32;
    #[unroll]
    for lane in 0..vector.vector_size() {
        sum += vector.extract(lane);
    }
    sum
}

/// The vectors of a chunk: its first and the one after its last.
#[cube]
fn chunk_of(vectors: u32) -> (u32, u32) {
    let per_chunk = (vectors + CUBE_COUNT_X - 1) / CUBE_COUNT_X;
    let first = min(CUBE_POS_X * per_chunk, vectors);
    (first, min(first + per_chunk, vectors))
}

/// Mean and sum of squared differences from it, of each chunk; the variance where there is only one. One workgroup per chunk and channel.
#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments)]
pub(super) fn sum_statistics<N: Size>(
    x: &[Vector<f32, N>],
    mean: &mut [f32],
    variance: &mut [f32],
    channel_stride: u32,
    image_stride: u32,
    pixels: u32,
    vectors: u32,
    #[comptime] threads: u32,
) {
    let mut shared = Shared::<[f32]>::new_slice(threads as usize);
    let channel = CUBE_POS_Y;
    let (first, end) = chunk_of(vectors);
    let mut sum = Vector::<f32, N>::new(0.0);
    let mut vector = first + UNIT_POS;
    while vector < end {
        let place = channel * channel_stride + vector / pixels * image_stride + vector % pixels;
        sum += x[place as usize];
        vector += threads;
    }
    let lanes = sum.vector_size();
    let count = f32::cast_from((end - first) * comptime!(lanes as u32));
    let total = sum_of_workgroup(sum_of_lanes::<N>(sum), &mut shared, threads);
    let mut of_chunk = 0.0f32;
    if end > first {
        of_chunk = total / count;
    }
    let mut squares = Vector::<f32, N>::new(0.0);
    let mut vector = first + UNIT_POS;
    while vector < end {
        let place = channel * channel_stride + vector / pixels * image_stride + vector % pixels;
        let centred = x[place as usize] - Vector::new(of_chunk);
        squares += centred * centred;
        vector += threads;
    }
    let mut spread = sum_of_workgroup(sum_of_lanes::<N>(squares), &mut shared, threads);
    if UNIT_POS == 0 {
        if CUBE_COUNT_X == 1 {
            spread /= count;
        }
        let place = (channel * CUBE_COUNT_X + CUBE_POS_X) as usize;
        mean[place] = of_chunk;
        variance[place] = spread;
    }
}

/// Joins the chunks of each channel. `vectors`: those of a channel, which were divided as [`chunk_of`] does.
#[cube(launch_unchecked)]
pub(super) fn join_statistics(
    means: &[f32],
    squares: &[f32],
    mean: &mut [f32],
    variance: &mut [f32],
    chunks: u32,
    vectors: u32,
    lanes: u32,
) {
    let channel = ABSOLUTE_POS as u32;
    if channel >= mean.len() as u32 {
        terminate!();
    }
    let per_chunk = (vectors + chunks - 1) / chunks;
    let mut sum = 0.0f32;
    for chunk in 0..chunks {
        let first = min(chunk * per_chunk, vectors);
        let count = f32::cast_from(min(first + per_chunk, vectors) - first);
        sum += count * means[(channel * chunks + chunk) as usize];
    }
    let whole = sum / f32::cast_from(vectors);
    // Vectors have equally many elements, so that the chunks' weights are their shares of the vectors.
    let mut between = 0.0f32;
    let mut within = 0.0f32;
    for chunk in 0..chunks {
        let first = min(chunk * per_chunk, vectors);
        let count = f32::cast_from(min(first + per_chunk, vectors) - first);
        let apart = means[(channel * chunks + chunk) as usize] - whole;
        between += count * apart * apart;
        within += squares[(channel * chunks + chunk) as usize];
    }
    mean[channel as usize] = whole;
    let elements = f32::cast_from(vectors * lanes);
    variance[channel as usize] = between / f32::cast_from(vectors) + within / elements;
}

/// The channel of a vector of the whole batch.
#[cube]
fn channel_of(vector: u32, channel_stride: u32, channels: u32) -> usize {
    (vector / channel_stride % channels) as usize
}

#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments)]
pub(super) fn apply<N: Size>(
    x: &[Vector<f32, N>],
    mean: &[f32],
    variance: &[f32],
    gamma: &[f32],
    beta: &[f32],
    y: &mut [Vector<f32, N>],
    epsilon: f32,
    channel_stride: u32,
    channels: u32,
    #[comptime] rectified: bool,
) {
    if ABSOLUTE_POS >= y.len() {
        terminate!();
    }
    let channel = channel_of(ABSOLUTE_POS as u32, channel_stride, channels);
    let scale = gamma[channel] / (variance[channel] + epsilon).sqrt();
    let centred = x[ABSOLUTE_POS] - Vector::new(mean[channel]);
    let normed = centred * Vector::new(scale) + Vector::new(beta[channel]);
    if comptime!(rectified) {
        y[ABSOLUTE_POS] = max(normed, Vector::new(0.0));
    } else {
        y[ABSOLUTE_POS] = normed;
    }
}

/// The gradient of the norm's output, which is zero where a ReLU was at zero.
#[cube]
fn through_relu<N: Size>(
    dy: Vector<f32, N>,
    centred: Vector<f32, N>,
    scale: f32,
    shift: f32,
    #[comptime] rectified: bool,
) -> Vector<f32, N> {
    let mut through = dy;
    if comptime!(rectified) {
        let normed = centred * Vector::new(scale) + Vector::new(shift);
        let zero = Vector::<f32, N>::new(0.0);
        through = select_many(normed.greater_than(&zero), dy, zero);
    }
    through
}

/// Two sums of each chunk: those of the gradient times the normalised input, and of the gradient.
#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments)]
pub(super) fn sum_backward<N: Size>(
    x: &[Vector<f32, N>],
    dy: &[Vector<f32, N>],
    mean: &[f32],
    variance: &[f32],
    gamma: &[f32],
    beta: &[f32],
    of_gamma: &mut [f32],
    of_beta: &mut [f32],
    epsilon: f32,
    channel_stride: u32,
    image_stride: u32,
    pixels: u32,
    vectors: u32,
    #[comptime] rectified: bool,
    #[comptime] threads: u32,
) {
    let mut shared = Shared::<[f32]>::new_slice(threads as usize);
    let channel = CUBE_POS_Y;
    let inverse = 1.0f32 / (variance[channel as usize] + epsilon).sqrt();
    let scale = gamma[channel as usize] * inverse;
    let shift = beta[channel as usize];
    let middle = mean[channel as usize];
    let (first, end) = chunk_of(vectors);
    let mut times = Vector::<f32, N>::new(0.0);
    let mut plain = Vector::<f32, N>::new(0.0);
    let mut vector = first + UNIT_POS;
    while vector < end {
        let place =
            (channel * channel_stride + vector / pixels * image_stride + vector % pixels) as usize;
        let centred = x[place] - Vector::new(middle);
        let through = through_relu::<N>(dy[place], centred, scale, shift, rectified);
        times += through * centred;
        plain += through;
        vector += threads;
    }
    let times = sum_of_workgroup(sum_of_lanes::<N>(times), &mut shared, threads);
    let plain = sum_of_workgroup(sum_of_lanes::<N>(plain), &mut shared, threads);
    if UNIT_POS == 0 {
        let place = (channel * CUBE_COUNT_X + CUBE_POS_X) as usize;
        of_gamma[place] = times * inverse;
        of_beta[place] = plain;
    }
}

/// Adds the chunks of each channel.
#[cube(launch_unchecked)]
pub(super) fn join_sums(
    parts_of_gamma: &[f32],
    parts_of_beta: &[f32],
    of_gamma: &mut [f32],
    of_beta: &mut [f32],
    chunks: u32,
) {
    let channel = ABSOLUTE_POS as u32;
    if channel >= of_gamma.len() as u32 {
        terminate!();
    }
    let mut gamma = 0.0f32;
    let mut beta = 0.0f32;
    for chunk in 0..chunks {
        gamma += parts_of_gamma[(channel * chunks + chunk) as usize];
        beta += parts_of_beta[(channel * chunks + chunk) as usize];
    }
    of_gamma[channel as usize] = gamma;
    of_beta[channel as usize] = beta;
}

#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments)]
pub(super) fn apply_backward<N: Size>(
    x: &[Vector<f32, N>],
    dy: &[Vector<f32, N>],
    mean: &[f32],
    variance: &[f32],
    gamma: &[f32],
    beta: &[f32],
    of_gamma: &[f32],
    of_beta: &[f32],
    dx: &mut [Vector<f32, N>],
    epsilon: f32,
    channel_stride: u32,
    channels: u32,
    count: u32,
    first: u32,
    #[comptime] rectified: bool,
) {
    if ABSOLUTE_POS >= x.len() {
        terminate!();
    }
    let channel = channel_of(ABSOLUTE_POS as u32, channel_stride, channels);
    let inverse = 1.0f32 / (variance[channel] + epsilon).sqrt();
    let scale = gamma[channel] * inverse;
    let count = f32::cast_from(count);
    let centred = x[ABSOLUTE_POS] - Vector::new(mean[channel]);
    let through = through_relu::<N>(dy[ABSOLUTE_POS], centred, scale, beta[channel], rectified);
    let along = centred * Vector::new(inverse * of_gamma[channel] / count);
    let level = Vector::new(of_beta[channel] / count);
    dx[ABSOLUTE_POS + first as usize] = (through - level - along) * Vector::new(scale);
}

#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments)]
pub(super) fn average(
    running_mean: &[f32],
    running_variance: &[f32],
    mean: &[f32],
    variance: &[f32],
    moved_mean: &mut [f32],
    moved_variance: &mut [f32],
    momentum: f32,
    unbiased: f32,
) {
    if ABSOLUTE_POS >= moved_mean.len() {
        terminate!();
    }
    let stays = 1.0f32 - momentum;
    moved_mean[ABSOLUTE_POS] = running_mean[ABSOLUTE_POS] * stays + mean[ABSOLUTE_POS] * momentum;
    let of_variance = variance[ABSOLUTE_POS] * unbiased * momentum;
    moved_variance[ABSOLUTE_POS] = running_variance[ABSOLUTE_POS] * stays + of_variance;
}
