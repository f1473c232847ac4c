//! Weighted sums of rows, the inner loops of every wired product.
//!
//! A row holds a channel's feature maps for the whole batch. A target's row is the weighted sum of the source rows of its real edges. The
//! filter taps of a convolution are rows with shifted starts ([`planes`](crate::planes)).
//!
//! Every element is summed in the order of the terms, so that the result does not depend on how work is split into tasks.

use rayon::prelude::*;

use crate::OutEdge;
use crate::simd::{AVX512, LANES, multiply_add, vectorised};
use crate::tiles::Tiles;

/// The terms of a weighted sum: `weights[i]` times the row that starts at `starts[i]` of the source.
#[derive(Clone, Debug, Default)]
pub(crate) struct Terms {
    pub(crate) starts: Vec<usize>,
    pub(crate) weights: Vec<f32>,
}

impl Terms {
    /// Adds terms. Both iterators have the same length.
    pub(crate) fn add(
        &mut self,
        starts: impl ExactSizeIterator<Item = usize>,
        weights: impl ExactSizeIterator<Item = f32>,
    ) {
        debug_assert_eq!(starts.len(), weights.len());
        self.starts.extend(starts);
        self.weights.extend(weights);
    }

    pub(crate) fn clear(&mut self) {
        self.starts.clear();
        self.weights.clear();
    }
}

/// The output of weighted sums.
pub(crate) struct Sums<'a> {
    /// `[rows, length]`.
    pub(crate) out: &'a mut [f32],
    /// Rows.
    pub(crate) rows: usize,
    /// Length of a row.
    pub(crate) length: usize,
    /// Whether the sums are added to the output instead of overwriting it.
    pub(crate) accumulate: bool,
}

/// Bytes of the source that a task reads repeatedly: half of a core's level 2 cache.
const CACHED_BYTES: usize = 1 << 20;
/// The minimum number of tasks, if the sizes allow it: enough for the cores of any machine.
const TASKS: usize = 32;

/// Writes weighted sums to the rows of the output. `terms_of` appends the terms of a row; `distinct` is the number of source rows.
pub(crate) fn sum_rows(
    sums: Sums<'_>,
    source: &[f32],
    distinct: usize,
    terms_of: impl Fn(usize, &mut Terms) + Sync,
) {
    let Sums {
        out,
        rows,
        length,
        accumulate,
    } = sums;
    if rows == 0 || length == 0 {
        return;
    }
    assert!(out.len() >= rows * length, "rows outside the result");
    let width = (CACHED_BYTES / 4 / distinct.max(1)).clamp(BLOCK, 32 * BLOCK) / BLOCK * BLOCK;
    let chunks = length.div_ceil(width);
    let group = rows.div_ceil(TASKS.div_ceil(chunks)).max(1);
    let groups = rows.div_ceil(group);
    let tiles = Tiles::new(out, length);
    // Tasks on the same columns follow each other, so that their source stays in cache.
    (0..chunks * groups)
        .into_par_iter()
        .for_each_init(Terms::default, |terms, task| {
            let (chunk, part) = (task / groups, task % groups);
            let columns = chunk * width..length.min((chunk + 1) * width);
            for row in part * group..rows.min((part + 1) * group) {
                terms.clear();
                terms_of(row, terms);
                // SAFETY: tasks differ in their rows or in their columns.
                let out = unsafe { tiles.row(row, columns.clone()) };
                if !accumulate {
                    out.fill(0.0);
                }
                sum_row(terms, source, columns.start, out);
            }
        });
}

/// A task's width is a multiple of this many columns: four vectors of the widest instruction set.
const BLOCK: usize = 4 * LANES;

vectorised! {
    fn sum_row(terms: &Terms, source: &[f32], column: usize, out: &mut [f32]) = sum_row_body;
}

#[inline(always)]
fn sum_row_body<const SET: u8>(terms: &Terms, source: &[f32], column: usize, out: &mut [f32]) {
    sum::<SET, _>(&terms.starts, 1, &terms.weights, &source[column..], out);
}

/// The position of a term's row in the source.
pub(crate) trait RowOffset: Copy + Sync {
    /// The index of the row, or of its first element.
    fn offset(self) -> usize;
}

impl RowOffset for usize {
    #[inline(always)]
    fn offset(self) -> usize {
        self
    }
}

impl RowOffset for u32 {
    #[inline(always)]
    fn offset(self) -> usize {
        self as usize
    }
}

