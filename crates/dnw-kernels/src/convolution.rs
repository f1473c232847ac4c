//! The wired convolution with any kernel size, stride, padding, dilation and groups.
//!
//! An edge is one kernel weight: from a filter tap of an input channel to an output channel. In the forward pass and for the gradient of the
//! input it adds a weighted row to another row. The gradient of all possible edges is one dense product per tap.

use rayon::prelude::*;

use crate::EdgeIndex;
use crate::cost::prefers_dense;
use crate::dense::{self, Rows};
use crate::layout::transpose;
use crate::planes::{Planes, Tap};
use crate::pool::Buffer;
use crate::rows::{Sums, Terms, sum_rows};
use crate::simd::LANES;
use crate::tiles::Tiles;
use crate::wired::WeightedEdges;

pub use crate::planes::ConvolutionShape;

fn check(shape: &ConvolutionShape, x: &[f32], y: &[f32], index: Option<&EdgeIndex>) {
    let output = shape
        .output()
        .expect("a kernel no larger than the padded input");
    assert!(
        shape.groups > 0
            && shape.sources.is_multiple_of(shape.groups)
            && shape.targets.is_multiple_of(shape.groups),
        "groups"
    );
    assert_eq!(
        x.len(),
        shape.images * shape.sources * shape.maps[0] * shape.maps[1],
        "length of x"
    );
    assert_eq!(
        y.len(),
        shape.images * shape.targets * output[0] * output[1],
        "length of y"
    );
    let columns = shape.sources_of_group() * shape.taps();
    if let Some(index) = index {
        assert_eq!(
            [index.targets(), index.sources()],
            [shape.targets, columns],
            "edges of another weight"
        );
    }
}

/// Whether all taps are computed by dense products.
fn is_dense(shape: &ConvolutionShape, index: &EdgeIndex) -> bool {
    let entries = shape.targets * shape.sources_of_group() * shape.taps();
    let [height, width] = shape.output().expect("checked");
    prefers_dense(index.len(), entries, shape.images * height * width)
}

/// The pixels of a feature map if the convolution is computed in image-major layout, without copying it to rows: a 1 x 1 kernel with stride
/// 1, and feature maps that fill enough vectors.
fn image_major_pixels(shape: &ConvolutionShape) -> Option<usize> {
    let is_product = shape.kernel == [1, 1] && shape.stride == [1, 1] && shape.padding == [0, 0];
    let pixels = shape.maps[0] * shape.maps[1];
    (is_product && shape.groups == 1 && pixels >= 4 * LANES).then_some(pixels)
}

/// What the forward pass saves for the backward pass: the input as rows.
#[derive(Debug)]
pub struct ConvolutionPass {
    planes: Planes,
    rows: Buffer,
}

/// Computes the wired convolution.
///
/// # Shapes
/// `x`: `[images, sources, height, width]`; `y`: `[images, targets, output height, output width]`; `weights`: the weights of the real edges
/// ([`EdgeIndex::weights`]). An edge's source in the index is its flat index in `[sources / groups, kernel height, kernel width]`.
///
/// # Panics
/// If a length does not fit `shape`, or the kernel is larger than the padded input.
pub fn forward(
    shape: &ConvolutionShape,
    x: &[f32],
    weights: &[f32],
    index: &EdgeIndex,
    y: &mut [f32],
) -> ConvolutionPass {
    check(shape, x, y, Some(index));
    let planes = Planes::new(*shape);
    if let Some(pixels) = image_major_pixels(shape) {
        let edges = WeightedEdges::new(index, weights);
        let (rows, ()) = rayon::join(
            || planes.lay_out(x),
            || edges.into_targets_by_image(shape.images, pixels, x, y),
        );
        return ConvolutionPass { planes, rows };
    }
    let rows = planes.lay_out(x);
    if shape.images == 0 {
        return ConvolutionPass { planes, rows };
    }
    let mut flat = Buffer::uninitialised(shape.targets * planes.length);
    if is_dense(shape, index) {
        forward_dense(shape, &planes, &rows, weights, index, &mut flat);
    } else {
        let sources = shape.sources_of_group();
        let source_stride = planes.remainders.len() * planes.total;
        // The start of each column's row, precomputed to avoid a division per edge.
        let columns = (0..sources).flat_map(|source| {
            let of_tap =
                move |tap: &Tap| source * source_stride + tap.row * planes.total + tap.shift;
            planes.taps.iter().map(of_tap)
        });
        let columns: Vec<usize> = columns.collect();
        let terms_of = |target: usize, terms: &mut Terms| {
            let first = target / shape.targets_of_group() * sources * source_stride;
            let edges = &weights[index.edges_into(target)];
            let starts = index.sources_of(target).iter();
            let starts = starts.map(|&column| first + columns[column as usize]);
            terms.add(starts, edges.iter().copied());
        };
        let sums = Sums {
            out: &mut flat,
            rows: shape.targets,
            length: planes.length,
            accumulate: false,
        };
        sum_rows(
            sums,
            &rows,
            shape.sources * planes.remainders.len(),
            terms_of,
        );
    }
    planes.collect(&flat, y);
    ConvolutionPass { planes, rows }
}

