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
    /// By the edges' numbers.
    pub(crate) weights: &'a [f32],
}

impl<'a> Edges<'a> {
    pub(crate) fn new(index: &'a EdgeIndex, weights: &'a [f32]) -> Self {
        assert_eq!(weights.len(), index.len(), "weights of other edges");
        Self { index, weights }
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
        let mut sums = Sums::with_capacity(targets.len(), self.index.len());
        for target in targets.clone() {
            let row = self.index.sources_of(target);
            let place = |end: usize| row.partition_point(|&source| (source as usize) < end);
            let own = place(sources.start)..place(sources.end);
            let weights = &self.weights[self.index.edges_into(target)];
            for (&source, &weight) in row[own.clone()].iter().zip(&weights[own]) {
                sums.add((source as usize - sources.start) * length, weight);
            }
            sums.end_row();
        }
        sum(&sums, sources.len(), x, length, out, onto);
    }

    /// Writes (or adds) what comes back to the `sources` from the `targets`: row `i` of `dx` and of `dy` are the `i`-th of `sources`
    /// and of `targets`.
    pub(crate) fn into_sources(
        self,
        sources: Range<usize>,
        targets: Range<usize>,
        dy: &[f32],
        length: usize,
        dx: &mut [f32],
        onto: bool,
    ) {
        let mut sums = Sums::with_capacity(sources.len(), self.index.len());
        for source in sources.clone() {
            let edges = self.index.edges_from(source);
            let place = |end: usize| edges.partition_point(|edge| (edge.target as usize) < end);
            for edge in &edges[place(targets.start)..place(targets.end)] {
                let weight = self.weights[edge.edge as usize];
                sums.add((edge.target as usize - targets.start) * length, weight);
            }
            sums.end_row();
        }
        sum(&sums, targets.len(), dy, length, dx, onto);
    }
}

/// Sums of the rows of `x`, of which there are so many.
fn sum(sums: &Sums, columns: usize, x: &[f32], length: usize, out: &mut [f32], onto: bool) {
    let rows = sums.rows();
    if (sums.terms_of_all() as f64) < DENSE_FROM * (rows * columns) as f64 {
        return sum_rows(sums, x, columns, length, out, length, onto);
    }
    let mut matrix = Buffer::zeros(rows * columns);
    if length > 0 {
        for (row, matrix) in matrix.chunks_exact_mut(columns.max(1)).enumerate() {
            for (start, weight) in sums.row(row) {
                matrix[start / length] = weight;
            }
        }
    }
    let (matrix, x) = (
        Rows::new(&matrix, rows, columns),
        Rows::new(x, columns, length),
    );
    dense::product(matrix, x, length, out, length, onto);
}
