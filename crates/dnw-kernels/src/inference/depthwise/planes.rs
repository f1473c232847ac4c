//! Depthwise convolutions of any shape.
//!
//! A channel's map is first copied to *planes* with lines of zeros above and below: one plane, or with a stride one for each remainder of a
//! pixel's coordinates. A tap of the kernel then reads a plane from an offset on. At the left and right border it would read a neighbouring
//! line; there a mask makes its products zero.

use super::shape::{DepthwiseShape, Kernel, Lines};
use crate::simd::{LANES, multiply_add, vectorised};

/// Where the pixels and taps of a depthwise convolution lie.
#[derive(Clone, Debug)]
pub(super) struct Planes {
    shape: DepthwiseShape,
    /// Numbers from a line of a plane, or of the output, to the next.
    line: usize,
    /// Numbers of a plane.
    plane: usize,
    /// Numbers before the first line of a plane: all zero.
    lead: usize,
    /// For each column of the kernel its mask, all ones if empty, and where each of its taps reads.
    columns: Vec<Column>,
    /// Vectors of an output.
    vectors: usize,
}

#[derive(Clone, Debug)]
struct Column {
    mask: Vec<u32>,
    offsets: Vec<usize>,
}

impl Planes {
    /// The layout of this convolution, no size of which is zero.
    pub(super) fn new(shape: DepthwiseShape) -> Self {
        let DepthwiseShape {
            map,
            output,
            kernel,
            stride,
            padding,
            dilation,
        } = shape;
        // A tap at `t` reads pixel `o * stride + t * dilation - padding` for output `o`: in the plane of a remainder, that of `o + shift`.
        let remainder = |i: usize, tap: usize| {
            let at = (tap * dilation[i]) as isize - padding[i] as isize;
            let stride = stride[i] as isize;
            (at.rem_euclid(stride) as usize, at.div_euclid(stride))
        };
        let held =
            |i: usize, remainder: usize| map[i].saturating_sub(remainder).div_ceil(stride[i]);
        let shifts = |i: usize| (0..kernel[i]).map(move |tap| remainder(i, tap).1);
        let line = output[1].max(held(1, 0));
        let most = |shifts: &mut dyn Iterator<Item = isize>, sign: isize| {
            shifts
                .map(|shift| (sign * shift).max(0) as usize)
                .max()
                .unwrap_or(0)
        };
        let above = most(&mut shifts(0), -1);
        let below = most(&mut shifts(0), 1);
        let left = most(&mut shifts(1), -1);
        let right = most(&mut shifts(1), 1);
        let lead = (above * line + left).next_multiple_of(LANES);
        let vectors = (output[0] * line).div_ceil(LANES);
        let reads = vectors * LANES + below * line + right;
        let plane = (lead + reads.max(held(0, 0) * line)).next_multiple_of(LANES);
        let columns = (0..kernel[1]).map(|x| {
            let (rx, shift) = remainder(1, x);
            let inside =
                |at: usize| (0..held(1, rx) as isize).contains(&((at % line) as isize + shift));
            let mask: Vec<u32> = (0..vectors * LANES)
                .map(|at| {
                    if inside(at) || at % line >= output[1] {
                        u32::MAX
                    } else {
                        0
                    }
                })
                .collect();
            let offsets = (0..kernel[0]).map(|y| {
                let (ry, down) = remainder(0, y);
                let first = (ry * stride[1] + rx) * plane + lead;
                first.wrapping_add_signed(down * line as isize + shift)
            });
            Column {
                offsets: offsets.collect(),
                mask: if mask.contains(&0) { mask } else { Vec::new() },
            }
        });
        Self {
            shape,
            line,
            plane,
            lead,
            columns: columns.collect(),
            vectors,
        }
    }

    /// Numbers of the planes and of an output whose lines are apart: what [`run`](Self::run) needs as scratch memory.
    pub(super) fn scratch(&self) -> usize {
        let [sy, sx] = self.shape.stride;
        sy * sx * self.plane + self.vectors * LANES
    }

    /// Whether an output's lines follow each other, so that it is written without a copy.
    fn is_direct(&self) -> bool {
        self.line == self.shape.output[1]
    }

    /// Computes one channel. `out` has the output's pixels, or as many numbers more as make whole vectors: then these are written too.
    ///
    /// `scratch` is zero before the first channel, and left to this method until the last.
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
        let [kh, kw] = self.shape.kernel;
        x.check(self.shape.map);
        assert!(kernel.weights.len() == kh * kw && scratch.len() >= self.scratch());
        let [sy, sx] = self.shape.stride;
        let (planes, apart) = scratch.split_at_mut(sy * sx * self.plane);
        fill(self, x, planes);
        if self.is_direct() && out.len() >= self.vectors * LANES {
            channel(self, kernel, planes, out);
        } else {
            channel(self, kernel, planes, apart);
            let [lines, width] = self.shape.output;
            for y in 0..lines {
                out[y * width..][..width].copy_from_slice(&apart[y * self.line..][..width]);
            }
        }
    }
}

