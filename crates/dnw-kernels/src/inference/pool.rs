//! Maximum and average pools, channel by channel.

use crate::simd::{LANES, vectorised};

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

    /// Whether the one window is the whole map.
    fn is_global(&self) -> bool {
        self.output == [1, 1] && (0..2).all(|side| self.inside(side, 0) == self.map[side])
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
    if shape.is_global() {
        let [height, width] = shape.map;
        out[0] = largest(&x[..height * width]);
        return;
    }
    combine(shape, x, columns, out, f32::NEG_INFINITY, larger);
}

#[inline(always)]
fn sum_body<const SET: u8>(shape: PoolShape, x: &[f32], columns: &mut [f32], out: &mut [f32]) {
    combine(shape, x, columns, out, 0.0, |a, b| a + b);
}

/// The largest number, in two vectors at a time: one would wait for each comparison.
#[inline(always)]
fn largest(x: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; 2 * LANES];
    let chunks = x.chunks_exact(lanes.len());
    let left = chunks.remainder();
    for chunk in chunks {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane = if x > *lane { x } else { *lane };
        }
    }
    let all = lanes.iter().chain(left);
    all.fold(f32::NEG_INFINITY, |a, &b| if b > a { b } else { a })
}

/// Combines the lines of the windows of one line of the output, then the columns of each window. Up to four lines are combined at a time, and windows
/// of two or three columns have loops of their own: both keep what they combine in registers.
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
    // Those beyond the borders stay as they are.
    columns.fill(start);
    for y in 0..lines {
        let first = (y * sy).saturating_sub(above);
        let end = (y * sy + down).saturating_sub(above).min(height);
        let line = |i: usize| &x[(first + i) * width..][..width];
        let own = &mut columns[left..][..width];
        let lines = end.saturating_sub(first);
        own.fill(start);
        for i in (0..lines).step_by(4) {
            match lines - i {
                1 => with_lines([line(i)], own, combine),
                2 => with_lines([line(i), line(i + 1)], own, combine),
                3 => with_lines([line(i), line(i + 1), line(i + 2)], own, combine),
                _ => {
                    let four = [line(i), line(i + 1), line(i + 2), line(i + 3)];
                    with_lines(four, own, combine);
                }
            }
        }
        let out = &mut out[y * across..][..across];
        match (sx, wide) {
            (2, 2) => of_columns::<2, 2>(columns, out, start, combine),
            (2, 3) => of_columns::<2, 3>(columns, out, start, combine),
            (1, 3) => of_columns::<1, 3>(columns, out, start, combine),
            _ if across < LANES => {
                for (i, out) in out.iter_mut().enumerate() {
                    let window = &columns[sx * i..][..wide];
                    *out = window.iter().fold(start, |value, &x| combine(value, x));
                }
            }
            _ => {
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
    }
}

/// Combines columns with lines, in blocks of columns that registers hold.
///
/// Lines are named one by one above: a closure of `map` would be compiled without the instruction set, and called.
#[inline(always)]
fn with_lines<const N: usize>(
    lines: [&[f32]; N],
    columns: &mut [f32],
    combine: impl Fn(f32, f32) -> f32 + Copy,
) {
    let mut at = 0;
    while at + LANES <= columns.len() {
        block::<LANES, N>(lines, columns, at, combine);
        at += LANES;
    }
    if at + 8 <= columns.len() {
        block::<8, N>(lines, columns, at, combine);
        at += 8;
    }
    if at + 4 <= columns.len() {
        block::<4, N>(lines, columns, at, combine);
        at += 4;
    }
    while at < columns.len() {
        block::<1, N>(lines, columns, at, combine);
        at += 1;
    }
}

#[inline(always)]
fn block<const W: usize, const N: usize>(
    lines: [&[f32]; N],
    columns: &mut [f32],
    at: usize,
    combine: impl Fn(f32, f32) -> f32,
) {
    let columns: &mut [f32; W] = (&mut columns[at..][..W]).try_into().expect("as many");
    let mut combined = *columns;
    for line in lines {
        let x: &[f32; W] = line[at..][..W].try_into().expect("as many");
        for i in 0..W {
            combined[i] = combine(combined[i], x[i]);
        }
    }
    *columns = combined;
}

/// Combines the `W` columns of each window; windows begin `S` columns apart.
#[inline(always)]
fn of_columns<const S: usize, const W: usize>(
    columns: &[f32],
    out: &mut [f32],
    start: f32,
    combine: impl Fn(f32, f32) -> f32,
) {
    let columns = &columns[..S * (out.len() - 1) + W];
    for (i, out) in out.iter_mut().enumerate() {
        *out = (0..W).fold(start, |value, w| combine(value, columns[S * i + w]));
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
