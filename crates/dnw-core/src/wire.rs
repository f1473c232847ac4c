//! Wiring a model: which weights, how many edges, by which rule.

use std::collections::{BTreeMap, BTreeSet};

use burn::module::{Flag, Module, ModuleMapper, Param, ParamGroup, Reparameterizer};
use burn::tensor::{Tensor, TensorData};
use serde::{Deserialize, Serialize};

use crate::real_edges::{RealEdges, path};
use crate::wired::{Tensors, Wired};
use crate::{
    Allocation, Budget, Clock, Forward, Gradient, Layout, Rule, WeightShape, Wiring, WiringError,
    rules,
};

mod budgets;
mod find;

use find::{Find, Found};

/// Which entries compete for the budget.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Ranking {
    /// The entries that the layer can use.
    #[default]
    LegalEdges,
    /// All entries of the tensor, as in the published program. An illegal edge, from a later level to an
    /// earlier one, uses budget until weight decay has shrunk it. Needed to continue published checkpoints.
    AllEntries,
}

/// How to wire a model.
///
/// ```
/// use burn::nn::{Linear, LinearConfig};
/// use burn::module::ParamGroup;
/// use dnw_core::{Budget, Wire, rules};
///
/// # fn main() -> Result<(), dnw_core::WiringError> {
/// # #[cfg(feature = "flex")] {
/// let device = burn::tensor::Device::flex().autodiff();
/// let layer = LinearConfig::new(64, 32).init(&device);
/// let mut model = Wire::new(rules::dnw(), Budget::Density(0.1)).weights(ParamGroup::all()).attach(layer)?;
/// // .. one optimizer step ..
/// let rewiring = model.rewire()?;
/// assert_eq!(rewiring.tensors[0].real, 205);
/// # } Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Wire {
    rule: Rule,
    budget: Budget,
    budgets: BTreeMap<String, Budget>,
    layouts: BTreeMap<String, Layout>,
    weights: Option<ParamGroup>,
    ranking: Ranking,
    seed: u64,
    updates: u64,
    may_be_dense: bool,
}

impl Wire {
    /// Wires by this rule, with this budget for every tensor without a budget of its own.
    pub fn new(rule: Rule, budget: Budget) -> Self {
        Self {
            rule,
            budget,
            budgets: BTreeMap::new(),
            layouts: BTreeMap::new(),
            weights: None,
            ranking: Ranking::default(),
            seed: 0,
            updates: 0,
            may_be_dense: false,
        }
    }

    /// Wires by the published method, [`rules::dnw`].
    pub fn dnw(budget: Budget) -> Self {
        Self::new(rules::dnw(), budget)
    }

    /// Also wires the plain weights of this group: every float parameter of two or more dimensions. Layers
    /// with a wiring of their own are always wired.
    #[must_use]
    pub fn weights(mut self, group: ParamGroup) -> Self {
        self.weights = Some(group);
        self
    }

    /// Sets the budget of the tensor at this path, such as `fc.weight`. With a density of 1.0 it stays dense under
    /// every rule.
    #[must_use]
    pub fn budget_for(mut self, name: impl Into<String>, budget: Budget) -> Self {
        self.budgets.insert(name.into(), budget);
        self
    }

    /// Says which dimensions of the tensor at this path are the outputs and inputs of its layer. Units other than
    /// [`Unit::Edge`](crate::Unit::Edge) need to know it.
    ///
    /// It is known of Burn's linear layers and convolutions, and of transposed convolutions with a bias, whose
    /// length shows the number of groups. It has to be said of a weight in a layer of your own, of an
    /// embedding, and of a transposed convolution without bias:
    ///
    /// ```
    /// # use burn::module::ParamGroup;
    /// # use burn::nn::conv::ConvTranspose2dConfig;
    /// # use dnw_core::{Budget, Layout, Rule, Unit, Wire};
    /// # fn main() -> Result<(), dnw_core::WiringError> {
    /// # #[cfg(feature = "flex")] {
    /// # let device = burn::tensor::Device::flex().autodiff();
    /// let layer = ConvTranspose2dConfig::new([8, 6], [3, 3]).with_bias(false).init(&device);
    /// let wire = Wire::dnw(Budget::Density(0.25)).rule(|rule| Rule { unit: Unit::FanIn, ..rule });
    /// let wire = wire.weights(ParamGroup::all());
    /// let model = wire.layout_for("weight", Layout::SourcesFirst { groups: 1 }).attach(layer)?;
    /// # assert_eq!(model.tensors()[0].shape.targets, 6);
    /// # } Ok(()) }
    /// ```
    #[must_use]
    pub fn layout_for(mut self, name: impl Into<String>, layout: Layout) -> Self {
        self.layouts.insert(name.into(), layout);
        self
    }

    /// Changes the rule.
    #[must_use]
    pub fn rule(mut self, change: impl FnOnce(Rule) -> Rule) -> Self {
        self.rule = change(self.rule);
        self
    }

    /// Sets how the budget is spread over tensors, in place of the rule's allocation. Tensors with a budget
    /// of their own keep it if the budget is spread before training.
    #[must_use]
    pub fn allocation(mut self, allocation: Allocation) -> Self {
        self.rule.allocation = allocation;
        self
    }

    /// Sets which entries compete for the budget.
    #[must_use]
    pub fn ranking(mut self, ranking: Ranking) -> Self {
        self.ranking = ranking;
        self
    }

    /// Sets the seed of random rules.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Sets the number of updates of the run, which schedules that depend on progress need.
    #[must_use]
    pub fn over(mut self, updates: u64) -> Self {
        self.updates = updates;
        self
    }

    /// Accepts a model without a weight to wire: a dense baseline under the same training loop.
    #[must_use]
    pub fn or_dense(mut self) -> Self {
        self.may_be_dense = true;
        self
    }

