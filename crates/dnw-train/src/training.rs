//! The training loop.
//!
//! The whole state of a training is one value, [`Training`]: the model with its wiring, rule and clock, and the optimizer. The order of
//! the data, its augmentation and the learning rate are functions of the clock, so nothing else needs to be saved:
//! [`Training::to_record`] is all that a checkpoint holds of it.
//!
//! There is one model, on the first device. Only this model is updated and rewired. With several devices or half precision
//! ([`Execution`]), each update computes its gradients on copies that last as long as the update, so wirings cannot diverge.

use burn::optim::{GradientsAccumulator, GradientsParams, ModuleOptimizer};
use burn::tensor::Device;
use dnw_core::{Rewiring, Wired, on_workers};
use dnw_device::guard::guarded;
use dnw_models::Classifier;
use tracing::trace_span;

use crate::data::{Batch, DataSet, Loader};
use crate::profile;
use crate::recipe::{OptimizerRecipe, Recipe};
use crate::schedule::Rate;

mod arithmetic;
mod averages;
mod batch_tensors;
mod clipping;
mod error;
mod evaluation;
mod execution;
mod loss_scale;
mod named_device;
mod optimizer;
mod precision;
mod record;
mod replica;
#[cfg(all(test, feature = "flex"))]
mod tests;

pub use error::TrainingError;
pub use evaluation::{Evaluation, best_class, evaluate, for_each_batch};
pub use execution::{Execution, ExecutionError};
pub use loss_scale::LossScaleRecord;
pub use precision::{Precision, UnknownPrecision};
pub use record::{RestoreError, TrainingRecord};

use averages::Averages;
use clipping::clip;
use error::Failure;
use loss_scale::{LossScale, are_finite};
use optimizer::optimizer;
use replica::{DevicePart, DeviceResult, replica};

/// A training: all of its state.
pub struct Training<M> {
    /// The model with its wiring and rule.
    pub model: Wired<M>,
    optimizer: ModuleOptimizer,
    /// The scale of the loss, for 16-bit floats with a small range.
    scale: Option<LossScale>,
    /// How often the learning rate was halved, because the training diverged.
    pub(crate) rate_halvings: u32,
    plan: Plan,
}

/// The constants of a training.
struct Plan {
    loader: Loader,
    batch: usize,
    seed: u64,
    phases: Vec<(u64, f64)>,
    rate: Rate,
    optimizer: OptimizerRecipe,
    execution: Execution,
    image: [usize; 3],
}

/// The gradients of a batch, unchanged.
struct Pass {
    loss: f32,
    right: usize,
    /// Gradients on the first device.
    gradients: GradientsParams,
    /// The running averages of the copies, if the gradients were computed on copies.
    averages: Option<Averages>,
}

/// The result of an update.
#[derive(Clone, Debug)]
pub struct Update {
    /// The update, counted from 1.
    pub update: u64,
    /// Mean loss of the batch, before the update.
    pub loss: f32,
    /// Images of the batch that were classified correctly.
    pub right: usize,
    /// Images of the batch.
    pub images: usize,
    /// The learning rate.
    pub rate: f64,
    /// The swaps.
    pub rewiring: Rewiring,
}

impl<M: Classifier> Training<M> {
    /// Begins a training of this model on this data. The model must be on the first device of `execution`. A device converts to an
    /// [`Execution`].
    ///
    /// # Errors
    /// [`TrainingError`] if the batch does not fit the data or the devices, or the budget does not fit the model.
    pub fn begin(
        model: M,
        recipe: &Recipe,
        data: &DataSet,
        execution: impl Into<Execution>,
    ) -> Result<Self, TrainingError> {
        let execution = execution.into();
        execution.check_batch(recipe.batch)?;
        let loader = Loader::train(data, recipe.batch)?.with_drop_last(true);
        let per_epoch = loader.batches_per_epoch() as u64;
        let phases = recipe.phases(per_epoch);
        let updates = phases.iter().map(|(updates, _)| updates).sum();
        let wire = recipe.wire(updates, data.classes.len())?;
        let failed = |message: String| {
            let begins = Failure {
                device: execution.devices()[0].name.clone(),
                update: 1,
                epoch: 1,
                images: execution.at_once(recipe.batch),
            };
            begins.with_message(&message)
        };
        let model = guarded(|| wire.attach(model)).map_err(failed)??;
        Ok(Self {
            model,
            optimizer: optimizer(&recipe.optimizer),
            scale: execution.arithmetic().scales_loss().then(LossScale::new),
            rate_halvings: 0,
            plan: Plan {
                loader,
                batch: recipe.batch,
                seed: recipe.seed,
                rate: Rate::new(&recipe.optimizer, &phases, per_epoch),
                phases,
                optimizer: recipe.optimizer.clone(),
                execution,
                image: data.shape(),
            },
        })
    }

