//! The wired convolution of any kernel, step, padding, distance of taps and groups.
//!
//! An edge leads from one tap of one channel. Forward and for the input's gradient it is a row added to another; the gradient of all
//! possible edges is one dense product per tap.

use crate::EdgeIndex;
use crate::buffers::Buffer;
use crate::dense::{self, Place, Rows};
use crate::planes::Planes;
use crate::rows::{Sums, sum_rows};

pub use crate::planes::ConvolutionShape;

/// The share of real edges from which all taps are computed as dense products.
const DENSE_FROM: f64 = 0.35;

fn check(shape: &ConvolutionShape, x: &[f32], y: &[f32], index: Option<&EdgeIndex>) {
    let given = shape.given().expect("a kernel that fits its maps");
    assert!(
        shape.groups > 0 && shape.sources % shape.groups == 0 && shape.targets % shape.groups == 0,
        "groups"
    );
    assert_eq!(
        x.len(),
        shape.images * shape.sources * shape.maps[0] * shape.maps[1],
        "length of x"
    );
    assert_eq!(
        y.len(),
        shape.images * shape.targets * given[0] * given[1],
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

fn is_dense(shape: &ConvolutionShape, index: &EdgeIndex) -> bool {
    let entries = shape.targets * shape.sources_of_group() * shape.taps();
    index.len() as f64 >= DENSE_FROM * entries as f64
}

/// Writes `y [images, targets, given height, given width]` from `x [images, sources, height, width]`; an edge's source in the index is its
/// place in `[sources / groups, kernel height, kernel width]`, and `weights` are those of the edges by their numbers.
///
/// # Panics
/// If a length does not fit `shape`.
pub fn forward(
    shape: &ConvolutionShape,
    x: &[f32],
    weights: &[f32],
    index: &EdgeIndex,
    y: &mut [f32],
) {
    check(shape, x, y, Some(index));
    if shape.images == 0 {
        return;
    }
    let planes = Planes::new(*shape);
    let rows = planes.lay_out(x);
    let mut flat = Buffer::stale(shape.targets * planes.length);
    if is_dense(shape, index) {
        forward_dense(shape, &planes, &rows, weights, index, &mut flat);
    } else {
        let taps = shape.taps();
        let mut sums = Sums::with_capacity(shape.targets, index.len());
        for target in 0..shape.targets {
            let first = target / shape.targets_of_group() * shape.sources_of_group();
            let edges = &weights[index.edges_into(target)];
            for (&column, &weight) in index.sources_of(target).iter().zip(edges) {
                let column = column as usize;
                let (source, tap) = (first + column / taps, planes.taps[column % taps]);
                let start = (source * planes.remainders.len() + tap.row) * planes.total + tap.shift;
                sums.add(start, weight);
            }
            sums.end_row();
        }
        let distinct = shape.sources * planes.remainders.len();
        sum_rows(
            &sums,
            &rows,
            distinct,
            planes.length,
            &mut flat,
            planes.length,
            false,
        );
    }
    planes.collect(&flat, y);
}

/// The real entries of a tap between a group's sources and targets, `[targets, sources]`.
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
    let (targets, sources) = (shape.targets_of_group(), shape.sources_of_group());
    let apart = planes.remainders.len() * planes.total;
    for group in 0..shape.groups {
        for (i, tap) in planes.taps.iter().enumerate() {
            let matrix = matrix_of_tap(shape, weights, index, group, i);
            let mut from = Rows::new(rows, sources, apart);
            from.start = group * sources * apart + tap.row * planes.total + tap.shift;
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

/// Writes the gradient to `x` from that of `y`, through the real edges only.
///
/// # Panics
/// If a length does not fit `shape`.
pub fn input_gradient(
    shape: &ConvolutionShape,
    dy: &[f32],
    weights: &[f32],
    index: &EdgeIndex,
    dx: &mut [f32],
) {
    check(shape, dx, dy, Some(index));
    if shape.images == 0 {
        return;
    }
    let planes = Planes::new(*shape);
    let spread = planes.spread(dy);
    let of_channel = planes.remainders.len();
    let mut rows = Buffer::stale(shape.sources * of_channel * planes.total);
    let (taps, spread_length) = (shape.taps(), planes.spread_length());
    let (targets, sources) = (shape.targets_of_group(), shape.sources_of_group());
    if is_dense(shape, index) {
        rows.fill(0.0);
        for group in 0..shape.groups {
            for (i, tap) in planes.taps.iter().enumerate() {
                let matrix = matrix_of_tap(shape, weights, index, group, i);
                let mut turned = Buffer::stale(matrix.len());
                crate::layout::turn(&matrix, [targets, sources], 1, &mut turned);
                let mut from = Rows::new(&spread, targets, spread_length);
                from.start = group * targets * spread_length + planes.reach - tap.shift;
                let out = &mut rows[(group * sources * of_channel + tap.row) * planes.total..];
                let matrix = Rows::new(&turned, sources, targets);
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
        return planes.take_in(&rows, dx);
    }
    let mut sums = Sums::with_capacity(shape.sources * of_channel, index.len());
    for source in 0..shape.sources {
        let (group, local) = (source / sources, source % sources);
        let own = group * targets..(group + 1) * targets;
        for row in 0..of_channel {
            for (i, tap) in planes
                .taps
                .iter()
                .enumerate()
                .filter(|(_, tap)| tap.row == row)
            {
                let column = local * taps + i;
                for edge in index.edges_from(column) {
                    let target = edge.target as usize;
                    if own.contains(&target) {
                        let start = target * spread_length + planes.reach - tap.shift;
                        sums.add(start, weights[edge.edge as usize]);
                    }
                }
            }
            sums.end_row();
        }
    }
    sum_rows(
        &sums,
        &spread,
        shape.targets,
        planes.total,
        &mut rows,
        planes.total,
        false,
    );
    planes.take_in(&rows, dx);
}

/// Writes the gradient to **every** entry of the weight, real or not.
///
/// # Panics
/// If a length does not fit `shape`.
pub fn weight_gradient(shape: &ConvolutionShape, x: &[f32], dy: &[f32], dw: &mut [f32]) {
    check(shape, x, dy, None);
    let entries = shape.targets * shape.sources_of_group() * shape.taps();
    assert_eq!(dw.len(), entries, "length of dw");
    if shape.images == 0 {
        return dw.fill(0.0);
    }
    let planes = Planes::new(*shape);
    let (rows, spread) = (planes.lay_out(x), planes.spread(dy));
    let (targets, sources, taps) = (
        shape.targets_of_group(),
        shape.sources_of_group(),
        shape.taps(),
    );
    let (apart, spread_length) = (
        planes.remainders.len() * planes.total,
        planes.spread_length(),
    );
    for group in 0..shape.groups {
        let mut a = Rows::new(&spread, targets, spread_length);
        a.start = group * targets * spread_length + planes.reach;
        for (i, tap) in planes.taps.iter().enumerate() {
            let mut b = Rows::new(&rows, sources, apart);
            b.start = group * sources * apart + tap.row * planes.total + tap.shift;
            let place = Place {
                start: group * targets * sources * taps + i,
                row: sources * taps,
                column: taps,
            };
            dense::outer(a, b, planes.length, dw, place, false);
        }
    }
}
