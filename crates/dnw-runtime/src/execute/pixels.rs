//! Layer norms of pixels, and steps that move pixels.

use dnw_kernels::inference::{self, add_scaled, add_squares};

use crate::memory::Arena;
use crate::part::Part;
use crate::plan::{PixelNorm, ResampleMaps, Taps, UnfoldMaps};

/// Pixels that are normed together, so that their means and variances stay in the cache.
const TOGETHER: usize = 256;

/// # Safety
/// As for [`Prepared::execute`](super::Prepared::execute).
pub(super) unsafe fn norm(norm: &PixelNorm, arena: Arena, part: Part) {
    let [channels, height, width] = norm.from.shape;
    let pixels = height * width;
    for chunk in part.range(pixels.div_ceil(TOGETHER)) {
        let first = chunk * TOGETHER;
        let len = TOGETHER.min(pixels - first);
        // SAFETY: as the caller promises; the pixels are inside their channel.
        let x = |channel: usize| unsafe {
            arena.read(norm.from.at + channel * norm.from.stride + first, len)
        };
        let (mut means, mut scales) = ([0.0f32; TOGETHER], [0.0f32; TOGETHER]);
        let (means, scales) = (&mut means[..len], &mut scales[..len]);
        let share = 1.0 / channels as f32;
        for channel in 0..channels {
            add_scaled(share, x(channel), false, means);
        }
        for channel in 0..channels {
            add_squares(x(channel), means, scales);
        }
        for scale in scales.iter_mut() {
            *scale = 1.0 / (*scale * share + norm.epsilon).sqrt();
        }
        for channel in 0..channels {
            // SAFETY: as above; no other part writes these pixels.
            let out = unsafe { arena.write(norm.to.at + channel * norm.to.stride + first, len) };
            let (scale, shift) = (norm.scale[channel], norm.shift[channel]);
            let statistics = means.iter().zip(&*scales);
            for ((out, x), (mean, own)) in out.iter_mut().zip(x(channel)).zip(statistics) {
                *out = (x - mean) * own * scale + shift;
            }
        }
    }
}

/// # Safety
/// As for [`Prepared::execute`](super::Prepared::execute).
pub(super) unsafe fn resample(x: &ResampleMaps, arena: Arena, scratch: &mut [f32], part: Part) {
    let line = &mut scratch[..x.from.shape[2]];
    for channel in part.range(x.to.shape[0]) {
        // SAFETY: as the caller promises.
        let (from, to) = unsafe {
            (
                arena.channel(x.from, channel),
                arena.channel_mut(x.to, channel),
            )
        };
        inference::resample(taps(&x.rows), taps(&x.columns), from, line, to);
    }
}

fn taps(taps: &Taps) -> inference::Taps<'_> {
    inference::Taps {
        starts: &taps.starts,
        inputs: &taps.inputs,
        weights: &taps.weights,
    }
}

/// # Safety
/// As for [`Prepared::execute`](super::Prepared::execute).
pub(super) unsafe fn unfold(unfold: &UnfoldMaps, arena: Arena, part: Part) {
    let (side, [channels, _, columns]) = (unfold.side, unfold.to.shape);
    let width = unfold.from.shape[2];
    for channel in part.range(channels) {
        // SAFETY: as the caller promises.
        let to = unsafe { arena.channel_mut(unfold.to, channel) };
        for place in 0..side * side {
            // SAFETY: as the caller promises.
            let from = unsafe { arena.channel(unfold.from, channel * side * side + place) };
            for (y, line) in from.chunks_exact(width).enumerate() {
                let first = (y * side + place / side) * columns + place % side;
                let places = to[first..].iter_mut().step_by(side);
                places.zip(line).for_each(|(to, &x)| *to = x);
            }
        }
    }
}
