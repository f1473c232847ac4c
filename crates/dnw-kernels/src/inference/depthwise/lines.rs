//! Depthwise convolutions with square kernels of 3 or 5 taps a side and a stride of 1 or 2, line by line, without a copy of the map.
//!
//! Two lines of the output are computed at once, with AVX-512 four: a sum waits for each of its additions, and lines of the input are loaded
//! for several lines of the output. (AVX2 has too few registers to gain from four.) The taps of a kernel's line multiply the same line of the
//! input, from neighbouring columns on. Lanes beyond the left or right border are not loaded.

use super::shape::{DepthwiseShape, Kernel, Lines};
use crate::simd::{AVX512, LANES, vectorised};
use crate::vector::{HasVector, Set, Vector};

/// The largest kernel.
const MOST_TAPS: usize = 5;

/// What is known of a shape before the first map.
#[derive(Clone, Debug)]
pub(super) struct LineByLine {
    shape: DepthwiseShape,
    /// The vectors of a line of the output.
    vectors: Vec<Columns>,
}

/// Sixteen columns of the output.
#[derive(Clone, Copy, Debug)]
struct Columns {
    /// Whether all that they depend on is inside the map, and they inside the output.
    are_inside: bool,
    /// Which of them are inside the output.
    output: u16,
    /// For each column of the kernel, which numbers are inside the map. For a stride of 2 there are 32, of which each second is used.
    taps: [u32; MOST_TAPS],
}

impl LineByLine {
    /// Nothing if the shape is not computed here. No size is zero.
    pub(super) fn new(shape: DepthwiseShape) -> Option<Self> {
        let DepthwiseShape {
            map: [_, width],
            output: [_, columns],
            kernel: [height, taps],
            stride: [down, stride],
            padding: [_, padding],
            dilation,
        } = shape;
        let is_here = height == taps
            && matches!(taps, 3 | 5)
            && down == stride
            && matches!(stride, 1 | 2)
            && padding == taps / 2
            && dilation == [1, 1];
        let vector = |at: usize| {
            let mut lanes = Columns {
                are_inside: true,
                output: bits(LANES, |i| at + i < columns) as u16,
                taps: [0; MOST_TAPS],
            };
            for tap in 0..taps {
                let (column, _) = split(tap, taps, stride);
                let inside = |i: usize| {
                    (stride * at + i)
                        .checked_add_signed(column)
                        .is_some_and(|column| column < width)
                };
                lanes.taps[tap] = bits(stride * LANES, inside);
                lanes.are_inside &= lanes.taps[tap].count_ones() as usize == stride * LANES;
            }
            lanes.are_inside &= lanes.output == u16::MAX;
            lanes
        };
        is_here.then(|| Self {
            shape,
            vectors: (0..columns).step_by(LANES).map(vector).collect(),
        })
    }

    /// Computes one channel.
    ///
    /// # Panics
    /// If a length does not fit.
    pub(super) fn run(&self, x: Lines<'_>, kernel: Kernel<'_>, out: &mut [f32]) {
        let ([height, width], [lines, columns]) = (self.shape.map, self.shape.output);
        assert!(x.line >= width && x.numbers.len() >= (height - 1) * x.line + width);
        assert!(kernel.weights.len() == self.shape.kernel[0] * self.shape.kernel[1]);
        assert!(out.len() >= lines * columns);
        channel(self, x, kernel, out);
    }
}

fn bits(count: usize, is_one: impl Fn(usize) -> bool) -> u32 {
    (0..count).fold(0, |bits, i| bits | u32::from(is_one(i)) << i)
}

/// The even column, relative to that of the output, from which on a tap's numbers are loaded, and which of each two it uses. With a stride of
/// 1 it uses all, from any column on.
#[inline(always)]
fn split(tap: usize, taps: usize, stride: usize) -> (isize, bool) {
    let column = tap as isize - (taps / 2) as isize;
    let odd = column.rem_euclid(stride as isize);
    (column - odd, odd == 1)
}

vectorised! {
    fn channel(layout: &LineByLine, x: Lines<'_>, kernel: Kernel<'_>, out: &mut [f32]) = channel_body;
}

#[inline(always)]
fn channel_body<const SET: u8>(
    layout: &LineByLine,
    x: Lines<'_>,
    kernel: Kernel<'_>,
    out: &mut [f32],
) where
    Set<SET>: HasVector,
{
    match (layout.shape.kernel[0], layout.shape.stride[0]) {
        (3, 1) => lines::<SET, 3, 1, 4, 6>(layout, x, kernel, out),
        (3, _) => lines::<SET, 3, 2, 5, 9>(layout, x, kernel, out),
        (_, 1) => lines::<SET, 5, 1, 6, 8>(layout, x, kernel, out),
        (_, _) => lines::<SET, 5, 2, 7, 11>(layout, x, kernel, out),
    }
}

