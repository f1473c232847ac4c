//! How a training is computed changes nothing of what is trained.
//!
//! Several devices, parts of batches and numbers of fewer bits, each against the plain training of whole batches on one device.

#![cfg(feature = "flex")]
#![recursion_limit = "256"]

#[path = "execution/failures.rs"]
mod failures;
#[path = "execution/parts.rs"]
mod parts;
#[path = "execution/precision.rs"]
mod precision;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use burn::module::{Module, ModuleDisplay, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor};
use dnw_circuit::Circuit;
use dnw_core::Wiring;
use dnw_device::{Backend, DeviceName, Opened, open};
use dnw_models::{Classifier, GraphClassifier, ModelConfig, NoCircuit, UseModel};
use dnw_train::recipe::Recipe;
use dnw_train::training::{Evaluation, Execution, Training, Update, evaluate};

/// What a training came to.
#[derive(Debug)]
struct Trained {
    updates: Vec<Update>,
    /// Every float of the model that a file of it would hold, under its path.
    floats: BTreeMap<String, Vec<f32>>,
    /// The real edges, by tensor.
    wirings: BTreeMap<String, Wiring>,
    found: Evaluation,
}

impl Trained {
    fn losses(&self) -> Vec<f32> {
        self.updates.iter().map(|update| update.loss).collect()
    }

    /// The largest difference of a float, relative to the largest of its tensor.
    fn away_from(&self, other: &Self) -> f32 {
        let largest = |values: &[f32]| values.iter().fold(0.0f32, |most, v| most.max(v.abs()));
        let mut most = 0.0f32;
        for (path, mine) in &self.floats {
            let theirs = &other.floats[path];
            let differences: Vec<f32> = mine.iter().zip(theirs).map(|(a, b)| a - b).collect();
            most = most.max(largest(&differences) / largest(theirs).max(1e-3));
        }
        most
    }
}

/// All devices of a CPU backend draw from one generator, and so do tests side by side: one at a time seeds it and draws.
fn alone() -> MutexGuard<'static, ()> {
    static DRAWING: Mutex<()> = Mutex::new(());
    DRAWING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Trains so many updates of the digits recipe with changes.
fn train(changes: &[&str], updates: usize, execution: &Execution) -> Trained {
    struct Steps<'a> {
        recipe: &'a Recipe,
        updates: usize,
        execution: &'a Execution,
        drawing: MutexGuard<'static, ()>,
    }

    impl UseModel for Steps<'_> {
        type Output = Trained;

        fn with<M: Classifier + ModuleDisplay + 'static>(self, model: M) -> Trained {
            let data = self.recipe.open_data(None).unwrap();
            let mut training = Training::begin(model, self.recipe, &data, self.execution).unwrap();
            // What has not been drawn yet is drawn when it is read.
            floats(&*training.model);
            drop(self.drawing);
            let mut updates = Vec::new();
            while updates.len() < self.updates {
                for batch in training.batches().unwrap() {
                    updates.push(training.step(&batch.unwrap()).unwrap());
                    if updates.len() == self.updates {
                        break;
                    }
                }
            }
            let device = self.execution.device().clone().inner();
            let tensors = training.model.tensors().into_iter();
            Trained {
                updates,
                floats: floats(&*training.model),
                wirings: tensors.map(|tensor| (tensor.name, tensor.wiring)).collect(),
                found: evaluate(&*training.model, &data, &device).unwrap(),
            }
        }
    }

    let changes: Vec<_> = changes.iter().map(|change| (*change).to_owned()).collect();
    let recipe = Recipe::named("digits", &changes).unwrap();
    let device = execution.device();
    let drawing = alone();
    device.seed(recipe.seed);
    let steps = Steps {
        recipe: &recipe,
        updates,
        execution,
        drawing,
    };
    recipe.model.build([1, 8, 8], 10, device, steps).unwrap()
}

/// Every float of a model, running averages included.
fn floats<M: Module>(model: &M) -> BTreeMap<String, Vec<f32>> {
    #[derive(Default)]
    struct Read {
        path: Vec<String>,
        found: BTreeMap<String, Vec<f32>>,
    }

    impl ModuleVisitor for Read {
        fn enter_module(&mut self, name: &str, _: &str) {
            self.path.push(name.to_owned());
        }

        fn exit_module(&mut self, _: &str, _: &str) {
            self.path.pop();
        }

        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let values = param.base().to_data().iter::<f32>().collect();
            self.found.insert(self.path.join("."), values);
        }
    }

    let mut read = Read::default();
    model.valid().visit(&mut read);
    read.found
}

/// The main job's network with something odd about it.
#[derive(Module, Debug)]
struct Odd {
    inner: GraphClassifier,
    #[module(skip)]
    oddity: Oddity,
}

#[derive(Clone, Debug)]
enum Oddity {
    /// The scores are divided by this twice and multiplied again, so that gradients are its square larger on their way.
    Loud(f32),
    /// The pass of this number gives up with this message, of those in training or of those that evaluate.
    Fragile {
        left: Arc<AtomicUsize>,
        trains: bool,
        says: &'static str,
    },
    /// Gradients of the training pass of this number are no numbers, although its scores are those of the network.
    Poisoned { left: Arc<AtomicUsize> },
}

impl Odd {
    fn new(oddity: Oddity, recipe: &Recipe, device: &Device) -> Self {
        let ModelConfig::Graph(config) = &recipe.model else {
            unreachable!("the main job's network is a graph");
        };
        Self {
            inner: config.init([1, 8, 8], 10, device).unwrap(),
            oddity,
        }
    }
}

impl Classifier for Odd {
    fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let is_training = images.is_autodiff();
        let logits = self.inner.forward(images);
        match &self.oddity {
            Oddity::Loud(f) => logits / *f / *f * *f * *f,
            Oddity::Fragile { left, trains, says } if *trains == is_training => {
                assert!(left.fetch_sub(1, Ordering::SeqCst) > 1, "{says}");
                logits
            }
            Oddity::Fragile { .. } => logits,
            Oddity::Poisoned { left } => {
                if is_training && left.fetch_sub(1, Ordering::SeqCst) == 1 {
                    // The square root of zero is zero, and its slope there has no bound.
                    return logits.clone() + (logits * 0.0).sqrt();
                }
                logits
            }
        }
    }

    fn circuit(&self, image: [usize; 3]) -> Result<Circuit, NoCircuit> {
        self.inner.circuit(image)
    }
}

fn flex() -> Opened {
    open(&DeviceName::of(Backend::Flex)).unwrap()
}

fn on_one() -> Execution {
    Execution::on(&Device::flex())
}

fn in_parts(images: usize) -> Execution {
    on_one().with_micro_batch(NonZeroUsize::new(images))
}

fn on_several(devices: usize) -> Execution {
    Execution::over(&vec![flex(); devices]).unwrap()
}

/// A small residual network, for batch norms.
const RESNET: [&str; 2] = [
    "model={ kind = \"resnet\", depth = 18, width = 4, stem = \"small\" }",
    "wiring.plain-layers=true",
];
/// A network of linear layers.
const LENET: [&str; 1] = ["model={ kind = \"lenet\", hidden = [40, 20] }"];
