//! A model together with the rule that rewires it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Deref, DerefMut};

use burn::module::Module;
use burn::tensor::Tensor;

use crate::rule::Selection;
use crate::score::GradientUse;
use crate::surveys::{self, Surveys};
use crate::{Clock, Regrowth, Rule, Swaps, TensorView, Wiring, WiringError};

mod facts;
mod gradients;
mod learning;
mod module;
mod on_device;
mod record;
mod rewinding;
mod rewiring;
mod setters;
mod traversal;

pub(crate) use facts::{TensorBudget, Tensors};
pub use record::{RecordError, RecordedTensor, WiredProgress, WiredRecord};
pub use rewiring::{Rewiring, TensorRewiring, WiredTensor};

use learning::Learning;
use traversal::{ApplyChanges, Change, CountOthers, Read, ReadLegal};

/// A model with wired weights, and the rule that selects their edges.
///
/// It is a Burn module with the same parameters under the same paths as the model, so optimizers, records and
/// devices treat it as they treat the model. After each optimizer update, call [`rewire`](Self::rewire). All
/// state is in this one value; a clone is independent.
#[derive(Clone, Debug)]
pub struct Wired<M> {
    /// `None` only while it is being changed.
    model: Option<M>,
    rule: Rule,
    tensors: Tensors,
    clock: Clock,
    seed: u64,
    /// The gradients that the rule's scores use, by tensor, `[entries]`.
    gradients: BTreeMap<String, Tensor<1>>,
    /// The model before the first update, if the rule resets to it.
    initial: Option<M>,
    /// The last selection by tensor, without swaps, where it was made on the device. The next search starts at
    /// its threshold; results do not depend on that.
    last: BTreeMap<String, TensorRewiring>,
    /// Which tensors learn.
    learning: Learning,
}

/// The message if the model is missing.
const MODEL_IS_SET: &str = "the model is present unless a change of it panicked";

impl<M: Module> Wired<M> {
    /// Wires the model and makes the first selection, for [`crate::Wire::attach`].
    pub(crate) fn first(
        model: M,
        rule: Rule,
        tensors: Tensors,
        clock: Clock,
        seed: u64,
    ) -> Result<Self, WiringError> {
        // A clone would share the running averages of batch norms, which training changes; `valid` makes new
        // ones.
        let initial = (rule.regrowth == Regrowth::Rewound).then(|| Module::train(model.valid()));
        let mut wired = Self {
            model: Some(model),
            rule,
            tensors,
            clock,
            seed,
            gradients: BTreeMap::new(),
            initial,
            last: BTreeMap::new(),
            learning: Learning::default(),
        };
        wired.select(Surveys::default())?;
        Ok(wired)
    }

    /// Selects the real edges again. Call it once after each optimizer update.
    ///
    /// A tensor that does not learn keeps its edges and weights, whatever the rule: one that is frozen
    /// ([`Module::no_grad`]), and one that received no gradient since the last selection. The latter is known if
    /// gradients pass through [`prepare`](Self::prepare); without that, only of a tensor whose weights have
    /// never changed. If all tensors share one budget, such a tensor keeps its edges out of it, and the others
    /// share the rest, which is no less than their own parts of the budget.
    ///
    /// # Errors
    /// [`WiringError::NotANumber`] if a weight is NaN; [`WiringError::GradientsMissing`] if the rule uses
    /// gradients and [`prepare`](Self::prepare) was not called. The model is then unchanged.
    pub fn rewire(&mut self) -> Result<Rewiring, WiringError> {
        self.rewire_by(Surveys::default())
    }