/// `K` taps a side, stride `S`: two lines of the output depend on `OF_TWO` lines of the input, four on `OF_FOUR`.
#[inline(always)]
fn lines<const SET: u8, const K: usize, const S: usize, const OF_TWO: usize, const OF_FOUR: usize>(
    layout: &LineByLine,
    x: Lines<'_>,
    kernel: Kernel<'_>,
    out: &mut [f32],
) where
    Set<SET>: HasVector,
{
    let [lines, columns] = layout.shape.output;
    let weights: &[[f32; K]; K] =
        &std::array::from_fn(|j| std::array::from_fn(|t| kernel.weights[j * K + t]));
    let mut y = 0;
    while y < lines {
        let together = if SET == AVX512 && lines - y > 2 { 4 } else { 2 };
        let out = &mut out[y * columns..lines.min(y + together) * columns];
        if together == 4 {
            group::<SET, K, S, 4, OF_FOUR>(layout, x, kernel, weights, y, out);
        } else {
            group::<SET, K, S, 2, OF_TWO>(layout, x, kernel, weights, y, out);
        }
        y += together;
    }
}

/// Computes `L` lines from `y` on, or those that there are.
#[inline(always)]
fn group<const SET: u8, const K: usize, const S: usize, const L: usize, const ROWS: usize>(
    layout: &LineByLine,
    x: Lines<'_>,
    kernel: Kernel<'_>,
    weights: &[[f32; K]; K],
    y: usize,
    out: &mut [f32],
) where
    Set<SET>: HasVector,
{
    let height = layout.shape.map[0];
    let group = Group::<K, L, ROWS> {
        rows: std::array::from_fn(|j| match (S * y + j).checked_sub(layout.shape.padding[0]) {
            Some(line) if line < height => x.numbers[line * x.line..].as_ptr(),
            _ => std::ptr::null(),
        }),
        weights,
        bias: kernel.bias,
        relu: kernel.relu,
        out,
        count: L.min(layout.shape.output[0] - y),
        columns: layout.shape.output[1],
    };
    group.compute::<SET, S>(&layout.vectors);
}

/// `L` lines of an output, or the last ones.
struct Group<'a, const K: usize, const L: usize, const ROWS: usize> {
    /// The lines of the input that they depend on; null outside the map.
    rows: [*const f32; ROWS],
    weights: &'a [[f32; K]; K],
    bias: f32,
    relu: bool,
    /// `count` lines of `columns` numbers.
    out: &'a mut [f32],
    count: usize,
    columns: usize,
}

impl<const K: usize, const L: usize, const ROWS: usize> Group<'_, K, L, ROWS> {
    #[inline(always)]
    fn compute<const SET: u8, const S: usize>(self, vectors: &[Columns])
    where
        Set<SET>: HasVector,
    {
        for (i, lanes) in vectors.iter().enumerate() {
            let at = i * LANES;
            let sums = if lanes.are_inside {
                self.sums::<<Set<SET> as HasVector>::Vector, S, true>(at, lanes)
            } else {
                self.sums::<<Set<SET> as HasVector>::Vector, S, false>(at, lanes)
            };
            for (line, sum) in sums.into_iter().enumerate().take(self.count) {
                // SAFETY: the lanes inside the output are inside its line.
                unsafe {
                    let to = self.out.as_mut_ptr().add(line * self.columns + at);
                    if lanes.are_inside {
                        sum.store(to);
                    } else {
                        sum.store_some(to, <Set<SET> as HasVector>::Vector::mask(lanes.output));
                    }
                }
            }
        }
    }

    /// Sixteen columns of each line. `INSIDE`: all that they depend on is inside the map.
    #[inline(always)]
    fn sums<V: Vector, const S: usize, const INSIDE: bool>(
        &self,
        at: usize,
        lanes: &Columns,
    ) -> [V; L] {
        const { assert!(ROWS == K + (L - 1) * S && ROWS <= 11) };
        let mut sums = [V::splat(self.bias); L];
        // Written out, because the compiler leaves a loop over the lines of a kernel of 5 x 5 as a loop, which tests for each line of the output
        // whether it depends on that of the input.
        macro_rules! add_rows {
            ($($j:literal)*) => {
                $(if $j < ROWS {
                    self.add_row::<V, S, INSIDE>($j, at, lanes, &mut sums);
                })*
            };
        }
        add_rows!(0 1 2 3 4 5 6 7 8 9 10);
        if self.relu {
            sums = sums.map(V::relu);
        }
        sums
    }

    /// Adds the products of the `j`th line of the input, which may be outside the map, to the lines of the output that depend on it.
    #[inline(always)]
    fn add_row<V: Vector, const S: usize, const INSIDE: bool>(
        &self,
        j: usize,
        at: usize,
        lanes: &Columns,
        sums: &mut [V; L],
    ) {
        if self.rows[j].is_null() {
            return;
        }
        for t in 0..K {
            let (column, is_odd) = split(t, K, S);
            let from = self.rows[j].wrapping_add(S * at).wrapping_offset(column);
            let load = |half: usize| {
                let from = from.wrapping_add(half * LANES);
                // SAFETY: a row is readable inside the map, and what is outside is not loaded.
                unsafe {
                    if INSIDE {
                        V::load(from)
                    } else {
                        V::load_some(from, V::mask((lanes.taps[t] >> (half * LANES)) as u16))
                    }
                }
            };
            let x = if S == 1 {
                load(0)
            } else {
                V::every_second(load(0), load(1), is_odd)
            };
            for (line, sum) in sums.iter_mut().enumerate() {
                if (line * S..line * S + K).contains(&j) {
                    *sum = sum.add_product(V::splat(self.weights[j - line * S][t]), x);
                }
            }
        }
    }
}
