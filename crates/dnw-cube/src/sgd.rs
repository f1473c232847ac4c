//! An update of stochastic gradient descent in one launch, in place.

use cubecl::prelude::*;

use crate::buffer::{Buffer, WORKGROUP_SIZE, workgroups};

/// The settings of an update.
#[derive(Clone, Copy, Debug)]
pub struct SgdStep {
    /// The learning rate.
    pub rate: f32,
    /// The momentum.
    pub momentum: f32,
    /// The weight decay; zero for none.
    pub decay: f32,
}

/// Updates `velocity <- momentum velocity + (gradient + decay weights)` and `weights <- weights - rate velocity`, in place. In the first
/// update, where `is_first`, the velocity is written without being read.
///
/// # Panics
/// If the lengths differ.
pub fn step(
    client: &Client,
    step: SgdStep,
    weights: &Buffer,
    gradient: &Buffer,
    velocity: &Buffer,
    is_first: bool,
) {
    let entries = weights.length();
    assert_eq!(gradient.length(), entries, "length of the gradient");
    assert_eq!(velocity.length(), entries, "length of the velocity");
    if entries == 0 {
        return;
    }
    let lanes = weights.lanes();
    // SAFETY: threads beyond the last entry return at once.
    unsafe {
        update::launch_unchecked(
            client,
            workgroups(entries / lanes),
            CubeDim::new_1d(WORKGROUP_SIZE),
            lanes,
            weights.arg(lanes),
            gradient.arg(lanes),
            velocity.arg(lanes),
            step.rate,
            step.momentum,
            step.decay,
            is_first,
        );
    }
}

#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments)]
fn update<N: Size>(
    weights: &mut [Vector<f32, N>],
    gradient: &[Vector<f32, N>],
    velocity: &mut [Vector<f32, N>],
    rate: f32,
    momentum: f32,
    decay: f32,
    #[comptime] is_first: bool,
) {
    if ABSOLUTE_POS >= weights.len() {
        terminate!();
    }
    let weight = weights[ABSOLUTE_POS];
    let mut moved = gradient[ABSOLUTE_POS] + weight * Vector::new(decay);
    if comptime!(!is_first) {
        moved += velocity[ABSOLUTE_POS] * Vector::new(momentum);
    }
    velocity[ABSOLUTE_POS] = moved;
    weights[ABSOLUTE_POS] = weight - moved * Vector::new(rate);
}
