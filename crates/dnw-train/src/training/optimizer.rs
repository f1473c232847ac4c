//! The optimizer of a recipe.

use burn::module::ParamGroup;
use burn::optim::ModuleOptimizer;
use burn::optim::grad_clipping::GradientClippingConfig;
use dnw_core::optim::Sgd;

use crate::recipe::OptimizerRecipe;

/// SGD as in PyTorch, without momentum buffers yet.
pub(super) fn optimizer(recipe: &OptimizerRecipe) -> ModuleOptimizer {
    let plain = Sgd::new(recipe.momentum);
    let decay = (recipe.weight_decay != 0.0).then_some(recipe.weight_decay);
    let clipping = recipe
        .clip_norm
        .map(|norm| GradientClippingConfig::Norm(norm as f32).init());
    let mut all = plain.with_weight_decay(decay).init();
    if let Some(clipping) = &clipping {
        all = all.with_grad_clipping(clipping.clone());
    }
    if decay.is_none() || recipe.norms_decay {
        return all;
    }
    let norms = ParamGroup::from_any_predicates(vec![".gamma", ".beta"]);
    all.with_group(norms, plain, clipping)
}
