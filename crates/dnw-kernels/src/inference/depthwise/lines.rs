//! Depthwise convolutions with square kernels of 3 or 5 taps a side and a stride of 1 or 2, line by line.
//!
//! Two lines of the output are computed at once, with AVX-512 four: a sum waits for each of its additions, and lines of the input are loaded
//! for several lines of the output. (AVX2 has too few registers to gain from four.) The taps of a kernel's line multiply the same line of the
//! input, from neighbouring columns on.
//!
//! Lanes beyond the left or right border are not loaded. Instruction sets other than AVX-512 load some lanes slowly; there maps of few vectors
//! a line are first [copied](super::padded), with zeros between their lines.

use super::padded::Padded;
use super::shape::{DepthwiseShape, Kernel, Lines};
use crate::settings::InstructionSet;
use crate::simd::{AVX512, LANES, vectorised};
use crate::vector::{HasVector, Set, Vector};

/// The largest kernel.
const MOST_TAPS: usize = 5;

/// What is known of a shape before the first map.
#[derive(Clone, Debug)]
pub(super) struct LineByLine {
    shape: DepthwiseShape,
    /// If maps are copied.
    padded: Option<Padded>,
    /// The vectors of a line of the output.
    vectors: Vec<Columns>,
}

/// Sixteen columns of the output.
#[derive(Clone, Copy, Debug)]
struct Columns {
    /// Whether all that they depend on is inside the map, and they inside the output.
    are_inside: bool,
    /// For each column of the kernel, which numbers are inside the map. For a stride of 2 there are 32, of which each second is used.
    taps: [u32; MOST_TAPS],
}

type Of<const SET: u8> = <Set<SET> as HasVector>::Vector;

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
                are_inside: at + LANES <= columns,
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
            lanes
        };
        if !is_here {
            return None;
        }
        let vectors: Vec<Columns> = (0..columns).step_by(LANES).map(vector).collect();
        let inside = vectors.iter().filter(|lanes| lanes.are_inside).count();
        let is_copied =
            InstructionSet::in_use() != InstructionSet::Avx512 && 3 * inside <= 2 * vectors.len();
        Some(Self {
            shape,
            padded: is_copied.then(|| Padded::new(shape)),
            vectors,
        })
    }

    /// Numbers that [`run`](Self::run) needs as scratch memory.
    pub(super) fn scratch(&self) -> usize {
        self.padded.map_or(0, |padded| padded.scratch)
    }

    /// Computes one channel. `scratch` is zero before the first channel, and left to this method until the last.
    ///
    /// # Panics
    /// If a length does not fit.
    pub(super) fn run(
        &self,
        x: Lines<'_>,
        kernel: Kernel<'_>,
        scratch: &mut [f32],
        out: &mut [f32],
    ) {
        let [lines, columns] = self.shape.output;
        x.check(self.shape.map);
        assert!(kernel.weights.len() == self.shape.kernel[0] * self.shape.kernel[1]);
        assert!(out.len() >= lines * columns);
        channel(self, x, kernel, &mut scratch[..self.scratch()], out);
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
    fn channel(layout: &LineByLine, x: Lines<'_>, kernel: Kernel<'_>, scratch: &mut [f32], out: &mut [f32]) = channel_body;
}

#[inline(always)]
fn channel_body<const SET: u8>(
    layout: &LineByLine,
    x: Lines<'_>,
    kernel: Kernel<'_>,
    scratch: &mut [f32],
    out: &mut [f32],
) where
    Set<SET>: HasVector,
{
    match layout.padded {
        Some(padded) if SET != AVX512 => {
            let source = Source {
                first: padded.fill::<SET>(x, scratch),
                line: padded.line,
            };
            lines_of::<SET, true>(layout, source, kernel, out);
        }
        _ => {
            let source = Source {
                first: x.numbers.as_ptr(),
                line: x.line,
            };
            lines_of::<SET, false>(layout, source, kernel, out);
        }
    }
}

/// The lines of a map, or of a copy with zeros between them.
#[derive(Clone, Copy)]
struct Source {
    first: *const f32,
    /// Numbers from a line to the next.
    line: usize,
}

/// `PADDED`: there are zeros between lines, or what else lanes may read that are not used.
#[inline(always)]
fn lines_of<const SET: u8, const PADDED: bool>(
    layout: &LineByLine,
    source: Source,
    kernel: Kernel<'_>,
    out: &mut [f32],
) where
    Set<SET>: HasVector,
{
    match (layout.shape.kernel[0], layout.shape.stride[0]) {
        (3, 1) => lines::<SET, PADDED, 3, 1, 4, 6>(layout, source, kernel, out),
        (3, _) => lines::<SET, PADDED, 3, 2, 5, 9>(layout, source, kernel, out),
        (_, 1) => lines::<SET, PADDED, 5, 1, 6, 8>(layout, source, kernel, out),
        (_, _) => lines::<SET, PADDED, 5, 2, 7, 11>(layout, source, kernel, out),
    }
}

