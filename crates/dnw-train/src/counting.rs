//! The cost of a network: parameters, multiply-adds, and approximate memory for training.
//!
//! The counts come from the network itself, as a [circuit](dnw_circuit) with its weights and its wiring.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::module::ModuleDisplay;
use burn::tensor::Device;
use dnw_circuit::{Circuit, Count, Kind, Op, Step, count};
use dnw_core::schedule::EveryUpdate;
use dnw_core::{Rule, WiringError};
use dnw_data::{DataError, Source, TestTransform};
use dnw_models::{Classifier, ModelConfig, ModelError, NoCircuit, TinyContinuousConfig, UseModel};

use crate::recipe::{Recipe, RecipeError};
use crate::run::{RunError, load_weights};

mod work;

pub use work::Work;

/// Steps to count for a differential equation whose steps depend on the image. With dopri5 these are 31 evaluations, about as many as the
/// published tolerances need at the beginning of training.
const COUNTED_STEPS: usize = 5;

/// The cost of a network.
#[derive(Clone, Debug, PartialEq)]
pub struct Cost {
    /// The shape of the images: channels, height, width.
    pub image: [usize; 3],
    /// Parameters and multiply-adds.
    pub count: Count,
    /// The work of an update for one image.
    pub work: Work,
    /// Entries of the wired tensors, including those that no layer can use.
    pub entries: Entries,
    /// Wired tensors: name, candidates, budget.
    pub wired: Vec<(String, usize, usize)>,
    /// Notes on the numbers.
    pub notes: Vec<String>,
}

/// Entries of wired tensors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Entries {
    /// In layers: without a kernel for their wiring, so they are multiplied by their masks.
    pub in_layers: u64,
    /// In graphs.
    pub in_graphs: u64,
    /// In the largest tensor.
    pub largest: u64,
    /// In the largest graph with several levels, each of which reads a part of it.
    pub largest_of_levels: u64,
}

/// Why a network cannot be counted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CountError {
    /// The recipe does not fit the network.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// The network cannot be created.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The network cannot be wired.
    #[error(transparent)]
    Wiring(#[from] WiringError),
    /// The network has no circuit.
    #[error(transparent)]
    Circuit(#[from] NoCircuit),
    /// The run cannot be read.
    #[error(transparent)]
    Run(#[from] RunError),
    /// There is no such data set.
    #[error(transparent)]
    Data(#[from] DataError),
}

/// Images and classes of a recipe's data, and whether they are the user's own: those of the user's folder of images if it is in `root`,
/// otherwise those of [`published_data`].
///
/// # Errors
/// As [`published_data`].
pub fn planned_data(
    recipe: &Recipe,
    root: Option<&Path>,
) -> Result<([usize; 3], usize, usize, bool), DataError> {
    // The other data sets are always as published. Images are listed here, not decoded.
    let own = match (Source::named(&recipe.data)?, root) {
        (Source::Imagenet, Some(_)) => recipe.open_data(root).ok(),
        _ => None,
    };
    if let Some(own) = own {
        return Ok((own.shape(), own.classes.len(), own.train.len(), true));
    }
    let (image, classes, images) = published_data(recipe)?;
    Ok((image, classes, images, false))
}

/// Images and classes of a recipe's data set as published, without its files: the input's channels, height and width, the number of classes,
/// and the number of training images.
///
/// # Errors
/// [`DataError`] if there is no such data set.
pub fn published_data(recipe: &Recipe) -> Result<([usize; 3], usize, usize), DataError> {
    let source = Source::named(&recipe.data)?;
    let known = source.known();
    let test = recipe.transforms.map(|transforms| transforms.test);
    let sides = match test {
        Some(TestTransform::ResizeCentreCrop { size, .. }) => [size, size],
        _ => known.sides.unwrap_or([224, 224]),
    };
    let train = source.published_train_images();
    let used = recipe
        .train_images
        .map_or(train, |images| images.min(train));
    Ok((
        [known.channels, sides[0], sides[1]],
        known.classes.len(),
        used,
    ))
}

/// The cost of a recipe's network on images of this shape: with the weights and the wiring of a file, or with initial ones, cut to the
/// budget.
///
/// # Errors
/// [`CountError`] if the network cannot be created, wired or counted.
pub fn cost(
    recipe: &Recipe,
    image: [usize; 3],
    classes: usize,
    weights: Option<&Path>,
    device: &Device,
) -> Result<Cost, CountError> {
    let (model, notes) = countable(&recipe.model);
    let counter = Counter {
        recipe,
        image,
        classes,
        weights: weights.map(Path::to_owned),
        notes,
    };
    device.seed(recipe.seed);
    model.build(image, classes, device, counter)?
}

/// The model, or one with the same tensors whose steps do not depend on the image, and notes about that.
fn countable(model: &ModelConfig) -> (ModelConfig, Vec<String>) {
    match model {
        ModelConfig::TinyContinuous(config) if config.steps.is_none() => {
            let counted = TinyContinuousConfig {
                steps: Some(COUNTED_STEPS),
                ..config.clone()
            };
            let note = format!(
                "multiply-adds are those of {COUNTED_STEPS} steps of equal length: the network's own steps follow the image"
            );
            (ModelConfig::TinyContinuous(counted), vec![note])
        }
        model => (model.clone(), Vec::new()),
    }
}

struct Counter<'a> {
    recipe: &'a Recipe,
    image: [usize; 3],
    classes: usize,
    weights: Option<PathBuf>,
    notes: Vec<String>,
}

impl UseModel for Counter<'_> {
    type Output = Result<Cost, CountError>;

    fn with<M: Classifier + ModuleDisplay + 'static>(self, model: M) -> Self::Output {
        let mut wire = self.recipe.wire(1, self.classes)?;
        if self.weights.is_none() && self.recipe.wiring.rule != "complete" {
            // As many edges as at the end of a run.
            wire = wire.rule(|rule| Rule {
                schedule: Arc::new(EveryUpdate),
                ..rule
            });
        }
        let mut model = wire.attach(model)?;
        if let Some(path) = &self.weights {
            load_weights(&mut *model, path)?;
        }
        let circuit = model.circuit(self.image)?;
        let wired = model.tensors().into_iter();
        let wired = wired.map(|tensor| (tensor.name, tensor.candidates.count(), tensor.budget));
        Ok(Cost {
            image: self.image,
            count: count(&circuit),
            work: work::work(&circuit),
            entries: entries(&circuit),
            wired: wired.collect(),
            notes: self.notes,
        })
    }
}

/// The entries of a circuit's wired tensors.
fn entries(circuit: &Circuit) -> Entries {
    let mut entries = Entries::default();
    for (id, tensor) in circuit.tensors().iter().enumerate() {
        if tensor.kind() != Kind::Edges {
            continue;
        }
        let size = tensor.shape().iter().product::<usize>() as u64;
        entries.largest = entries.largest.max(size);
        if work::is_graph(tensor) {
            entries.in_graphs += size;
            let reads = |step: &&Step| matches!(&step.op, Op::Conv { weight, .. } if weight.tensor.index() == id);
            if circuit.steps().iter().filter(reads).count() > 1 {
                entries.largest_of_levels = entries.largest_of_levels.max(size);
            }
        } else {
            entries.in_layers += size;
        }
    }
    entries
}
