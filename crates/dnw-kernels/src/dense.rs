//! Dense products, for the gradient of every possible edge and for wirings that are hardly sparse.
//!
//! The product itself is the `gemm` crate's. It cuts its work by rows and columns of the result, never along the sum, so that the
//! number of threads changes no bit; the tests hold it to that.

use crate::tiles::Tiles;

/// Rows of a matrix in a slice: where the first starts, and how far apart they are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rows<'a> {
    pub(crate) numbers: &'a [f32],
    pub(crate) rows: usize,
    pub(crate) stride: usize,
    /// Where the first row starts.
    pub(crate) start: usize,
}

impl<'a> Rows<'a> {
    pub(crate) fn new(numbers: &'a [f32], rows: usize, stride: usize) -> Self {
        Self {
            numbers,
            rows,
            stride,
            start: 0,
        }
    }

    fn row(&self, row: usize, length: usize) -> &'a [f32] {
        &self.numbers[self.start + row * self.stride..][..length]
    }

    /// The rows between the first and the last that hold anything but zeros: where they begin, and they.
    fn without_zeros_around(self, length: usize) -> (usize, Self) {
        let is_zero = |row: &usize| self.row(*row, length).iter().all(|&x| x == 0.0);
        let before = (0..self.rows).take_while(is_zero).count();
        let after = (before..self.rows).rev().take_while(is_zero).count();
        let within = Self {
            rows: self.rows - before - after,
            start: self.start + before * self.stride,
            ..self
        };
        (before, within)
    }

    fn as_they_are(self) -> Strided<*const f32> {
        Strided {
            start: self.numbers[self.start..].as_ptr(),
            row: self.stride as isize,
            column: 1,
        }
    }

    /// The rows as columns.
    fn columns(self) -> Strided<*const f32> {
        let Strided { start, row, column } = self.as_they_are();
        Strided {
            start,
            row: column,
            column: row,
        }
    }

    fn check(&self, length: usize) {
        let end = self.start + (self.rows - 1) * self.stride + length;
        assert!(end <= self.numbers.len(), "rows outside their matrix");
    }
}

/// A matrix in memory: where it begins, and from a row or a column to the next.
#[derive(Clone, Copy)]
struct Strided<P> {
    start: P,
    row: isize,
    column: isize,
}

/// `to (+)= a b`, where the sizes are the rows and columns of `to` and how much is summed.
///
/// # Safety
/// All of the three matrices is memory of theirs, and nobody else holds any of `to`.
unsafe fn call(
    [rows, columns, length]: [usize; 3],
    a: Rows<'_>,
    b: Strided<*const f32>,
    to: Strided<*mut f32>,
    onto: bool,
    parallelism: gemm::Parallelism,
) {
    let a = a.as_they_are();
    // SAFETY: as the caller promises.
    unsafe {
        gemm::gemm(
            rows,
            columns,
            length,
            to.start,
            to.column,
            to.row,
            onto,
            a.start,
            a.column,
            a.row,
            b.start,
            b.column,
            b.row,
            1.0,
            1.0,
            false,
            false,
            false,
            parallelism,
        );
    }
}

/// Where a result's entries go: entry (i, j) to `start + i * row + j * column`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) start: usize,
    pub(crate) row: usize,
    pub(crate) column: usize,
}

