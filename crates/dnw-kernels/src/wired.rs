//! Products over the real edges of a weight, from sources to targets and back.
//!
//! [`cost`](crate::cost) selects the algorithm by density: at low density the edges are visited one by one; at high density the dense product
//! of a matrix with zeros for hallucinated edges is faster, because it reuses each loaded value many times.

use std::ops::Range;

use rayon::prelude::*;

use crate::EdgeIndex;
use crate::cost::prefers_dense;
use crate::dense::{self, Rows};
use crate::pool::Buffer;
use crate::rows::{Channel, Sums, Terms, sum_by_image, sum_rows};
use crate::simd::LANES;

/// WeightedEdges per task.
const EDGES_PER_TASK: usize = 1 << 13;

/// Real edges and their weights.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WeightedEdges<'a> {
    pub(crate) index: &'a EdgeIndex,
    /// In the order of the index.
    pub(crate) weights: &'a [f32],
}

impl<'a> WeightedEdges<'a> {
    pub(crate) fn new(index: &'a EdgeIndex, weights: &'a [f32]) -> Self {
        assert_eq!(weights.len(), index.len(), "weights of other edges");
        Self { index, weights }
    }

    /// Writes the weighted sums over the edges from `sources` to `targets` to `out`, or adds them if `accumulate` is set.
    ///
    /// # Shapes
    /// `x`: `[sources.len(), length]`; `out`: `[targets.len(), length]`.
    pub(crate) fn into_targets(
        self,
        targets: Range<usize>,
        sources: Range<usize>,
        x: &[f32],
        length: usize,
        out: &mut [f32],
        accumulate: bool,
    ) {
        let _span = tracing::trace_span!("sums over edges").entered();
        let own = |target: usize| {
            let row = self.index.sources_of(targets.start + target);
            let position = |end: usize| row.partition_point(|&source| (source as usize) < end);
            position(sources.start)..position(sources.end)
        };
        let edges = (0..targets.len()).map(|target| own(target).len()).sum();
        let terms_of = |target: usize, terms: &mut Terms| {
            let (own, target) = (own(target), targets.start + target);
            let row = &self.index.sources_of(target)[own.clone()];
            let weights = &self.weights[self.index.edges_into(target)][own];
            let starts = row.iter();
            let starts = starts.map(|&source| (source as usize - sources.start) * length);
            terms.add(starts, weights.iter().copied());
        };
        let sums = Sums {
            out,
            rows: targets.len(),
            length,
            accumulate,
        };
        sum(sums, x, sources.len(), edges, terms_of);
    }

    /// The transpose of [`into_targets`](Self::into_targets): writes or adds the weighted sums over the edges from `targets` back to
    /// `sources`.
    ///
    /// # Shapes
    /// `dy`: `[targets.len(), length]`; `dx`: `[sources.len(), length]`.
    pub(crate) fn into_sources(
        self,
        sources: Range<usize>,
        targets: Range<usize>,
        dy: &[f32],
        length: usize,
        dx: &mut [f32],
        accumulate: bool,
    ) {
        let _span = tracing::trace_span!("sums over edges").entered();
        let own = |source: usize| {
            let edges = self.index.edges_from(sources.start + source);
            let position = |end: usize| edges.partition_point(|edge| (edge.target as usize) < end);
            &edges[position(targets.start)..position(targets.end)]
        };
        let edges = (0..sources.len()).map(|source| own(source).len()).sum();
        let terms_of = |source: usize, terms: &mut Terms| {
            let edges = own(source);
            let starts = edges.iter();
            let starts = starts.map(|edge| (edge.target as usize - targets.start) * length);
            let weights = edges.iter().map(|edge| self.weights[edge.edge as usize]);
            terms.add(starts, weights);
        };
        let sums = Sums {
            out: dx,
            rows: sources.len(),
            length,
            accumulate,
        };
        sum(sums, dy, targets.len(), edges, terms_of);
    }

    /// Whether the dense product is cheaper for all edges.
    fn prefers_dense(self, images: usize, pixels: usize) -> bool {
        let entries = self.index.targets() * self.index.sources();
        prefers_dense(self.index.len(), entries, images * pixels)
    }

    /// Whether products are faster in image-major layout, without a transpose: if a feature map fills whole vectors, or the tiles of the dense
    /// product.
    pub(crate) fn prefers_image_major(self, images: usize, pixels: usize) -> bool {
        match self.prefers_dense(images, pixels) {
            true => pixels >= 4 * LANES,
            false => pixels >= 4 * LANES || pixels >= LANES && pixels.is_multiple_of(LANES),
        }
    }

