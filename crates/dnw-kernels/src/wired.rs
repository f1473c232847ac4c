//! Products with the real edges of a matrix, in the direction of the edges and against it.
//!
//! How much is real decides how: a few edges are visited one by one; where most are real, the dense product over a matrix with zeros
//! for the others is quicker, because it uses each number that it loads many times.

use std::ops::Range;

use crate::EdgeIndex;
use crate::buffers::Buffer;
use crate::dense::{self, Rows};
use crate::rows::{Sums, sum_rows};

/// The share of real edges from which the dense product is quicker. Measured: `cargo xtask bench-peers kernels`.
const DENSE_FROM: f64 = 0.35;

/// Real edges and what they weigh.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Edges<'a> {
    pub(crate) index: &'a EdgeIndex,
    /// `[targets, sources]`.
    pub(crate) weight: &'a [f32],
}

impl<'a> Edges<'a> {
    pub(crate) fn new(index: &'a EdgeIndex, weight: &'a [f32]) -> Self {
        assert_eq!(
            weight.len(),
            index.targets() * index.sources(),
            "length of the weight"
        );
        Self { index, weight }
    }

    /// Writes (or adds) what the `targets` gather from the `sources` of these numbers. Row `i` of `x` and of `out` are the `i`-th of
    /// `sources` and of `targets`, each `length` long.
    pub(crate) fn into_targets(
        self,
        targets: Range<usize>,
        sources: Range<usize>,
        x: &[f32],
        length: usize,
        out: &mut [f32],
        onto: bool,
    ) {
        let rows = targets.clone().map(|target| {
            let row = self.index.sources_of(target);
            let within = within(row, &sources);
            within.iter().map(move |&source| (source as usize, target))
        });
        let terms = rows.map(|row| {
            row.map(|(source, target)| {
                (
                    source - sources.start,
                    self.weight[target * self.index.sources() + source],
                )
            })
        });
        sum(terms, [targets.len(), sources.len()], x, length, out, onto);
    }

    /// Writes (or adds) what comes back to the `sources` from the `targets`: row `i` of `dx` is the `i`-th of `sources`; the row of
    /// `dy` that belongs to a target is the target's number less `first`.
    pub(crate) fn into_sources(
        self,
        sources: Range<usize>,
        targets: Range<usize>,
        dy: &[f32],
        length: usize,
        dx: &mut [f32],
        onto: bool,
    ) {
        let rows = sources.clone().map(|source| {
            let row = self.index.targets_of(source);
            let within = within(row, &targets);
            within.iter().map(move |&target| (target as usize, source))
        });
        let terms = rows.map(|row| {
            row.map(|(target, source)| {
                (
                    target - targets.start,
                    self.weight[target * self.index.sources() + source],
                )
            })
        });
        sum(terms, [sources.len(), targets.len()], dy, length, dx, onto);
    }
}

/// The numbers of an ascending row that lie in a range.
fn within<'a>(row: &'a [u32], range: &Range<usize>) -> &'a [u32] {
    let place = |end: usize| row.partition_point(|&number| (number as usize) < end);
    &row[place(range.start)..place(range.end)]
}

/// Rows of terms, each the number of a row of `x` and what it counts.
fn sum<T: Iterator<Item = (usize, f32)>>(
    terms: impl Iterator<Item = T>,
    [rows, columns]: [usize; 2],
    x: &[f32],
    length: usize,
    out: &mut [f32],
    onto: bool,
) {
    let mut sums = Sums::with_capacity(rows, 0);
    for row in terms {
        for (source, weight) in row {
            sums.add(source * length, weight);
        }
        sums.end_row();
    }
    if (sums.terms_of_all() as f64) < DENSE_FROM * (rows * columns) as f64 {
        return sum_rows(&sums, x, columns, length, out, length, onto);
    }
    let mut matrix = Buffer::zeros(rows * columns);
    if length > 0 {
        for (row, matrix) in matrix.chunks_exact_mut(columns.max(1)).enumerate() {
            for (start, weight) in sums.row(row) {
                matrix[start / length] = weight;
            }
        }
    }
    dense::product(
        Rows::new(&matrix, rows, columns),
        Rows::new(x, columns, length),
        length,
        out,
        length,
        onto,
    );
}
