//! A wired model with Burn's learner.
//!
//! Everything here is the usual Burn code: a module with `TrainStep` and `InferenceStep`, data loaders, metrics,
//! `SupervisedTraining`. The only change is that the model is wrapped before it is passed to the learner, in the three lines that end
//! in `// dnw`. It then rewires automatically after each step.
//!
//! ```text
//! cargo run -p dnw-examples --features learner --example burn_learner [DEVICE]
//! ```
//!
//! (devices and features as in `embed_in_your_model.rs`). It fails if the network has not learned its task, or if its wiring does not have the requested budget.

#![recursion_limit = "256"]

use std::error::Error;

use burn::data::dataloader::{DataLoader, DataLoaderBuilder};
use burn::data::dataset::InMemDataset;
use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::nn::{Linear, LinearConfig};
use burn::optim::{SgdConfig, momentum::MomentumConfig};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};
use burn::train::metric::{AccuracyMetric, LossMetric};
use burn::train::{
    ClassificationOutput, InferenceStep, Learner, SupervisedTraining, TrainOutput, TrainStep,
};
use dnw_core::{Budget, ParamGroup, Wire}; // dnw
use dnw_examples::{
    CLASSES, Quiet, Shape, ShapeBatch, ShapeBatcher, device_from_arguments, shapes,
};

/// A convolution and two linear layers.
#[derive(Module, Debug)]
struct Net {
    conv: Conv2d,
    pool: MaxPool2d,
    hidden: Linear,
    head: Linear,
}

impl Net {
    fn new(device: &Device) -> Self {
        Self {
            conv: Conv2dConfig::new([1, 16], [5, 5]).init(device),
            pool: MaxPool2dConfig::new([3, 3]).with_strides([3, 3]).init(),
            hidden: LinearConfig::new(256, 32).init(device),
            head: LinearConfig::new(32, CLASSES.len()).init(device),
        }
    }

    /// `[batch, 1, 16, 16]` to `[batch, classes]`.
    fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let x = self.pool.forward(relu(self.conv.forward(images)));
        let x = relu(self.hidden.forward(x.flatten(1, 3)));
        self.head.forward(x)
    }

    fn classify(&self, batch: ShapeBatch) -> ClassificationOutput {
        let output = self.forward(batch.images);
        let loss = CrossEntropyLossConfig::new().init(&output.device());
        let loss = loss.forward(output.clone(), batch.labels.clone());
        ClassificationOutput::new(loss, output, batch.labels)
    }
}

impl TrainStep for Net {
    type Input = ShapeBatch;
    type Output = ClassificationOutput;

    fn step(&self, batch: ShapeBatch) -> TrainOutput<ClassificationOutput> {
        let output = self.classify(batch);
        TrainOutput::new(self, output.loss.backward(), output)
    }
}

impl InferenceStep for Net {
    type Input = ShapeBatch;
    type Output = ClassificationOutput;

    fn step(&self, batch: ShapeBatch) -> ClassificationOutput {
        self.classify(batch)
    }
}

fn loader(shapes: Vec<Shape>) -> std::sync::Arc<dyn DataLoader<ShapeBatch>> {
    let loader = DataLoaderBuilder::new(ShapeBatcher)
        .batch_size(32)
        .shuffle(1);
    loader.build(InMemDataset::new(shapes))
}

const EPOCHS: usize = 10;
const LOWEST_ACCURACY: f64 = 0.9;

fn main() -> Result<(), Box<dyn Error>> {
    let device = device_from_arguments()?.autodiff();
    device.seed(1);

    let model = Net::new(&device);
    let wire = Wire::dnw(Budget::Density(0.2)).weights(ParamGroup::all()); // dnw
    let model = wire.attach(model)?; // dnw
    let first = model.tensors();

    let momentum = MomentumConfig::new();
    let optimizer = SgdConfig::new().with_momentum(Some(momentum)).init();
    let folder = tempfile::tempdir()?;
    let (training, held_back) = (shapes(1, 1024), shapes(2, 512));
    let result =
        SupervisedTraining::new(folder.path(), loader(training), loader(held_back.clone()))
            .metrics((AccuracyMetric::new(), LossMetric::new()))
            .num_epochs(EPOCHS)
            .with_application_logger(None)
            .renderer(Box::new(Quiet))
            .launch(Learner::new(model, optimizer, 0.05));
    if let Some(error) = result.error {
        return Err(error.to_string().into());
    }

    let trained = result.model;
    println!(
        "updates, each followed by a rewiring: {}",
        trained.clock().update
    );
    println!("real / possible edges, and real edges that were not real at the start");
    for (now, first) in trained.tensors().iter().zip(&first) {
        let (real, possible) = (now.wiring.count(), now.candidates.count());
        let newcomers = now.wiring.difference(&first.wiring).count();
        println!(
            "  {:<14} {real:>5} / {possible:<5} {newcomers:>5}",
            now.name
        );
        assert_eq!(real, first.budget, "exactly k edges are real");
        assert!(newcomers > 0, "no edge of {} swapped in", now.name);
    }

    let batch = ShapeBatcher.batch(held_back.clone(), &device.inner());
    let named = trained.forward(batch.images).argmax(1).flatten(0, 1);
    let right = named.equal(batch.labels).int().sum().into_scalar::<i64>();
    let accuracy = right as f64 / held_back.len() as f64;
    println!("test accuracy {accuracy:.3}");
    assert!(
        accuracy >= LOWEST_ACCURACY,
        "accuracy {accuracy} is under {LOWEST_ACCURACY}"
    );
    Ok(())
}
