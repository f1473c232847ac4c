//! The training loop.
//!
//! The whole state of a training is one value, [`Training`]: the model with its wiring, rule and clock, and the optimizer. The
//! order of the data, its augmentation and the learning rate are functions of the clock, so that nothing else needs to be kept.
//!
//! There is one model, on the first device, and it alone is updated and rewired. Where several devices or numbers of fewer bits are
//! asked for ([`Execution`]), each update computes its gradients with copies that last as long as the update, so that no two wirings
//! can ever differ.

use burn::nn::loss::{CrossEntropyLoss, CrossEntropyLossConfig};
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
mod error;
mod evaluation;
mod execution;
mod loss_scale;
mod optimizer;
mod place;
mod precision;
mod replica;
#[cfg(all(test, feature = "flex"))]
mod tests;

pub use error::TrainingError;
pub use evaluation::{Evaluation, best_class, evaluate, for_each_batch};
pub use execution::{Execution, ExecutionError};
pub use precision::{Precision, UnknownPrecision};

use averages::Averages;
use error::Failed;
use loss_scale::{LossScale, are_finite};
use optimizer::optimizer;
use replica::{DevicePart, DeviceResult, replica};

/// A training: everything that changes while it runs.
pub struct Training<M> {
    /// The model with its wiring and rule.
    pub model: Wired<M>,
    optimizer: ModuleOptimizer,
    /// Where numbers have 16 bits and a small range.
    scale: Option<LossScale>,
    plan: Plan,
}

/// What does not change while a training runs.
struct Plan {
    loader: Loader,
    batch: usize,
    seed: u64,
    phases: Vec<(u64, f64)>,
    rate: Rate,
    optimizer: OptimizerRecipe,
    loss: CrossEntropyLoss,
    execution: Execution,
    image: [usize; 3],
}

/// The gradients of a batch, before anything has been done with them.
struct Pass {
    loss: f32,
    right: usize,
    /// On the first device.
    gradients: GradientsParams,
    /// Where the copies that computed moved the running averages, if copies did.
    averages: Option<Averages>,
}

/// What an update did.
#[derive(Clone, Debug)]
pub struct Update {
    /// The update, counted from 1.
    pub update: u64,
    /// Mean loss of the batch, before the update.
    pub loss: f32,
    /// Images of the batch that were classified right.
    pub right: usize,
    /// Images of the batch.
    pub images: usize,
    /// The learning rate.
    pub rate: f64,
    /// What happened to the edges.
    pub rewiring: Rewiring,
}

