//! Measures training steps, forward passes and rewirings of one network on one device.

use std::path::Path;
use std::time::Instant;

use burn::module::{Module, ModuleDisplay};
use burn::tensor::{Device, Tensor, TensorData};
use dnw_benches::dialogue::{self, Times};
use dnw_benches::timing::{Timing, rounds};
use dnw_core::Wired;
use dnw_device::{Backend, DeviceName, Opened, host, open};
use dnw_models::{Classifier, UseModel};
use dnw_train::counting::cost;
use dnw_train::data::{Batch, DataSet};
use dnw_train::recipe::Recipe;
use dnw_train::run::{load_weights, save_weights};
use dnw_train::scaling::{self, Products, Seconds};
use dnw_train::training::{Execution, Precision, Training};
use serde::Serialize;

use crate::failure::Failure;
use crate::memory::Memory;
use crate::multiply_adds::MultiplyAdds;
use crate::rates::rates;
use crate::workload::Workload;

/// The number of steps after which losses are compared.
pub const LOSS_AFTER: usize = 3;

/// The parameters of a measurement.
pub struct Plan<'a> {
    /// The device.
    pub device: &'a DeviceName,
    /// The network.
    pub workload: Workload,
    /// Images in a batch.
    pub batch: usize,
    /// Channels, height, width.
    pub image: [usize; 3],
    /// In which numbers the network is computed.
    pub precision: Precision,
    /// CPU threads.
    pub threads: usize,
    /// Rounds after the first.
    pub rounds: usize,
    /// The time limit in seconds, after which fewer rounds are enough.
    pub patience: f64,
}

/// The results of a measurement.
#[derive(Serialize)]
pub struct Measured {
    device: String,
    adapter: String,
    model: String,
    batch: usize,
    /// Height and width of the images.
    image: usize,
    precision: String,
    threads: usize,
    /// Seconds to open the device and add two numbers.
    open: f64,
    /// A training step: forward, backward, optimizer, rewiring.
    step: Timing,
    /// A forward pass without gradients.
    forward: Timing,
    /// Selecting the edges of all tensors after a step, and updating the masks.
    rewire: Timing,
    /// Edges that swapped in per measured rewiring.
    swapped: usize,
    memory: Memory,
    loss: Loss,
    predicted: Predicted,
}

/// The predictions of [`dnw_train::scaling`] from the network and the device's rates.
#[derive(Serialize)]
struct Predicted {
    /// Peak memory of training in bytes, without the program itself.
    bytes: u64,
    /// Seconds of a training step.
    seconds: f64,
    /// Multiply-adds per second.
    products: f64,
    /// Values read or written per second.
    numbers: f64,
    /// Weights updated and ranked per second.
    weights: f64,
}

/// The mean loss of the batch.
#[derive(Serialize)]
struct Loss {
    /// Before the first step.
    first: f32,
    /// The number of steps.
    updates: usize,
    /// After these steps.
    then: f32,
}

/// Measures a network on a device.
///
/// # Errors
/// [`Failure`] if the device cannot be opened or the network cannot be trained.
pub fn measure(plan: &Plan<'_>) -> Result<Measured, Failure> {
    prepare(plan, Once)
}

/// Runs training steps on request and answers with their durations, until the input ends: see [`dnw_benches::dialogue`].
///
/// # Errors
/// [`Failure`] as [`measure`], or if a request is invalid.
pub fn answer(plan: &Plan<'_>) -> Result<(), Failure> {
    prepare(plan, Answering)
}

/// A function of a network that is ready for training.
pub trait Use {
    /// The result.
    type Found;

    /// Uses the training. `batch` is its only batch.
    ///
    /// # Errors
    /// [`Failure`] if the training or the device fails.
    fn with<M: Classifier + ModuleDisplay + 'static>(
        self,
        bench: Bench<'_>,
        training: Training<M>,
        batch: &Batch,
    ) -> Result<Self::Found, Failure>;
}

