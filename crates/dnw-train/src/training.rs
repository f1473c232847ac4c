//! The training loop.
//!
//! The whole state of a training is one value, [`Training`]: the model with its wiring, rule and clock, and the optimizer. The
//! order of the data, its augmentation and the learning rate are functions of the clock, so that nothing else needs to be kept.

use burn::module::ParamGroup;
use burn::nn::loss::{CrossEntropyLoss, CrossEntropyLossConfig};
use burn::optim::decay::WeightDecayConfig;
use burn::optim::grad_clipping::GradientClippingConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{GradientsParams, ModuleOptimizer, SgdConfig};
use burn::tensor::{Device, Int, Tensor, TensorData};
use dnw_core::{Rewiring, Wired, WiringError};
use dnw_models::Classifier;

use crate::data::{Batch, DataError, DataSet, Loader};
use crate::recipe::{OptimizerRecipe, Recipe, RecipeError};
use crate::schedule::Rate;

/// Why a training stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainingError {
    /// The loss is not a finite number.
    #[error(
        "the loss of update {update} (epoch {epoch}) is {loss}: the weights have grown out of bounds"
    )]
    Loss {
        /// The update, counted from 1.
        update: u64,
        /// The epoch, counted from 1.
        epoch: u64,
        /// The loss.
        loss: f32,
    },
    /// The loss on the test part is not a finite number.
    #[error(
        "the test loss after update {update} (epoch {epoch}) is {loss}: the weights have grown out of bounds"
    )]
    TestLoss {
        /// The update, counted from 1.
        update: u64,
        /// The epoch, counted from 1.
        epoch: u64,
        /// The loss.
        loss: f64,
    },
    /// The edges cannot be chosen.
    #[error("after update {update}: {source}")]
    Wiring {
        /// The update, counted from 1.
        update: u64,
        /// Why.
        source: WiringError,
    },
    /// The data cannot be had.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The recipe does not fit.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// The model cannot be wired as asked.
    #[error(transparent)]
    Wire(#[from] WiringError),
}

/// A training: everything that changes while it runs.
pub struct Training<M> {
    /// The model with its wiring and rule.
    pub model: Wired<M>,
    optimizer: ModuleOptimizer,
    plan: Plan,
}

