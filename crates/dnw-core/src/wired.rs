//! A model together with the rule that rewires it.

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use burn::module::{
    Content, Devices, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper, ModuleVisitor,
};
use burn::tensor::Device;

use crate::{Clock, Rule, Swaps, WeightShape, Wiring, WiringError};

mod traversal;

use traversal::{Choose, Put, Read};

/// A model whose weights carry wirings, and the rule that chooses them.
///
/// It is a Burn module that looks like the model itself: same parameters under the same paths, so that
/// optimizers, records and devices treat it as they would the model. After each optimizer update, call
/// [`rewire`](Self::rewire). Everything is in this one value; a clone is independent.
#[derive(Clone, Debug)]
pub struct Wired<M> {
    model: M,
    rule: Rule,
    tensors: Tensors,
    clock: Clock,
    seed: u64,
}

/// What was decided about each wired tensor when the model was wired.
#[derive(Clone, Debug)]
pub(crate) struct Tensors {
    names: Vec<String>,
    facts: BTreeMap<String, Arc<TensorFacts>>,
}

#[derive(Debug)]
struct TensorFacts {
    shape: WeightShape,
    candidates: Wiring,
    budget: usize,
}

impl Tensors {
    pub(crate) fn new() -> Self {
        Self {
            names: Vec::new(),
            facts: BTreeMap::new(),
        }
    }

    pub(crate) fn add(
        &mut self,
        name: String,
        shape: WeightShape,
        candidates: Wiring,
        budget: usize,
    ) {
        self.names.push(name.clone());
        self.facts.insert(
            name,
            Arc::new(TensorFacts {
                shape,
                candidates,
                budget,
            }),
        );
    }
}

/// What one rewiring did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rewiring {
    /// The update after which it was made.
    pub update: u64,
    /// The tensors whose edges were chosen, in the order of the model's fields. Empty when the rule did not choose.
    pub tensors: Vec<TensorRewiring>,
}

impl Rewiring {
    /// Edges born in all tensors.
    pub fn born(&self) -> usize {
        self.tensors.iter().map(|t| t.swaps.born.len()).sum()
    }

    /// Edges that died in all tensors.
    pub fn died(&self) -> usize {
        self.tensors.iter().map(|t| t.swaps.died.len()).sum()
    }

    /// Real edges of the chosen tensors.
    pub fn real(&self) -> usize {
        self.tensors.iter().map(|t| t.real).sum()
    }
}

/// What one rewiring did to a tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorRewiring {
    /// The tensor's path in the model.
    pub name: String,
    /// Edges that are real now.
    pub real: usize,
    /// What changed.
    pub swaps: Swaps,
    /// The lowest score among the real edges.
    pub threshold: f32,
    /// The highest score among the candidates that are not real, which is how close the nearest hallucinated edge is; `None`
    /// when every candidate is real.
    pub nearest: Option<f32>,
    /// Hallucinated candidates whose score is at least nine tenths of the threshold.
    pub contenders: usize,
}

/// A wired tensor as it is now.
#[derive(Clone, Debug)]
pub struct WiredTensor {
    /// Its path in the model, such as `graph.weight`.
    pub name: String,
    /// How its entries are edges.
    pub shape: WeightShape,
    /// The weight of every possible edge, row-major.
    pub weights: Vec<f32>,
    /// The real edges.
    pub wiring: Wiring,
    /// The edges that compete for the budget.
    pub candidates: Wiring,
    /// The edges that the layer can use. Where all entries compete, some that are chosen may not be among them.
    pub legal: Wiring,
    /// The edges to keep at the end of the run.
    pub budget: usize,
}

impl WiredTensor {
    /// The edges that take part in the forward pass: real, and legal.
    pub fn active(&self) -> Wiring {
        self.wiring.intersection(&self.legal)
    }
}

impl<M: Module> Wired<M> {
    /// Wires the model and makes the first choice; [`crate::Wire::attach`] is the way here.
    pub(crate) fn first(
        model: M,
        rule: Rule,
        tensors: Tensors,
        clock: Clock,
        seed: u64,
    ) -> Result<Self, WiringError> {
        let mut wired = Self {
            model,
            rule,
            tensors,
            clock,
            seed,
        };
        wired.choose()?;
        Ok(wired)
    }

    /// Chooses the real edges again. To be called once after each optimizer update.
    ///
    /// # Errors
    /// [`WiringError::NotANumber`] if a weight is NaN; the model is then as it was before the call.
    pub fn rewire(&mut self) -> Result<Rewiring, WiringError> {
        self.clock.update += 1;
        if !self.rule.schedule.chooses(self.clock) {
            return Ok(Rewiring {
                update: self.clock.update,
                tensors: Vec::new(),
            });
        }
        self.choose().inspect_err(|_| self.clock.update -= 1)
    }

