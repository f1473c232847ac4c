//! One update of stochastic gradient descent, in one sweep over the weights.
//!
//! `v <- momentum v + (g + decay w)`, `w <- w - rate v`: PyTorch's definition, each operation rounded by itself, so that the bits are
//! those of the operations one after the other.

use rayon::prelude::*;

use crate::selection::{CHUNK, Lookout, Survey};
use crate::simd::vectorised;

/// How an update is made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Descent {
    /// The learning rate.
    pub rate: f32,
    /// The share of the velocity that stays.
    pub momentum: f32,
    /// The weight decay.
    pub decay: Option<f32>,
}

/// Moves `weights` along their `gradient`. `velocity` holds that of the update before and gets that of this one.
///
/// # Panics
/// If the lengths differ.
pub fn descend(descent: Descent, weights: &mut [f32], gradient: &[f32], velocity: &mut [f32]) {
    assert!(
        weights.len() == gradient.len() && weights.len() == velocity.len(),
        "lengths"
    );
    let chunks = weights
        .par_chunks_mut(CHUNK)
        .zip(gradient.par_chunks(CHUNK))
        .zip(velocity.par_chunks_mut(CHUNK));
    chunks.for_each(|((weights, gradient), velocity)| {
        move_chunk(descent, weights, gradient, velocity)
    });
}

/// As [`descend`], and looks at the weights while they are at hand, so that the choice that follows need not read them again.
///
/// # Panics
/// If the lengths differ.
pub fn descend_looking(
    descent: Descent,
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
            move_chunk(descent, weights, gradient, velocity);
            lookout.look(chunk, weights, view);
        });
    survey
}

vectorised! {
    fn move_chunk(descent: Descent, weights: &mut [f32], gradient: &[f32], velocity: &mut [f32]) = move_chunk_body;
}

#[inline(always)]
fn move_chunk_body<const SET: u8>(
    descent: Descent,
    weights: &mut [f32],
    gradient: &[f32],
    velocity: &mut [f32],
) {
    for ((w, &g), v) in weights.iter_mut().zip(gradient).zip(velocity) {
        *v = decayed(descent, *w, g) + *v * descent.momentum;
        *w -= *v * descent.rate;
    }
}

/// The first update, before which there is no velocity: what `gradient` holds becomes it.
///
/// # Panics
/// If the lengths differ.
pub fn begin(descent: Descent, weights: &mut [f32], gradient: &mut [f32]) {
    assert_eq!(weights.len(), gradient.len(), "lengths");
    let chunks = weights
        .par_chunks_mut(CHUNK)
        .zip(gradient.par_chunks_mut(CHUNK));
    chunks.for_each(|(weights, gradient)| {
        for (w, g) in weights.iter_mut().zip(gradient) {
            *g = decayed(descent, *w, *g);
            *w -= *g * descent.rate;
        }
    });
}

#[inline(always)]
fn decayed(descent: Descent, w: f32, g: f32) -> f32 {
    match descent.decay {
        Some(decay) => w * decay + g,
        None => g,
    }
}
