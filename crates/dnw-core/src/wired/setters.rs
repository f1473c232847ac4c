//! Replacing wirings and weights, such as those of a file.

use std::collections::BTreeMap;

use burn::module::Module;

use super::Wired;
use super::facts::TensorFacts;
use super::traversal::Change;
use crate::{Forward, Wiring, WiringError};

impl<M: Module> Wired<M> {
    /// Replaces the wirings of the named tensors, for example by a random graph or a mask from a file. A rule
    /// that selects after every update replaces them again at the next.
    ///
    /// # Errors
    /// [`WiringError::UnknownTensor`] if a name is not that of a wired tensor; [`WiringError::Size`] if a
    /// wiring has the wrong number of entries; [`WiringError::Illegal`] if it has an edge that is not a
    /// candidate. The model is then unchanged.
    pub fn set_wirings(&mut self, wirings: &BTreeMap<String, Wiring>) -> Result<(), WiringError> {
        for (name, wiring) in wirings {
            let facts = self.check_size(name, wiring.entries())?;
            if let Some(entry) = wiring.difference(&facts.candidates).iter().next() {
                let tensor = name.clone();
                return Err(WiringError::Illegal { tensor, entry });
            }
        }
        for (name, wiring) in wirings {
            if let Some(last) = self.last.get_mut(name) {
                last.real = wiring.count();
            }
        }
        let changes = wirings.iter().map(|(name, wiring)| {
            let change = Change {
                wiring: Some(wiring.clone()),
                ..Change::default()
            };
            (name.clone(), change)
        });
        self.apply(&changes.collect());
        Ok(())
    }

    /// Replaces the weights of the named tensors, row-major. The wiring stays the same.
    ///
    /// # Errors
    /// [`WiringError::UnknownTensor`] if a name is not that of a wired tensor; [`WiringError::Size`] if the
    /// number of weights is wrong. The model is then unchanged.
    pub fn set_weights(&mut self, weights: BTreeMap<String, Vec<f32>>) -> Result<(), WiringError> {
        for (name, weights) in &weights {
            self.check_size(name, weights.len())?;
        }
        let changes = weights.into_iter().map(|(name, weights)| {
            let change = Change {
                weights: Some(weights),
                ..Change::default()
            };
            (name, change)
        });
        self.apply(&changes.collect());
        Ok(())
    }

    /// Makes every real edge contribute its weight, without a threshold.
    pub(crate) fn remove_thresholds(&mut self) {
        let plain = |name: &String| {
            let change = Change {
                threshold: Some(Forward::Weight.threshold_parameters(0.0)),
                ..Change::default()
            };
            (name.clone(), change)
        };
        let changes = self.tensors.names.iter().map(plain).collect();
        self.apply(&changes);
    }

    /// The fixed properties of the tensor of this name, if it has `found` entries.
    fn check_size(&self, name: &str, found: usize) -> Result<&TensorFacts, WiringError> {
        let Some(facts) = self.tensors.facts.get(name) else {
            let known = self.tensors.names.clone();
            return Err(WiringError::UnknownTensor {
                name: name.to_owned(),
                known,
            });
        };
        let expected = facts.shape.entries();
        if found != expected {
            return Err(WiringError::Size {
                tensor: name.to_owned(),
                found,
                expected,
            });
        }
        Ok(facts)
    }
}
