//! Wired models under Burn's own learner.
//!
//! Burn's training strategies call [`TrainStep::optimize`] for each update. A [`Wired`] model makes its optimizer step as its
//! model would and rewires after it, so that nothing in the user's steps changes.
//!
//! Burn's checkpoints hold the weights and their wirings, not the [`Clock`](crate::Clock): a run resumed from one whose schedule
//! moves with the run needs [`Wired::set_clock`] first.

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
    /// If the updated weights cannot be ranked because one is NaN: the trait leaves no other way to stop.
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
    /// As [`optimize`](Self::optimize), and if the rule looks at gradients: here each device brings its own, which are no longer to
    /// be had as one once they are added.
    fn optimize_multi(
        self,
        optimizer: &mut ModuleOptimizer,
        rate: ModuleLearningRate,
        gradients: MultiGradientsParams,
    ) -> Self {
        assert!(
            !self.rule().needs_gradients(),
            "the rule `{}` looks at gradients, which a strategy of several devices does not show as one: train on one device",
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
