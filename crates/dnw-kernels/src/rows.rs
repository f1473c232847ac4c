//! Sums of rows: what every wired product comes down to.
//!
//! A row is what a channel holds for the whole batch, one map after the other. A target's row is the sum of the rows that its real
//! edges lead from, each times its weight. Shifted starts make the taps of a convolution rows like any other
//! ([`planes`](crate::planes)).
//!
//! Every number is a sum in the order of the terms, so that it does not matter how the work is cut.

use std::ops::Range;

use rayon::prelude::*;

use crate::simd::{LANES, multiply_add, vectorised};
use crate::tiles::Tiles;

/// What each row is the sum of: `weights[i]` times the row that starts at `starts[i]` of the source, for the terms
/// `ends[r - 1]..ends[r]`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sums {
    ends: Vec<usize>,
    starts: Vec<usize>,
    weights: Vec<f32>,
}

impl Sums {
    pub(crate) fn with_capacity(rows: usize, terms: usize) -> Self {
        Self {
            ends: Vec::with_capacity(rows),
            starts: Vec::with_capacity(terms),
            weights: Vec::with_capacity(terms),
        }
    }

    /// Adds a term to the row that is not ended yet.
    pub(crate) fn add(&mut self, start: usize, weight: f32) {
        self.starts.push(start);
        self.weights.push(weight);
    }

    /// Ends a row; what is added next belongs to the next.
    pub(crate) fn end_row(&mut self) {
        self.ends.push(self.starts.len());
    }

    pub(crate) fn rows(&self) -> usize {
        self.ends.len()
    }

    /// How many terms all rows have together.
    pub(crate) fn terms_of_all(&self) -> usize {
        self.starts.len()
    }

    /// The terms of a row: where they start, and their weights.
    pub(crate) fn row(&self, row: usize) -> impl Iterator<Item = (usize, f32)> + '_ {
        self.terms(row)
            .map(|term| (self.starts[term], self.weights[term]))
    }

    fn terms(&self, row: usize) -> Range<usize> {
        let begin = if row == 0 { 0 } else { self.ends[row - 1] };
        begin..self.ends[row]
    }
}

/// Bytes of the source that a task goes through again and again: half of what a core's second cache has.
const AT_HAND: usize = 1 << 20;
/// Tasks to have at least, if the sizes allow it: enough that any machine's cores find one.
const TASKS: usize = 32;

/// Writes (or adds, if `onto`) the sums into the rows of `out`, which lie `stride` apart and are `length` long. `distinct` says
/// how many different rows the source has.
pub(crate) fn sum_rows(
    sums: &Sums,
    source: &[f32],
    distinct: usize,
    length: usize,
    out: &mut [f32],
    stride: usize,
    onto: bool,
) {
    let rows = sums.rows();
    if rows == 0 || length == 0 {
        return;
    }
    assert!(out.len() >= (rows - 1) * stride + length && length <= stride);
    if let Some(last) = sums.starts.iter().max() {
        assert!(last + length <= source.len(), "a row outside its source");
    }
    let width = (AT_HAND / 4 / distinct.max(1)).clamp(BLOCK, 32 * BLOCK) / BLOCK * BLOCK;
    let chunks = length.div_ceil(width);
    let group = rows.div_ceil(TASKS.div_ceil(chunks)).max(1);
    let groups = rows.div_ceil(group);
    let tiles = Tiles::new(out, stride);
    // Groups of the same columns follow each other, so that a core finds its source at hand.
    (0..chunks * groups).into_par_iter().for_each(|task| {
        let (chunk, part) = (task / groups, task % groups);
        let columns = chunk * width..length.min((chunk + 1) * width);
        let rows = part * group..rows.min((part + 1) * group);
        sum_tile(sums, source, rows, columns, &tiles, onto);
    });
}

/// Columns that are summed in registers: four vectors of the widest kind.
const BLOCK: usize = 4 * LANES;

vectorised! {
    fn sum_tile(sums: &Sums, source: &[f32], rows: Range<usize>, columns: Range<usize>, out: &Tiles<'_>, onto: bool) = sum_tile_body;
}

#[inline(always)]
fn sum_tile_body<const FUSED: bool>(
    sums: &Sums,
    source: &[f32],
    rows: Range<usize>,
    columns: Range<usize>,
    out: &Tiles<'_>,
    onto: bool,
) {
    for row in rows {
        let terms = sums.terms(row);
        let (starts, weights) = (&sums.starts[terms.clone()], &sums.weights[terms]);
        // SAFETY: tasks differ in their rows or in their columns.
        let out = unsafe { out.row(row, columns.clone()) };
        if !onto {
            out.fill(0.0);
        }
        let mut column = columns.start;
        let mut blocks = out.chunks_exact_mut(BLOCK);
        for block in &mut blocks {
            sum_block::<FUSED>(starts, weights, source, column, block);
            column += BLOCK;
        }
        let mut vectors = blocks.into_remainder().chunks_exact_mut(LANES);
        for vector in &mut vectors {
            sum_vector::<FUSED>(starts, weights, source, column, vector);
            column += LANES;
        }
        for out in vectors.into_remainder() {
            for (&start, &weight) in starts.iter().zip(weights) {
                *out = multiply_add::<FUSED>(weight, source[start + column], *out);
            }
            column += 1;
        }
    }
}

/// (The accumulators have names of their own because arrays of arrays are kept in memory.)
#[inline(always)]
fn sum_block<const FUSED: bool>(
    starts: &[usize],
    weights: &[f32],
    source: &[f32],
    column: usize,
    out: &mut [f32],
) {
    let (mut s0, mut s1, mut s2, mut s3) =
        ([0.0f32; LANES], [0.0; LANES], [0.0; LANES], [0.0; LANES]);
    s0.copy_from_slice(&out[..LANES]);
    s1.copy_from_slice(&out[LANES..2 * LANES]);
    s2.copy_from_slice(&out[2 * LANES..3 * LANES]);
    s3.copy_from_slice(&out[3 * LANES..4 * LANES]);
    for (&start, &w) in starts.iter().zip(weights) {
        let x = &source[start + column..][..BLOCK];
        for i in 0..LANES {
            s0[i] = multiply_add::<FUSED>(w, x[i], s0[i]);
            s1[i] = multiply_add::<FUSED>(w, x[LANES + i], s1[i]);
            s2[i] = multiply_add::<FUSED>(w, x[2 * LANES + i], s2[i]);
            s3[i] = multiply_add::<FUSED>(w, x[3 * LANES + i], s3[i]);
        }
    }
    out[..LANES].copy_from_slice(&s0);
    out[LANES..2 * LANES].copy_from_slice(&s1);
    out[2 * LANES..3 * LANES].copy_from_slice(&s2);
    out[3 * LANES..4 * LANES].copy_from_slice(&s3);
}

#[inline(always)]
fn sum_vector<const FUSED: bool>(
    starts: &[usize],
    weights: &[f32],
    source: &[f32],
    column: usize,
    out: &mut [f32],
) {
    let mut s = [0.0f32; LANES];
    s.copy_from_slice(out);
    for (&start, &w) in starts.iter().zip(weights) {
        let x = &source[start + column..][..LANES];
        for i in 0..LANES {
            s[i] = multiply_add::<FUSED>(w, x[i], s[i]);
        }
    }
    out.copy_from_slice(&s);
}