/// `out[i, j] (+)= sum over p of a[i, p] b[j, p]`. Entries of rows that are zero throughout, at the beginning or the end of `a` or `b`,
/// cost nothing: nodes that do not run yet, and those that no loss depends on any more.
pub(crate) fn outer(
    a: Rows<'_>,
    b: Rows<'_>,
    length: usize,
    out: &mut [f32],
    place: Place,
    onto: bool,
) {
    let _span = tracing::trace_span!("gradient of every edge").entered();
    if a.rows == 0 || b.rows == 0 {
        return;
    }
    let last = place.start + (a.rows - 1) * place.row + (b.rows - 1) * place.column;
    assert!(last < out.len(), "entries outside the result");
    if length > 0 {
        a.check(length);
        b.check(length);
    }
    let (a_skipped, a_within) = a.without_zeros_around(length);
    let (b_skipped, b_within) = b.without_zeros_around(length);
    let is_whole = a_within.rows == a.rows && b_within.rows == b.rows;
    if !onto && (!is_whole || length == 0) {
        for i in 0..a.rows {
            for j in 0..b.rows {
                out[place.start + i * place.row + j * place.column] = 0.0;
            }
        }
    }
    if a_within.rows == 0 || b_within.rows == 0 || length == 0 {
        return;
    }
    let (a, b) = (a_within, b_within);
    let start = place.start + a_skipped * place.row + b_skipped * place.column;
    // SAFETY: the last entry of `out` that is written, and the ends of the rows that are read, were found to lie inside their slices
    // above; `out` is borrowed alone.
    unsafe {
        let to = Strided {
            start: out.as_mut_ptr().add(start),
            row: place.row as isize,
            column: place.column as isize,
        };
        call(
            [a.rows, b.rows, length],
            a,
            b.columns(),
            to,
            onto,
            gemm::Parallelism::Rayon(0),
        );
    }
}

/// Writes `sum over p of a[i, p] b[j, p]` into entry (i, j) of a block of `out` that begins at this row and column. By one thread, so that
/// several may write blocks of one matrix.
///
/// # Safety
/// No other task may hold any number of the block at the same time.
pub(crate) unsafe fn outer_block(
    a: Rows<'_>,
    b: Rows<'_>,
    length: usize,
    out: &Tiles<'_>,
    [row, column]: [usize; 2],
) {
    if a.rows == 0 || b.rows == 0 || length == 0 {
        return;
    }
    a.check(length);
    b.check(length);
    let (begin, stride) = out.block(row..row + a.rows, column..column + b.rows);
    // SAFETY: the block was found to lie inside its matrix, and the ends of the rows inside their slices; nobody else holds the block,
    // as the caller promises.
    unsafe {
        let to = Strided {
            start: begin,
            row: stride as isize,
            column: 1,
        };
        call(
            [a.rows, b.rows, length],
            a,
            b.columns(),
            to,
            false,
            gemm::Parallelism::None,
        );
    }
}

/// `out[i, p] = sum over j of a[i, j] b[j, p]`, for wirings of which so much is real that the dense product is quicker.
pub(crate) fn product(
    a: Rows<'_>,
    b: Rows<'_>,
    length: usize,
    out: &mut [f32],
    stride: usize,
    onto: bool,
) {
    let _span = tracing::trace_span!("dense product").entered();
    multiply(a, b, length, out, stride, onto, gemm::Parallelism::Rayon(0));
}

/// As [`product`], written and by one thread, so that several may be made at once.
pub(crate) fn product_alone(a: Rows<'_>, b: Rows<'_>, length: usize, out: &mut [f32]) {
    multiply(a, b, length, out, length, false, gemm::Parallelism::None);
}

fn multiply(
    a: Rows<'_>,
    b: Rows<'_>,
    length: usize,
    out: &mut [f32],
    stride: usize,
    onto: bool,
    parallelism: gemm::Parallelism,
) {
    if a.rows == 0 || length == 0 {
        return;
    }
    let last = (a.rows - 1) * stride + length;
    assert!(last <= out.len(), "rows outside the result");
    if b.rows == 0 {
        if !onto {
            for i in 0..a.rows {
                out[i * stride..][..length].fill(0.0);
            }
        }
        return;
    }
    a.check(b.rows);
    b.check(length);
    // SAFETY: the last number that is written, and the ends of the rows that are read, were found to lie inside their slices; `out` is borrowed
    // alone.
    unsafe {
        let to = Strided {
            start: out.as_mut_ptr(),
            row: stride as isize,
            column: 1,
        };
        call(
            [a.rows, length, b.rows],
            a,
            b.as_they_are(),
            to,
            onto,
            parallelism,
        );
    }
}
