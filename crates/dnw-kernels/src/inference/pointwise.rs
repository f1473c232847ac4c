//! Copies and sums, number by number.

use crate::simd::{multiply_add, vectorised};

/// Copies every `stride`th number of `from`, beginning with the first, until one of the slices ends.
pub fn copy_every(stride: usize, from: &[f32], to: &mut [f32]) {
    match stride {
        1 => {
            let len = from.len().min(to.len());
            to[..len].copy_from_slice(&from[..len]);
        }
        2 => {
            let len = from.len().div_ceil(2).min(to.len());
            every_second(from, &mut to[..len]);
        }
        _ => {
            let pairs = to.iter_mut().zip(from.iter().step_by(stride.max(1)));
            pairs.for_each(|(to, &from)| *to = from);
        }
    }
}

vectorised! {
    fn every_second(from: &[f32], to: &mut [f32]) = every_second_body;
}

#[inline(always)]
fn every_second_body<const SET: u8>(from: &[f32], to: &mut [f32]) {
    let whole = to.len().min(from.len() / 2);
    let pairs = from.as_chunks::<2>().0;
    for (to, pair) in to[..whole].iter_mut().zip(pairs) {
        *to = pair[0];
    }
    if let Some(last) = to.get_mut(whole) {
        *last = from[2 * whole];
    }
}

/// Adds `a x` to each number, and replaces negative sums by zero if `relu`.
///
/// # Panics
/// If the lengths differ.
pub fn add_scaled(a: f32, x: &[f32], relu: bool, sum: &mut [f32]) {
    assert_eq!(x.len(), sum.len(), "a sum of different lengths");
    add(a, x, relu, sum);
}

vectorised! {
    fn add(a: f32, x: &[f32], relu: bool, sum: &mut [f32]) = add_body;
}

#[inline(always)]
fn add_body<const SET: u8>(a: f32, x: &[f32], relu: bool, sum: &mut [f32]) {
    for (sum, &x) in sum.iter_mut().zip(x) {
        let y = multiply_add::<SET>(a, x, *sum);
        *sum = if !relu || y > 0.0 { y } else { 0.0 };
    }
}

/// Adds the squared distances of `x` from `mean`, number by number.
///
/// # Panics
/// If the lengths differ.
pub fn add_squares(x: &[f32], mean: &[f32], sum: &mut [f32]) {
    assert!(
        x.len() == sum.len() && mean.len() == sum.len(),
        "a sum of different lengths"
    );
    add_squares_of(x, mean, sum);
}

vectorised! {
    fn add_squares_of(x: &[f32], mean: &[f32], sum: &mut [f32]) = add_squares_body;
}

#[inline(always)]
fn add_squares_body<const SET: u8>(x: &[f32], mean: &[f32], sum: &mut [f32]) {
    for ((sum, x), mean) in sum.iter_mut().zip(x).zip(mean) {
        *sum = multiply_add::<SET>(x - mean, x - mean, *sum);
    }
}