/// The matrix of a filter tap within a group, `[targets, sources]`, with zeros for hallucinated edges.
fn matrix_of_tap(
    shape: &ConvolutionShape,
    weights: &[f32],
    index: &EdgeIndex,
    group: usize,
    tap: usize,
) -> Buffer {
    let (targets, sources, taps) = (
        shape.targets_of_group(),
        shape.sources_of_group(),
        shape.taps(),
    );
    let mut matrix = Buffer::zeros(targets * sources);
    for i in 0..targets {
        let target = group * targets + i;
        let edges = &weights[index.edges_into(target)];
        for (&column, &weight) in index.sources_of(target).iter().zip(edges) {
            let column = column as usize;
            if column % taps == tap {
                matrix[i * sources + column / taps] = weight;
            }
        }
    }
    matrix
}

fn forward_dense(
    shape: &ConvolutionShape,
    planes: &Planes,
    rows: &[f32],
    weights: &[f32],
    index: &EdgeIndex,
    flat: &mut [f32],
) {
    let _span = tracing::trace_span!("dense product").entered();
    let (targets, sources) = (shape.targets_of_group(), shape.sources_of_group());
    let source_stride = planes.remainders.len() * planes.total;
    for group in 0..shape.groups {
        for (i, tap) in planes.taps.iter().enumerate() {
            let matrix = matrix_of_tap(shape, weights, index, group, i);
            let mut from = Rows::new(rows, sources, source_stride);
            from.start = group * sources * source_stride + tap.row * planes.total + tap.shift;
            let out = &mut flat[group * targets * planes.length..];
            dense::product(
                Rows::new(&matrix, targets, sources),
                from,
                planes.length,
                out,
                planes.length,
                i > 0,
            );
        }
    }
}

/// The backward pass. Writes the gradient of `x`, through the real edges only, to `dx` if it is `Some`, and the gradient of **every** entry of
/// the weight, real or hallucinated, to `dw` if it is `Some`.
///
/// # Shapes
/// `dy`: `[images, targets, output height, output width]`; `dx`: `[images, sources, height, width]`; `dw`:
/// `[targets, sources / groups, kernel height, kernel width]`.
///
/// # Panics
/// If a length does not fit `shape`.
pub fn backward(
    shape: &ConvolutionShape,
    pass: &ConvolutionPass,
    weights: &[f32],
    index: &EdgeIndex,
    dy: &[f32],
    [dx, dw]: [Option<&mut [f32]>; 2],
) {
    let planes = &pass.planes;
    let to_input = || {
        let Some(dx) = dx else { return };
        check(shape, dx, dy, Some(index));
        if let Some(pixels) = image_major_pixels(shape) {
            let edges = WeightedEdges::new(index, weights);
            edges.into_sources_by_image(shape.images, pixels, dy, dx);
        } else if shape.images > 0 {
            input_gradient(shape, planes, weights, index, &planes.spread(dy), dx);
        }
    };
    let to_weight = || {
        let Some(dw) = dw else { return };
        let entries = shape.targets * shape.sources_of_group() * shape.taps();
        assert_eq!(dw.len(), entries, "length of dw");
        if shape.images == 0 {
            dw.fill(0.0);
        } else {
            weight_gradient(shape, pass, dy, dw);
        }
    };
    // Concurrently, so that threads that finish one help with the other.
    rayon::join(to_weight, to_input);
}

