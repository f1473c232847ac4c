//! A layout in which the filter taps of a convolution are rows.
//!
//! The feature maps of a channel follow each other in one long row, with zeros between lines and between images. The output at flat index
//! `o` then reads index `o + shift` for each tap. So a tap of a channel is a row that starts `shift` later, and a convolution is a product
//! of rows. With a stride, each remainder of the pixel's coordinates modulo the stride has a row of its own, in which neighbouring outputs
//! read neighbouring elements.

use std::ops::Range;

use rayon::prelude::*;

use crate::pool::Buffer;
use crate::simd::LANES;
use crate::tiles::Tiles;

/// The sizes of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvolutionShape {
    /// Images in the batch.
    pub images: usize,
    /// Input channels.
    pub sources: usize,
    /// Output channels.
    pub targets: usize,
    /// Height and width of the input feature maps.
    pub maps: [usize; 2],
    /// Height and width of the kernel.
    pub kernel: [usize; 2],
    /// Stride, vertical and horizontal.
    pub stride: [usize; 2],
    /// Zero padding on each side, vertical and horizontal.
    pub padding: [usize; 2],
    /// Dilation, vertical and horizontal.
    pub dilation: [usize; 2],
    /// Groups of channels.
    pub groups: usize,
}

impl ConvolutionShape {
    /// Height and width of the output; `None` if the kernel is larger than the padded input.
    pub fn output(&self) -> Option<[usize; 2]> {
        let side = |i: usize| {
            let reach = self.dilation[i] * self.kernel[i].checked_sub(1)?;
            let last = (self.maps[i] + 2 * self.padding[i]).checked_sub(reach + 1)?;
            Some(last / self.stride[i] + 1)
        };
        Some([side(0)?, side(1)?])
    }

    /// Filter taps of the kernel.
    pub fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    /// Input channels of a group.
    pub fn sources_of_group(&self) -> usize {
        self.sources / self.groups
    }

    /// Output channels of a group.
    pub fn targets_of_group(&self) -> usize {
        self.targets / self.groups
    }
}

/// The row that a filter tap reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tap {
    /// The index among the channel's rows.
    pub(crate) row: usize,
    /// The offset from the output's flat index.
    pub(crate) shift: usize,
}

/// The layout of a convolution's input and output.
#[derive(Clone, Debug)]
pub(crate) struct Planes {
    shape: ConvolutionShape,
    output: [usize; 2],
    /// Lines per image.
    lines: usize,
    /// Elements per line, padding included.
    line_stride: usize,
    /// Padding elements before the first pixel.
    lead: usize,
    pub(crate) taps: Vec<Tap>,
    /// The remainders modulo the stride that any tap reads, one row each.
    pub(crate) remainders: Vec<[usize; 2]>,
    /// Flat length of an output row, padding included.
    pub(crate) length: usize,
    /// Length of a source row: every element that any tap of any output reads.
    pub(crate) total: usize,
    /// The largest shift.
    pub(crate) reach: usize,
}

impl Planes {
    pub(crate) fn new(shape: ConvolutionShape) -> Self {
        let output = shape
            .output()
            .expect("a kernel no larger than the padded input");
        let is_dense = shape.stride == [1, 1];
        let side = |i: usize| {
            let padded = shape.maps[i] + 2 * shape.padding[i];
            if is_dense {
                // The zeros after a line are also the zeros before the next line.
                (shape.maps[i] + shape.padding[i]).max(output[i])
            } else {
                padded.div_ceil(shape.stride[i])
            }
        };
        let (lines, line_stride) = (side(0), side(1));
        let lead = if is_dense {
            shape.padding[0] * line_stride + shape.padding[1]
        } else {
            0
        };
        let mut remainders: Vec<[usize; 2]> = Vec::new();
        let mut taps = Vec::new();
        for down in 0..shape.kernel[0] {
            for right in 0..shape.kernel[1] {
                let at = [down * shape.dilation[0], right * shape.dilation[1]];
                let remainder = [at[0] % shape.stride[0], at[1] % shape.stride[1]];
                let row = remainders
                    .iter()
                    .position(|&r| r == remainder)
                    .unwrap_or_else(|| {
                        remainders.push(remainder);
                        remainders.len() - 1
                    });
                let shift = at[0] / shape.stride[0] * line_stride + at[1] / shape.stride[1];
                taps.push(Tap { row, shift });
            }
        }
        let reach = taps.iter().map(|tap| tap.shift).max().unwrap_or(0);
        // Whole vectors: elements after the last image are computed but not read.
        let length = (shape.images * lines * line_stride).next_multiple_of(LANES);
        Self {
            shape,
            output,
            lines,
            line_stride,
            lead,
            taps,
            remainders,
            length,
            total: (length + reach.max(lead)).next_multiple_of(LANES),
            reach,
        }
    }

