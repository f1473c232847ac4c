//! Maximum and average pools, channel by channel.

use crate::simd::vectorised;

/// The windows of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolShape {
    /// Height and width of a map.
    pub map: [usize; 2],
    /// Height and width of an output map.
    pub output: [usize; 2],
    /// Height and width of a window.
    pub kernel: [usize; 2],
    /// Stride.
    pub stride: [usize; 2],
    /// Pixels that windows reach beyond the upper and the left border of the map, and may beyond the others.
    pub padding: [usize; 2],
}

impl PoolShape {
    /// Numbers that [`max_pool`] and [`sum_pool`] need as scratch memory.
    pub fn scratch(&self) -> usize {
        let read = (self.output[1] - 1) * self.stride[1] + self.kernel[1];
        read.max(self.padding[1] + self.map[1])
    }

    /// How many rows (of side 0) or columns (of side 1) of a window are inside the map.
    pub fn inside(&self, side: usize, window: usize) -> usize {
        let first = window * self.stride[side];
        let end = (first + self.kernel[side]).min(self.map[side] + self.padding[side]);
        end - first.max(self.padding[side])
    }
}

/// The largest number of each window's pixels.
///
/// # Panics
/// If a length does not fit.
pub fn max_pool(shape: PoolShape, x: &[f32], scratch: &mut [f32], out: &mut [f32]) {
    max(shape, x, &mut scratch[..shape.scratch()], out);
}

/// The sum of each window's pixels: column by column.
///
/// # Panics
/// If a length does not fit.
pub fn sum_pool(shape: PoolShape, x: &[f32], scratch: &mut [f32], out: &mut [f32]) {
    sum(shape, x, &mut scratch[..shape.scratch()], out);
}

vectorised! {
    fn max(shape: PoolShape, x: &[f32], columns: &mut [f32], out: &mut [f32]) = max_body;
}

vectorised! {
    fn sum(shape: PoolShape, x: &[f32], columns: &mut [f32], out: &mut [f32]) = sum_body;
}

#[inline(always)]
fn max_body<const SET: u8>(shape: PoolShape, x: &[f32], columns: &mut [f32], out: &mut [f32]) {
    let larger = |a: f32, b: f32| if b > a { b } else { a };
    combine(shape, x, columns, out, f32::NEG_INFINITY, larger);
}

#[inline(always)]
fn sum_body<const SET: u8>(shape: PoolShape, x: &[f32], columns: &mut [f32], out: &mut [f32]) {
    combine(shape, x, columns, out, 0.0, |a, b| a + b);
}

/// Combines the lines of the windows of one line of the output, then the columns of each window.
#[inline(always)]
fn combine(
    shape: PoolShape,
    x: &[f32],
    columns: &mut [f32],
    out: &mut [f32],
    start: f32,
    combine: impl Fn(f32, f32) -> f32 + Copy,
) {
    let PoolShape {
        map: [height, width],
        output: [lines, across],
        kernel: [down, wide],
        stride: [sy, sx],
        padding: [above, left],
    } = shape;
    for y in 0..lines {
        columns.fill(start);
        let first = (y * sy).saturating_sub(above);
        let end = (y * sy + down).saturating_sub(above).min(height);
        for line in first..end {
            let own = columns[left..].iter_mut().zip(&x[line * width..][..width]);
            own.for_each(|(to, &x)| *to = combine(*to, x));
        }
        let out = &mut out[y * across..][..across];
        out.fill(start);
        for column in 0..wide {
            let columns = &columns[column..];
            match sx {
                1 => every::<1>(columns, out, combine),
                2 => every::<2>(columns, out, combine),
                _ => {
                    let pairs = out.iter_mut().zip(columns.iter().step_by(sx));
                    pairs.for_each(|(out, &x)| *out = combine(*out, x));
                }
            }
        }
    }
}

/// Combines each output with every `S`th number.
#[inline(always)]
fn every<const S: usize>(columns: &[f32], out: &mut [f32], combine: impl Fn(f32, f32) -> f32) {
    let columns = &columns[..S * (out.len() - 1) + 1];
    for (i, out) in out.iter_mut().enumerate() {
        *out = combine(*out, columns[S * i]);
    }
}
