//! An update of stochastic gradient descent, and a survey of the weights for the selection that follows.

use burn::backend::tensor::FloatTensor;
use burn::tensor::{Bool, Tensor};
use dnw_kernels::sgd;

use super::cpu::{Address, CpuBackend};
use super::dispatch::{self, Tensors, Untracked};
use super::kernels::Kernels;
use super::select::{AddressedSurvey, Surveyed, TopK};
#[cfg(feature = "cube")]
use {
    super::gpu::{buffer, empty, to_change},
    burn::backend::TensorMetadata,
    burn_cubecl::{CubeBackend, kernel::into_contiguous, tensor::CubeTensor},
    dnw_cube::sgd as gpu_sgd,
};

/// The settings of an update.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SgdStep {
    pub(crate) learning_rate: f64,
    pub(crate) momentum: f32,
    pub(crate) weight_decay: Option<f32>,
}

/// The updated weights and velocity. On CPU backends with a velocity it also returns the survey that `survey`
/// requests: the mask, `[entries]`, and what will be selected.
pub(crate) fn sgd_step<const D: usize>(
    weights: Tensor<D>,
    gradient: Tensor<D>,
    velocity: Option<Tensor<D>>,
    step: SgdStep,
    survey: Option<(Tensor<1, Bool>, TopK)>,
) -> (Tensor<D>, Tensor<D>, Option<Surveyed>) {
    let kernels = Kernels::default();
    if kernels.on_cpu(&weights) && kernels.on_cpu(&gradient) {
        return sgd_step_fused(weights, gradient, velocity, step, survey);
    }
    if kernels.on_gpu(&weights) && kernels.on_gpu(&gradient) {
        return sgd_step_fused(weights, gradient, velocity, step, None);
    }
    let decayed = match step.weight_decay {
        Some(decay) => weights.clone().mul_scalar(decay).add(gradient),
        None => gradient,
    };
    let velocity = match velocity {
        Some(velocity) => decayed.add(velocity.mul_scalar(step.momentum)),
        None => decayed,
    };
    let weights = weights - velocity.clone().mul_scalar(step.learning_rate);
    (weights, velocity, None)
}

fn sgd_step_fused<const D: usize>(
    weights: Tensor<D>,
    gradient: Tensor<D>,
    velocity: Option<Tensor<D>>,
    step: SgdStep,
    survey: Option<(Tensor<1, Bool>, TopK)>,
) -> (Tensor<D>, Tensor<D>, Option<Surveyed>) {
    let step = sgd::SgdStep {
        rate: step.learning_rate as f32,
        momentum: step.momentum,
        decay: step.weight_decay,
    };
    let (weights, gradient) = (weights.into_dispatch(), gradient.into_dispatch());
    let (tensors, survey) = match (velocity.map(Tensor::into_dispatch), survey) {
        (None, _) => {
            let (tensors, ()) = dispatch::run_untracked(First(step), [weights, gradient], []);
            (tensors, None)
        }
        (Some(velocity), None) => {
            let floats = [weights, gradient, velocity];
            let (tensors, ()) = dispatch::run_untracked(Step(step), floats, []);
            (tensors, None)
        }
        (Some(velocity), Some((real, top_k))) => {
            let (floats, real) = ([weights, gradient, velocity], real.into_dispatch());
            let surveying = StepAndSurvey { step, top_k };
            let (tensors, survey) = dispatch::run_untracked(surveying, floats, [real.clone()]);
            (tensors, survey.map(|survey| (survey, real)))
        }
    };
    let ([weights, velocity], []) = tensors.split();
    let surveyed = survey.map(|(survey, real)| Surveyed {
        survey,
        held: (weights.clone(), real),
    });
    let [weights, velocity] = [weights, velocity].map(Tensor::from_dispatch);
    (weights, velocity, surveyed)
}

/// The first update, in which the gradient becomes the velocity. Inputs: weights, gradient; outputs: weights, velocity.
#[derive(Debug)]
struct First(sgd::SgdStep);

impl Untracked for First {
    type Extra = ();

    fn run_cpu<B: CpuBackend>(self, tensors: Tensors<B>) -> (Tensors<B>, ()) {
        let ([weights, gradient], []) = tensors.split();
        let mut updated = None;
        let velocity = B::change(gradient, |gradient| {
            updated = Some(B::change(weights, |weights| {
                sgd::first_step(self.0, weights, gradient);
            }));
        });
        let weights = updated.expect("updated just now");
        (Tensors::new([weights, velocity], []), ())
    }