/// Opens the device, builds the network with the weights that it has on every device, and uses it.
///
/// # Errors
/// [`Failure`] if the device cannot be opened or the network cannot be trained.
pub fn prepare<U: Use>(plan: &Plan<'_>, what: U) -> Result<U::Found, Failure> {
    let began = Instant::now();
    let opened = open(plan.device)?;
    let seconds = began.elapsed().as_secs_f64();
    let recipe = plan.workload.recipe(plan.batch)?;
    let data = plan.workload.data(plan.batch, plan.image)?;
    let (image, classes) = (plan.image, plan.workload.classes());
    // Backends have different random numbers, so the weights are initialised on the CPU and transferred in a file, because masks cannot be
    // transferred between all backends directly.
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
    recipe
        .model
        .build(image, classes, &device, Prepared { bench, what })?
}

struct Prepared<'a, U> {
    bench: Bench<'a>,
    what: U,
}

impl<U: Use> UseModel for Prepared<'_, U> {
    type Output = Result<U::Found, Failure>;

    fn with<M: Classifier + ModuleDisplay + 'static>(self, mut model: M) -> Self::Output {
        let bench = self.bench;
        let device = bench.opened.device.clone().autodiff();
        load_weights(&mut model, bench.weights)?;
        let execution = Execution::over(std::slice::from_ref(bench.opened))?
            .with_precision(bench.plan.precision)?;
        let training = Training::begin(model, bench.recipe, bench.data, execution)?;
        let batch = training.batches()?.next().ok_or("no batch".to_owned())??;
        device.sync()?;
        self.what.with(bench, training, &batch)
    }
}

/// Writes a model's weights to a file.
struct Save<'a>(&'a Path);

impl UseModel for Save<'_> {
    type Output = Result<(), Failure>;

    fn with<M: Classifier + ModuleDisplay + 'static>(self, model: M) -> Self::Output {
        Ok(save_weights(&model, self.0)?)
    }
}

/// A network on a device, before it is measured.
pub struct Bench<'a> {
    /// What is measured.
    pub plan: &'a Plan<'a>,
    recipe: &'a Recipe,
    data: &'a DataSet,
    /// The device.
    pub opened: &'a Opened,
    weights: &'a Path,
    seconds: f64,
    memory: Memory,
}

/// Measures everything once.
struct Once;

impl Use for Once {
    type Found = Measured;

    fn with<M: Classifier + ModuleDisplay + 'static>(
        self,
        mut bench: Bench<'_>,
        mut training: Training<M>,
        batch: &Batch,
    ) -> Result<Measured, Failure> {
        let plan = bench.plan;
        let device = bench.opened.device.clone().autodiff();
        Memory::begin();
        let mut losses = Vec::new();
        let step = rounds(
            batch.len(),
            plan.rounds,
            LOSS_AFTER,
            plan.patience,
            || -> Result<f64, Failure> {
                let began = Instant::now();
                losses.push(training.step(batch)?.loss);
                device.sync()?;
                Ok(began.elapsed().as_secs_f64())
            },
        )?;
        bench.memory.end(&device);

        let forward = bench.forward(&training.model, batch)?;
        let (rewire, swapped) = bench.rewire(&mut training, batch)?;
        let predicted = bench.predicted(batch.len())?;
        Ok(Measured {
            device: bench.opened.name.to_string(),
            adapter: bench.opened.model.clone(),
            model: plan.workload.name().to_owned(),
            batch: batch.len(),
            image: plan.image[1],
            precision: plan.precision.to_string(),
            threads: plan.threads,
            open: bench.seconds,
            step,
            forward,
            rewire,
            swapped,
            memory: bench.memory,
            loss: Loss {
                first: losses[0],
                updates: LOSS_AFTER,
                then: losses[LOSS_AFTER],
            },
            predicted,
        })
    }
}

/// Runs training steps on request.
struct Answering;