    /// For convolutions with a stride: calls `f` for each remainder that an image's line has, with the row, the index of its first element,
    /// its first pixel and the distance between its pixels.
    fn lines_of(&self, image: usize, y: usize, mut f: impl FnMut(usize, usize, usize, usize)) {
        let [sy, sx] = self.shape.stride;
        let begin = self.lead + image * self.lines * self.line_stride;
        let u = y + self.shape.padding[0];
        for (row, &[ry, rx]) in self.remainders.iter().enumerate() {
            if u % sy != ry {
                continue;
            }
            // The first pixel x with (x + padding) % stride == remainder.
            let first = (rx + sx - self.shape.padding[1] % sx) % sx;
            let place = (first + self.shape.padding[1]) / sx;
            f(row, begin + u / sy * self.line_stride + place, first, sx);
        }
    }

    /// Copies `x [images, sources, height, width]` to rows, `[sources, remainders, total]`.
    pub(crate) fn lay_out(&self, x: &[f32]) -> Buffer {
        let _span = tracing::trace_span!("layout").entered();
        let ConvolutionShape {
            sources,
            maps: [height, width],
            ..
        } = self.shape;
        let rows = self.remainders.len();
        let mut planes = Buffer::uninitialised(sources * rows * self.total);
        planes
            .par_chunks_exact_mut((rows * self.total).max(1))
            .enumerate()
            .for_each(|(channel, plane)| {
                plane.fill(0.0);
                for image in 0..self.shape.images {
                    let map = &x[(image * sources + channel) * height * width..][..height * width];
                    if self.shape.stride == [1, 1] {
                        let to = &mut plane[self.lead + image * self.lines * self.line_stride..];
                        spread_lines(map, width, to, self.line_stride);
                        continue;
                    }
                    for (y, line) in map.chunks_exact(width).enumerate() {
                        self.lines_of(image, y, |row, place, first, step| {
                            let out = plane[row * self.total + place..].iter_mut();
                            for (out, value) in out.zip(line.iter().skip(first).step_by(step)) {
                                *out = *value;
                            }
                        });
                    }
                }
            });
        planes
    }

    /// The inverse of [`lay_out`](Self::lay_out): copies gradients of rows to `dx [images, sources, height, width]`. Pixels that no tap reads
    /// have gradient zero.
    pub(crate) fn collect_input(&self, planes: &[f32], dx: &mut [f32]) {
        let _span = tracing::trace_span!("layout").entered();
        let ConvolutionShape {
            images,
            sources,
            maps: [height, width],
            ..
        } = self.shape;
        let rows = self.remainders.len();
        if dx.is_empty() {
            return;
        }
        let tiles = Tiles::new(dx, height * width);
        planes
            .par_chunks_exact((rows * self.total).max(1))
            .enumerate()
            .for_each(|(channel, plane)| {
                for image in 0..images {
                    // SAFETY: a task writes its own channel.
                    let map = unsafe { tiles.row(image * sources + channel, 0..height * width) };
                    if self.shape.stride == [1, 1] {
                        let from = &plane[self.lead + image * self.lines * self.line_stride..];
                        copy_lines(from, self.line_stride, map, width);
                        continue;
                    }
                    map.fill(0.0);
                    for (y, line) in map.chunks_exact_mut(width).enumerate() {
                        self.lines_of(image, y, |row, place, first, step| {
                            let from = &plane[row * self.total + place..];
                            for (value, from) in line.iter_mut().skip(first).step_by(step).zip(from)
                            {
                                *value = *from;
                            }
                        });
                    }
                }
            });
    }