fn input_gradient(
    shape: &ConvolutionShape,
    planes: &Planes,
    weights: &[f32],
    index: &EdgeIndex,
    spread: &[f32],
    dx: &mut [f32],
) {
    let _span = tracing::trace_span!("gradient of the input").entered();
    let of_channel = planes.remainders.len();
    let (taps, spread_length) = (shape.taps(), planes.spread_length());
    let (targets, sources) = (shape.targets_of_group(), shape.sources_of_group());
    let mut rows = Buffer::uninitialised(shape.sources * of_channel * planes.total);
    if is_dense(shape, index) {
        rows.fill(0.0);
        for group in 0..shape.groups {
            for (i, tap) in planes.taps.iter().enumerate() {
                let matrix = matrix_of_tap(shape, weights, index, group, i);
                let mut transposed = Buffer::uninitialised(matrix.len());
                transpose(&matrix, [targets, sources], 1, &mut transposed);
                let mut from = Rows::new(spread, targets, spread_length);
                from.start = group * targets * spread_length + planes.reach - tap.shift;
                let out = &mut rows[(group * sources * of_channel + tap.row) * planes.total..];
                let matrix = Rows::new(&transposed, sources, targets);
                dense::product(
                    matrix,
                    from,
                    planes.total,
                    out,
                    of_channel * planes.total,
                    true,
                );
            }
        }
    } else {
        let terms_of = |row: usize, terms: &mut Terms| {
            let (source, remainder) = (row / of_channel, row % of_channel);
            let (group, local) = (source / sources, source % sources);
            let own = group * targets..(group + 1) * targets;
            let of_row = |(_, tap): &(usize, &Tap)| tap.row == remainder;
            for (i, tap) in planes.taps.iter().enumerate().filter(of_row) {
                let edges = index.edges_from(local * taps + i);
                let position = |end: usize| edges.partition_point(|e| (e.target as usize) < end);
                let edges = match shape.groups {
                    1 => edges,
                    _ => &edges[position(own.start)..position(own.end)],
                };
                let first = planes.reach - tap.shift;
                let starts = edges.iter();
                let starts = starts.map(|edge| first + edge.target as usize * spread_length);
                let weights = edges.iter().map(|edge| weights[edge.edge as usize]);
                terms.add(starts, weights);
            }
        };
        let sums = Sums {
            out: &mut rows,
            rows: shape.sources * of_channel,
            length: planes.total,
            accumulate: false,
        };
        sum_rows(sums, spread, shape.targets, terms_of);
    }
    planes.collect_input(&rows, dx);
}

/// The sources and targets of one task of the weight gradient. There are enough tasks for the cores of any machine, if the sizes allow it, and
/// the columns of a task, all taps of its sources, nearly fill the tiles of the dense product.
fn task_size(shape: &ConvolutionShape) -> [usize; 2] {
    let (sources, taps) = (shape.sources_of_group(), shape.taps());
    let tiles = (sources * taps).div_ceil(TASKS).div_ceil(TILE);
    let of_task = (tiles * TILE / taps).clamp(1, sources.max(1));
    let parts = (sources.div_ceil(of_task) * shape.groups).max(1);
    let targets = shape.targets_of_group();
    let cuts = (TASKS / 2).div_ceil(parts).min(targets.div_ceil(TILE));
    [of_task, targets.div_ceil(cuts.max(1)).max(1)]
}

/// The minimum number of tasks of the weight gradient.
const TASKS: usize = 16;
/// Columns of a tile of the dense product.
const TILE: usize = 64;

fn weight_gradient(shape: &ConvolutionShape, pass: &ConvolutionPass, dy: &[f32], dw: &mut [f32]) {
    let _span = tracing::trace_span!("gradient of every edge").entered();
    let ConvolutionPass { planes, rows } = pass;
    let (targets, sources, taps) = (
        shape.targets_of_group(),
        shape.sources_of_group(),
        shape.taps(),
    );
    let pixels = dy.len() / (shape.images * shape.targets).max(1);
    let outputs = shape.images * pixels;
    if outputs == 0 {
        return dw.fill(0.0);
    }
    let mut by_target = Buffer::uninitialised(dy.len());
    transpose(dy, [shape.images, shape.targets], pixels, &mut by_target);
    let [of_task, targets_of_task] = task_size(shape);
    let parts = sources.div_ceil(of_task);
    let cuts = targets.div_ceil(targets_of_task);
    let tiles = Tiles::new(dw, sources * taps);
    (0..shape.groups * parts * cuts)
        .into_par_iter()
        .for_each(|task| {
            let (group, part, cut) = (task / cuts / parts, task / cuts % parts, task % cuts);
            let own = part * of_task..sources.min((part + 1) * of_task);
            let into = cut * targets_of_task..targets.min((cut + 1) * targets_of_task);
            let all = group * sources + own.start..group * sources + own.end;
            let first = group * targets + into.start;
            let mut a = Rows::new(&by_target, into.len(), outputs);
            a.start = first * outputs;
            let columns;
            let b = if planes.is_compact() {
                let mut b = Rows::new(rows, own.len(), planes.total);
                b.start = all.start * planes.total;
                b
            } else {
                columns = planes.columns(rows, all);
                Rows::new(&columns, own.len() * taps, outputs)
            };
            // SAFETY: tasks differ in their targets, which are rows, or in their sources, which are columns.
            unsafe { dense::outer_block(a, b, outputs, &tiles, [first, own.start * taps]) };
        });
}
