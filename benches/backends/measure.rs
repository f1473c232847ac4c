//! One network on one device: what an update, a forward pass and a rewiring take.

use std::path::Path;
use std::time::Instant;

use burn::module::{Module, ModuleDisplay};
use burn::tensor::{Device, Tensor, TensorData};
use dnw_core::Wired;
use dnw_device::{Backend, DeviceName, Opened, host, open};
use dnw_models::{Classifier, UseModel};
use dnw_train::counting::cost;
use dnw_train::data::{Batch, DataSet};
use dnw_train::recipe::Recipe;
use dnw_train::run::{load_weights, save_weights};
use dnw_train::scaling::{self, Products, Seconds};
use dnw_train::training::Training;
use serde::Serialize;

use crate::Failure;
use crate::memory::Memory;
use crate::rates::rates;
use crate::timing::{Timing, rounds};
use crate::workload::Workload;

/// Updates after which losses are compared.
pub const LOSS_AFTER: usize = 3;

/// What is measured, how.
pub struct Plan<'a> {
    /// On what.
    pub device: &'a DeviceName,
    /// Which network.
    pub workload: Workload,
    /// Images in a batch.
    pub batch: usize,
    /// Threads on the CPU.
    pub threads: usize,
    /// Rounds after the first.
    pub rounds: usize,
    /// Seconds after which fewer rounds will do.
    pub patience: f64,
}

/// What was found.
#[derive(Serialize)]
pub struct Measured {
    device: String,
    adapter: String,
    model: String,
    batch: usize,
    threads: usize,
    /// Seconds from asking for the device until it had added two numbers.
    open: f64,
    /// A training step: forward, backward, optimizer, rewiring.
    step: Timing,
    /// A forward pass without gradients.
    forward: Timing,
    /// Choosing the edges of all tensors after an update, and putting them in their place.
    rewire: Timing,
    /// Edges that swapped in a measured rewiring.
    swapped: usize,
    memory: Memory,
    loss: Loss,
    predicted: Predicted,
}

/// What [`dnw_train::scaling`] says of it, from the network and the device's rates.
#[derive(Serialize)]
struct Predicted {
    /// Bytes of the peak in training, beside the program itself.
    bytes: u64,
    /// Seconds of a training step.
    seconds: f64,
    /// Multiply-adds a second.
    products: f64,
    /// Numbers a second, read or written.
    numbers: f64,
    /// Weights a second, moved and ranked.
    weights: f64,
}

/// The mean loss of the one batch.
#[derive(Serialize)]
struct Loss {
    /// Before the first update.
    first: f32,
    /// Updates between the two.
    updates: usize,
    /// After them.
    then: f32,
}

/// Measures.
///
/// # Errors
/// [`Failure`] if the device cannot be had or the network not be trained.
pub fn measure(plan: &Plan<'_>) -> Result<Measured, Failure> {
    let began = Instant::now();
    let opened = open(plan.device)?;
    let seconds = began.elapsed().as_secs_f64();
    let recipe = plan.workload.recipe(plan.batch)?;
    let data = plan.workload.data(plan.batch)?;
    let (image, classes) = (plan.workload.image(), plan.workload.classes());
    // Every backend draws other numbers, so the weights are drawn by the CPU's and carried over: in a file, since masks cannot move
    // between all backends directly.
    let folder = tempfile::tempdir().map_err(|error| Failure(error.to_string()))?;
    let weights = folder.path().join("weights.safetensors");
    let drawer = open(&host())?.device.autodiff();
    drawer.seed(recipe.seed);
    recipe
        .model
        .build(image, classes, &drawer, Save(&weights))??;
    let bench = Bench {
        plan,
        recipe: &recipe,
        data: &data,
        opened: &opened,
        weights: &weights,
        seconds,
        memory: Memory::before(),
    };
    let device = opened.device.clone().autodiff();
    recipe.model.build(image, classes, &device, bench)?
}

/// Writes a model's weights to a file.
struct Save<'a>(&'a Path);

impl UseModel for Save<'_> {
    type Output = Result<(), Failure>;

    fn with<M: Classifier + ModuleDisplay + 'static>(self, model: M) -> Self::Output {
        Ok(save_weights(&model, self.0)?)
    }
}

struct Bench<'a> {
    plan: &'a Plan<'a>,
    recipe: &'a Recipe,
    data: &'a DataSet,
    opened: &'a Opened,
    weights: &'a Path,
    seconds: f64,
    memory: Memory,
}

