//! The SGD step, in one pass over the weights.
//!
//! `v <- momentum v + (g + decay w)`, `w <- w - rate v`: PyTorch's definition. Each operation is rounded separately, so that the result has the
//! same bits as separate tensor operations.

use rayon::prelude::*;

use crate::selection::{CHUNK, Survey, SurveyRange};
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

/// Updates `weights` and the momentum buffer `velocity` in place.
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
    chunks
        .for_each(|((weights, gradient), velocity)| update_chunk(sgd, weights, gradient, velocity));
}

/// [`step`], and surveys the updated weights while they are in cache, so that the selection that follows need not read them again.
///
/// # Panics
/// If the lengths differ.
pub fn step_and_survey(
    sgd: SgdStep,
    weights: &mut [f32],
    gradient: &[f32],
    velocity: &mut [f32],
    range: &SurveyRange<'_>,
) -> Survey {
    assert!(
        weights.len() == gradient.len()
            && weights.len() == velocity.len()
            && weights.len() == range.entries(),
        "lengths"
    );
    let mut survey = Survey::empty(range);
    let chunks = weights
        .par_chunks_mut(CHUNK)
        .zip(gradient.par_chunks(CHUNK))
        .zip(velocity.par_chunks_mut(CHUNK))
        .zip(survey.chunks_mut());
    chunks
        .enumerate()
        .for_each(|(chunk, (((weights, gradient), velocity), chunk_survey))| {
            update_chunk(sgd, weights, gradient, velocity);
            range.survey_chunk(chunk, weights, chunk_survey);
        });
    survey
}

vectorised! {
    fn update_chunk(sgd: SgdStep, weights: &mut [f32], gradient: &[f32], velocity: &mut [f32]) = update_chunk_body;
}

#[inline(always)]
fn update_chunk_body<const SET: u8>(
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

/// The first step, in which there is no momentum buffer yet: `gradient` becomes the momentum buffer.
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

/// The gradient with weight decay added.
#[inline(always)]
fn decayed(sgd: SgdStep, w: f32, g: f32) -> f32 {
    match sgd.decay {
        Some(decay) => w * decay + g,
        None => g,
    }
}
