//! Products with the real edges of a matrix, in the direction of the edges and against it.
//!
//! How much is real decides how ([`cost`](crate::cost)): a few edges are visited one by one; where most are real, the dense product over
//! a matrix with zeros for the others is quicker, because it uses each number that it loads many times.

use std::ops::Range;

use rayon::prelude::*;

use crate::EdgeIndex;
use crate::cost::prefers_dense;
use crate::dense::{self, Rows};
use crate::pool::Buffer;
use crate::rows::{Channel, Sums, Terms, sum_maps, sum_rows};
use crate::simd::LANES;

/// Edges that a task goes through.
const AT_ONCE: usize = 1 << 13;

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
        let _span = tracing::trace_span!("sums over edges").entered();
        let own = |target: usize| {
            let row = self.index.sources_of(targets.start + target);
            let place = |end: usize| row.partition_point(|&source| (source as usize) < end);
            place(sources.start)..place(sources.end)
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
            onto,
        };
        sum(sums, x, sources.len(), edges, terms_of);
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
        let _span = tracing::trace_span!("sums over edges").entered();
        let own = |source: usize| {
            let edges = self.index.edges_from(sources.start + source);
            let place = |end: usize| edges.partition_point(|edge| (edge.target as usize) < end);
            &edges[place(targets.start)..place(targets.end)]
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
            onto,
        };
        sum(sums, dy, targets.len(), edges, terms_of);
    }

    /// Whether the product of all of it, over so many pixels in so many images, is cheaper densely.
    fn prefers_dense(self, images: usize, pixels: usize) -> bool {
        let entries = self.index.targets() * self.index.sources();
        prefers_dense(self.index.len(), entries, images * pixels)
    }

    /// Whether products are quicker over maps as they lie, by image, than over rows: where vectors fill, or a dense product's tiles.
    pub(crate) fn suits_maps(self, images: usize, pixels: usize) -> bool {
        match self.prefers_dense(images, pixels) {
            true => pixels >= 4 * LANES,
            false => pixels >= 4 * LANES || pixels >= LANES && pixels.is_multiple_of(LANES),
        }
    }

    /// Writes what all targets gather, `[images, targets, pixels]`, from `x [images, sources, pixels]`.
    pub(crate) fn maps_into_targets(
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
            return dense_maps(out, sizes, x, self.index.sources(), of_row);
        }
        sum_maps(out, sizes, x, self.index.sources(), of_row);
    }

    /// Writes what comes back to all sources, `[images, sources, pixels]`, from `dy [images, targets, pixels]`.
    pub(crate) fn maps_into_sources(
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
            .par_chunks_mut(AT_ONCE)
            .zip(by_source.par_chunks(AT_ONCE))
            .for_each(|(weights, edges)| {
                for (weight, edge) in weights.iter_mut().zip(edges) {
                    *weight = self.weights[edge.edge as usize];
                }
            });
        let of_row = |source: usize| {
            let own = self.index.places_from(source);
            (&by_source[own.clone()], &weights[own])
        };
        let sizes = [images, self.index.sources(), pixels];
        if self.prefers_dense(images, pixels) {
            return dense_maps(out, sizes, dy, self.index.targets(), of_row);
        }
        sum_maps(out, sizes, dy, self.index.targets(), of_row);
    }
}

/// Writes `out [images, rows, pixels]` by a dense product for each image of `x [images, columns, pixels]`: maps stay where they lie.
/// `of_row` names a row's columns and their weights.
fn dense_maps<'a, P: Channel + 'a>(
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
        .with_min_len(AT_ONCE.div_ceil(columns.max(1)))
        .for_each(|(row, matrix)| {
            matrix.fill(0.0);
            let (places, weights) = of_row(row);
            for (place, &weight) in places.iter().zip(weights) {
                matrix[place.place()] = weight;
            }
        });
    let matrix = Rows::new(&matrix, rows, columns);
    let of_image = x.par_chunks_exact((columns * pixels).max(1));
    let out = out.par_chunks_exact_mut((rows * pixels).max(1));
    let image = |(x, out): (&[f32], &mut [f32])| {
        dense::product_alone(matrix, Rows::new(x, columns, pixels), pixels, out);
    };
    of_image.zip(out).take(images).for_each(image);
}

/// Sums of the rows of `x`, of which there are so many, over so many edges.
fn sum(
    sums: Sums<'_>,
    x: &[f32],
    columns: usize,
    edges: usize,
    terms_of: impl Fn(usize, &mut Terms) + Sync,
) {
    let Sums {
        rows, length, onto, ..
    } = sums;
    if !prefers_dense(edges, rows * columns, length) {
        return sum_rows(sums, x, columns, terms_of);
    }
    let mut matrix = Buffer::zeros(rows * columns);
    matrix
        .par_chunks_exact_mut(columns.max(1))
        .enumerate()
        .with_min_len(AT_ONCE.div_ceil(columns.max(1)))
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
    dense::product(matrix, x, length, sums.out, length, onto);
}
