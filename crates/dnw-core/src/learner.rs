//! Wired models under Burn's learner.
//!
//! Burn's training strategies call [`TrainStep::optimize`] for each update. A [`Wired`] model runs the
//! optimizer step of its model and then rewires, so the user's steps stay the same.
//!
//! Burn's checkpoints store weights and wirings, but not the [`Clock`](crate::Clock) nor the gradients that a rule has
//! seen. To resume a run, store [`Wired::to_record`] beside them and call [`Wired::restore`].

use std::fmt;

use burn::module::{Module, ModuleDisplay};
use burn::optim::lr_scheduler::module_lr_scheduler::ModuleLearningRate;
use burn::optim::{GradientsParams, ModuleOptimizer, MultiGradientsParams};
use burn::train::{InferenceStep, TrainOutput, TrainStep};

use crate::Wired;

impl<M: Module + TrainStep> TrainStep for Wired<M> {
    type Input = M::Input;
    type Output = M::Output;

    fn step(&self, item: Self::Input) -> TrainOutput<Self::Output> {
        (**self).step(item)
    }

    /// # Panics
    /// If an updated weight is NaN, so that the edges cannot be ranked: the trait returns no error.
    fn optimize(
        self,
        optimizer: &mut ModuleOptimizer,
        rate: ModuleLearningRate,
        gradients: GradientsParams,
    ) -> Self {
        let mut model = self;
        let gradients = model.prepare(gradients);
        rewired(optimizer.step(rate, model, gradients))
    }

    /// # Panics
    /// As [`optimize`](Self::optimize), and if the rule uses gradients: each device has its own, and their
    /// sum is not available here.
    fn optimize_multi(
        self,
        optimizer: &mut ModuleOptimizer,
        rate: ModuleLearningRate,
        gradients: MultiGradientsParams,
    ) -> Self {
        assert!(
            !self.rule().needs_gradients(),
            "the rule `{}` uses gradients, whose sum over several devices is not available: train on one device",
            self.rule().name
        );
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

/// The model as Burn prints it, after the rule's name. Burn's learner asks its models for this.
impl<M: Module + ModuleDisplay> fmt::Display for Wired<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let model = (**self).format(Default::default());
        write!(f, "wired by the rule {}: {model}", self.rule().name)
    }
}