    /// Writes the weighted sums over all edges, in image-major layout.
    ///
    /// # Shapes
    /// `x`: `[images, sources, pixels]`; `out`: `[images, targets, pixels]`.
    pub(crate) fn into_targets_by_image(
        self,
        images: usize,
        pixels: usize,
        x: &[f32],
        out: &mut [f32],
    ) {
        let _span = tracing::trace_span!("sums over edges").entered();
        let of_row = |target| {
            let weights = &self.weights[self.index.edges_into(target)];
            (self.index.sources_of(target), weights)
        };
        let sizes = [images, self.index.targets(), pixels];
        if self.prefers_dense(images, pixels) {
            return dense_by_image(out, sizes, x, self.index.sources(), of_row);
        }
        sum_by_image(out, sizes, x, self.index.sources(), of_row);
    }

    /// The transpose of [`into_targets_by_image`](Self::into_targets_by_image).
    ///
    /// # Shapes
    /// `dy`: `[images, targets, pixels]`; `out`: `[images, sources, pixels]`.
    pub(crate) fn into_sources_by_image(
        self,
        images: usize,
        pixels: usize,
        dy: &[f32],
        out: &mut [f32],
    ) {
        let _span = tracing::trace_span!("sums over edges").entered();
        let by_source = self.index.by_source();
        let mut weights = Buffer::uninitialised(by_source.len());
        weights
            .par_chunks_mut(EDGES_PER_TASK)
            .zip(by_source.par_chunks(EDGES_PER_TASK))
            .for_each(|(weights, edges)| {
                for (weight, edge) in weights.iter_mut().zip(edges) {
                    *weight = self.weights[edge.edge as usize];
                }
            });
        let of_row = |source: usize| {
            let own = self.index.positions_from(source);
            (&by_source[own.clone()], &weights[own])
        };
        let sizes = [images, self.index.sources(), pixels];
        if self.prefers_dense(images, pixels) {
            return dense_by_image(out, sizes, dy, self.index.targets(), of_row);
        }
        sum_by_image(out, sizes, dy, self.index.targets(), of_row);
    }
}

/// Writes `out [images, rows, pixels]` by one dense product per image of `x [images, columns, pixels]`. `of_row` returns the columns of a
/// row's edges and their weights.
fn dense_by_image<'a, P: Channel + 'a>(
    out: &mut [f32],
    [images, rows, pixels]: [usize; 3],
    x: &[f32],
    columns: usize,
    of_row: impl Fn(usize) -> (&'a [P], &'a [f32]) + Sync,
) {
    let mut matrix = Buffer::uninitialised(rows * columns);
    matrix
        .par_chunks_mut(columns.max(1))
        .enumerate()
        .with_min_len(EDGES_PER_TASK.div_ceil(columns.max(1)))
        .for_each(|(row, matrix)| {
            matrix.fill(0.0);
            let (edges, weights) = of_row(row);
            for (edge, &weight) in edges.iter().zip(weights) {
                matrix[edge.offset()] = weight;
            }
        });
    let matrix = Rows::new(&matrix, rows, columns);
    let of_image = x.par_chunks_exact((columns * pixels).max(1));
    let out = out.par_chunks_exact_mut((rows * pixels).max(1));
    let image = |(x, out): (&[f32], &mut [f32])| {
        dense::product_single_threaded(matrix, Rows::new(x, columns, pixels), pixels, out);
    };
    of_image.zip(out).take(images).for_each(image);
}

/// Weighted sums of the rows of `x`: `columns` rows and `edges` edges in total.
fn sum(
    sums: Sums<'_>,
    x: &[f32],
    columns: usize,
    edges: usize,
    terms_of: impl Fn(usize, &mut Terms) + Sync,
) {
    let Sums {
        rows,
        length,
        accumulate,
        ..
    } = sums;
    if !prefers_dense(edges, rows * columns, length) {
        return sum_rows(sums, x, columns, terms_of);
    }
    let mut matrix = Buffer::zeros(rows * columns);
    matrix
        .par_chunks_exact_mut(columns.max(1))
        .enumerate()
        .with_min_len(EDGES_PER_TASK.div_ceil(columns.max(1)))
        .for_each_init(Terms::default, |terms, (row, matrix)| {
            terms.clear();
            terms_of(row, terms);
            for (start, weight) in terms.starts.iter().zip(&terms.weights) {
                matrix[start / length] = *weight;
            }
        });
    let (matrix, x) = (
        Rows::new(&matrix, rows, columns),
        Rows::new(x, columns, length),
    );
    dense::product(matrix, x, length, sums.out, length, accumulate);
}
