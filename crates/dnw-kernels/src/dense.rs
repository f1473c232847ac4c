//! Dense products, for the gradient of every possible edge and for wirings of high density.
//!
//! The product is that of the `gemm` crate, through the functions beneath its own: they split work by rows and columns of the result, never along
//! the sum, so that the result has the same bits for any number of threads, and with `DEPTH` and `conjugate` for vectors of any width.

use gemm_common::Parallelism;

use crate::tiles::Tiles;

/// The rows of a matrix in a slice: their start and stride.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rows<'a> {
    pub(crate) values: &'a [f32],
    pub(crate) rows: usize,
    pub(crate) stride: usize,
    /// The index of the first row's first element.
    pub(crate) start: usize,
}

impl<'a> Rows<'a> {
    pub(crate) fn new(values: &'a [f32], rows: usize, stride: usize) -> Self {
        Self {
            values,
            rows,
            stride,
            start: 0,
        }
    }

    fn row(&self, row: usize, length: usize) -> &'a [f32] {
        &self.values[self.start + row * self.stride..][..length]
    }

    /// Skips leading and trailing rows of zeros. Returns how many leading rows were skipped, and the remaining rows.
    fn trim_zero_rows(self, length: usize) -> (usize, Self) {
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

    fn strided(self) -> Strided<*const f32> {
        Strided {
            start: self.values[self.start..].as_ptr(),
            row: self.stride as isize,
            column: 1,
        }
    }

    fn check(&self, length: usize) {
        let end = self.start + (self.rows - 1) * self.stride + length;
        assert!(end <= self.values.len(), "rows outside their matrix");
    }
}

/// A matrix in memory: a pointer to its first element and the strides of rows and columns.
#[derive(Clone, Copy)]
struct Strided<P> {
    start: P,
    row: isize,
    column: isize,
}

impl<P> Strided<P> {
    fn transposed(self) -> Self {
        Self {
            row: self.column,
            column: self.row,
            ..self
        }
    }
}

/// The terms of a sum that are added before their total is added to the result. `gemm` adds at least this many in one go, and more where a
/// machine's caches are larger.
const DEPTH: usize = 512;

/// `to = a b`, or `to += a b` if `accumulate` is set. The sizes are the rows and columns of `to`, and the length of the sums.
///
/// Every machine with fused multiply-adds adds in the same order: `DEPTH` terms one after another, then the next.
///
/// # Safety
/// All elements of the three matrices are valid memory, and nobody else borrows any element of `to`.
unsafe fn call(
    [rows, columns, length]: [usize; 3],
    a: Rows<'_>,
    b: Strided<*const f32>,
    to: Strided<*mut f32>,
    accumulate: bool,
    parallelism: Parallelism,
) {
    let mut a = a.strided();
    let (mut b, mut to, mut sizes) = (b, to, [rows, columns]);
    // The kernels write along the columns of the result: the transposed product writes along its rows.
    if to.column < to.row {
        (a, b, to) = (b.transposed(), a.transposed(), to.transposed());
        sizes.reverse();
    }
    // For real numbers this changes nothing but the loop. `gemm` has others for small results, which add as many partial sums as a vector of
    // the machine has lanes, and are not for conjugates.
    let conjugate = true;
    let product = gemm_f32::gemm::f32::get_gemm_fn();
    for first in (0..length).step_by(DEPTH) {
        // SAFETY: the caller guarantees it; the terms are inside the rows of `a` and the columns of `b`.
        unsafe {
            product(
                sizes[0],
                sizes[1],
                DEPTH.min(length - first),
                to.start,
                to.column,
                to.row,
                accumulate || first > 0,
                a.start.offset(first as isize * a.column),
                a.column,
                a.row,
                b.start.offset(first as isize * b.row),
                b.column,
                b.row,
                1.0,
                1.0,
                conjugate,
                false,
                false,
                parallelism,
            );
        }
    }
}

/// The layout of a result: entry (i, j) is at `start + i * row + j * column`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OutputLayout {
    pub(crate) start: usize,
    pub(crate) row: usize,
    pub(crate) column: usize,
}

