//! Products of a dense matrix with one vector.

use std::ops::Range;

use crate::simd::{LANES, multiply_add, sum_lanes, vectorised};

/// A dense matrix, `[rows, columns]` row-major, with a bias for each row.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a> {
    /// `[rows, columns]`.
    pub weights: &'a [f32],
    /// `[rows]`.
    pub bias: &'a [f32],
    /// Columns.
    pub columns: usize,
}

/// Writes the products of these rows with `x [columns]` to `out`, which has as many elements.
///
/// Each is summed in sixteen lanes, which are added at the end, then what is left of the columns, then the bias.
///
/// # Panics
/// If the lengths do not fit.
pub fn dense_rows(matrix: Matrix<'_>, rows: Range<usize>, x: &[f32], out: &mut [f32]) {
    assert_eq!(
        (x.len(), out.len()),
        (matrix.columns, rows.len()),
        "a vector of another length"
    );
    assert!(rows.end * matrix.columns <= matrix.weights.len() && rows.end <= matrix.bias.len());
    dense(matrix, rows, x, out);
}

vectorised! {
    fn dense(matrix: Matrix<'_>, rows: Range<usize>, x: &[f32], out: &mut [f32]) = dense_body;
}

#[inline(always)]
fn dense_body<const SET: u8>(matrix: Matrix<'_>, rows: Range<usize>, x: &[f32], out: &mut [f32]) {
    let columns = matrix.columns;
    let whole = columns - columns % LANES;
    let row = |row: usize| &matrix.weights[row * columns..][..columns];
    let mut at = 0;
    // Four rows at a time, so that four additions are under way.
    while at + 4 <= rows.len() {
        // A closure of `map` would be compiled without the instruction set, and called.
        let first = rows.start + at;
        let own = [row(first), row(first + 1), row(first + 2), row(first + 3)];
        let (mut a, mut b, mut c, mut d) = ([0.0; LANES], [0.0; LANES], [0.0; LANES], [0.0; LANES]);
        for start in (0..whole).step_by(LANES) {
            let vector = |all: &[f32]| -> [f32; LANES] {
                all[start..][..LANES].try_into().expect("sixteen")
            };
            let (x, wa, wb) = (vector(x), vector(own[0]), vector(own[1]));
            let (wc, wd) = (vector(own[2]), vector(own[3]));
            for i in 0..LANES {
                a[i] = multiply_add::<SET>(wa[i], x[i], a[i]);
                b[i] = multiply_add::<SET>(wb[i], x[i], b[i]);
                c[i] = multiply_add::<SET>(wc[i], x[i], c[i]);
                d[i] = multiply_add::<SET>(wd[i], x[i], d[i]);
            }
        }
        for (i, lanes) in [a, b, c, d].into_iter().enumerate() {
            out[at + i] = sum_lanes(lanes)
                + rest::<SET>(&own[i][whole..], &x[whole..])
                + matrix.bias[first + i];
        }
        at += 4;
    }
    for (at, out) in out.iter_mut().enumerate().skip(at) {
        let own = row(rows.start + at);
        let mut lanes = [0.0; LANES];
        for (w, x) in own[..whole].chunks_exact(LANES).zip(x.chunks_exact(LANES)) {
            for i in 0..LANES {
                lanes[i] = multiply_add::<SET>(w[i], x[i], lanes[i]);
            }
        }
        *out = sum_lanes(lanes)
            + rest::<SET>(&own[whole..], &x[whole..])
            + matrix.bias[rows.start + at];
    }
}

/// The columns that do not fill a vector, one by one.
#[inline(always)]
fn rest<const SET: u8>(weights: &[f32], x: &[f32]) -> f32 {
    let mut sum = 0.0;
    for (&w, &x) in weights.iter().zip(x) {
        sum = multiply_add::<SET>(w, x, sum);
    }
    sum
}