impl RowOffset for OutEdge {
    #[inline(always)]
    fn offset(self) -> usize {
        self.target as usize
    }
}

/// How many of `vectors` vectors are summed in one loop: as many as registers hold, in parts of similar size, because several independent
/// additions hide the latency of each other.
#[inline(always)]
fn vectors_per_loop<const SET: u8>(vectors: usize) -> usize {
    let most = if SET == AVX512 { 12 } else { 4 };
    match vectors {
        few if few <= most => few,
        some if some < 2 * most => some.div_ceil(2),
        _ => most,
    }
}

/// Adds the weighted rows to `out`. The row of a term starts at `offset * row_stride` of the source.
#[inline(always)]
fn sum<const SET: u8, P: RowOffset>(
    rows_of_terms: &[P],
    row_stride: usize,
    weights: &[f32],
    source: &[f32],
    out: &mut [f32],
) {
    let (mut left, last) = {
        let whole = out.len() - out.len() % LANES;
        out.split_at_mut(whole)
    };
    let mut column = 0;
    while !left.is_empty() {
        let vectors = vectors_per_loop::<SET>(left.len() / LANES);
        let (these, behind) = left.split_at_mut(vectors * LANES);
        let source = &source[column..];
        match vectors {
            1 => sum_1::<SET, P>(rows_of_terms, row_stride, weights, source, these),
            2 => sum_2::<SET, P>(rows_of_terms, row_stride, weights, source, these),
            3 => sum_3::<SET, P>(rows_of_terms, row_stride, weights, source, these),
            4 => sum_4::<SET, P>(rows_of_terms, row_stride, weights, source, these),
            5 => sum_5::<SET, P>(rows_of_terms, row_stride, weights, source, these),
            6 => sum_6::<SET, P>(rows_of_terms, row_stride, weights, source, these),
            7 => sum_7::<SET, P>(rows_of_terms, row_stride, weights, source, these),
            8 => sum_8::<SET, P>(rows_of_terms, row_stride, weights, source, these),
            9 => sum_9::<SET, P>(rows_of_terms, row_stride, weights, source, these),
            10 => sum_10::<SET, P>(rows_of_terms, row_stride, weights, source, these),
            11 => sum_11::<SET, P>(rows_of_terms, row_stride, weights, source, these),
            _ => sum_12::<SET, P>(rows_of_terms, row_stride, weights, source, these),
        }
        column += these.len();
        left = behind;
    }
    for out in last {
        for (&row, &weight) in rows_of_terms.iter().zip(weights) {
            *out = multiply_add::<SET>(weight, source[row.offset() * row_stride + column], *out);
        }
        column += 1;
    }
}

/// Sums `$vectors` vectors. The accumulators are separate variables, because the compiler keeps an array of arrays in memory.
macro_rules! sum_vectors {
    ($name:ident, $vectors:literal, $($s:ident = $i:literal),*) => {
        #[inline(always)]
        fn $name<const SET: u8, P: RowOffset>(
            rows_of_terms: &[P],
            row_stride: usize,
            weights: &[f32],
            source: &[f32],
            out: &mut [f32],
        ) {
            $(
                let mut $s = [0.0f32; LANES];
                $s.copy_from_slice(&out[$i * LANES..][..LANES]);
            )*
            for (&row, &w) in rows_of_terms.iter().zip(weights) {
                let x = &source[row.offset() * row_stride..][..$vectors * LANES];
                for i in 0..LANES {
                    $($s[i] = multiply_add::<SET>(w, x[$i * LANES + i], $s[i]);)*
                }
            }
            $(out[$i * LANES..][..LANES].copy_from_slice(&$s);)*
        }
    };
}

macro_rules! sums {
    ($($name:ident = $vectors:literal: $($s:ident = $i:literal)*;)*) => {
        $(sum_vectors!($name, $vectors, $($s = $i),*);)*
    };
}