/// What does not change while a training runs.
struct Plan {
    loader: Loader,
    seed: u64,
    phases: Vec<(u64, f64)>,
    rate: Rate,
    optimizer: OptimizerRecipe,
    loss: CrossEntropyLoss,
    device: Device,
    image: [usize; 3],
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
    /// Begins a training of this model on this data.
    ///
    /// # Errors
    /// [`TrainingError`] if the batch does not fit the data or the budget the model.
    pub fn begin(
        model: M,
        recipe: &Recipe,
        data: &DataSet,
        device: &Device,
    ) -> Result<Self, TrainingError> {
        let loader = Loader::train(data, recipe.batch)?.with_drop_last(true);
        let per_epoch = loader.batches_per_epoch() as u64;
        let phases = recipe.phases(per_epoch);
        let updates = phases.iter().map(|(updates, _)| updates).sum();
        let smoothing = recipe.optimizer.label_smoothing;
        let loss = CrossEntropyLossConfig::new()
            .with_smoothing((smoothing > 0.0).then_some(smoothing as f32));
        Ok(Self {
            model: recipe.wire(updates, data.classes.len())?.attach(model)?,
            optimizer: optimizer(&recipe.optimizer),
            plan: Plan {
                loader,
                seed: recipe.seed,
                rate: Rate::new(&recipe.optimizer, &phases, per_epoch),
                phases,
                optimizer: recipe.optimizer.clone(),
                loss: loss.init(device),
                device: device.clone(),
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
        &self.plan.device
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
    /// [`TrainingError::Loss`] if the loss is not finite: nothing has been changed then;
    /// [`TrainingError::Wiring`] if the updated weights cannot be ranked.
    pub fn step(&mut self, batch: &Batch) -> Result<Update, TrainingError> {
        let update = self.updates_made() + 1;
        let (images, labels) = tensors(batch, self.plan.image, &self.plan.device);
        let logits = self.model.forward(images);
        let loss = self.plan.loss.forward(logits.clone(), labels);
        let value: f32 = loss.clone().into_scalar();
        if !value.is_finite() {
            return Err(TrainingError::Loss {
                update,
                epoch: self.epoch() + 1,
                loss: value,
            });
        }
        let right = predictions(logits)
            .iter()
            .zip(&batch.labels)
            .filter(|(a, b)| a == b)
            .count();
        let gradients = GradientsParams::from_grads(loss.backward(), &self.model);
        let gradients = self.model.prepare(gradients);
        let rate = self.plan.rate.at(self.updates_made());
        self.model = self.optimizer.step(rate, self.model.clone(), gradients);
        let rewiring = self
            .model
            .rewire()
            .map_err(|source| TrainingError::Wiring { update, source })?;
        if rewiring.rewound || self.begins_a_phase(update) {
            // What the optimizer remembers is of another training.
            self.optimizer = optimizer(&self.plan.optimizer);
        }
        Ok(Update {
            update,
            loss: value,
            right,
            images: batch.len(),
            rate,
            rewiring,
        })
    }
}

fn optimizer(recipe: &OptimizerRecipe) -> ModuleOptimizer {
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

fn tensors(batch: &Batch, image: [usize; 3], device: &Device) -> (Tensor<4>, Tensor<1, Int>) {
    let [c, h, w] = image;
    let images = TensorData::new(batch.images.clone(), [batch.len(), c, h, w]);
    let labels = TensorData::new(batch.labels.clone(), [batch.len()]);
    (
        Tensor::from_data(images, device),
        Tensor::from_data(labels, device),
    )
}

/// The class of the highest score, per image.
fn predictions(logits: Tensor<2>) -> Vec<i32> {
    let [_, classes] = logits.dims();
    let scores: Vec<f32> = logits.to_data().iter().collect();
    scores
        .chunks_exact(classes)
        .map(|scores| {
            let best = scores.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
            best.map_or(0, |(class, _)| class as i32)
        })
        .collect()
}

/// What an evaluation found.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// Mean loss, without label smoothing.
    pub loss: f64,
    /// Share of images classified right, 0 to 1.
    pub accuracy: f64,
    /// Images per true class and predicted class, row-major.
    pub confusion: Vec<u32>,
}

/// Evaluates a model on the test part of the data. Selects nothing: the wiring is as it is.
///
/// # Errors
/// [`TrainingError::Data`] if the data cannot be had.
pub fn evaluate<M: Classifier>(
    model: &M,
    data: &DataSet,
    device: &Device,
) -> Result<Evaluation, TrainingError> {
    const BATCH: usize = 250;
    let model = model.valid();
    let classes = data.classes.len();
    let loss = CrossEntropyLossConfig::new().init(device);
    let mut confusion = vec![0; classes * classes];
    let (mut sum, mut images) = (0.0, 0);
    for batch in Loader::test(data, BATCH)?.in_order()? {
        let batch = batch?;
        let (x, y) = tensors(&batch, data.shape(), device);
        let logits = model.forward(x);
        sum += f64::from(loss.forward(logits.clone(), y).into_scalar::<f32>()) * batch.len() as f64;
        images += batch.len();
        for (predicted, &label) in predictions(logits).into_iter().zip(&batch.labels) {
            confusion[label as usize * classes + predicted as usize] += 1;
        }
    }
    let right: u32 = (0..classes)
        .map(|class| confusion[class * (classes + 1)])
        .sum();
    let images = images.max(1) as f64;
    Ok(Evaluation {
        loss: sum / images,
        accuracy: f64::from(right) / images,
        confusion,
    })
}