/// `out[i, j] = sum over p of a[i, p] b[j, p]`, or `+=` if `accumulate` is set.
///
/// Leading and trailing rows of zeros in `a` or `b` are skipped. They belong to nodes that are still zero and to nodes that the loss does not
/// depend on.
pub(crate) fn outer(
    a: Rows<'_>,
    b: Rows<'_>,
    length: usize,
    out: &mut [f32],
    layout: OutputLayout,
    accumulate: bool,
) {
    let _span = tracing::trace_span!("gradient of every edge").entered();
    if a.rows == 0 || b.rows == 0 {
        return;
    }
    let last = layout.start + (a.rows - 1) * layout.row + (b.rows - 1) * layout.column;
    assert!(last < out.len(), "entries outside the result");
    if length > 0 {
        a.check(length);
        b.check(length);
    }
    let (a_skipped, a_within) = a.trim_zero_rows(length);
    let (b_skipped, b_within) = b.trim_zero_rows(length);
    let is_whole = a_within.rows == a.rows && b_within.rows == b.rows;
    if !accumulate && (!is_whole || length == 0) {
        for i in 0..a.rows {
            for j in 0..b.rows {
                out[layout.start + i * layout.row + j * layout.column] = 0.0;
            }
        }
    }
    if a_within.rows == 0 || b_within.rows == 0 || length == 0 {
        return;
    }
    let (a, b) = (a_within, b_within);
    let start = layout.start + a_skipped * layout.row + b_skipped * layout.column;
    // SAFETY: the last entry of `out` that is written, and the ends of the rows that are read, were checked above to be inside their
    // slices; `out` is borrowed mutably.
    unsafe {
        let to = Strided {
            start: out.as_mut_ptr().add(start),
            row: layout.row as isize,
            column: layout.column as isize,
        };
        call(
            [a.rows, b.rows, length],
            a,
            b.strided().transposed(),
            to,
            accumulate,
            Parallelism::Rayon(0),
        );
    }
}

/// [`outer`] into the block of `out` that begins at this row and column. Single-threaded, so that several tasks can write blocks of one
/// matrix.
///
/// # Safety
/// No other task may borrow any element of the block at the same time.
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
    // SAFETY: the block was checked to be inside its matrix, and the ends of the rows inside their slices; the caller guarantees that nobody
    // else borrows the block.
    unsafe {
        let to = Strided {
            start: begin,
            row: stride as isize,
            column: 1,
        };
        call(
            [a.rows, b.rows, length],
            a,
            b.strided().transposed(),
            to,
            false,
            Parallelism::None,
        );
    }
}

/// `out[i, p] = sum over j of a[i, j] b[j, p]`, or `+=` if `accumulate` is set. For wirings of high density.
pub(crate) fn product(
    a: Rows<'_>,
    b: Rows<'_>,
    length: usize,
    out: &mut [f32],
    stride: usize,
    accumulate: bool,
) {
    let _span = tracing::trace_span!("dense product").entered();
    multiply(a, b, length, out, stride, accumulate, Parallelism::Rayon(0));
}

/// [`product`], single-threaded and without accumulation, so that several can run concurrently.
pub(crate) fn product_single_threaded(a: Rows<'_>, b: Rows<'_>, length: usize, out: &mut [f32]) {
    multiply(a, b, length, out, length, false, Parallelism::None);
}

fn multiply(
    a: Rows<'_>,
    b: Rows<'_>,
    length: usize,
    out: &mut [f32],
    stride: usize,
    accumulate: bool,
    parallelism: Parallelism,
) {
    if a.rows == 0 || length == 0 {
        return;
    }
    let last = (a.rows - 1) * stride + length;
    assert!(last <= out.len(), "rows outside the result");
    if b.rows == 0 {
        if !accumulate {
            for i in 0..a.rows {
                out[i * stride..][..length].fill(0.0);
            }
        }
        return;
    }
    a.check(b.rows);
    b.check(length);
    // SAFETY: the last element that is written, and the ends of the rows that are read, were checked to be inside their slices; `out` is
    // borrowed mutably.
    unsafe {
        let to = Strided {
            start: out.as_mut_ptr(),
            row: stride as isize,
            column: 1,
        };
        call(
            [a.rows, length, b.rows],
            a,
            b.strided(),
            to,
            accumulate,
            parallelism,
        );
    }
}