    #[cfg(feature = "cube")]
    fn run_gpu(self, tensors: Tensors<CubeBackend>) -> (Tensors<CubeBackend>, ()) {
        let ([weights, gradient], []) = tensors.split();
        let (velocity, _) = empty(&weights, weights.shape());
        (update_gpu(self.0, [weights, gradient, velocity], true), ())
    }
}

/// An update of weights that have a velocity. Inputs: weights, gradient, velocity; outputs: weights, velocity.
#[derive(Debug)]
struct Step(sgd::SgdStep);

impl Untracked for Step {
    type Extra = ();

    fn run_cpu<B: CpuBackend>(self, tensors: Tensors<B>) -> (Tensors<B>, ()) {
        let (floats, []) = tensors.split();
        let updated = update::<B>(floats, |weights, gradient, velocity| {
            sgd::step(self.0, weights, gradient, velocity);
        });
        (Tensors::new(updated, []), ())
    }

    #[cfg(feature = "cube")]
    fn run_gpu(self, tensors: Tensors<CubeBackend>) -> (Tensors<CubeBackend>, ()) {
        let (floats, []) = tensors.split();
        (update_gpu(self.0, floats, false), ())
    }
}

/// The updated weights and velocity.
#[cfg(feature = "cube")]
fn update_gpu(
    step: sgd::SgdStep,
    [weights, gradient, velocity]: [CubeTensor; 3],
    is_first: bool,
) -> Tensors<CubeBackend> {
    let (weights, velocity) = (to_change(weights), to_change(velocity));
    let gradient = into_contiguous(gradient);
    let step = gpu_sgd::SgdStep {
        rate: step.rate,
        momentum: step.momentum,
        decay: step.decay.unwrap_or(0.0),
    };
    let [w, g, v] = [&weights, &gradient, &velocity].map(buffer);
    gpu_sgd::step(&weights.client, step, &w, &g, &v, is_first);
    Tensors::new([weights, velocity], [])
}

/// [`Step`], which surveys the weights as it writes them. Mask: the one before the selection.
#[derive(Debug)]
struct StepAndSurvey {
    step: sgd::SgdStep,
    top_k: TopK,
}

impl Untracked for StepAndSurvey {
    type Extra = Option<AddressedSurvey>;

    fn run_cpu<B: CpuBackend>(self, tensors: Tensors<B>) -> (Tensors<B>, Self::Extra) {
        let (floats, [real]) = tensors.split();
        let before = B::bytes(&real);
        let Some(range) = self.top_k.survey_range(&before) else {
            let (updated, ()) = Step(self.step).run_cpu::<B>(Tensors::new(floats, []));
            return (updated, None);
        };
        let mut found = None;
        let updated = update::<B>(floats, |weights, gradient, velocity| {
            found = Some(AddressedSurvey {
                survey: sgd::step_and_survey(self.step, weights, gradient, velocity, &range),
                weights: Address::of(weights),
                real: B::mask_address(&real),
            });
        });
        (Tensors::new(updated, []), found)
    }
}

/// Updates weights and velocity, in place if nobody else holds them.
fn update<B: CpuBackend>(
    [weights, gradient, velocity]: [FloatTensor<B>; 3],
    by: impl FnOnce(&mut [f32], &[f32], &mut [f32]),
) -> [FloatTensor<B>; 2] {
    let gradient = B::contiguous(gradient);
    let elements = B::floats(&gradient);
    let mut updated = None;
    let velocity = B::change(velocity, |velocity| {
        updated = Some(B::change(weights, |weights| {
            by(weights, elements, velocity);
        }));
    });
    B::recycle(gradient);
    [updated.expect("updated just now"), velocity]
}

/// The address of a tensor's elements, if it is contiguous, of 32-bit floats and on a CPU backend.
pub(crate) fn address<const D: usize>(weights: &Tensor<D>) -> Option<Address> {
    if !Kernels::default().on_cpu(weights) {
        return None;
    }
    let floats = [weights.clone().into_dispatch()];
    dispatch::run_untracked(AddressOf, floats, []).1
}

#[derive(Debug)]
struct AddressOf;

impl Untracked for AddressOf {
    type Extra = Option<Address>;

    fn run_cpu<B: CpuBackend>(self, tensors: Tensors<B>) -> (Tensors<B>, Self::Extra) {
        let ([weights], []) = tensors.split();
        let address = B::is_contiguous(&weights).then(|| Address::of(B::floats(&weights)));
        (Tensors::new([], []), address)
    }
}