sums! {
    sum_1 = 1: s0 = 0;
    sum_2 = 2: s0 = 0 s1 = 1;
    sum_3 = 3: s0 = 0 s1 = 1 s2 = 2;
    sum_4 = 4: s0 = 0 s1 = 1 s2 = 2 s3 = 3;
    sum_5 = 5: s0 = 0 s1 = 1 s2 = 2 s3 = 3 s4 = 4;
    sum_6 = 6: s0 = 0 s1 = 1 s2 = 2 s3 = 3 s4 = 4 s5 = 5;
    sum_7 = 7: s0 = 0 s1 = 1 s2 = 2 s3 = 3 s4 = 4 s5 = 5 s6 = 6;
    sum_8 = 8: s0 = 0 s1 = 1 s2 = 2 s3 = 3 s4 = 4 s5 = 5 s6 = 6 s7 = 7;
    sum_9 = 9: s0 = 0 s1 = 1 s2 = 2 s3 = 3 s4 = 4 s5 = 5 s6 = 6 s7 = 7 s8 = 8;
    sum_10 = 10: s0 = 0 s1 = 1 s2 = 2 s3 = 3 s4 = 4 s5 = 5 s6 = 6 s7 = 7 s8 = 8 s9 = 9;
    sum_11 = 11: s0 = 0 s1 = 1 s2 = 2 s3 = 3 s4 = 4 s5 = 5 s6 = 6 s7 = 7 s8 = 8 s9 = 9 s10 = 10;
    sum_12 = 12: s0 = 0 s1 = 1 s2 = 2 s3 = 3 s4 = 4 s5 = 5 s6 = 6 s7 = 7 s8 = 8 s9 = 9 s10 = 10 s11 = 11;
}

/// [`sum_rows`] in image-major layout. `of_row` returns the channels that a row sums, and their weights.
///
/// # Shapes
/// `source`: `[images, distinct, pixels]`; `out`: `[images, rows, pixels]`.
pub(crate) fn sum_by_image<'a, P: Channel + 'a>(
    out: &mut [f32],
    [images, rows, pixels]: [usize; 3],
    source: &[f32],
    distinct: usize,
    of_row: impl Fn(usize) -> (&'a [P], &'a [f32]) + Sync,
) {
    if images * rows * pixels == 0 {
        return;
    }
    assert!(out.len() >= images * rows * pixels && source.len() >= images * distinct * pixels);
    let group = rows.div_ceil(TASKS.div_ceil(images)).max(1);
    let groups = rows.div_ceil(group);
    let tiles = Tiles::new(out, pixels);
    (0..images * groups).into_par_iter().for_each(|task| {
        let (image, part) = (task / groups, task % groups);
        let channels = &source[image * distinct * pixels..][..distinct * pixels];
        for row in part * group..rows.min((part + 1) * group) {
            let (rows_of_terms, weights) = of_row(row);
            // SAFETY: tasks differ in the image or in the row.
            let out = unsafe { tiles.row(image * rows + row, 0..pixels) };
            P::sum_channels(rows_of_terms, weights, channels, out);
        }
    });
}

/// The index of a channel in a sum over channels.
pub(crate) trait Channel: RowOffset {
    /// Writes the weighted sum of these channels.
    fn sum_channels(rows_of_terms: &[Self], weights: &[f32], channels: &[f32], out: &mut [f32]);
}

impl Channel for u32 {
    fn sum_channels(rows_of_terms: &[Self], weights: &[f32], channels: &[f32], out: &mut [f32]) {
        sum_sources(rows_of_terms, weights, channels, out);
    }
}

impl Channel for OutEdge {
    fn sum_channels(rows_of_terms: &[Self], weights: &[f32], channels: &[f32], out: &mut [f32]) {
        sum_targets(rows_of_terms, weights, channels, out);
    }
}

vectorised! {
    fn sum_sources(rows_of_terms: &[u32], weights: &[f32], channels: &[f32], out: &mut [f32]) = sum_sources_body;
}

vectorised! {
    fn sum_targets(rows_of_terms: &[OutEdge], weights: &[f32], channels: &[f32], out: &mut [f32]) = sum_targets_body;
}

#[inline(always)]
fn sum_channels_body<const SET: u8, P: RowOffset>(
    rows_of_terms: &[P],
    weights: &[f32],
    channels: &[f32],
    out: &mut [f32],
) {
    out.fill(0.0);
    sum::<SET, P>(rows_of_terms, out.len(), weights, channels, out);
}

#[inline(always)]
fn sum_sources_body<const SET: u8>(
    rows_of_terms: &[u32],
    weights: &[f32],
    channels: &[f32],
    out: &mut [f32],
) {
    sum_channels_body::<SET, _>(rows_of_terms, weights, channels, out);
}

#[inline(always)]
fn sum_targets_body<const SET: u8>(
    rows_of_terms: &[OutEdge],
    weights: &[f32],
    channels: &[f32],
    out: &mut [f32],
) {
    sum_channels_body::<SET, _>(rows_of_terms, weights, channels, out);
}