/// `K` taps a side, stride `S`: two lines of the output depend on `OF_TWO` lines of the input, four on `OF_FOUR`.
#[inline(always)]
fn lines<
    const SET: u8,
    const PADDED: bool,
    const K: usize,
    const S: usize,
    const OF_TWO: usize,
    const OF_FOUR: usize,
>(
    layout: &LineByLine,
    source: Source,
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
        let left = lines - y;
        let together = if SET == AVX512 && left > 2 { 4 } else { 2 };
        let group = Group {
            layout,
            source,
            y,
            weights,
            bias: kernel.bias,
            relu: kernel.relu,
            out: out[y * columns..].as_mut_ptr(),
            count: left,
            columns,
        };
        if together == 4 {
            group.compute::<SET, PADDED, S, 4, OF_FOUR>();
        } else {
            group.compute::<SET, PADDED, S, 2, OF_TWO>();
        }
        y += together;
    }
}

/// Lines of an output.
struct Group<'a, const K: usize> {
    layout: &'a LineByLine,
    source: Source,
    /// The first line.
    y: usize,
    weights: &'a [[f32; K]; K],
    bias: f32,
    relu: bool,
    /// `count` lines of `columns` numbers, or more.
    out: *mut f32,
    count: usize,
    columns: usize,
}

impl<const K: usize> Group<'_, K> {
    /// Computes `L` lines, or those that there are. They depend on `ROWS` lines of the input.
    #[inline(always)]
    fn compute<
        const SET: u8,
        const PADDED: bool,
        const S: usize,
        const L: usize,
        const ROWS: usize,
    >(
        &self,
    ) where
        Set<SET>: HasVector,
    {
        let (above, height) = (self.layout.shape.padding[0], self.layout.shape.map[0]);
        // Null outside the map.
        let rows: [*const f32; ROWS] =
            std::array::from_fn(|j| match (S * self.y + j).checked_sub(above) {
                Some(line) if line < height => {
                    self.source.first.wrapping_add(line * self.source.line)
                }
                _ => std::ptr::null(),
            });
        for (i, lanes) in self.layout.vectors.iter().enumerate() {
            let at = i * LANES;
            let count = LANES.min(self.columns - at);
            let sums = if PADDED || lanes.are_inside {
                self.sums::<Of<SET>, S, L, ROWS, true>(&rows, at, lanes)
            } else {
                self.sums::<Of<SET>, S, L, ROWS, false>(&rows, at, lanes)
            };
            for (line, sum) in sums.into_iter().enumerate().take(self.count) {
                // SAFETY: so many columns are inside the output's line.
                unsafe {
                    let to = self.out.add(line * self.columns + at);
                    if count == LANES {
                        sum.store(to);
                    } else {
                        sum.store_first(to, count);
                    }
                }
            }
        }
    }

    /// Sixteen columns of each line. `INSIDE`: all that they depend on may be loaded.
    #[inline(always)]
    fn sums<V: Vector, const S: usize, const L: usize, const ROWS: usize, const INSIDE: bool>(
        &self,
        rows: &[*const f32; ROWS],
        at: usize,
        lanes: &Columns,
    ) -> [V; L] {
        const { assert!(ROWS == K + (L - 1) * S && ROWS <= 11) };
        let mut sums = [V::splat(self.bias); L];
        // Written out, because the compiler leaves a loop over the lines of a kernel of 5 x 5 as a loop, which tests for each line of the output
        // whether it depends on that of the input.
        macro_rules! add_rows {
            ($($j:literal)*) => {
                $(if $j < ROWS && !rows[$j].is_null() {
                    self.add_row::<V, S, L, INSIDE>(rows[$j], $j, at, lanes, &mut sums);
                })*
            };
        }
        add_rows!(0 1 2 3 4 5 6 7 8 9 10);
        if self.relu {
            sums = sums.map(V::relu);
        }
        sums
    }

    /// Adds the products of the `j`th line of the input to the lines of the output that depend on it.
    #[inline(always)]
    fn add_row<V: Vector, const S: usize, const L: usize, const INSIDE: bool>(
        &self,
        row: *const f32,
        j: usize,
        at: usize,
        lanes: &Columns,
        sums: &mut [V; L],
    ) {
        for t in 0..K {
            let (column, is_odd) = split(t, K, S);
            let from = row.wrapping_add(S * at).wrapping_offset(column);
            let load = |half: usize| {
                let from = from.wrapping_add(half * LANES);
                // SAFETY: a row is readable inside the map, and what is outside is not loaded; a copy is readable behind its lines, too.
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
