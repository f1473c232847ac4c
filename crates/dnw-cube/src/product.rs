//! The wired product: weighted sums over the real edges.

use std::ops::Range;

use cubecl::prelude::*;

use crate::bits::MaskBits;
use crate::buffer::{Buffer, WORKGROUP_SIZE};

/// The strides of a weight matrix.
#[derive(Clone, Copy, Debug)]
pub struct Strides {
    /// Between rows of the mask.
    pub row: usize,
    /// Between columns of the mask.
    pub column: usize,
}

/// `y[image, row, pixel] = sum over the row's real edges of w[row, column] x[image, column, pixel]`.
///
/// With targets as rows this is the forward pass; with sources as rows, and the strides swapped, it is the gradient of the input. All threads
/// of a workgroup compute the same row, so that they branch together; each computes up to four pixels.
///
/// # Shapes
/// `x`: `[images, columns, pixels]`; `y`: `[images, rows, pixels]`; `mask`: `[rows, columns]`.
///
/// # Panics
/// If a length does not fit.
pub fn gather(
    client: &Client,
    x: &Buffer,
    weight: &Buffer,
    strides: Strides,
    mask: &MaskBits,
    images: usize,
    y: &Buffer,
) {
    let MaskBits {
        words,
        rows,
        columns,
    } = mask;
    let (rows, columns) = (*rows, *columns);
    assert_eq!(weight.length(), rows * columns, "length of the weights");
    let pixels = y.length() / (images * rows).max(1);
    assert_eq!(y.length(), images * rows * pixels, "length of the output");
    assert_eq!(x.length(), images * columns * pixels, "length of the input");
    if y.length() == 0 {
        return;
    }
    let grid = Grid::new(rows, images, pixels);
    // SAFETY: threads beyond the last position or row do nothing; lengths were checked above, and a mask has no bits beyond its columns.
    unsafe {
        gather_row::launch_unchecked(
            client,
            grid.workgroups(),
            CubeDim::new_1d(grid.threads()),
            grid.lanes,
            x.arg(grid.lanes),
            weight.arg(1),
            words.arg(1),
            y.arg(grid.lanes),
            rows as u32,
            columns as u32,
            grid.vectors as u32,
            grid.positions() as u32,
            strides.row as u32,
            strides.column as u32,
        );
    }
}

/// How the outputs of a product are divided among threads: each computes a vector of up to four pixels of one row.
struct Grid {
    rows: usize,
    images: usize,
    /// Pixels of a vector.
    lanes: usize,
    /// Vectors of a feature map.
    vectors: usize,
}

impl Grid {
    fn new(rows: usize, images: usize, pixels: usize) -> Self {
        let lanes = [4, 2, 1].into_iter().find(|n| pixels.is_multiple_of(*n));
        let lanes = lanes.expect("one divides every number");
        Self {
            rows,
            images,
            lanes,
            vectors: pixels / lanes,
        }
    }

    /// Vectors of a row.
    fn positions(&self) -> usize {
        self.images * self.vectors
    }

    fn threads(&self) -> u32 {
        (self.positions().next_power_of_two() as u32).clamp(32, WORKGROUP_SIZE)
    }

    /// Along a row; then the rows, in two dimensions, because one is limited to 65,535.
    fn workgroups(&self) -> CubeCount {
        let along = self.positions().div_ceil(self.threads() as usize);
        let (down, deep) = (self.rows.min(32_768), self.rows.div_ceil(32_768));
        CubeCount::Static(along as u32, down as u32, deep as u32)
    }
}