/// The first line of output.
#[derive(Serialize)]
struct Ready {
    device: String,
    model: String,
    batch: usize,
    threads: usize,
    /// The multiply-adds of a step; every step has the same number of real edges.
    multiply_adds: MultiplyAdds,
}

impl Use for Answering {
    type Found = ();

    fn with<M: Classifier + ModuleDisplay + 'static>(
        self,
        bench: Bench<'_>,
        mut training: Training<M>,
        batch: &Batch,
    ) -> Result<(), Failure> {
        let device = bench.opened.device.clone().autodiff();
        let circuit = training.model.valid().circuit(bench.plan.image);
        let circuit = circuit.map_err(|error| Failure(error.to_string()))?;
        let ready = Ready {
            device: bench.opened.name.to_string(),
            model: bench.plan.workload.name().to_owned(),
            batch: batch.len(),
            threads: bench.plan.threads,
            multiply_adds: MultiplyAdds::of_an_image(&circuit).times(batch.len()),
        };
        // The circuit is as large as the weights.
        drop(circuit);
        let mut step = || -> Result<(), Failure> {
            training.step(batch)?;
            device.sync()?;
            Ok(())
        };
        let (input, output) = (std::io::stdin().lock(), std::io::stdout().lock());
        dialogue::answer(&ready, input, output, |times| Times::of(times, &mut step))?;
        Ok(())
    }
}

impl Bench<'_> {
    fn forward<M: Classifier>(&self, model: &Wired<M>, batch: &Batch) -> Result<Timing, Failure> {
        let device: &Device = &self.opened.device;
        let [channels, height, width] = self.plan.image;
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
            // The result is read, so that no backend can skip the computation.
            drop(logits.into_data());
            Ok(seconds)
        })
    }

    /// Repeatedly rewires the weights after one more step, from the wiring before it, so that the number of swaps is that of training.
    fn rewire<M: Classifier>(
        &self,
        training: &mut Training<M>,
        batch: &Batch,
    ) -> Result<(Timing, usize), Failure> {
        let device: &Device = &self.opened.device;
        let mut before = training.model.clone();
        let swapped = training.step(batch)?.rewiring.added();
        let tensors = training.model.tensors().into_iter();
        let updated = tensors.map(|tensor| (tensor.name, tensor.weights));
        before.set_weights(updated.collect())?;
        device.sync()?;
        let timing = rounds(batch.len(), self.plan.rounds, 1, self.plan.patience, || {
            let mut model = before.clone();
            let began = Instant::now();
            let found = model.rewire()?.added();
            device.sync()?;
            let seconds = began.elapsed().as_secs_f64();
            if found == swapped {
                Ok(seconds)
            } else {
                let message =
                    format!("the same weights first swapped {swapped} edges and then {found}");
                Err(Failure(message))
            }
        })?;
        Ok((timing, swapped))
    }

    /// The predictions of the cost model. Rates are measured last, under the same load of the machine as the rest.
    fn predicted(&self, batch: usize) -> Result<Predicted, Failure> {
        let workload = self.plan.workload;
        let (image, classes) = (self.plan.image, workload.classes());
        let cost = cost(self.recipe, image, classes, None, &open(&host())?.device)?;
        // The flex backend uses this project's kernels.
        let is_flex = self.opened.name.backend() == Some(Backend::Flex);
        let products = match is_flex {
            true => Products::OfRealEdges,
            false => Products::Masked,
        };
        let is_cpu = is_flex || self.opened.name.backend() == Some(Backend::NdArray);
        let rates = rates(&self.opened.device, self.plan.patience)?;
        Ok(Predicted {
            bytes: scaling::Memory::of(&cost, batch, products).peak(is_cpu),
            seconds: Seconds::of(&cost, batch, products, rates).total(),
            products: rates.products,
            numbers: rates.numbers,
            weights: rates.weights,
        })
    }
}