    /// Runs an optimizer step and selects the real edges again: [`change_model`](Self::change_model) followed
    /// by [`rewire`](Self::rewire), with the same result. On CPU backends the step of
    /// [`Sgd`](crate::optim::Sgd) surveys each weight while it updates it, so the selection need not read the
    /// weights again.
    ///
    /// ```
    /// # use burn::module::ParamGroup;
    /// # use burn::nn::LinearConfig;
    /// # use burn::optim::GradientsParams;
    /// # use burn::tensor::{Device, Tensor};
    /// # use dnw_core::optim::Sgd;
    /// # use dnw_core::{Budget, Wire};
    /// # fn main() -> Result<(), dnw_core::WiringError> {
    /// # #[cfg(feature = "flex")] {
    /// # let device = Device::flex().autodiff();
    /// # let layer = LinearConfig::new(8, 4).init(&device);
    /// # let mut model = Wire::dnw(Budget::Density(0.25)).weights(ParamGroup::all()).attach(layer)?;
    /// let mut optimizer = Sgd::new(0.9).init();
    /// # for _ in 0..3 {
    /// # let loss = model.forward(Tensor::<2>::ones([1, 8], &device)).sum();
    /// let gradients = GradientsParams::from_grads(loss.backward(), &model);
    /// let rewiring = model.update(|model| optimizer.step(0.1, model, gradients))?;
    /// # assert_eq!(rewiring.real(), 8);
    /// # }
    /// # } Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`rewire`](Self::rewire); the step has then already been made.
    pub fn update(&mut self, step: impl FnOnce(M) -> M) -> Result<Rewiring, WiringError> {
        let requests = self.survey_requests();
        let ((), surveys) = surveys::during(requests, || self.change_model(step));
        self.rewire_by(surveys)
    }

    fn rewire_by(&mut self, surveys: Surveys) -> Result<Rewiring, WiringError> {
        let _span = tracing::trace_span!("selection of edges").entered();
        self.clock.update += 1;
        if !self.rule.schedule.is_due(self.clock) {
            return Ok(Rewiring {
                update: self.clock.update,
                ..Rewiring::default()
            });
        }
        self.select(surveys).inspect_err(|_| self.clock.update -= 1)
    }

    fn select(&mut self, surveys: Surveys) -> Result<Rewiring, WiringError> {
        let made = match self.select_on_device(surveys) {
            Some(made) => made?,
            None => self.select_on_host()?,
        };
        self.learning.selected();
        if self.rule.gradient_use() == GradientUse::Gradient {
            // The next selection is for the gradients of its own update.
            self.gradients.clear();
        }
        Ok(made)
    }

    fn select_on_host(&mut self) -> Result<Rewiring, WiringError> {
        let is_first = self.clock.update == 0;
        let uses_gradients = self.rule.gradient_use() != GradientUse::None;
        let no_gradients = self.gradients.is_empty() && !self.learning.uses_gradients();
        if uses_gradients && no_gradients && !is_first {
            return Err(WiringError::GradientsMissing {
                rule: self.rule.name.clone(),
            });
        }
        let states = self.read();
        let idle = match is_first {
            true => {
                for state in &states {
                    self.learning.begin(&state.name, &state.weights);
                }
                BTreeSet::new()
            }
            false => {
                let open = states.iter().filter(|state| !state.frozen);
                let open = open.map(|state| (state.name.as_str(), || state.weights.clone()));
                self.learning.idle(open)
            }
        };
        let learns = |state: &traversal::TensorState| {
            let has_gradients = !uses_gradients || self.gradients.contains_key(&state.name);
            is_first || !state.frozen && has_gradients && !idle.contains(&state.name)
        };
        let gradients: BTreeMap<&str, Vec<f32>> = self
            .gradients
            .iter()
            .map(|(name, values)| (name.as_str(), values.to_data().iter::<f32>().collect()))
            .collect();
        let views: Vec<TensorView<'_>> = states
            .iter()
            .map(|tensor| {
                let facts = &self.tensors.facts[&tensor.name];
                TensorView {
                    name: &tensor.name,
                    shape: &facts.shape,
                    weights: &tensor.weights,
                    candidates: &facts.candidates,
                    wiring: &tensor.wiring,
                    budget: facts.budget,
                    dense: facts.dense,
                    learns: learns(tensor),
                    clock: self.clock,
                    seed: self.seed,
                    gradients: gradients.get(tensor.name.as_str()).map(Vec::as_slice),
                    threshold: tensor.threshold,
                }
            })
            .collect();
        let selections = self.rule.select(&views)?;
        let mut rewiring = Rewiring {
            update: self.clock.update,
            ..Rewiring::default()
        };
        let mut changes = BTreeMap::new();
        for (view, selection) in views.iter().zip(selections) {
            let swaps = Swaps::between(view.wiring, &selection.wiring, &selection.scores);
            changes.insert(view.name.to_owned(), self.change(view, &selection, &swaps));
            rewiring
                .tensors
                .push(TensorRewiring::new(view, &selection, swaps));
        }
        if !is_first && let Some(initial) = self.initial.take() {
            self.model = Some(rewinding::rewound(&**self, initial));
            rewiring.rewound = true;
        }
        self.apply(&changes);
        Ok(rewiring)
    }