#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments)]
fn gather_row<N: Size>(
    x: &[Vector<f32, N>],
    weight: &[f32],
    words: &[u32],
    y: &mut [Vector<f32, N>],
    rows: u32,
    columns: u32,
    pixels: u32,
    positions: u32,
    row_stride: u32,
    column_stride: u32,
) {
    let position = CUBE_POS_X * CUBE_DIM_X + UNIT_POS_X;
    let row = CUBE_POS_Z * CUBE_COUNT_Y + CUBE_POS_Y;
    if position < positions && row < rows {
        let (image, pixel) = (position / pixels, position % pixels);
        let first = image * columns * pixels + pixel;
        let words_of_row = (columns + 31) / 32;
        let mut sum = Vector::<f32, N>::new(0.0);
        for word in 0..words_of_row {
            let mut left = words[(row * words_of_row + word) as usize];
            while left != 0 {
                let column = word * 32 + left.trailing_zeros();
                left &= left - 1;
                let weight = weight[(row * row_stride + column * column_stride) as usize];
                sum += Vector::new(weight) * x[(first + column * pixels) as usize];
            }
        }
        y[((image * rows + row) * pixels + pixel) as usize] = sum;
    }
}

/// A part of a wired product, over rows of numbers: all pixels of a channel in the whole batch are one row.
#[derive(Clone, Debug)]
pub struct Part {
    /// Rows of the mask to sum into.
    pub rows: Range<usize>,
    /// Columns of the mask to sum over.
    pub columns: Range<usize>,
    /// The row of `x` that belongs to the first of these columns.
    pub first: usize,
    /// The length of a row.
    pub length: usize,
}

/// `y[row] = sum over the row's real edges in these columns of w[row, column] x[column]`, as [`gather`] but for a part of the mask.
///
/// # Shapes
/// `x`: `[any rows, length]`; `y`: `[rows, length]`; `mask`: all rows and columns.
///
/// # Panics
/// If a length does not fit.
pub fn gather_part(
    client: &Client,
    x: &Buffer,
    weight: &Buffer,
    strides: Strides,
    mask: &MaskBits,
    part: &Part,
    y: &Buffer,
) {
    let Part {
        rows,
        columns,
        first,
        length,
    } = part.clone();
    assert_eq!(
        weight.length(),
        mask.rows * mask.columns,
        "length of the weights"
    );
    assert!(
        rows.end <= mask.rows && columns.end <= mask.columns,
        "{part:?}"
    );
    assert_eq!(y.length(), rows.len() * length, "length of the output");
    assert!(
        (first + columns.len()) * length <= x.length(),
        "length of the input"
    );
    if y.length() == 0 {
        return;
    }
    let grid = Grid::new(rows.len(), 1, length);
    // SAFETY: as in `gather`; the columns are checked against the range.
    unsafe {
        gather_row_of_part::launch_unchecked(
            client,
            grid.workgroups(),
            CubeDim::new_1d(grid.threads()),
            grid.lanes,
            x.arg(grid.lanes),
            weight.arg(1),
            mask.words.arg(1),
            y.arg(grid.lanes),
            rows.start as u32,
            rows.len() as u32,
            columns.start as u32,
            columns.end as u32,
            first as u32,
            mask.columns.div_ceil(32) as u32,
            grid.positions() as u32,
            strides.row as u32,
            strides.column as u32,
        );
    }
}

#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments)]
fn gather_row_of_part<N: Size>(
    x: &[Vector<f32, N>],
    weight: &[f32],
    words: &[u32],
    y: &mut [Vector<f32, N>],
    first_row: u32,
    rows: u32,
    first_column: u32,
    end_column: u32,
    first: u32,
    words_of_row: u32,
    positions: u32,
    row_stride: u32,
    column_stride: u32,
) {
    let position = CUBE_POS_X * CUBE_DIM_X + UNIT_POS_X;
    let row_of_part = CUBE_POS_Z * CUBE_COUNT_Y + CUBE_POS_Y;
    if position < positions && row_of_part < rows {
        let row = first_row + row_of_part;
        let mut sum = Vector::<f32, N>::new(0.0);
        for word in first_column / 32..(end_column + 31) / 32 {
            let mut left = words[(row * words_of_row + word) as usize];
            while left != 0 {
                let column = word * 32 + left.trailing_zeros();
                left &= left - 1;
                if column >= first_column && column < end_column {
                    let weight = weight[(row * row_stride + column * column_stride) as usize];
                    let from = (first + column - first_column) * positions + position;
                    sum += Vector::new(weight) * x[from as usize];
                }
            }
        }
        y[(row_of_part * positions + position) as usize] = sum;
    }
}
