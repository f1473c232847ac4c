//! The optimizer of a recipe.

use burn::module::ParamGroup;
use burn::optim::ModuleOptimizer;
use dnw_core::optim::Sgd;

use crate::recipe::OptimizerRecipe;

/// SGD as in PyTorch, without momentum buffers yet.
pub(super) fn optimizer(recipe: &OptimizerRecipe) -> ModuleOptimizer {
    let plain = Sgd::new(recipe.momentum);
    let decay = (recipe.weight_decay != 0.0).then_some(recipe.weight_decay);
    let all = plain.with_weight_decay(decay).init();
    if decay.is_none() || recipe.norms_decay {
        return all;
    }
    let norms = ParamGroup::from_any_predicates(vec![".gamma", ".beta"]);
    all.with_group(norms, plain, None)
}