    fn choose(&mut self) -> Result<Rewiring, WiringError> {
        let mut pass = Choose {
            rule: &self.rule,
            facts: &self.tensors.facts,
            clock: self.clock,
            seed: self.seed,
            path: Vec::new(),
            weight: None,
            outcome: Ok(Vec::new()),
        };
        let model = self.model.clone().map(&mut pass);
        let tensors = pass.outcome?;
        self.model = model;
        Ok(Rewiring {
            update: self.clock.update,
            tensors,
        })
    }

    /// The wired tensors as they are now, in the order of the model's fields. Reads every weight from the device.
    pub fn tensors(&self) -> Vec<WiredTensor> {
        let mut read = Read {
            facts: &self.tensors.facts,
            path: Vec::new(),
            weight: None,
            tensors: Vec::new(),
        };
        self.model.visit(&mut read);
        read.tensors
    }

    /// Puts given wirings in the place of those that the tensors of these names have: a drawn graph, a mask from a file. A rule
    /// that chooses after every update chooses anew at the next.
    ///
    /// # Errors
    /// [`WiringError::UnknownTensor`] if a name is not that of a wired tensor; [`WiringError::Size`] if a wiring is of another
    /// number of entries; [`WiringError::Illegal`] if it has an edge that is no candidate. Nothing is changed then.
    pub fn set_wirings(&mut self, wirings: &BTreeMap<String, Wiring>) -> Result<(), WiringError> {
        for (name, wiring) in wirings {
            let Some(facts) = self.tensors.facts.get(name) else {
                let known = self.tensors.names.clone();
                return Err(WiringError::UnknownTensor {
                    name: name.clone(),
                    known,
                });
            };
            let (found, expected) = (wiring.entries(), facts.shape.entries());
            if found != expected {
                return Err(WiringError::Size {
                    tensor: name.clone(),
                    found,
                    expected,
                });
            }
            if let Some(entry) = wiring.difference(&facts.candidates).iter().next() {
                let tensor = name.clone();
                return Err(WiringError::Illegal { tensor, entry });
            }
        }
        self.model = self.model.clone().map(&mut Put {
            wirings,
            path: Vec::new(),
        });
        Ok(())
    }

    /// The names of the wired tensors, in the order of the model's fields.
    pub fn names(&self) -> &[String] {
        &self.tensors.names
    }

    /// The rule.
    pub fn rule(&self) -> &Rule {
        &self.rule
    }

    /// Where the run is.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// Puts the clock where a stored run left it.
    pub fn set_clock(&mut self, clock: Clock) {
        self.clock = clock;
    }

    /// The model without its rule; its weights keep their wirings.
    pub fn into_model(self) -> M {
        self.model
    }
}

impl<M> Deref for Wired<M> {
    type Target = M;

    fn deref(&self) -> &M {
        &self.model
    }
}

impl<M> DerefMut for Wired<M> {
    fn deref_mut(&mut self) -> &mut M {
        &mut self.model
    }
}

impl<M: Module> Wired<M> {
    fn with(self, model: M) -> Self {
        Self { model, ..self }
    }

    fn split(self) -> (M, impl FnOnce(M) -> Self) {
        let Self {
            model,
            rule,
            tensors,
            clock,
            seed,
        } = self;
        (model, move |model| Self {
            model,
            rule,
            tensors,
            clock,
            seed,
        })
    }
}

impl<M: Module> Module for Wired<M> {
    fn collect_devices(&self, devices: Devices) -> Devices {
        self.model.collect_devices(devices)
    }

    fn fork(self, device: &Device) -> Self {
        let (model, back) = self.split();
        back(model.fork(device))
    }

    fn to_device(self, device: &Device) -> Self {
        let (model, back) = self.split();
        back(model.to_device(device))
    }

    fn train(self) -> Self {
        let (model, back) = self.split();
        back(Module::train(model))
    }

    fn valid(&self) -> Self {
        self.clone().with(self.model.valid())
    }

    fn materialize(self) -> Self {
        let (model, back) = self.split();
        back(model.materialize())
    }

    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        self.model.visit(visitor);
    }

    fn map<P: ModuleMapper>(self, mapper: &mut P) -> Self {
        let (model, back) = self.split();
        back(model.map(mapper))
    }
}

impl<M: ModuleDisplay> ModuleDisplayDefault for Wired<M> {
    fn content(&self, content: Content) -> Option<Content> {
        content
            .add("model", &self.model)
            .add_debug_attribute("rule", &self.rule.name)
            .optional()
    }
}

impl<M: ModuleDisplay> ModuleDisplay for Wired<M> {}
