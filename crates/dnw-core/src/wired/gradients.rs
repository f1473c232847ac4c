//! How a rule reads and changes gradients before the optimizer step.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Bool, Tensor};

use super::facts::TensorFacts;
use super::{MODEL_IS_SET, Wired};
use crate::real_edges::path;
use crate::score::GradientUse;
use crate::{Clock, Rule};

impl<M: Module> Wired<M> {
    /// Passes the gradients of an update to the rule, which may change them: it scales those of hallucinated
    /// edges and adds an L1 penalty, if it has one. Call it before each optimizer step with rules that need
    /// it ([`Rule::needs_gradients`]). With any rule it shows which tensors learn; those without a gradient keep
    /// their edges at the next selection.
    ///
    /// ```
    /// # use burn::module::ParamGroup;
    /// # use burn::nn::LinearConfig;
    /// # use burn::optim::{GradientsParams, SgdConfig};
    /// # use burn::tensor::{Device, Tensor};
    /// # use dnw_core::{Budget, Wire, rules};
    /// # fn main() -> Result<(), dnw_core::WiringError> {
    /// # #[cfg(feature = "flex")] {
    /// # let device = Device::flex().autodiff();
    /// # let layer = LinearConfig::new(8, 4).init(&device);
    /// let wire = Wire::new(rules::rigl(2, 0.3, 0.75), Budget::Density(0.25)).over(8);
    /// let mut model = wire.weights(ParamGroup::all()).attach(layer)?;
    /// # let mut optimizer = SgdConfig::new().init();
    /// # for _ in 0..8 {
    /// # let x = Tensor::<2>::ones([1, 8], &device);
    /// # let loss = model.forward(x).sum();
    /// let gradients = GradientsParams::from_grads(loss.backward(), &model);
    /// let gradients = model.prepare(gradients);
    /// model = optimizer.step(0.1, model, gradients);
    /// model.rewire()?;
    /// # }
    /// # } Ok(()) }
    /// ```
    #[must_use]
    pub fn prepare(&mut self, mut gradients: GradientsParams) -> GradientsParams {
        if !self.rule.needs_gradients() {
            let mut seen = WithGradient {
                facts: &self.tensors.facts,
                gradients: &gradients,
                path: Vec::new(),
                names: self.learning.tensors_with_gradients(),
            };
            let model = self.model.as_ref().expect(MODEL_IS_SET);
            model.visit(&mut seen);
            return gradients;
        }
        let mut masks = Masks::default();
        (**self).visit(&mut masks);
        let next = Clock {
            update: self.clock.update + 1,
            ..self.clock
        };
        let mut prepare = Prepare {
            rule: &self.rule,
            facts: &self.tensors.facts,
            next,
            masks: masks.found,
            used: &mut self.gradients,
            seen: self.learning.tensors_with_gradients(),
            gradients: &mut gradients,
            path: Vec::new(),
        };
        self.model.as_ref().expect(MODEL_IS_SET).visit(&mut prepare);
        gradients
    }
}

/// Collects the names of the wired tensors that have gradients.
struct WithGradient<'a> {
    facts: &'a BTreeMap<String, Arc<TensorFacts>>,
    gradients: &'a GradientsParams,
    path: Vec<String>,
    names: &'a mut BTreeSet<String>,
}

impl ModuleVisitor for WithGradient<'_> {
    path::track!();

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let name = self.path.join(".");
        if self.facts.contains_key(&name) && self.gradients.get::<D>(param.id).is_some() {
            self.names.insert(name);
        }
    }
}

/// Collects the mask of every wired tensor, on the device.
#[derive(Default)]
struct Masks {
    path: Vec<String>,
    found: BTreeMap<String, Tensor<1, Bool>>,
}

impl ModuleVisitor for Masks {
    path::track!();

    fn visit_bool<const D: usize>(&mut self, param: &Param<Tensor<D, Bool>>) {
        if let Some((weight, path::REAL)) = path::part(&self.path) {
            let mask = param.val().without_autodiff().flatten(0, D - 1);
            self.found.insert(weight, mask);
        }
    }
}

/// Passes each gradient to the rule.
struct Prepare<'a> {
    rule: &'a Rule,
    facts: &'a BTreeMap<String, Arc<TensorFacts>>,
    /// The clock after the update that the gradients are for.
    next: Clock,
    masks: BTreeMap<String, Tensor<1, Bool>>,
    /// The gradients that the rule's scores use, by tensor, kept for the next selection.
    used: &'a mut BTreeMap<String, Tensor<1>>,
    /// The tensors that have gradients.
    seen: &'a mut BTreeSet<String>,
    gradients: &'a mut GradientsParams,
    path: Vec<String>,
}

impl Prepare<'_> {
    /// Stores the gradients that the rule's scores use.
    fn store(&mut self, name: &str, gradient: Tensor<1>) {
        match self.rule.gradient_use() {
            GradientUse::None => {}
            GradientUse::Gradient => {
                if self.rule.schedule.is_due(self.next) {
                    self.used.insert(name.to_owned(), gradient);
                }
            }
            GradientUse::Momentum { decay } => {
                let fresh = gradient * (1.0 - decay);
                let mean = match self.used.remove(name) {
                    Some(mean) => mean.to_device(&fresh.device()) * decay + fresh,
                    None => fresh,
                };
                self.used.insert(name.to_owned(), mean);
            }
        }
    }
}

impl ModuleVisitor for Prepare<'_> {
    path::track!();

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let name = self.path.join(".");
        if !self.facts.contains_key(&name) {
            return;
        }
        let Some(mut gradient) = self.gradients.remove::<D>(param.id) else {
            return;
        };
        self.seen.insert(name.clone());
        self.store(&name, gradient.clone().reshape([-1]));
        let scales = self.rule.gradient.hallucinated_scale() != self.rule.backward_scale();
        if let Some(real) = self.masks.get(&name).filter(|_| scales) {
            let hallucinated = real.clone().bool_not().reshape(gradient.dims());
            let scaled = gradient.clone() * self.rule.gradient.hallucinated_scale();
            gradient = gradient.mask_where(hallucinated, scaled);
        }
        if let Some(penalty) = self.rule.penalty {
            let sign = param.base().without_autodiff().sign();
            gradient = gradient + sign * penalty.at(self.next.share());
        }
        self.gradients.register(param.id, gradient);
    }
}
