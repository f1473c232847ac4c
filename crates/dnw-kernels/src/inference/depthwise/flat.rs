//! Depthwise convolutions with square kernels of 3 or 5 taps a side and a stride of 1, of maps whose lines do not fill vectors: a vector goes
//! on from the end of a line to the start of the next.
//!
//! Line by line, a map of 7 x 7 fills 7 of 16 lanes. Here a map is one row of pixels, 49 in four vectors. The taps of a kernel's line multiply
//! the same numbers, shifted by lanes; loading them again for each tap would cost more, because nearly every load crosses two cache lines.
//! A lane to which a tap does not belong, because it is left or right of the map, keeps its sum. The order of a pixel's additions is that of
//! line by line.

use super::shape::{DepthwiseShape, Kernel, Lines};
use crate::simd::{LANES, vectorised};
use crate::vector::{HasVector, Set, Vector};

/// The most taps a side.
const MOST_TAPS: usize = 5;
/// Vectors of the output that are summed together.
const TOGETHER: usize = 4;

/// What is known of a shape before the first map.
#[derive(Clone, Debug)]
pub(super) struct Flat {
    shape: DepthwiseShape,
    groups: Vec<Pixels>,
}

/// Some vectors of the output.
#[derive(Clone, Copy, Debug)]
struct Pixels {
    /// How many vectors there are.
    vectors: usize,
    /// How many pixels of each vector are inside the output.
    output: [usize; TOGETHER],
    /// For each line of the kernel, which numbers are inside the map, in one more vector before and after. What is before the first pixel or behind
    /// the last is multiplied with no tap.
    lines: [[u16; TOGETHER + 2]; MOST_TAPS],
    /// For each column of the kernel, for which pixels it is inside the map.
    columns: [[u16; TOGETHER]; MOST_TAPS],
}

impl Flat {
    /// Nothing if the shape is not computed here. No size is zero.
    pub(super) fn new(shape: DepthwiseShape) -> Option<Self> {
        let DepthwiseShape {
            map: [height, width],
            output: [lines, columns],
            kernel: [kernel, taps],
            stride,
            padding: [above, left],
            dilation,
        } = shape;
        let is_here = kernel == taps
            && matches!(taps, 3 | 5)
            && left == taps / 2
            && columns == width
            && stride == [1, 1]
            && dilation == [1, 1];
        let pixels = lines * columns;
        if !is_here || 3 * pixels.div_ceil(LANES) > 2 * lines * columns.div_ceil(LANES) {
            return None;
        }
        let bits = |is_one: &dyn Fn(usize) -> bool| {
            (0..LANES).fold(0, |bits, i| bits | u16::from(is_one(i)) << i)
        };
        let group = |at: usize| Pixels {
            vectors: TOGETHER.min((pixels - at).div_ceil(LANES)),
            output: std::array::from_fn(|i| pixels.saturating_sub(at + i * LANES).min(LANES)),
            lines: std::array::from_fn(|line| {
                std::array::from_fn(|i| {
                    // One vector more before, and some lines above.
                    let first = at + i * LANES + line * width;
                    let map = LANES + above * width..LANES + (above + height) * width;
                    let is_used = (i > 0 || at > 0) && at + i * LANES < pixels + LANES;
                    bits(&|lane| is_used && map.contains(&(first + lane)))
                })
            }),
            columns: std::array::from_fn(|tap| {
                let map = left..left + width;
                std::array::from_fn(|i| {
                    bits(&|lane| map.contains(&((at + i * LANES + lane) % columns + tap)))
                })
            }),
        };
        Some(Self {
            shape,
            groups: (0..pixels).step_by(TOGETHER * LANES).map(group).collect(),
        })
    }

    /// The width of a map.
    pub(super) fn width(&self) -> usize {
        self.shape.map[1]
    }

    /// Computes one channel, whose lines follow each other without a gap.
    ///
    /// # Panics
    /// If a length does not fit.
    pub(super) fn run(&self, x: Lines<'_>, kernel: Kernel<'_>, out: &mut [f32]) {
        let ([height, width], [lines, columns]) = (self.shape.map, self.shape.output);
        assert!(x.line == width && x.numbers.len() >= height * width);
        assert!(kernel.weights.len() == self.shape.kernel[0] * self.shape.kernel[1]);
        assert!(out.len() >= lines * columns);
        channel(self, x.numbers, kernel, out);
    }
}