    /// The number of updates made.
    pub fn updates_made(&self) -> u64 {
        self.model.clock().update
    }

    /// The number of updates per epoch.
    pub fn updates_per_epoch(&self) -> u64 {
        self.plan.loader.batches_per_epoch() as u64
    }

    /// The number of updates of the whole run.
    pub fn updates(&self) -> u64 {
        self.plan.phases.iter().map(|(updates, _)| updates).sum()
    }

    /// The epoch of the next update, counted from 0.
    pub fn epoch(&self) -> u64 {
        self.updates_made() / self.updates_per_epoch()
    }

    /// The device of the model.
    pub fn device(&self) -> &Device {
        self.plan.execution.device()
    }

    /// The factor of the loss in the next backward pass, with [`Precision::F16`].
    pub fn loss_scale(&self) -> Option<f32> {
        self.scale.as_ref().map(LossScale::factor)
    }

    /// Whether all updates have been made.
    pub fn is_finished(&self) -> bool {
        self.updates_made() >= self.updates()
    }

    /// The remaining batches of the current epoch, prepared on background threads.
    ///
    /// # Errors
    /// [`TrainingError::Data`] if the data cannot be read.
    pub fn batches(&self) -> Result<crate::data::Batches, TrainingError> {
        let first = (self.updates_made() % self.updates_per_epoch()) as usize;
        Ok(self
            .plan
            .loader
            .epoch(self.plan.seed, self.epoch(), first)?)
    }

    /// Makes one update: forward, backward, optimizer, rewiring.
    ///
    /// # Errors
    /// [`TrainingError::Loss`] or [`TrainingError::Overflow`] if the loss or a gradient is not finite: nothing has changed then;
    /// [`TrainingError::Wiring`] if the updated weights cannot be ranked;
    /// [`TrainingError::Memory`] or [`TrainingError::Device`] if a device fails, possibly in the middle of the update: the training is over
    /// then, and its model and optimizer must not be used.
    pub fn step(&mut self, batch: &Batch) -> Result<Update, TrainingError> {
        let failed = self.failed(0, self.plan.execution.at_once(batch.len()));
        let made = match self.plan.execution.is_direct() {
            true => on_workers(&self.device().clone(), || guarded(|| self.update(batch))),
            // The caller waits for each device, which a compute thread should not do.
            false => guarded(|| self.update(batch)),
        };
        made.unwrap_or_else(|message| Err(failed.with_message(&message)))
    }

    /// Evaluates the model on the test images, on the first device and in 32 bits. The wiring stays as it is.
    ///
    /// # Errors
    /// [`TrainingError::Data`] if the data cannot be read.
    pub(crate) fn evaluate(&self, data: &DataSet) -> Result<Evaluation, TrainingError> {
        let at_once = self.plan.execution.at_once(evaluation::EVALUATION_BATCH);
        let device = self.device().clone().inner();
        self.on_device(|| evaluation::evaluate_in_batches(&*self.model, data, &device, at_once))?
    }

    /// Runs something on the first device, and returns an error if the device panics.
    pub(crate) fn on_device<T>(&self, work: impl FnOnce() -> T) -> Result<T, TrainingError> {
        let at_once = self.plan.execution.at_once(self.plan.batch);
        guarded(work).map_err(|message| self.failed(0, at_once).with_message(&message))
    }

    /// A failure of a device in the next update, which computed this many images at once.
    fn failed(&self, device: usize, images: usize) -> Failure {
        Failure {
            device: self.plan.execution.devices()[device].name.clone(),
            update: self.updates_made() + 1,
            epoch: self.epoch() + 1,
            images,
        }
    }

    fn update(&mut self, batch: &Batch) -> Result<Update, TrainingError> {
        let _step = trace_span!("step").entered();
        let update = self.updates_made() + 1;
        let pass = self.scaled_pass(batch)?;
        if let Some(averages) = pass.averages {
            averages.put(&*self.model);
        }
        let mut gradients = self.model.prepare(pass.gradients);
        if let Some(limit) = self.plan.optimizer.clip_norm {
            clip(&mut gradients, &*self.model, limit as f32);
        }
        let share = 0.5f64.powi(self.rate_halvings.min(1100) as i32);
        let rate = self.plan.rate.at(self.updates_made()) * share;
        let (optimizer, device) = (&mut self.optimizer, self.plan.execution.device());
        let step = |model| {
            let _span = trace_span!("optimizer").entered();
            let model = optimizer.step(rate, model, gradients);
            profile::finish(device);
            model
        };
        let rewiring = self
            .model
            .update(step)
            .map_err(|source| TrainingError::Wiring { update, source })?;
        if rewiring.rewound || self.plan.rate.begins_a_phase(update) {
            // A new phase begins without momentum.
            self.optimizer = optimizer::optimizer(&self.plan.optimizer);
        }
        Ok(Update {
            update,
            loss: pass.loss,
            right: pass.right,
            images: batch.len(),
            rate,
            rewiring,
        })
    }

