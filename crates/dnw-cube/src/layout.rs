//! Copies that rearrange feature maps and matrices.

use cubecl::prelude::*;

use crate::buffer::{Buffer, WORKGROUP_SIZE, workgroups};

/// Exchanges the two outer dimensions: `x`: `[outer, inner, pixels]`; `y`, from element `first` on: `[inner, outer, pixels]`.
///
/// # Panics
/// If a length does not fit.
pub fn transpose(
    client: &Client,
    x: &Buffer,
    [outer, inner]: [usize; 2],
    y: &Buffer,
    first: usize,
) {
    assert!(first + x.length() <= y.length(), "length of the output");
    let pixels = x.length() / (outer * inner).max(1);
    assert_eq!(x.length(), outer * inner * pixels, "length of the input");
    if x.length() == 0 {
        return;
    }
    let lanes = [4, 2, 1].into_iter().find(|n| pixels.is_multiple_of(*n));
    let lanes = lanes.expect("one divides every number");
    assert!(
        first.is_multiple_of(lanes),
        "the output begins within a map"
    );
    // SAFETY: threads beyond the last vector return at once.
    unsafe {
        exchange::launch_unchecked(
            client,
            workgroups(x.length() / lanes),
            CubeDim::new_1d(WORKGROUP_SIZE),
            lanes,
            x.arg(lanes),
            y.arg(lanes),
            outer as u32,
            inner as u32,
            (pixels / lanes) as u32,
            (first / lanes) as u32,
        );
    }
}

/// Writes to a vector of `y` that adjacent threads adjoin.
#[cube(launch_unchecked)]
fn exchange<N: Size>(
    x: &[Vector<f32, N>],
    y: &mut [Vector<f32, N>],
    outer: u32,
    inner: u32,
    pixels: u32,
    first: u32,
) {
    if ABSOLUTE_POS >= x.len() {
        terminate!();
    }
    let place = ABSOLUTE_POS as u32;
    let (map, pixel) = (place / pixels, place % pixels);
    let (row, column) = (map / outer, map % outer);
    y[ABSOLUTE_POS + first as usize] = x[((column * inner + row) * pixels + pixel) as usize];
}

/// Writes rows of `narrow` to rows of `wide`, from row `first` on, with zeros behind them.
///
/// # Shapes
/// `narrow`: `[rows, fewer columns]`; `wide`: `[more rows, columns]`.
///
/// # Panics
/// If a length does not fit.
pub fn widen(
    client: &Client,
    narrow: &Buffer,
    rows: usize,
    wide: &Buffer,
    columns: usize,
    first: usize,
) {
    let fewer = narrow.length() / rows.max(1);
    assert_eq!(narrow.length(), rows * fewer, "length of the input");
    assert!(
        fewer <= columns && (first + rows) * columns <= wide.length(),
        "{rows} rows of {fewer} do not fit"
    );
    if rows * columns == 0 {
        return;
    }
    // SAFETY: threads beyond the last entry return at once; the rows were checked above.
    unsafe {
        widen_rows::launch_unchecked(
            client,
            workgroups(rows * columns),
            CubeDim::new_1d(WORKGROUP_SIZE),
            narrow.arg(1),
            wide.arg(1),
            rows as u32,
            fewer as u32,
            columns as u32,
            first as u32,
        );
    }
}

#[cube(launch_unchecked)]
fn widen_rows(narrow: &[f32], wide: &mut [f32], rows: u32, fewer: u32, columns: u32, first: u32) {
    let place = ABSOLUTE_POS as u32;
    if place >= rows * columns {
        terminate!();
    }
    let (row, column) = (place / columns, place % columns);
    let mut entry = 0.0f32;
    if column < fewer {
        entry = narrow[(row * fewer + column) as usize];
    }
    wide[(first * columns + place) as usize] = entry;
}
