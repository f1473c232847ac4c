//! The whole state of a wired model, to store it and to go on from it.
//!
//! The next update depends on more than the weights and the wiring: on the clock, on gradients that the rule has seen, on the model to
//! rewind to, on which tensors have learned. A record has all of it as plain values, so that every file format can hold it. A model that is
//! restored from a record makes the same updates as the recorded one, to the bit.

use std::collections::{BTreeMap, BTreeSet};

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::learning::Learning;
use super::rewiring::TensorRewiring;
use super::{MODEL_IS_SET, Wired};
use crate::{Clock, Swaps};

mod error;
mod tensors;

pub use error::RecordError;
pub use tensors::RecordedTensor;

use tensors::{check, described, recorded, restored};

/// The whole state of a [`Wired`] model, as plain values. The rule, the budgets and the seed are not in it: wire a model of
/// the same kind in the same way, then [restore](Wired::restore) the record.
///
/// ```
/// # use burn::module::ParamGroup;
/// # use burn::nn::LinearConfig;
/// # use burn::tensor::Device;
/// # use dnw_core::{Budget, RecordError, Wire};
/// # #[cfg(feature = "flex")] {
/// # let device = Device::flex().autodiff();
/// let wired = || {
///     let layer = LinearConfig::new(8, 4).init(&device);
///     Wire::dnw(Budget::Density(0.25)).weights(ParamGroup::all()).attach(layer).unwrap()
/// };
/// let mut model = wired();
/// model.rewire().unwrap();
///
/// let mut again = wired();
/// again.restore(model.to_record()).unwrap();
/// assert_eq!(again.clock().update, 1);
/// assert_eq!(again.tensors()[0].weights, model.tensors()[0].weights);
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct WiredRecord {
    /// The tensors of the model, by their paths: weights, wirings, running averages.
    pub model: BTreeMap<String, RecordedTensor>,
    /// The tensors of the model to which the rule rewinds, if it still does.
    pub initial: Option<BTreeMap<String, RecordedTensor>>,
    /// The gradients that the rule's scores will use, by the path of their weight, `[entries]`.
    pub gradients: BTreeMap<String, TensorData>,
    /// Everything else.
    pub progress: WiredProgress,
}

/// The state of a [`Wired`] model that is not in tensors.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WiredProgress {
    /// The progress of the run.
    pub clock: Clock,
    /// The last selection of each tensor that was made on the device.
    last: BTreeMap<String, LastSelection>,
    /// The tensors that had gradients since the last selection, if gradients decide which learned.
    seen: Option<BTreeSet<String>>,
    /// Fingerprints of the weights of tensors that have not changed yet.
    unchanged: BTreeMap<String, u64>,
}

/// A [`TensorRewiring`] without its name and swaps. Floats are stored as their bits, because JSON has no infinity.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct LastSelection {
    real: usize,
    threshold: u32,
    nearest: Option<u32>,
    contenders: usize,
}

impl<M: Module> Wired<M> {
    /// The whole state of the model. Reads every tensor from its device.
    pub fn to_record(&self) -> WiredRecord {
        let (seen, unchanged) = self.learning.to_parts();
        let last = self.last.iter().map(|(name, last)| {
            let last = LastSelection {
                real: last.real,
                threshold: last.threshold.to_bits(),
                nearest: last.nearest.map(f32::to_bits),
                contenders: last.contenders,
            };
            (name.clone(), last)
        });
        let gradients = self.gradients.iter();
        WiredRecord {
            model: recorded(&**self),
            initial: self.initial.as_ref().map(recorded),
            gradients: gradients
                .map(|(name, gradient)| (name.clone(), gradient.to_data()))
                .collect(),
            progress: WiredProgress {
                clock: self.clock,
                last: last.collect(),
                seen,
                unchanged,
            },
        }
    }

    /// Replaces the whole state of the model, which must be of the same kind and wired in the same way. The next updates are those of the
    /// recorded model, to the bit. Its parameters get the recorded ids, so the record of an optimizer fits too.
    ///
    /// # Errors
    /// [`RecordError`] if the record is of another model or rule. The model is then unchanged.
    pub fn restore(&mut self, record: WiredRecord) -> Result<(), RecordError> {
        let facts = &self.tensors.facts;
        check(&**self, facts, &record.model)?;
        match (&self.initial, &record.initial) {
            (Some(initial), Some(recorded)) => check(initial, facts, recorded)?,
            // Once the model has been rewound, there is nothing more to rewind to.
            (Some(_), None) if record.progress.clock.update > 0 => {}
            (None, None) => {}
            (Some(_), None) => return Err(RecordError::Rule("it has no model to rewind to")),
            (None, Some(_)) => return Err(RecordError::Rule("it has a model to rewind to")),
        }
        self.check_progress(&record)?;
        let device = (**self).devices().into_iter().next();
        let device = device.map(Device::inner).unwrap_or_default();
        self.gradients = record
            .gradients
            .into_iter()
            .map(|(name, data)| {
                let dtype = data.dtype();
                (name, Tensor::from_data(data, (&device, dtype)))
            })
            .collect();
        let progress = record.progress;
        self.clock = progress.clock;
        self.learning = Learning::from_parts(progress.seen, progress.unchanged);
        let last = progress.last.into_iter().map(|(name, last)| {
            let last = TensorRewiring {
                name: name.clone(),
                real: last.real,
                swaps: Swaps::default(),
                threshold: f32::from_bits(last.threshold),
                nearest: last.nearest.map(f32::from_bits),
                contenders: last.contenders,
            };
            (name, last)
        });
        self.last = last.collect();
        let initial = self.initial.take();
        self.initial = record
            .initial
            .and_then(|recorded| initial.map(|initial| restored(initial, recorded)));
        let model = self.model.take().expect(MODEL_IS_SET);
        self.model = Some(restored(model, record.model));
        Ok(())
    }

    /// Checks that everything by tensor is of a wired tensor and of its size.
    fn check_progress(&self, record: &WiredRecord) -> Result<(), RecordError> {
        let progress = &record.progress;
        let names = progress.last.keys().chain(progress.unchanged.keys());
        for name in names.chain(progress.seen.iter().flatten()) {
            if !self.tensors.facts.contains_key(name) {
                return Err(RecordError::Unknown(name.clone()));
            }
        }
        for (name, data) in &record.gradients {
            let Some(facts) = self.tensors.facts.get(name) else {
                return Err(RecordError::Unknown(name.clone()));
            };
            let entries = facts.shape.entries();
            let fits = data.dtype().is_float() && data.shape().as_slice() == [entries];
            if !fits {
                return Err(RecordError::Differs {
                    path: format!("the gradient of {name}"),
                    found: described(data.dtype(), data.shape().as_slice()),
                    expected: format!("floats [{entries}]"),
                });
            }
        }
        Ok(())
    }
}
