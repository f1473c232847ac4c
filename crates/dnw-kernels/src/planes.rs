//! Channels laid out so that the taps of a convolution are rows.
//!
//! The maps of a channel follow each other in one long row, with zeros between their lines and between images. An output at flat place
//! `o` then needs what lies at `o + shift` for each tap, so that a tap of a channel *is* a row that starts `shift` later, and a
//! convolution is a product of rows. Where the kernel steps over the map, each remainder of the step is a row of its own, in
//! which neighbours lie side by side.

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
    /// Channels that come in.
    pub sources: usize,
    /// Channels that go out.
    pub targets: usize,
    /// Height and width of the maps that come in.
    pub maps: [usize; 2],
    /// Height and width of the kernel.
    pub kernel: [usize; 2],
    /// Step of the kernel, down and across.
    pub stride: [usize; 2],
    /// Zeros around the maps, above and below, left and right.
    pub padding: [usize; 2],
    /// Distance of the kernel's taps.
    pub dilation: [usize; 2],
    /// Groups of channels that are convolved by themselves.
    pub groups: usize,
}

impl ConvolutionShape {
    /// Height and width of the output; none if the kernel does not fit.
    pub fn output(&self) -> Option<[usize; 2]> {
        let side = |i: usize| {
            let reach = self.dilation[i] * self.kernel[i].checked_sub(1)?;
            let last = (self.maps[i] + 2 * self.padding[i]).checked_sub(reach + 1)?;
            Some(last / self.stride[i] + 1)
        };
        Some([side(0)?, side(1)?])
    }

    /// Taps of the kernel.
    pub fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    /// Sources of a target.
    pub fn sources_of_group(&self) -> usize {
        self.sources / self.groups
    }

    /// Targets of a group.
    pub fn targets_of_group(&self) -> usize {
        self.targets / self.groups
    }
}

/// Where a tap finds its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tap {
    /// Which of a channel's rows.
    pub(crate) row: usize,
    /// How far behind the output's place.
    pub(crate) shift: usize,
}

/// Where things lie.
#[derive(Clone, Debug)]
pub(crate) struct Planes {
    shape: ConvolutionShape,
    output: [usize; 2],
    /// Lines of an image, and places of a line.
    lines: usize,
    across: usize,
    /// Zeros before the first pixel.
    lead: usize,
    pub(crate) taps: Vec<Tap>,
    /// Remainders of the step that any tap needs, one row each.
    pub(crate) remainders: Vec<[usize; 2]>,
    /// Places of outputs, whether they are pixels or lie between.
    pub(crate) length: usize,
    /// Length of a row of sources: all places that any tap of any output reads.
    pub(crate) total: usize,
    /// The largest shift.
    pub(crate) reach: usize,
}

