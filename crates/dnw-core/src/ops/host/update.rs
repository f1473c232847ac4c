//! An update of the weights, and the choice of edges that follows it.

use burn::backend::tensor::{BoolTensor, FloatTensor};
use dnw_kernels::selection::{self, Lookout, NotANumber, Survey};
use dnw_kernels::sgd::{self, SgdStep};

use super::Host;
use crate::ops::watch::{Place, Seen};
use crate::ops::{Chosen, Wanted};

/// Finds how the mask of the largest weights differs from the one before, `[entries]`.
pub(crate) fn select_top_k<B: Host>(
    weights: &FloatTensor<B>,
    real: &BoolTensor<B>,
    wanted: &Wanted,
    seen: Option<Seen>,
) -> Result<Chosen, usize> {
    let weights = B::floats(weights);
    let candidates = wanted.candidate_words();
    let before = B::bytes(real);
    // A survey holds for the weights and the mask that it was made of.
    let (place, mask_place) = (Place::of(weights), B::mask_place(real));
    let seen = seen.filter(|seen| seen.weights == place && seen.real == mask_place);
    let survey = match seen {
        Some(seen) => Some(seen.survey),
        None => wanted
            .guess
            .and_then(|guess| Lookout::around(guess, candidates, &before))
            .map(|lookout| Survey::of(weights, &lookout)),
    };
    let found = selection::changes(weights, candidates, wanted.edges, survey, &before);
    let found = found.map_err(|NotANumber { entry }| entry)?;
    let with_magnitudes = |entries: Vec<usize>| {
        let pairs = entries
            .into_iter()
            .map(|entry| (entry, weights[entry].abs()));
        pairs.collect()
    };
    let kept = found.kept;
    Ok(Chosen {
        born: with_magnitudes(found.born),
        died: with_magnitudes(found.died),
        threshold: kept.threshold,
        nearest: kept.nearest,
        contenders: kept.contenders,
    })
}

/// Weights and velocity, moved where they lie by a function of these and the gradient.
fn moved<B: Host>(
    weights: FloatTensor<B>,
    gradient: FloatTensor<B>,
    velocity: FloatTensor<B>,
    how: impl FnOnce(&mut [f32], &[f32], &mut [f32]),
) -> (FloatTensor<B>, FloatTensor<B>) {
    let numbers = B::floats(&gradient);
    let mut moved = None;
    let velocity = B::change(velocity, |velocity| {
        moved = Some(B::change(weights, |weights| {
            how(weights, numbers, velocity);
        }));
    });
    B::recycle(gradient);
    (moved.expect("changed just now"), velocity)
}

/// An update of weights that have a velocity.
pub(crate) fn sgd_step<B: Host>(
    weights: FloatTensor<B>,
    gradient: FloatTensor<B>,
    velocity: FloatTensor<B>,
    sgd: SgdStep,
) -> (FloatTensor<B>, FloatTensor<B>) {
    moved::<B>(
        weights,
        gradient,
        velocity,
        |weights, gradient, velocity| {
            sgd::step(sgd, weights, gradient, velocity);
        },
    )
}

/// The same, and looks at the weights for the choice that follows.
pub(crate) fn sgd_step_and_survey<B: Host>(
    weights: FloatTensor<B>,
    gradient: FloatTensor<B>,
    velocity: FloatTensor<B>,
    real: &BoolTensor<B>,
    sgd: SgdStep,
    wanted: &Wanted,
) -> (FloatTensor<B>, FloatTensor<B>, Option<Seen>) {
    let before = B::bytes(real);
    let lookout = wanted.guess.and_then(|guess| {
        let candidates = wanted.candidate_words();
        Lookout::around(guess, candidates, &before)
    });
    let Some(lookout) = lookout else {
        let (weights, velocity) = sgd_step::<B>(weights, gradient, velocity, sgd);
        return (weights, velocity, None);
    };
    let mut seen = None;
    let (weights, velocity) = moved::<B>(
        weights,
        gradient,
        velocity,
        |weights, gradient, velocity| {
            let survey = sgd::step_and_survey(sgd, weights, gradient, velocity, &lookout);
            seen = Some(Seen {
                survey,
                weights: Place::of(weights),
                real: B::mask_place(real),
            });
        },
    );
    (weights, velocity, seen)
}

/// Where the elements of a tensor begin in memory, if it is contiguous.
pub(crate) fn place<B: Host>(tensor: &FloatTensor<B>) -> Option<Place> {
    B::is_contiguous(tensor).then(|| Place::of(B::floats(tensor)))
}

/// The first update, in which the gradient becomes the velocity.
pub(crate) fn sgd_first_step<B: Host>(
    weights: FloatTensor<B>,
    gradient: FloatTensor<B>,
    sgd: SgdStep,
) -> (FloatTensor<B>, FloatTensor<B>) {
    let mut moved = None;
    let velocity = B::change(gradient, |gradient| {
        moved = Some(B::change(weights, |weights| {
            sgd::first_step(sgd, weights, gradient);
        }));
    });
    (moved.expect("changed just now"), velocity)
}
