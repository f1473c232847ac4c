//! The gradient through the solver, by Burn's autodiff. Only the memory of rejected steps has to be freed.

use burn::tensor::Tensor;

use crate::integration::Watch;

/// Frees the graph nodes of discarded steps.
///
/// Burn's autodiff keeps the nodes of a dropped tensor until a backward pass through the same graph removes unreachable nodes. A rejected
/// step would keep its states until the backward pass of the loss. A backward pass from a new leaf that is connected to the graph computes
/// nothing and removes them.
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
        // An operation connects them and is then dropped.
        drop(leaf.clone() + slope.clone().sum());
        leaf.backward();
    }
}
