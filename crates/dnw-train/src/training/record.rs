//! The whole state of a training, to store it and to go on from it.

use std::collections::BTreeMap;

use burn::store::burn_pack::{Reader, Scalar};
use burn::tensor::{Bytes, TensorData};
use dnw_core::{RecordError, RecordedTensor, WiredRecord};
use dnw_models::Classifier;

use super::loss_scale::{LossScale, LossScaleRecord};
use super::optimizer::optimizer;
use super::{Training, TrainingError};

/// The suffix of the rank of a parameter's state in Burn's record of an optimizer.
const RANK: &str = ".__rank";

/// The state of a training that changes: the model with its wiring and rule, the optimizer, the loss scale. The position in the data and the
/// learning rate follow from the clock.
#[derive(Clone, Debug)]
pub struct TrainingRecord {
    /// The model.
    pub model: WiredRecord,
    /// The state of the optimizer, in Burn's format.
    pub optimizer: Vec<u8>,
    /// The loss scale, with [`Precision::F16`](super::Precision::F16).
    pub loss_scale: Option<LossScaleRecord>,
    /// How often the learning rate was halved.
    pub rate_halvings: u32,
}

impl TrainingRecord {
    /// A tensor with a number that is not finite, if there is one. The state of the optimizer is not searched: its momentum moves the weights
    /// in the same update.
    pub fn not_finite(&self) -> Option<&str> {
        let tensors = self.model.model.iter();
        let tensors = tensors.map(|(path, tensor)| (path, &tensor.data));
        let mut all = tensors.chain(&self.model.gradients);
        let found = all.find(|(_, data)| data.dtype().is_float() && !is_finite(data));
        found.map(|(path, _)| path.as_str())
    }
}

fn is_finite(data: &TensorData) -> bool {
    match data.as_slice::<f32>() {
        Ok(values) => values.iter().all(|value| value.is_finite()),
        Err(_) => data.iter::<f64>().all(|value| value.is_finite()),
    }
}

/// Why a record does not fit a training.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// The model is another one.
    #[error("its model does not fit: {0}")]
    Model(#[from] RecordError),
    /// The state of the optimizer cannot be used.
    #[error("the state of its optimizer does not fit: {0}")]
    Optimizer(String),
    /// The loss scale is out of range, or of another precision.
    #[error("its loss scale is not one of this precision")]
    LossScale,
    /// It is beyond the end of the training.
    #[error("it was made after update {update} of {updates}")]
    Clock {
        /// Its updates.
        update: u64,
        /// The updates of the training.
        updates: u64,
    },
    /// The device failed.
    #[error(transparent)]
    Device(#[from] TrainingError),
}

impl<M: Classifier> Training<M> {
    /// The whole state. Reads every tensor from its device.
    ///
    /// # Errors
    /// [`TrainingError::Device`] if the device fails.
    pub fn to_record(&self) -> Result<TrainingRecord, TrainingError> {
        let record = self.on_device(|| {
            let optimizer = self.optimizer.into_bytes();
            optimizer.map(|optimizer| TrainingRecord {
                model: self.model.to_record(),
                optimizer: optimizer.to_vec(),
                loss_scale: self.scale.as_ref().map(LossScale::to_record),
                rate_halvings: self.rate_halvings,
            })
        })?;
        // Burn only fails for tensors larger than its format allows.
        record.map_err(|error| self.failed(0, 0).with_message(&error.to_string()))
    }

    /// Replaces the whole state by that of a training of the same recipe and data. The next updates are those of the recorded training, to
    /// the bit.
    ///
    /// # Errors
    /// [`RestoreError`] if the record does not fit. The training is then unchanged, unless the device failed.
    pub fn restore(&mut self, record: TrainingRecord) -> Result<(), RestoreError> {
        let TrainingRecord {
            model,
            optimizer: state,
            loss_scale,
            rate_halvings,
        } = record;
        let clock = model.progress.clock;
        let updates = self.updates();
        if clock.update > updates || clock.total != self.model.clock().total {
            let update = clock.update;
            return Err(RestoreError::Clock { update, updates });
        }
        let scale = match (&self.scale, loss_scale) {
            (None, None) => None,
            (Some(_), Some(record)) => {
                let scale = LossScale::from_record(record);
                Some(scale.ok_or(RestoreError::LossScale)?)
            }
            _ => return Err(RestoreError::LossScale),
        };
        let state = Bytes::from_bytes_vec(state);
        check_optimizer(state.clone(), &model.model).map_err(RestoreError::Optimizer)?;
        let fresh = optimizer(&self.plan.optimizer);
        let loaded = self.on_device(|| fresh.from_bytes(state))?;
        let loaded = loaded.map_err(|error| RestoreError::Optimizer(error.to_string()))?;
        let failed = self.failed(0, 0);
        let restored = dnw_device::guard::guarded(|| self.model.restore(model));
        restored.map_err(|message| failed.with_message(&message))??;
        self.optimizer = loaded;
        self.scale = scale;
        self.rate_halvings = rate_halvings;
        Ok(())
    }
}

/// Checks that each state belongs to a parameter of the model and has its shape, because Burn does not.
fn check_optimizer(state: Bytes, model: &BTreeMap<String, RecordedTensor>) -> Result<(), String> {
    let tensors = model.values();
    let shapes: BTreeMap<u64, &[usize]> = tensors
        .map(|tensor| (tensor.id, tensor.data.shape().as_slice()))
        .collect();
    let reader = Reader::from_bytes(state).map_err(|error| error.to_string())?;
    for (name, value) in reader.scalars() {
        let Some(id) = name.strip_suffix(RANK) else {
            continue;
        };
        let shape = id.parse().ok().and_then(|id: u64| shapes.get(&id));
        let rank = match *value {
            Scalar::UInt(rank) => usize::try_from(rank).ok(),
            Scalar::Int(rank) => usize::try_from(rank).ok(),
            _ => None,
        };
        if shape.is_none_or(|shape| Some(shape.len()) != rank) {
            return Err(format!("`{name}` is of no parameter"));
        }
    }
    let tensors = reader.into_tensors().map_err(|error| error.to_string())?;
    for tensor in tensors {
        let parts = tensor.into_parts().map_err(|error| error.to_string())?;
        let (name, dtype, shape, id, _) = parts;
        let expected = id.and_then(|id| shapes.get(&id));
        if expected != Some(&shape.as_slice()) || !dtype.is_float() {
            return Err(format!("`{name}` has the shape of no parameter"));
        }
    }
    Ok(())
}