    /// Forward and backward, repeated with half the loss scale as long as the gradients overflow.
    fn scaled_pass(&mut self, batch: &Batch) -> Result<Pass, TrainingError> {
        loop {
            let pass = self.pass(batch, self.loss_scale().unwrap_or(1.0))?;
            let Some(scale) = &mut self.scale else {
                return Ok(pass);
            };
            if are_finite(&pass.gradients, &*self.model) {
                scale.count_update();
                return Ok(pass);
            }
            if !scale.halve() {
                return Err(self.overflow("a gradient"));
            }
        }
    }

    fn overflow(&self, what: &'static str) -> TrainingError {
        TrainingError::Overflow {
            what,
            update: self.updates_made() + 1,
            epoch: self.epoch() + 1,
        }
    }

    /// Forward and backward on every device.
    fn pass(&self, batch: &Batch, scale: f32) -> Result<Pass, TrainingError> {
        let execution = &self.plan.execution;
        let parts: Vec<DevicePart<'_>> = execution
            .shares(batch.len())
            .into_iter()
            .zip(execution.devices())
            .map(|(images, device)| DevicePart {
                batch,
                at_once: execution.at_once(images.len()),
                images,
                shape: self.plan.image,
                device: device.device.clone(),
                arithmetic: execution.arithmetic(),
                label_smoothing: self.plan.optimizer.label_smoothing as f32,
                scale,
            })
            .collect();
        let (results, averages) = if execution.is_direct() {
            let results = parts.iter().map(|part| part.compute(&*self.model));
            (results.collect::<Vec<_>>(), None)
        } else {
            let (results, averages) = self.on_copies(&parts)?;
            (results, Some(averages))
        };
        let loss = results.iter().map(|result| result.loss).sum();
        let right = results.iter().map(|result| result.right).sum();
        if !f32::is_finite(loss) && self.scale.is_some() {
            return Err(self.overflow("the loss"));
        }
        if !f32::is_finite(loss) {
            return Err(TrainingError::Loss {
                update: self.updates_made() + 1,
                epoch: self.epoch() + 1,
                loss,
            });
        }
        Ok(Pass {
            loss,
            right,
            gradients: self.sum_gradients(results),
            averages,
        })
    }

    /// Computes each part on a copy of the model on its device, in parallel. Also returns the new running averages.
    fn on_copies(
        &self,
        parts: &[DevicePart<'_>],
    ) -> Result<(Vec<DeviceResult>, Averages), TrainingError> {
        let compute = |plain: M, part: &DevicePart<'_>| {
            let copy = replica(plain, part.arithmetic, &part.device);
            let result = part.compute(&copy);
            (result, Averages::of(&copy))
        };
        let ended: Vec<_> = match parts {
            [part] => vec![Ok(compute((*self.model).valid(), part))],
            parts => std::thread::scope(|scope| {
                let begun: Vec<_> = parts
                    .iter()
                    .map(|part| {
                        let plain = (*self.model).valid();
                        scope.spawn(move || guarded(|| compute(plain, part)))
                    })
                    .collect();
                let joined = begun.into_iter().map(|thread| thread.join());
                joined
                    .map(|ended| ended.unwrap_or_else(|_| Err(String::new())))
                    .collect()
            }),
        };
        let (mut results, mut averages) = (Vec::new(), Vec::new());
        for (device, (part, ended)) in parts.iter().zip(ended).enumerate() {
            let failed = |message: String| self.failed(device, part.at_once).with_message(&message);
            let (own, moved) = ended.map_err(failed)?;
            let weight = part.images.len() as f64 / part.batch.len() as f64;
            averages.push((moved, weight));
            results.push(own);
        }
        let device = self.device().clone().inner();
        Ok((results, Averages::mean(averages, &device)))
    }

    /// The sum of the devices' gradients, in a fixed order, on the first device.
    fn sum_gradients(&self, results: Vec<DeviceResult>) -> GradientsParams {
        let device = self.device().clone().inner();
        let mut sum = GradientsAccumulator::new();
        for result in results {
            let gradients = result.gradients.to_device(&device, &*self.model);
            sum.accumulate(&*self.model, gradients);
        }
        sum.grads()
    }
}
