//! The sum of two tensors with the ReLU after it, and its gradient.

use cubecl::prelude::*;

use crate::buffer::{Buffer, WORKGROUP_SIZE, workgroups};

/// Writes `max(a + b, 0)` to `y`.
///
/// # Panics
/// If the lengths differ.
pub fn forward(client: &Client, a: &Buffer, b: &Buffer, y: &Buffer) {
    assert_eq!(b.length(), a.length(), "length of the second summand");
    assert_eq!(y.length(), a.length(), "length of the output");
    if y.length() == 0 {
        return;
    }
    let lanes = y.lanes();
    // SAFETY: threads beyond the last vector return at once.
    unsafe {
        add::launch_unchecked(
            client,
            workgroups(y.length() / lanes),
            CubeDim::new_1d(WORKGROUP_SIZE),
            lanes,
            a.arg(lanes),
            b.arg(lanes),
            y.arg(lanes),
        );
    }
}

/// Writes the gradient of either summand to `dx`: that of the output where the output is positive.
///
/// # Panics
/// If the lengths differ.
pub fn backward(client: &Client, y: &Buffer, dy: &Buffer, dx: &Buffer) {
    assert_eq!(dy.length(), y.length(), "length of the gradient");
    assert_eq!(dx.length(), y.length(), "length of the input's gradient");
    if y.length() == 0 {
        return;
    }
    let lanes = y.lanes();
    // SAFETY: threads beyond the last vector return at once.
    unsafe {
        pass::launch_unchecked(
            client,
            workgroups(y.length() / lanes),
            CubeDim::new_1d(WORKGROUP_SIZE),
            lanes,
            y.arg(lanes),
            dy.arg(lanes),
            dx.arg(lanes),
        );
    }
}

#[cube(launch_unchecked)]
fn add<N: Size>(a: &[Vector<f32, N>], b: &[Vector<f32, N>], y: &mut [Vector<f32, N>]) {
    if ABSOLUTE_POS >= y.len() {
        terminate!();
    }
    y[ABSOLUTE_POS] = max(a[ABSOLUTE_POS] + b[ABSOLUTE_POS], Vector::new(0.0));
}

#[cube(launch_unchecked)]
fn pass<N: Size>(y: &[Vector<f32, N>], dy: &[Vector<f32, N>], dx: &mut [Vector<f32, N>]) {
    if ABSOLUTE_POS >= y.len() {
        terminate!();
    }
    let zero = Vector::<f32, N>::new(0.0);
    dx[ABSOLUTE_POS] = select_many(y[ABSOLUTE_POS].greater_than(&zero), dy[ABSOLUTE_POS], zero);
}
