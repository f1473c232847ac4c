//! Wired models under Burn's own learner.
//!
//! Burn's training strategies call [`TrainStep::optimize`] for each update. A [`Wired`] model makes its optimizer step as its
//! model would and rewires after it, so that nothing in the user's steps changes.

use burn::module::Module;
use burn::optim::{GradientsParams, ModuleLearningRate, ModuleOptimizer, MultiGradientsParams};
use burn::train::{InferenceStep, TrainOutput, TrainStep};

use crate::Wired;

impl<M: Module + TrainStep> TrainStep for Wired<M> {
    type Input = M::Input;
    type Output = M::Output;

    fn step(&self, item: Self::Input) -> TrainOutput<Self::Output> {
        (**self).step(item)
    }

    /// # Panics
    /// If the updated weights cannot be ranked because one is NaN: the trait leaves no other way to stop.
    fn optimize(
        self,
        optimizer: &mut ModuleOptimizer,
        rate: ModuleLearningRate,
        gradients: GradientsParams,
    ) -> Self {
        rewired(optimizer.step(rate, self, gradients))
    }

    /// # Panics
    /// As [`optimize`](Self::optimize).
    fn optimize_multi(
        self,
        optimizer: &mut ModuleOptimizer,
        rate: ModuleLearningRate,
        gradients: MultiGradientsParams,
    ) -> Self {
        rewired(optimizer.step_multi(rate, self, gradients))
    }
}

fn rewired<M: Module>(mut model: Wired<M>) -> Wired<M> {
    match model.rewire() {
        Ok(_) => model,
        Err(error) => panic!("{error}"),
    }
}

impl<M: Module + InferenceStep> InferenceStep for Wired<M> {
    type Input = M::Input;
    type Output = M::Output;

    fn step(&self, item: Self::Input) -> Self::Output {
        (**self).step(item)
    }
}