impl Planes {
    pub(crate) fn new(shape: ConvolutionShape) -> Self {
        let output = shape.output().expect("a kernel that fits its maps");
        let is_dense = shape.stride == [1, 1];
        let side = |i: usize| {
            let padded = shape.maps[i] + 2 * shape.padding[i];
            if is_dense {
                // A line's zeros at its end serve the next line's beginning.
                (shape.maps[i] + shape.padding[i]).max(output[i])
            } else {
                padded.div_ceil(shape.stride[i])
            }
        };
        let (lines, across) = (side(0), side(1));
        let lead = if is_dense {
            shape.padding[0] * across + shape.padding[1]
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
                let shift = at[0] / shape.stride[0] * across + at[1] / shape.stride[1];
                taps.push(Tap { row, shift });
            }
        }
        let reach = taps.iter().map(|tap| tap.shift).max().unwrap_or(0);
        // Whole vectors: what lies behind the last image is computed and not read.
        let length = (shape.images * lines * across).next_multiple_of(LANES);
        Self {
            shape,
            output,
            lines,
            across,
            lead,
            taps,
            remainders,
            length,
            total: (length + reach.max(lead)).next_multiple_of(LANES),
            reach,
        }
    }

    /// Calls `f` with an image's line and, for each remainder that the line belongs to, the row, where its first place is,
    /// its first pixel and the step between its pixels. For steps over the map; others have whole lines.
    fn lines_of(&self, image: usize, y: usize, mut f: impl FnMut(usize, usize, usize, usize)) {
        let [sy, sx] = self.shape.stride;
        let begin = self.lead + image * self.lines * self.across;
        let u = y + self.shape.padding[0];
        for (row, &[ry, rx]) in self.remainders.iter().enumerate() {
            if u % sy != ry {
                continue;
            }
            // The first pixel x for which (x + padding) leaves the remainder.
            let first = (rx + sx - self.shape.padding[1] % sx) % sx;
            let place = (first + self.shape.padding[1]) / sx;
            f(row, begin + u / sy * self.across + place, first, sx);
        }
    }

    /// `x [images, sources, maps]` as rows, `[sources, remainders, total]`.
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
                        let to = &mut plane[self.lead + image * self.lines * self.across..];
                        spread_lines(map, width, to, self.across);
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

    /// Rows `[sources, remainders, total]` of gradients as `dx [images, sources, maps]`. Pixels that no tap reads have none.
    pub(crate) fn take_in(&self, planes: &[f32], dx: &mut [f32]) {
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
                        let from = &plane[self.lead + image * self.lines * self.across..];
                        copy_lines(from, self.across, map, width);
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

    /// Outputs by channel, `[targets, length]`, as `y [images, targets, output pixels]`.
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
                    let from = &flat[image * self.lines * self.across..];
                    copy_lines(from, self.across, map, width);
                }
            });
    }

    /// Whether there is nothing between the outputs, so that the rows of [`lay_out`](Self::lay_out) are those of the only tap, output by
    /// output.
    pub(crate) fn is_compact(&self) -> bool {
        self.taps == [Tap { row: 0, shift: 0 }] && self.output == [self.lines, self.across]
    }

    /// What each tap of some sources reads for each output, without what lies between outputs, `[these sources, taps, outputs]`, from the
    /// rows of [`lay_out`](Self::lay_out).
    pub(crate) fn columns(&self, rows: &[f32], sources: Range<usize>) -> Buffer {
        let _span = tracing::trace_span!("layout").entered();
        let [height, width] = self.output;
        let outputs = self.shape.images * height * width;
        let apart = self.remainders.len() * self.total;
        let mut columns = Buffer::uninitialised(sources.len() * self.taps.len() * outputs);
        let of_source = columns.chunks_exact_mut((self.taps.len() * outputs).max(1));
        for (source, columns) in sources.zip(of_source) {
            for (tap, column) in self.taps.iter().zip(columns.chunks_exact_mut(outputs)) {
                let from = &rows[source * apart + tap.row * self.total + tap.shift..];
                for (image, map) in column.chunks_exact_mut(height * width).enumerate() {
                    let from = &from[image * self.lines * self.across..];
                    copy_lines(from, self.across, map, width);
                }
            }
        }
        columns
    }

    /// Length of a row of [`spread`](Self::spread).
    pub(crate) fn spread_length(&self) -> usize {
        self.reach + self.total
    }

    /// `dy [images, targets, output pixels]` by channel at the outputs' places, zeros between, and as many before the first and behind the last
    /// as the taps reach: `[targets, reach + total]`.
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
                    let to = &mut row[self.reach + image * self.lines * self.across..];
                    spread_lines(map, width, to, self.across);
                }
            });
        rows
    }
}

/// A loop over lines, compiled for short ones of known width too, because most are short.
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

/// Copies lines that lie `across` apart into a map of lines of this width.
fn copy_lines(from: &[f32], across: usize, map: &mut [f32], width: usize) {
    #[inline(always)]
    fn of_width(from: &[f32], across: usize, map: &mut [f32], width: usize) {
        for (line, from) in map.chunks_exact_mut(width).zip(from.chunks(across)) {
            line.copy_from_slice(&from[..width]);
        }
    }
    by_width!(width, of_width(from, across, map));
}

/// Copies a map of lines of this width to where they lie `across` apart.
fn spread_lines(map: &[f32], width: usize, to: &mut [f32], across: usize) {
    #[inline(always)]
    fn of_width(map: &[f32], to: &mut [f32], across: usize, width: usize) {
        for (line, to) in map.chunks_exact(width).zip(to.chunks_mut(across)) {
            to[..width].copy_from_slice(line);
        }
    }
    by_width!(width, of_width(map, to, across));
}
