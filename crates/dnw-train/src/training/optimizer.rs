//! The optimizer that a recipe asks for.

use burn::module::ParamGroup;
use burn::optim::decay::WeightDecayConfig;
use burn::optim::grad_clipping::GradientClippingConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{ModuleOptimizer, SgdConfig};

use crate::recipe::OptimizerRecipe;

/// Burn's SGD as PyTorch defines it, without anything that it remembers.
pub(super) fn optimizer(recipe: &OptimizerRecipe) -> ModuleOptimizer {
    let mut config = SgdConfig::new();
    if recipe.momentum > 0.0 {
        // PyTorch's momentum has no dampening; Burn's default is 0.1.
        let momentum = MomentumConfig::new()
            .with_momentum(recipe.momentum)
            .with_dampening(0.0);
        config = config.with_momentum(Some(momentum));
    }
    let clipping = recipe
        .clip_norm
        .map(|norm| GradientClippingConfig::Norm(norm as f32));
    config = config.with_gradient_clipping(clipping.clone());
    if recipe.weight_decay == 0.0 {
        return config.init();
    }
    let decay = WeightDecayConfig::new(recipe.weight_decay as f32);
    let decaying = config.clone().with_weight_decay(Some(decay)).init();
    if recipe.norms_decay {
        return decaying;
    }
    let norms = ParamGroup::from_any_predicates(vec![".gamma", ".beta"]);
    decaying.with_group(
        norms,
        config.build(),
        clipping.map(|clipping| clipping.init()),
    )
}