    /// Wires the model and makes the first selection from its current weights. Load a stored wiring
    /// afterwards.
    ///
    /// A layer configured with a budget of its own (fewer real edges than legal ones) keeps it unless
    /// [`budget_for`](Self::budget_for) names the layer.
    ///
    /// # Errors
    /// [`WiringError::NothingToWire`] if there is no weight to wire; [`WiringError::Budget`] if a budget does
    /// not fit its tensor, [`WiringError::SharedBudget`] if it does not fit those that share it,
    /// [`WiringError::UnusedBudget`] if the rule or the unit does not look at it;
    /// [`WiringError::UnknownTensor`] if a budget or layout names a tensor that is not wired;
    /// [`WiringError::Groups`] if a layout does not fit its tensor; [`WiringError::UnknownLength`] if the rule
    /// needs the length of the run; [`WiringError::Unit`] if a tensor does not divide into the rule's units,
    /// [`WiringError::Layout`] if it is not known how; [`WiringError::NotANumber`] if a weight is NaN.
    pub fn attach<M: Module>(self, model: M) -> Result<Wired<M>, WiringError> {
        if self.rule.schedule.needs_length() && self.updates == 0 {
            return Err(WiringError::UnknownLength {
                rule: self.rule.name,
            });
        }
        let model = match &self.weights {
            Some(group) => model.apply_reparameterization(Attach(group.clone())),
            None => model,
        };
        let mut find = Find::default();
        model.visit(&mut find);
        if find.found.is_empty() && !self.may_be_dense {
            return Err(WiringError::NothingToWire);
        }
        if let Some(name) = self
            .budgets
            .keys()
            .chain(self.layouts.keys())
            .find(|name| find.found.iter().all(|f| f.name != **name))
        {
            let known = find.found.into_iter().map(|f| f.name).collect();
            return Err(WiringError::UnknownTensor {
                name: name.clone(),
                known,
            });
        }
        for found in &mut find.found {
            self.declare(found)?;
        }
        let budgets = self.resolve(&find.found)?;
        let mut tensors = Tensors::new();
        let mut dense = BTreeSet::new();
        for (found, budget) in find.found.into_iter().zip(budgets) {
            if budget.dense {
                dense.insert(found.name.clone());
            }
            tensors.add(found.name, found.shape, budget);
        }
        let clock = Clock {
            update: 0,
            total: self.updates,
        };
        let model = model.map(&mut SetRule {
            path: Vec::new(),
            rule: &self.rule,
            dense: &dense,
        });
        Wired::first(model, self.rule, tensors, clock, self.seed)
    }

    /// Gives a tensor the layout that was declared for it.
    fn declare(&self, found: &mut Found) -> Result<(), WiringError> {
        let Some(&layout) = self.layouts.get(&found.name) else {
            return Ok(());
        };
        let shape = WeightShape::with_layout(&found.shape.dims, Some(layout));
        if let (Layout::SourcesFirst { groups }, None) = (layout, shape.layout) {
            return Err(WiringError::Groups {
                tensor: found.name.clone(),
                groups,
                sources: found.shape.dims.first().copied().unwrap_or(0),
            });
        }
        found.shape = shape;
        Ok(())
    }
}

/// Attaches a complete wiring to the plain weights of a group.
struct Attach(ParamGroup);

impl Reparameterizer for Attach {
    type Reparam = RealEdges;

    fn reparameterize<const D: usize>(
        &mut self,
        path: &str,
        param: Param<Tensor<D>>,
    ) -> (Param<Tensor<D>>, Option<RealEdges>) {
        // The traversal keeps the wiring of a weight that already has one.
        if D < 2 || !self.0.matches(&param.id, Some(path)) {
            return (param, None);
        }
        let device = param.base().device();
        let all = Wiring::full(param.base().shape().num_elements());
        (
            param,
            Some(RealEdges::new(
                &all,
                None,
                crate::Gradient::AllEdges,
                &device,
            )),
        )
    }
}

/// Sets the gradient and forward axes of a rule in every wiring of a model.
struct SetRule<'a> {
    path: Vec<String>,
    rule: &'a Rule,
    /// The tensors that stay dense: their edges contribute their weight, without a threshold.
    dense: &'a BTreeSet<String>,
}

impl SetRule<'_> {
    fn forward(&self, weight: &str) -> Forward {
        match self.rule.forward.has_threshold_function() && self.dense.contains(weight) {
            true => Forward::Weight,
            false => self.rule.forward,
        }
    }
}

impl ModuleMapper for SetRule<'_> {
    path::track!();

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match path::part(&self.path) {
            Some((_, path::HALLUCINATED)) => {
                let scale = self.rule.backward_scale();
                param.map(|tensor| tensor.full_like(scale))
            }
            Some((weight, path::THRESHOLD)) => {
                let forward = self.forward(&weight);
                let parameters = forward.threshold_parameters(0.0);
                let shape = [parameters.len()];
                let parameters = Tensor::<1>::from_data(
                    TensorData::new(parameters, shape),
                    &param.base().device(),
                );
                // D is 1, which the type system does not know.
                let parameters = parameters.reshape([shape[0]; D]);
                match forward {
                    Forward::LearnedThreshold { .. } => Param::from_tensor(parameters),
                    _ => Param::initialized(param.id, parameters),
                }
            }
            _ => param,
        }
    }

    fn map_flag(&mut self, flag: Param<Flag>) -> Param<Flag> {
        match path::part(&self.path) {
            Some((weight, path::PLAIN)) => {
                let plain = !self.forward(&weight).has_threshold_function()
                    && self.rule.backward_scale() == Gradient::AllEdges.hallucinated_scale();
                flag.with_value(plain)
            }
            _ => flag,
        }
    }
}