    /// Copies output rows `[targets, length]` to `y [images, targets, output pixels]`.
    pub(crate) fn collect(&self, flat: &[f32], y: &mut [f32]) {
        let _span = tracing::trace_span!("layout").entered();
        let [height, width] = self.output;
        let targets = self.shape.targets;
        if y.is_empty() {
            return;
        }
        let tiles = Tiles::new(y, height * width);
        flat.par_chunks_exact(self.length.max(1))
            .enumerate()
            .for_each(|(channel, flat)| {
                for image in 0..self.shape.images {
                    // SAFETY: a task writes its own channel.
                    let map = unsafe { tiles.row(image * targets + channel, 0..height * width) };
                    let from = &flat[image * self.lines * self.line_stride..];
                    copy_lines(from, self.line_stride, map, width);
                }
            });
    }

    /// Whether the kernel has one tap and rows have no padding, so that the rows of [`lay_out`](Self::lay_out) are what the tap reads.
    pub(crate) fn is_compact(&self) -> bool {
        self.taps == [Tap { row: 0, shift: 0 }] && self.output == [self.lines, self.line_stride]
    }

    /// What each tap of a range of sources reads for each output (im2col): `[sources.len(), taps, outputs]`, from the rows of
    /// [`lay_out`](Self::lay_out).
    pub(crate) fn columns(&self, rows: &[f32], sources: Range<usize>) -> Buffer {
        let _span = tracing::trace_span!("layout").entered();
        let [height, width] = self.output;
        let outputs = self.shape.images * height * width;
        let source_stride = self.remainders.len() * self.total;
        let mut columns = Buffer::uninitialised(sources.len() * self.taps.len() * outputs);
        let of_source = columns.chunks_exact_mut((self.taps.len() * outputs).max(1));
        for (source, columns) in sources.zip(of_source) {
            for (tap, column) in self.taps.iter().zip(columns.chunks_exact_mut(outputs)) {
                let from = &rows[source * source_stride + tap.row * self.total + tap.shift..];
                for (image, map) in column.chunks_exact_mut(height * width).enumerate() {
                    let from = &from[image * self.lines * self.line_stride..];
                    copy_lines(from, self.line_stride, map, width);
                }
            }
        }
        columns
    }

    /// Length of a row of [`spread`](Self::spread).
    pub(crate) fn spread_length(&self) -> usize {
        self.reach + self.total
    }

    /// Copies `dy [images, targets, output pixels]` to rows in the layout of outputs, with zeros between lines and `reach` zeros before the first
    /// and after the last: `[targets, reach + total]`.
    pub(crate) fn spread(&self, dy: &[f32]) -> Buffer {
        let _span = tracing::trace_span!("layout").entered();
        let [height, width] = self.output;
        let targets = self.shape.targets;
        let mut rows = Buffer::uninitialised(targets * self.spread_length());
        rows.par_chunks_exact_mut(self.spread_length().max(1))
            .enumerate()
            .for_each(|(channel, row)| {
                row.fill(0.0);
                for image in 0..self.shape.images {
                    let map = &dy[(image * targets + channel) * height * width..][..height * width];
                    let to = &mut row[self.reach + image * self.lines * self.line_stride..];
                    spread_lines(map, width, to, self.line_stride);
                }
            });
        rows
    }
}

/// Calls a loop over lines with the width as a constant for common short widths, so that the compiler specialises it.
macro_rules! by_width {
    ($width:expr, $of_width:ident($($arg:expr),*)) => {
        match $width {
            2 => $of_width($($arg,)* 2),
            4 => $of_width($($arg,)* 4),
            8 => $of_width($($arg,)* 8),
            16 => $of_width($($arg,)* 16),
            width => $of_width($($arg,)* width),
        }
    };
}

/// Copies lines with stride `line_stride` to a contiguous feature map.
fn copy_lines(from: &[f32], line_stride: usize, map: &mut [f32], width: usize) {
    #[inline(always)]
    fn of_width(from: &[f32], line_stride: usize, map: &mut [f32], width: usize) {
        for (line, from) in map.chunks_exact_mut(width).zip(from.chunks(line_stride)) {
            line.copy_from_slice(&from[..width]);
        }
    }
    by_width!(width, of_width(from, line_stride, map));
}

/// Copies a contiguous feature map to lines with stride `line_stride`.
fn spread_lines(map: &[f32], width: usize, to: &mut [f32], line_stride: usize) {
    #[inline(always)]
    fn of_width(map: &[f32], to: &mut [f32], line_stride: usize, width: usize) {
        for (line, to) in map.chunks_exact(width).zip(to.chunks_mut(line_stride)) {
            to[..width].copy_from_slice(line);
        }
    }
    by_width!(width, of_width(map, to, line_stride));
}
