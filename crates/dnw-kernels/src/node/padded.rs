//! A padded feature map, in which a convolution is nine shifts.
//!
//! A feature map is copied once into a buffer with one column of zeros between its rows and a row of zeros above and below. In this buffer each of
//! the nine taps is a shift by a constant, so that the whole convolution vectorises for any width.

use super::shape::NodeShape;
use crate::simd::{LANES, multiply_add};

/// Applies `value` to each pixel of a feature map and writes the results to a padded buffer, whose padding must be zero already.
#[inline(always)]
pub(super) fn pad(shape: NodeShape, map: &[f32], buffer: &mut [f32], value: impl Fn(f32) -> f32) {
    let (width, row) = (shape.width, shape.width + 1);
    for (y, line) in map.chunks_exact(width).enumerate() {
        let out = &mut buffer[(y + 1) * row + 1..][..width];
        for (out, &x) in out.iter_mut().zip(line) {
            *out = value(x);
        }
    }
}

/// Copies an output feature map into a padded buffer of the input's size, `stride` pixels apart. All other elements must be zero already.
#[inline(always)]
pub(super) fn spread(shape: NodeShape, map: &[f32], buffer: &mut [f32]) {
    let [_, width] = shape.output();
    if shape.stride == 1 {
        return pad(shape, map, buffer, |x| x);
    }
    for (y, line) in map.chunks_exact(width).enumerate() {
        let out = &mut buffer[(y * shape.stride + 1) * (shape.width + 1) + 1..];
        for (x, &value) in line.iter().enumerate() {
            out[x * shape.stride] = value;
        }
    }
}

/// Copies the output pixels from the flat result, skipping the padding column and the pixels between strides.
#[inline(always)]
pub(super) fn collect(shape: NodeShape, flat: &[f32], map: &mut [f32]) {
    let ([_, width], row) = (shape.output(), shape.width + 1);
    for (y, line) in map.chunks_exact_mut(width).enumerate() {
        let flat = &flat[y * shape.stride * row..];
        if shape.stride == 1 {
            line.copy_from_slice(&flat[..width]);
        } else {
            for (x, value) in line.iter_mut().enumerate() {
                *value = flat[x * shape.stride];
            }
        }
    }
}

/// The offset of a filter tap's input relative to the output's flat index.
#[inline(always)]
pub(super) fn shift(shape: NodeShape, tap: usize) -> usize {
    (tap / 3) * (shape.width + 1) + tap % 3
}

/// Convolves a padded buffer with the nine taps.
#[inline(always)]
pub(super) fn correlate<const SET: u8>(
    shape: NodeShape,
    buffer: &[f32],
    kernel: &[f32; 9],
    flat: &mut [f32],
) {
    let stride = shape.padded_length();
    let tap = |i: usize| &buffer[shift(shape, i)..][..stride];
    let (t0, t1, t2) = (tap(0), tap(1), tap(2));
    let (t3, t4, t5) = (tap(3), tap(4), tap(5));
    let (t6, t7, t8) = (tap(6), tap(7), tap(8));
    for (start, out) in (0..stride).step_by(LANES).zip(flat.chunks_exact_mut(LANES)) {
        let mut sums = [0.0f32; LANES];
        for (read, k) in [t0, t1, t2, t3, t4, t5, t6, t7, t8].into_iter().zip(kernel) {
            let read = &read[start..start + LANES];
            for i in 0..LANES {
                sums[i] = multiply_add::<SET>(*k, read[i], sums[i]);
            }
        }
        out.copy_from_slice(&sums);
    }
}
