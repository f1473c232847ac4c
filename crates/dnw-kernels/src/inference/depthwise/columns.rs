//! Depthwise convolutions with AVX2, eight columns at a time from the first line down: kernels of 3 x 3 or 5 x 5 with a stride of 1, of 3 x 3 with
//! a stride of 2. With AVX-512 only short lines are computed here, with the same instructions: vectors of sixteen columns are faster for long ones.
//!
//! A line of the input is loaded once and added to each line of the output that depends on it. Their sums stay in registers, and so do the weights
//! of 3 x 3 taps. Columns are taken in eights, the last eight up to the end of a line: some are then computed twice, and no part of a register is
//! written, which is slow with AVX2.
//!
//! Lanes left or right of the map are set to zero. Loads that skip lanes are slow too, so only the first and the last line have them: what is
//! before and behind any other line can be read.

use std::arch::x86_64::*;

use super::shape::{DepthwiseShape, Kernel, Lines};
use crate::settings::InstructionSet;
use crate::vector::store_few;

/// Numbers of a register.
const LANES: usize = 8;
/// The fewest columns of an output. With fewer, a register would reach beyond two lines of the input.
const FEWEST: usize = 5;
/// The most registers that are loaded of a line.
const MOST_LOADS: usize = 5;

/// What is known of a shape before the first map.
#[derive(Clone, Debug)]
pub(super) struct ByColumns {
    shape: DepthwiseShape,
    eights: Vec<Eight>,
}

/// Eight columns of the output.
#[derive(Clone, Copy, Debug)]
struct Eight {
    first: usize,
    /// Whether some loads reach beyond the start ([`LEFT`]) or the end ([`RIGHT`]) of a line.
    edge: u8,
    /// For each load its lanes inside the map: all bits one.
    inside: [[i32; LANES]; MOST_LOADS],
}

/// What of a line may be read.
const INSIDE: u8 = 0;
const LEFT: u8 = 1;
const RIGHT: u8 = 2;
/// Nothing before and behind the line.
const ALONE: u8 = 4;

impl ByColumns {
    /// Nothing if the shape is not computed here. No size is zero.
    pub(super) fn new(shape: DepthwiseShape) -> Option<Self> {
        let DepthwiseShape {
            map,
            output,
            kernel: [height, taps],
            stride: [down, stride],
            padding,
            dilation,
        } = shape;
        let most_columns = match (InstructionSet::in_use(), taps, stride) {
            (InstructionSet::Baseline, ..) => 0,
            (InstructionSet::Avx2, ..) => usize::MAX,
            // Up to these sizes they are faster on a Zen 4.
            (InstructionSet::Avx512, 3, 1) => 40,
            (InstructionSet::Avx512, 3, _) => 56,
            (InstructionSet::Avx512, ..) => 8,
        };
        let is_here = height == taps
            && down == stride
            && matches!((taps, stride), (3 | 5, 1) | (3, 2))
            && padding == [taps / 2; 2]
            && dilation == [1, 1]
            && output == map.map(|side| side.div_ceil(stride))
            && (FEWEST..=most_columns).contains(&output[1]);
        if !is_here {
            return None;
        }
        let ([_, width], [_, columns]) = (map, output);
        let loads = if stride == 1 { taps } else { 4 };
        let eight = |at: usize| {
            let first = at.min(columns.saturating_sub(LANES));
            let inside: [[i32; LANES]; MOST_LOADS] = std::array::from_fn(|load| {
                std::array::from_fn(|lane| {
                    let column = offset(taps, stride, load) + (stride * first + lane) as isize;
                    -i32::from((0..width as isize).contains(&column))
                })
            });
            let side = |load: usize, flag| match inside[load].contains(&0) {
                true => flag,
                false => INSIDE,
            };
            Eight {
                first,
                edge: side(0, LEFT) | side(loads - 1, RIGHT),
                inside,
            }
        };
        Some(Self {
            shape,
            eights: (0..columns).step_by(LANES).map(eight).collect(),
        })
    }

    /// Computes one channel.
    ///
    /// # Panics
    /// If a length does not fit.
    pub(super) fn run(&self, x: Lines<'_>, kernel: Kernel<'_>, out: &mut [f32]) {
        let ([lines, columns], [taps, _]) = (self.shape.output, self.shape.kernel);
        x.check(self.shape.map);
        assert!(kernel.weights.len() == taps * taps && out.len() >= lines * columns);
        // SAFETY: the machine has AVX2 (with AVX-512, too), or there would be no `self`; the lengths were checked.
        unsafe {
            match (taps, self.shape.stride[0]) {
                (3, 1) => self.channel::<3, 1>(x, kernel, out),
                (3, _) => self.channel::<3, 2>(x, kernel, out),
                _ => self.channel::<5, 1>(x, kernel, out),
            }
        }
    }