vectorised! {
    fn channel(layout: &Flat, x: &[f32], kernel: Kernel<'_>, out: &mut [f32]) = channel_body;
}

#[inline(always)]
fn channel_body<const SET: u8>(layout: &Flat, x: &[f32], kernel: Kernel<'_>, out: &mut [f32])
where
    Set<SET>: HasVector,
{
    match layout.shape.kernel[0] {
        3 => pixels::<<Set<SET> as HasVector>::Vector, 3>(layout, x, kernel, out),
        _ => pixels::<<Set<SET> as HasVector>::Vector, 5>(layout, x, kernel, out),
    }
}

/// `K` taps a side.
#[inline(always)]
fn pixels<V: Vector, const K: usize>(
    layout: &Flat,
    x: &[f32],
    kernel: Kernel<'_>,
    out: &mut [f32],
) {
    let [above, _] = layout.shape.padding;
    let width = layout.shape.map[1];
    for (number, pixels) in layout.groups.iter().enumerate() {
        let at = number * TOGETHER * LANES;
        // What the first line of the kernel multiplies; it may be outside the map.
        let first = x.as_ptr().wrapping_add(at).wrapping_sub(above * width);
        let out = out.as_mut_ptr().wrapping_add(at);
        match pixels.vectors {
            1 => group::<V, K, 1>(pixels, first, width, kernel, out),
            2 => group::<V, K, 2>(pixels, first, width, kernel, out),
            3 => group::<V, K, 3>(pixels, first, width, kernel, out),
            _ => group::<V, K, TOGETHER>(pixels, first, width, kernel, out),
        }
    }
}

/// Computes `N` vectors: so many sums stay in registers.
#[inline(always)]
fn group<V: Vector, const K: usize, const N: usize>(
    pixels: &Pixels,
    first: *const f32,
    width: usize,
    kernel: Kernel<'_>,
    out: *mut f32,
) {
    let weights: &[[f32; K]; K] =
        &std::array::from_fn(|j| std::array::from_fn(|t| kernel.weights[j * K + t]));
    let mut sums = [V::splat(kernel.bias); N];
    for (line, weights) in weights.iter().enumerate() {
        let from = first.wrapping_add(line * width);
        let lanes = &pixels.lines[line];
        // SAFETY: lanes inside the map are numbers of it.
        let (mut before, mut x) = unsafe { (load::<V>(from, 0, lanes), load::<V>(from, 1, lanes)) };
        // Written with the index, because several arrays are read at it.
        #[allow(clippy::needless_range_loop)]
        for i in 0..N {
            // SAFETY: as above.
            let after = unsafe { load::<V>(from, i + 2, lanes) };
            for (tap, &weight) in weights.iter().enumerate() {
                let mask = V::mask(pixels.columns[tap][i]);
                let weight = V::splat(weight);
                sums[i] = match tap as isize - (K / 2) as isize {
                    -2 => {
                        sums[i].add_product_some(weight, V::shifted::<-2>(before, x, after), mask)
                    }
                    -1 => {
                        sums[i].add_product_some(weight, V::shifted::<-1>(before, x, after), mask)
                    }
                    1 => sums[i].add_product_some(weight, V::shifted::<1>(before, x, after), mask),
                    2 => sums[i].add_product_some(weight, V::shifted::<2>(before, x, after), mask),
                    _ => sums[i].add_product(weight, x),
                };
            }
            (before, x) = (x, after);
        }
    }
    for (i, sum) in sums.into_iter().enumerate() {
        let sum = if kernel.relu { sum.relu() } else { sum };
        // SAFETY: so many pixels are inside the output.
        unsafe { sum.store_first(out.wrapping_add(i * LANES), pixels.output[i]) };
    }
}

/// The `i`th vector of a line and of the one before it. Lanes outside the map are zero.
///
/// # Safety
/// The lanes that are meant must be readable.
#[inline(always)]
unsafe fn load<V: Vector>(line: *const f32, i: usize, lanes: &[u16; TOGETHER + 2]) -> V {
    let from = line.wrapping_add(i * LANES).wrapping_sub(LANES);
    match lanes[i] {
        0 => V::splat(0.0),
        // SAFETY: as the caller promises.
        lanes => unsafe { V::load_some(from, V::mask(lanes)) },
    }
}