impl UseModel for Bench<'_> {
    type Output = Result<Measured, Failure>;

    fn with<M: Classifier + ModuleDisplay + 'static>(mut self, mut model: M) -> Self::Output {
        let plan = self.plan;
        let device = self.opened.device.clone().autodiff();
        load_weights(&mut model, self.weights)?;
        let mut training = Training::begin(model, self.recipe, self.data, &device)?;
        let batch = training.batches()?.next().ok_or("no batch".to_owned())??;
        device.sync()?;

        Memory::begin();
        let mut losses = Vec::new();
        let step = rounds(
            batch.len(),
            plan.rounds,
            LOSS_AFTER,
            plan.patience,
            || -> Result<f64, Failure> {
                let began = Instant::now();
                losses.push(training.step(&batch)?.loss);
                device.sync()?;
                Ok(began.elapsed().as_secs_f64())
            },
        )?;
        self.memory.end(&device);

        let forward = self.forward(&training.model, &batch)?;
        let (rewire, swapped) = self.rewire(&mut training, &batch)?;
        let predicted = self.predicted(batch.len())?;
        Ok(Measured {
            device: self.opened.name.to_string(),
            adapter: self.opened.model.clone(),
            model: plan.workload.name().to_owned(),
            batch: batch.len(),
            threads: plan.threads,
            open: self.seconds,
            step,
            forward,
            rewire,
            swapped,
            memory: self.memory,
            loss: Loss {
                first: losses[0],
                updates: LOSS_AFTER,
                then: losses[LOSS_AFTER],
            },
            predicted,
        })
    }
}

impl Bench<'_> {
    fn forward<M: Classifier>(&self, model: &Wired<M>, batch: &Batch) -> Result<Timing, Failure> {
        let device: &Device = &self.opened.device;
        let [channels, height, width] = self.plan.workload.image();
        let shape = [batch.len(), channels, height, width];
        let images = TensorData::new(batch.images.clone(), shape);
        let images = Tensor::<4>::from_data(images, device);
        let model = model.valid();
        device.sync()?;
        rounds(batch.len(), self.plan.rounds, 1, self.plan.patience, || {
            let began = Instant::now();
            let logits = model.forward(images.clone());
            device.sync()?;
            let seconds = began.elapsed().as_secs_f64();
            // Nobody may leave out what nobody reads.
            drop(logits.into_data());
            Ok(seconds)
        })
    }

    /// Chooses again and again what one more update made of the weights, with the wiring from before it, so that as many edges swap
    /// as do in training.
    fn rewire<M: Classifier>(
        &self,
        training: &mut Training<M>,
        batch: &Batch,
    ) -> Result<(Timing, usize), Failure> {
        let device: &Device = &self.opened.device;
        let mut before = training.model.clone();
        let swapped = training.step(batch)?.rewiring.born();
        let tensors = training.model.tensors().into_iter();
        let updated = tensors.map(|tensor| (tensor.name, tensor.weights));
        before.set_weights(updated.collect())?;
        device.sync()?;
        let timing = rounds(batch.len(), self.plan.rounds, 1, self.plan.patience, || {
            let mut model = before.clone();
            let began = Instant::now();
            let found = model.rewire()?.born();
            device.sync()?;
            let seconds = began.elapsed().as_secs_f64();
            if found == swapped {
                Ok(seconds)
            } else {
                let said = format!("the same weights swapped {swapped} edges and then {found}");
                Err(Failure(said))
            }
        })?;
        Ok((timing, swapped))
    }

    /// What the model of costs says. Rates are measured last, when the machine is as busy as it was for the rest.
    fn predicted(&self, batch: usize) -> Result<Predicted, Failure> {
        let workload = self.plan.workload;
        let (image, classes) = (workload.image(), workload.classes());
        let cost = cost(self.recipe, image, classes, None, &open(&host())?.device)?;
        // The kernels of this project serve flex.
        let is_flex = self.opened.name.backend() == Some(Backend::Flex);
        let products = match is_flex {
            true => Products::OfRealEdges,
            false => Products::Masked,
        };
        let is_cpu = is_flex || self.opened.name.backend() == Some(Backend::NdArray);
        let rates = rates(&self.opened.device)?;
        Ok(Predicted {
            bytes: scaling::Memory::of(&cost, batch, products).peak(is_cpu),
            seconds: Seconds::of(&cost, batch, products, rates).total(),
            products: rates.products,
            numbers: rates.numbers,
            weights: rates.weights,
        })
    }
}