    /// `K` taps a side, stride `S`.
    ///
    /// # Safety
    /// The machine has AVX2, and the lengths are those of the shape.
    #[target_feature(enable = "avx2,fma")]
    unsafe fn channel<const K: usize, const S: usize>(
        &self,
        x: Lines<'_>,
        kernel: Kernel<'_>,
        out: &mut [f32],
    ) {
        let weights =
            std::array::from_fn(|j| std::array::from_fn(|t| splat(kernel.weights[j * K + t])));
        let columns = self.shape.output[1];
        for eight in &self.eights {
            let walk = Walk::<K, S> {
                weights,
                bias: splat(kernel.bias),
                relu: kernel.relu,
                inside: &eight.inside,
                x: x.numbers.as_ptr().wrapping_add(S * eight.first),
                line: x.line,
                height: self.shape.map[0],
                columns,
                count: LANES.min(columns),
                end: out.as_mut_ptr_range().end,
                out: out.as_mut_ptr().wrapping_add(eight.first),
            };
            // SAFETY: as the caller promises; the columns are inside the output.
            unsafe {
                match eight.edge {
                    INSIDE => walk.down::<INSIDE>(),
                    LEFT => walk.down::<LEFT>(),
                    RIGHT => walk.down::<RIGHT>(),
                    _ => walk.down::<{ LEFT | RIGHT }>(),
                }
            }
        }
    }
}

/// Where a load begins, relative to the first column: one for each tap; with a stride of 2 two from the column before on, then two from it on.
const fn offset(taps: usize, stride: usize, load: usize) -> isize {
    match (stride, load) {
        (1, load) => load as isize - (taps / 2) as isize,
        (_, 0) => -1,
        (_, 1) => LANES as isize - 1,
        (_, 2) => 0,
        (_, _) => LANES as isize,
    }
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn splat(x: f32) -> __m256 {
    _mm256_set1_ps(x)
}

/// Eight columns of a channel.
#[derive(Clone, Copy)]
struct Walk<'a, const K: usize, const S: usize> {
    weights: [[__m256; K]; K],
    bias: __m256,
    relu: bool,
    inside: &'a [[i32; LANES]; MOST_LOADS],
    /// The first line of the input, at `S` times the first column.
    x: *const f32,
    /// Numbers from a line of the input to the next.
    line: usize,
    /// Lines of the input.
    height: usize,
    /// Columns of the output.
    columns: usize,
    /// How many of them are written: fewer than eight if a line has fewer.
    count: usize,
    /// The first line of the output, at the first column.
    out: *mut f32,
    /// The end of the output.
    end: *mut f32,
}

