//! The gradient through the solver, which is that of any other tensors: all that is left to do is to forget rejected steps.

use burn::tensor::Tensor;

use crate::integration::Watch;

/// Lets the graph forget what was discarded.
///
/// Burn's autodiff keeps the steps of a dropped tensor until some backward pass through the same graph looks for
/// steps that no tensor can reach any more. A rejected step would so keep its states until the loss' own backward pass. A backward
/// pass from a new leaf that joins the graph has nothing to compute, and looks.
pub(crate) struct Through;

impl<const D: usize> Watch<Tensor<D>> for Through {
    fn discarded(&mut self, slope: &Tensor<D>) {
        let Some(strategy) = slope.gradient_checkpointing_strategy() else {
            return;
        };
        if !slope.is_tracked() {
            return;
        }
        let leaf = slope.clone().inner().sum().mul_scalar(0.0).autodiff();
        let leaf = leaf
            .with_gradient_checkpointing_strategy(strategy)
            .require_grad();
        // Joined by an operation between them, then dropped.
        drop(leaf.clone() + slope.clone().sum());
        leaf.backward();
    }
}
