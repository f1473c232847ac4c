//! The product of a linear layer without a wiring, and its gradients.

use crate::dense::{self, OutputLayout, Rows};
use crate::product::{self, Layout, ProductShape};

/// The sizes of a linear layer's product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinearShape {
    /// Rows of the input.
    pub rows: usize,
    /// Length of a row of the input.
    pub inputs: usize,
    /// Length of a row of the output.
    pub outputs: usize,
}

impl LinearShape {
    fn check(&self, x: &[f32], weight: &[f32], y: &[f32]) {
        assert_eq!(x.len(), self.rows * self.inputs, "length of x");
        assert_eq!(weight.len(), self.inputs * self.outputs, "length of weight");
        assert_eq!(y.len(), self.rows * self.outputs, "length of y");
    }
}

/// Computes `y = x weight`.
///
/// # Shapes
/// `x`: `[rows, inputs]`; `weight`: `[inputs, outputs]`; `y`: `[rows, outputs]`.
///
/// # Panics
/// If a length does not fit `shape`.
pub fn forward(shape: LinearShape, x: &[f32], weight: &[f32], y: &mut [f32]) {
    shape.check(x, weight, y);
    let LinearShape {
        rows,
        inputs,
        outputs,
    } = shape;
    let (x, weight) = (
        Rows::new(x, rows, inputs),
        Rows::new(weight, inputs, outputs),
    );
    dense::product(x, weight, outputs, y, outputs, false);
}

/// Writes the gradient of `x`: `dx = dy weight^T`.
///
/// # Shapes
/// As in [`forward`].
///
/// # Panics
/// If a length does not fit `shape`.
pub fn input_gradient(shape: LinearShape, dy: &[f32], weight: &[f32], dx: &mut [f32]) {
    shape.check(dx, weight, dy);
    let LinearShape {
        rows,
        inputs,
        outputs,
    } = shape;
    let (dy, weight) = (
        Rows::new(dy, rows, outputs),
        Rows::new(weight, inputs, outputs),
    );
    let layout = OutputLayout {
        start: 0,
        row: inputs,
        column: 1,
    };
    dense::outer(dy, weight, outputs, dx, layout, false);
}

/// Writes the gradient of the weight: `dw = x^T dy`.
///
/// # Shapes
/// As in [`forward`].
///
/// # Panics
/// If a length does not fit `shape`.
pub fn weight_gradient(shape: LinearShape, x: &[f32], dy: &[f32], dw: &mut [f32]) {
    shape.check(x, dw, dy);
    let shape = ProductShape {
        images: shape.rows,
        targets: shape.outputs,
        sources: shape.inputs,
        pixels: 1,
        layout: Layout::SourcesFirst,
    };
    product::weight_gradient(shape, x, dy, dw);
}