    /// The changes that a selection makes to a tensor.
    fn change(&self, tensor: &TensorView<'_>, selection: &Selection, swaps: &Swaps) -> Change {
        let rewinds = self.initial.is_some() && self.clock.update > 0;
        let begins_at_zero = self.rule.regrowth == Regrowth::Zero && tensor.clock.update > 0;
        let added = || Wiring::from_entries(tensor.weights.len(), swaps.added.iter().copied());
        Change {
            toggled: None,
            wiring: (rewinds || !swaps.is_empty()).then(|| selection.wiring.clone()),
            joined: selection.joined.clone(),
            threshold: selection
                .threshold
                .map(|t| self.rule.forward.threshold_parameters(t)),
            zeroed: (begins_at_zero && !swaps.added.is_empty()).then(added),
            weights: None,
        }
    }

    fn apply(&mut self, changes: &BTreeMap<String, Change>) {
        self.change_model(|model| {
            model.map(&mut ApplyChanges {
                changes,
                path: Vec::new(),
            })
        });
    }

    fn read(&self) -> Vec<traversal::TensorState> {
        let mut read = Read {
            facts: &self.tensors.facts,
            path: Vec::new(),
            tensors: Vec::new(),
        };
        (**self).visit(&mut read);
        read.tensors
    }

    /// The current state of the wired tensors, in the order of the model's fields. Reads every weight from
    /// the device.
    pub fn tensors(&self) -> Vec<WiredTensor> {
        let mut legal = ReadLegal::default();
        (**self).visit(&mut legal);
        let tensors = self.read().into_iter().map(|state| {
            let facts = &self.tensors.facts[&state.name];
            let legal = legal.found.remove(&state.name);
            WiredTensor {
                shape: facts.shape.clone(),
                wiring: state.wiring,
                candidates: Wiring::clone(&facts.candidates),
                legal: legal.unwrap_or_else(|| Wiring::full(state.weights.len())),
                budget: facts.budget,
                name: state.name,
                weights: state.weights,
            }
        });
        tensors.collect()
    }

    /// The number of trained parameters that are not edges: biases, norms, weights that are not wired.
    /// Untrained state, such as the running averages of batch norms, does not count.
    pub fn other_parameters(&self) -> usize {
        let mut count = CountOthers {
            facts: &self.tensors.facts,
            path: Vec::new(),
            count: 0,
        };
        (**self).visit(&mut count);
        count.count
    }

    /// The names of the wired tensors, in the order of the model's fields.
    pub fn names(&self) -> &[String] {
        &self.tensors.names
    }

    /// The rule.
    pub fn rule(&self) -> &Rule {
        &self.rule
    }

    /// The progress of the run.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// Sets the clock. [`restore`](Self::restore) does it with all other state.
    pub fn set_clock(&mut self, clock: Clock) {
        self.clock = clock;
    }

    /// The model without its rule; its weights keep their wirings.
    pub fn into_model(self) -> M {
        self.model.expect(MODEL_IS_SET)
    }

    /// Changes the model by a function that takes and returns it, such as an optimizer step. The model is
    /// moved, not copied, so it may be changed in place.
    ///
    /// If the function panics, the model is lost.
    pub fn change_model(&mut self, change: impl FnOnce(M) -> M) {
        let model = self.model.take().expect(MODEL_IS_SET);
        self.model = Some(change(model));
    }
}

impl<M> Deref for Wired<M> {
    type Target = M;

    fn deref(&self) -> &M {
        self.model.as_ref().expect(MODEL_IS_SET)
    }
}

impl<M> DerefMut for Wired<M> {
    fn deref_mut(&mut self) -> &mut M {
        self.model.as_mut().expect(MODEL_IS_SET)
    }
}