impl<const K: usize, const S: usize> Walk<'_, K, S> {
    /// # Safety
    /// The machine has AVX2, and all pointers belong to maps of these sizes.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn down<const EDGE: u8>(self) {
        // SAFETY: as the caller promises.
        unsafe {
            if S == 1 {
                self.each_line::<EDGE>();
            } else {
                self.each_second_line::<EDGE>();
            }
        }
    }

    /// Stride 1.
    ///
    /// # Safety
    /// As for [`down`](Self::down).
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn each_line<const EDGE: u8>(self) {
        // For line `y` of the input, those of the lines from `y - K / 2` on.
        let mut sums = [self.bias; K];
        let last = self.height - 1;
        // SAFETY: as the caller promises: there are so many lines.
        unsafe {
            self.add_line::<ALONE>(0, &mut sums);
            for y in 1..last {
                self.add_line::<EDGE>(y, &mut sums);
            }
            if last > 0 {
                self.add_line::<ALONE>(last, &mut sums);
            }
            for (i, &sum) in sums.iter().enumerate().take(K / 2) {
                if let Some(y) = (self.height + i).checked_sub(K / 2) {
                    self.write(y, sum);
                }
            }
        }
    }

    /// Adds line `y` of the input to the sums, writes the first, which is then complete, and begins another.
    ///
    /// # Safety
    /// As for [`down`](Self::down).
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn add_line<const EDGE: u8>(self, y: usize, sums: &mut [__m256; K]) {
        // SAFETY: as the caller promises.
        let x = unsafe { self.taps::<EDGE>(y) };
        for (sum, weights) in sums.iter_mut().zip(self.weights.iter().rev()) {
            *sum = add_products(*sum, weights, &x);
        }
        if let Some(y) = y.checked_sub(K / 2) {
            // SAFETY: as the caller promises.
            unsafe { self.write(y, sums[0]) };
        }
        *sums = std::array::from_fn(|i| if i + 1 < K { sums[i + 1] } else { self.bias });
    }

    /// Stride 2 and three taps: a line of the output depends on two lines of the input, and on the last one of the line before.
    ///
    /// # Safety
    /// As for [`down`](Self::down).
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn each_second_line<const EDGE: u8>(self) {
        let last = self.height.div_ceil(2) - 1;
        // SAFETY: as the caller promises: there are so many lines.
        unsafe {
            let mut sum = self.add_two::<ALONE>(0, self.bias);
            for y in 1..last {
                sum = self.add_two::<EDGE>(y, sum);
            }
            if last > 0 {
                self.add_two::<ALONE>(last, sum);
            }
        }
    }

    /// Completes the sum of line `y` of the output and writes it. Returns the sum of the next line so far.
    ///
    /// # Safety
    /// As for [`down`](Self::down).
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn add_two<const EDGE: u8>(self, y: usize, sum: __m256) -> __m256 {
        // SAFETY: as the caller promises: the first of two lines of the input exists.
        unsafe {
            let x = self.taps::<EDGE>(2 * y);
            let mut sum = add_products(sum, &self.weights[1], &x);
            let mut next = self.bias;
            if 2 * y + 1 < self.height {
                let x = self.taps::<EDGE>(2 * y + 1);
                sum = add_products(sum, &self.weights[2], &x);
                next = add_products(next, &self.weights[0], &x);
            }
            self.write(y, sum);
            next
        }
    }

    /// What the taps of a line of the kernel multiply in line `y` of the input. With a stride of 2 in the order of columns 0 1 4 5 2 3 6 7.
    ///
    /// # Safety
    /// As for [`down`](Self::down).
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn taps<const EDGE: u8>(self, y: usize) -> [__m256; K] {
        let line = self.x.wrapping_add(y * self.line);
        let load = |load: usize| {
            let offset = offset(K, S, load);
            let from = line.wrapping_offset(offset);
            // The first load goes left of the columns, the last right of them; with a stride of 2 the second goes only as far as a column does.
            let is_left = offset < 0;
            let is_right = if S == 1 { offset > 0 } else { load == 3 };
            let is_cut = EDGE & LEFT != 0 && is_left || EDGE & RIGHT != 0 && is_right;
            // SAFETY: as the caller promises. What is loaded beyond the line is in the line before or behind, or zeros in place of it.
            unsafe {
                let inside = || _mm256_loadu_si256(self.inside[load].as_ptr().cast());
                if EDGE == ALONE {
                    _mm256_maskload_ps(from, inside())
                } else if is_cut {
                    _mm256_and_ps(_mm256_loadu_ps(from), _mm256_castsi256_ps(inside()))
                } else {
                    _mm256_loadu_ps(from)
                }
            }
        };
        if S == 1 {
            return std::array::from_fn(load);
        }
        let (before, here) = ([load(0), load(1)], [load(2), load(3)]);
        std::array::from_fn(|tap| match tap {
            0 => _mm256_shuffle_ps::<0b10_00_10_00>(before[0], before[1]),
            1 => _mm256_shuffle_ps::<0b10_00_10_00>(here[0], here[1]),
            _ => _mm256_shuffle_ps::<0b11_01_11_01>(here[0], here[1]),
        })
    }

    /// Writes eight columns of line `y` of the output.
    ///
    /// # Safety
    /// As for [`down`](Self::down).
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn write(self, y: usize, mut sum: __m256) {
        if self.relu {
            // The second operand is the result for numbers that are none.
            sum = _mm256_max_ps(sum, _mm256_setzero_ps());
        }
        if S == 2 {
            let ordered = _mm256_permute4x64_pd::<0b11_01_10_00>(_mm256_castps_pd(sum));
            sum = _mm256_castpd_ps(ordered);
        }
        let to = self.out.wrapping_add(y * self.columns);
        // SAFETY: as the caller promises; if a line has fewer columns, the next is written later.
        unsafe {
            if self.count == LANES || to.wrapping_add(LANES) <= self.end {
                _mm256_storeu_ps(to, sum);
            } else {
                store_few(sum, to, self.count);
            }
        }
    }
}

/// `sum` plus the products, in their order.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn add_products<const K: usize>(mut sum: __m256, weights: &[__m256; K], x: &[__m256; K]) -> __m256 {
    for (&weight, &x) in weights.iter().zip(x) {
        sum = _mm256_fmadd_ps(weight, x, sum);
    }
    sum
}
