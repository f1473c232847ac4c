//! Dense products for comparison: with the `gemm` crate, in the layouts of the kernels and on all threads of the rayon pool.

use dnw_kernels::product::ProductShape;

/// The strides of a matrix in a slice.
#[derive(Clone, Copy)]
struct Strides {
    row: usize,
    column: usize,
}

/// Rows of `columns` contiguous entries.
fn rows_of(columns: usize) -> Strides {
    Strides {
        row: columns,
        column: 1,
    }
}

/// The transpose of a matrix that is stored in rows of `columns` contiguous entries.
fn transposed_rows_of(columns: usize) -> Strides {
    Strides {
        row: 1,
        column: columns,
    }
}

/// The dense product, image by image.
///
/// # Shapes
/// `x`: `[images, sources, pixels]`; `weight`: `[targets, sources]`; `y`: `[images, targets, pixels]`.
///
/// # Panics
/// If a length does not fit `shape`.
pub fn forward(shape: ProductShape, x: &[f32], weight: &[f32], y: &mut [f32]) {
    let sizes = [shape.targets, shape.sources, shape.pixels];
    let weight = (weight, rows_of(shape.sources));
    let pixels = rows_of(shape.pixels);
    let inputs = x.chunks_exact(shape.sources * shape.pixels);
    for (x, y) in inputs.zip(y.chunks_exact_mut(shape.targets * shape.pixels)) {
        multiply(sizes, weight, (x, pixels), (y, pixels), false);
    }
}

/// The gradient of `x` through the dense `weight`.
///
/// # Panics
/// If a length does not fit `shape`.
pub fn input_gradient(shape: ProductShape, dy: &[f32], weight: &[f32], dx: &mut [f32]) {
    let sizes = [shape.sources, shape.targets, shape.pixels];
    let weight = (weight, transposed_rows_of(shape.sources));
    let pixels = rows_of(shape.pixels);
    let gradients = dy.chunks_exact(shape.targets * shape.pixels);
    for (dy, dx) in gradients.zip(dx.chunks_exact_mut(shape.sources * shape.pixels)) {
        multiply(sizes, weight, (dy, pixels), (dx, pixels), false);
    }
}

/// The gradient of the dense weight, summed over the images.
///
/// # Panics
/// If a length does not fit `shape`.
pub fn weight_gradient(shape: ProductShape, x: &[f32], dy: &[f32], dw: &mut [f32]) {
    let sizes = [shape.targets, shape.pixels, shape.sources];
    let (pixels, transposed) = (rows_of(shape.pixels), transposed_rows_of(shape.pixels));
    let gradients = dy.chunks_exact(shape.targets * shape.pixels);
    let images = gradients.zip(x.chunks_exact(shape.sources * shape.pixels));
    for (image, (dy, x)) in images.enumerate() {
        let weight = (&mut *dw, rows_of(shape.sources));
        multiply(sizes, (dy, pixels), (x, transposed), weight, image > 0);
    }
}

/// `c = a b`, or `c += a b` if `accumulate` is set; `a` is `[rows, inner]`, `b` is `[inner, columns]`.
fn multiply(
    [rows, inner, columns]: [usize; 3],
    (a, of_a): (&[f32], Strides),
    (b, of_b): (&[f32], Strides),
    (c, of_c): (&mut [f32], Strides),
    accumulate: bool,
) {
    let last = |rows: usize, columns: usize, strides: Strides| {
        (rows - 1) * strides.row + (columns - 1) * strides.column
    };
    if rows == 0 || inner == 0 || columns == 0 {
        return;
    }
    assert!(last(rows, inner, of_a) < a.len(), "length of a");
    assert!(last(inner, columns, of_b) < b.len(), "length of b");
    assert!(last(rows, columns, of_c) < c.len(), "length of c");
    // SAFETY: the last entry of each matrix is in its slice, as asserted above, and `c` is borrowed mutably.
    unsafe {
        gemm::gemm(
            rows,
            columns,
            inner,
            c.as_mut_ptr(),
            of_c.column as isize,
            of_c.row as isize,
            accumulate,
            a.as_ptr(),
            of_a.column as isize,
            of_a.row as isize,
            b.as_ptr(),
            of_b.column as isize,
            of_b.row as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::Rayon(0),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{edges, random_values};
    use dnw_kernels::product;
    use dnw_kernels::product::Layout;

    fn are_near(a: &[f32], b: &[f32]) {
        for (a, b) in a.iter().zip(b) {
            assert!((a - b).abs() < 1e-4, "{a} and {b}");
        }
    }

    #[test]
    fn with_every_edge_real_the_wired_product_equals_the_dense_one() {
        let shape = ProductShape {
            images: 3,
            targets: 5,
            sources: 7,
            pixels: 10,
            layout: Layout::TargetsFirst,
        };
        let all = edges(5, 7, 2.0);
        assert_eq!(all.len(), 35);
        let (x, w, dy) = (
            random_values(1, 210),
            random_values(2, 35),
            random_values(3, 150),
        );
        let [mut y, mut wired] = [(); 2].map(|()| vec![f32::NAN; 150]);
        forward(shape, &x, &w, &mut y);
        product::forward(shape, &x, &w, &all, &mut wired);
        are_near(&y, &wired);
        let [mut dx, mut wired] = [(); 2].map(|()| vec![f32::NAN; 210]);
        input_gradient(shape, &dy, &w, &mut dx);
        product::input_gradient(shape, &dy, &w, &all, &mut wired);
        are_near(&dx, &wired);
        let [mut dw, mut wired] = [(); 2].map(|()| vec![f32::NAN; 35]);
        weight_gradient(shape, &x, &dy, &mut dw);
        product::weight_gradient(shape, &x, &dy, &mut wired);
        are_near(&dw, &wired);
    }
}
