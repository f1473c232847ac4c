//! One update of stochastic gradient descent, in one sweep over the weights.
//!
//! `v <- momentum v + (g + decay w)`, `w <- w - rate v`: PyTorch's definition, each operation rounded by itself, so that the bits are
//! those of the operations one after the other.

use rayon::prelude::*;

use crate::selection::{CHUNK, Lookout, Survey};
use crate::simd::vectorised;

/// The hyperparameters of an SGD step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SgdStep {
    /// The learning rate.
    pub rate: f32,
    /// The momentum factor.
    pub momentum: f32,
    /// The weight decay.
    pub decay: Option<f32>,
}

/// Moves `weights` along their `gradient`. `velocity` holds that of the update before and gets that of this one.
///
/// # Panics
/// If the lengths differ.
pub fn step(sgd: SgdStep, weights: &mut [f32], gradient: &[f32], velocity: &mut [f32]) {
    assert!(
        weights.len() == gradient.len() && weights.len() == velocity.len(),
        "lengths"
    );
    let chunks = weights
        .par_chunks_mut(CHUNK)
        .zip(gradient.par_chunks(CHUNK))
        .zip(velocity.par_chunks_mut(CHUNK));
    chunks.for_each(|((weights, gradient), velocity)| move_chunk(sgd, weights, gradient, velocity));
}

/// As [`step`], and looks at the weights while they are in cache, so that the selection that follows need not read them again.
///
/// # Panics
/// If the lengths differ.
pub fn step_and_survey(
    sgd: SgdStep,
    weights: &mut [f32],
    gradient: &[f32],
    velocity: &mut [f32],
    lookout: &Lookout<'_>,
) -> Survey {
    assert!(
        weights.len() == gradient.len()
            && weights.len() == velocity.len()
            && weights.len() == lookout.entries(),
        "lengths"
    );
    let mut survey = Survey::blank(lookout);
    let chunks = weights
        .par_chunks_mut(CHUNK)
        .zip(gradient.par_chunks(CHUNK))
        .zip(velocity.par_chunks_mut(CHUNK))
        .zip(survey.views());
    chunks
        .enumerate()
        .for_each(|(chunk, (((weights, gradient), velocity), view))| {
            move_chunk(sgd, weights, gradient, velocity);
            lookout.look(chunk, weights, view);
        });
    survey
}

vectorised! {
    fn move_chunk(sgd: SgdStep, weights: &mut [f32], gradient: &[f32], velocity: &mut [f32]) = move_chunk_body;
}

#[inline(always)]
fn move_chunk_body<const SET: u8>(
    sgd: SgdStep,
    weights: &mut [f32],
    gradient: &[f32],
    velocity: &mut [f32],
) {
    for ((w, &g), v) in weights.iter_mut().zip(gradient).zip(velocity) {
        *v = decayed(sgd, *w, g) + *v * sgd.momentum;
        *w -= *v * sgd.rate;
    }
}

/// The first update, before which there is no velocity: what `gradient` holds becomes it.
///
/// # Panics
/// If the lengths differ.
pub fn first_step(sgd: SgdStep, weights: &mut [f32], gradient: &mut [f32]) {
    assert_eq!(weights.len(), gradient.len(), "lengths");
    let chunks = weights
        .par_chunks_mut(CHUNK)
        .zip(gradient.par_chunks_mut(CHUNK));
    chunks.for_each(|(weights, gradient)| {
        for (w, g) in weights.iter_mut().zip(gradient) {
            *g = decayed(sgd, *w, *g);
            *w -= *g * sgd.rate;
        }
    });
}

#[inline(always)]
fn decayed(sgd: SgdStep, w: f32, g: f32) -> f32 {
    match sgd.decay {
        Some(decay) => w * decay + g,
        None => g,
    }
}