vectorised! {
    fn fill(layout: &Planes, x: Lines<'_>, planes: &mut [f32]) = fill_body;
}

/// Copies a map to its planes.
#[inline(always)]
fn fill_body<const SET: u8>(layout: &Planes, x: Lines<'_>, planes: &mut [f32]) {
    let Planes {
        shape,
        line,
        plane,
        lead,
        ..
    } = *layout;
    let [height, width] = shape.map;
    let [sy, sx] = shape.stride;
    if sy == 1 && sx == 1 && line == width && x.line == width {
        planes[lead..][..height * width].copy_from_slice(&x.numbers[..height * width]);
        return;
    }
    for y in 0..height {
        let pixels = &x.numbers[y * x.line..][..width];
        let first = (y % sy * sx) * plane + lead + y / sy * line;
        match sx {
            1 => planes[first..][..width].copy_from_slice(pixels),
            2 => {
                let (even, odd) = planes[first..].split_at_mut(plane);
                let (even, odd) = (&mut even[..width.div_ceil(2)], &mut odd[..width / 2]);
                for ((even, odd), pair) in
                    even.iter_mut().zip(&mut *odd).zip(pixels.chunks_exact(2))
                {
                    (*even, *odd) = (pair[0], pair[1]);
                }
                if width % 2 == 1 {
                    even[width / 2] = pixels[width - 1];
                }
            }
            _ => {
                for (at, &pixel) in pixels.iter().enumerate() {
                    planes[first + at % sx * plane + at / sx] = pixel;
                }
            }
        }
    }
}

vectorised! {
    fn channel(layout: &Planes, kernel: Kernel<'_>, planes: &[f32], out: &mut [f32]) = channel_body;
}

#[inline(always)]
fn channel_body<const SET: u8>(
    layout: &Planes,
    kernel: Kernel<'_>,
    planes: &[f32],
    out: &mut [f32],
) {
    match layout.shape.kernel {
        [3, 3] => taps_body::<SET, 3, 3>(layout, kernel, planes, out),
        [5, 5] => taps_body::<SET, 5, 5>(layout, kernel, planes, out),
        // Zero: the sizes of the layout.
        _ => taps_body::<SET, 0, 0>(layout, kernel, planes, out),
    }
}

/// The largest kernel with a copy of the loop of its own.
const KH_MOST: usize = 5;
const KW_MOST: usize = 5;

#[inline(always)]
fn taps_body<const SET: u8, const KH: usize, const KW: usize>(
    layout: &Planes,
    kernel: Kernel<'_>,
    planes: &[f32],
    out: &mut [f32],
) {
    let [kh, kw] = if KH == 0 {
        layout.shape.kernel
    } else {
        [KH, KW]
    };
    let columns = &layout.columns[..kw];
    let numbers = layout.vectors * LANES;
    let weights = &kernel.weights[..kh * kw];
    // Checked once, not for each vector.
    for column in columns {
        assert!(column.mask.len() == numbers || column.mask.is_empty());
        let ends = column.offsets[..kh].iter().map(|offset| offset + numbers);
        assert!(ends.max().is_none_or(|end| end <= planes.len()));
    }
    // Copies, which the compiler keeps in registers, because it sees that nothing else can change them.
    let mut own = [[0.0f32; KW_MOST]; KH_MOST];
    if KH > 0 {
        for y in 0..KH {
            own[y][..KW].copy_from_slice(&weights[y * KW..][..KW]);
        }
    }
    for (vector, out) in out.chunks_exact_mut(LANES).take(layout.vectors).enumerate() {
        let at = vector * LANES;
        let mut total = [kernel.bias; LANES];
        for (x, column) in columns.iter().enumerate() {
            let mut sum = [0.0; LANES];
            for y in 0..kh {
                // SAFETY: the lengths were checked above; `kh` and `kw` are those of the layout.
                let (w, row) = unsafe {
                    let first = planes.as_ptr().add(column.offsets.get_unchecked(y) + at);
                    (
                        *weights.get_unchecked(y * kw + x),
                        first.cast::<[f32; LANES]>().read_unaligned(),
                    )
                };
                for i in 0..LANES {
                    sum[i] = multiply_add::<SET>(w, row[i], sum[i]);
                }
            }
            if !column.mask.is_empty() {
                // SAFETY: the length was checked above.
                let mask = unsafe {
                    column
                        .mask
                        .as_ptr()
                        .add(at)
                        .cast::<[u32; LANES]>()
                        .read_unaligned()
                };
                for i in 0..LANES {
                    sum[i] = f32::from_bits(sum[i].to_bits() & mask[i]);
                }
            }
            for i in 0..LANES {
                total[i] += sum[i];
            }
        }
        if kernel.relu {
            for x in &mut total {
                *x = if *x > 0.0 { *x } else { 0.0 };
            }
        }
        out.copy_from_slice(&total);
    }
}