impl<M: Classifier> Training<M> {
    /// Begins a training of this model on this data. The model is on the first device of `execution`; a device by itself is an
    /// [`Execution`] too.
    ///
    /// # Errors
    /// [`TrainingError`] if the batch does not fit the data or the devices, or the budget the model.
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
        let smoothing = recipe.optimizer.label_smoothing;
        let loss = CrossEntropyLossConfig::new()
            .with_smoothing((smoothing > 0.0).then_some(smoothing as f32));
        let wire = recipe.wire(updates, data.classes.len())?;
        let failed = |message: String| {
            let begins = Failed {
                device: execution.places()[0].name.clone(),
                update: 1,
                epoch: 1,
                images: execution.at_once(recipe.batch),
            };
            begins.saying(&message)
        };
        let model = guarded(|| wire.attach(model)).map_err(failed)??;
        Ok(Self {
            model,
            optimizer: optimizer(&recipe.optimizer),
            scale: execution.arithmetic().scales_loss().then(LossScale::new),
            plan: Plan {
                loader,
                batch: recipe.batch,
                seed: recipe.seed,
                rate: Rate::new(&recipe.optimizer, &phases, per_epoch),
                phases,
                optimizer: recipe.optimizer.clone(),
                loss: loss.init(execution.device()),
                execution,
                image: data.shape(),
            },
        })
    }

    /// Updates made.
    pub fn updates_made(&self) -> u64 {
        self.model.clock().update
    }

    /// Updates in an epoch.
    pub fn updates_per_epoch(&self) -> u64 {
        self.plan.loader.batches_per_epoch() as u64
    }

    /// Updates of the whole run.
    pub fn updates(&self) -> u64 {
        self.plan.phases.iter().map(|(updates, _)| updates).sum()
    }

    /// The epoch that the next update belongs to, counted from 0.
    pub fn epoch(&self) -> u64 {
        self.updates_made() / self.updates_per_epoch()
    }

    /// Where its tensors live.
    pub fn device(&self) -> &Device {
        self.plan.execution.device()
    }

    /// What the loss of the next update is multiplied by before it goes backward, where [`Precision::F16`] asks for that.
    pub fn loss_scale(&self) -> Option<f32> {
        self.scale.as_ref().map(LossScale::factor)
    }

    /// Whether every update has been made.
    pub fn is_finished(&self) -> bool {
        self.updates_made() >= self.updates()
    }

    /// The batches of the current epoch that are still to come, prepared on background threads.
    ///
    /// # Errors
    /// [`TrainingError::Data`] if there are none.
    pub fn batches(&self) -> Result<crate::data::Batches, TrainingError> {
        let first = (self.updates_made() % self.updates_per_epoch()) as usize;
        Ok(self
            .plan
            .loader
            .epoch(self.plan.seed, self.epoch(), first)?)
    }

    /// Whether a phase other than the first begins after so many updates.
    fn begins_a_phase(&self, updates: u64) -> bool {
        let mut begins = 0;
        self.plan.phases.iter().any(|(length, _)| {
            let is_here = begins > 0 && begins == updates;
            begins += length;
            is_here
        })
    }

    /// Makes one update: forward, backward, optimizer, rewiring.
    ///
    /// # Errors
    /// [`TrainingError::Loss`] or [`TrainingError::Overflow`] if the loss or a gradient is not finite: nothing has been changed then;
    /// [`TrainingError::Wiring`] if the updated weights cannot be ranked;
    /// [`TrainingError::Memory`] or [`TrainingError::Device`] if a device fails, possibly midway: the training is over then,
    /// and its model and optimizer are not to be used.
    pub fn step(&mut self, batch: &Batch) -> Result<Update, TrainingError> {
        let failed = self.failed(0, self.plan.execution.at_once(batch.len()));
        let made = match self.plan.execution.is_direct() {
            true => on_workers(&self.device().clone(), || guarded(|| self.update(batch))),
            // Each device is waited for, which a thread that computes had better not do.
            false => guarded(|| self.update(batch)),
        };
        made.unwrap_or_else(|message| Err(failed.saying(&message)))
    }

    /// Evaluates the model on the test part of the data, on the first device and in 32 bits. Selects nothing.
    ///
    /// # Errors
    /// [`TrainingError::Data`] if the data cannot be had.
    pub(crate) fn evaluate(&self, data: &DataSet) -> Result<Evaluation, TrainingError> {
        let at_once = self.plan.execution.at_once(evaluation::MOST_AT_ONCE);
        let device = self.device().clone().inner();
        self.on_device(|| evaluation::evaluate_by(&*self.model, data, &device, at_once))?
    }

    /// Does something on the first device, which may give up.
    pub(crate) fn on_device<T>(&self, work: impl FnOnce() -> T) -> Result<T, TrainingError> {
        let at_once = self.plan.execution.at_once(self.plan.batch);
        guarded(work).map_err(|message| self.failed(0, at_once).saying(&message))
    }

    /// The failure of a device in the next update, with so many images at once.
    fn failed(&self, place: usize, images: usize) -> Failed {
        Failed {
            device: self.plan.execution.places()[place].name.clone(),
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
        let gradients = self.model.prepare(pass.gradients);
        let rate = self.plan.rate.at(self.updates_made());
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
        if rewiring.rewound || self.begins_a_phase(update) {
            // What the optimizer remembers is of another training.
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

    /// Forward and backward, again with half the loss scale for as long as the gradients overflow.
    fn scaled_pass(&mut self, batch: &Batch) -> Result<Pass, TrainingError> {
        loop {
            let pass = self.pass(batch, self.loss_scale().unwrap_or(1.0))?;
            let Some(scale) = &mut self.scale else {
                return Ok(pass);
            };
            if are_finite(&pass.gradients, &*self.model) {
                scale.went_through();
                return Ok(pass);
            }
            if !scale.backs_off() {
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
            .zip(execution.places())
            .map(|(images, place)| DevicePart {
                batch,
                at_once: execution.at_once(images.len()),
                images,
                shape: self.plan.image,
                device: place.device.clone(),
                arithmetic: execution.arithmetic(),
                loss: self.plan.loss.clone(),
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

    /// Computes each part with a copy of the model on its device, all at once; also returns the new running averages.
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
        for (place, (part, ended)) in parts.iter().zip(ended).enumerate() {
            let failed = |message: String| self.failed(place, part.at_once).saying(&message);
            let (own, moved) = ended.map_err(failed)?;
            let weight = part.images.len() as f64 / part.batch.len() as f64;
            averages.push((moved, weight));
            results.push(own);
        }
        let device = self.device().clone().inner();
        Ok((results, Averages::mean(averages, &device)))
    }

    /// The sum of the devices' gradients, in their order, on the first.
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
