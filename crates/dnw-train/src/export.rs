//! A run's network as a file for other programs.
//!
//! Under the published names, the file is what the published programs would have saved: linear weights as `[outputs, inputs]`,
//! every possible edge with its weight, and beside it, where the wiring does not follow from the weights, a mask. Importing it
//! gives the same network to the bit.

use std::collections::BTreeMap;

use burn::module::ModuleDisplay;
use burn::tensor::{Device, TensorData};
use dnw_checkpoint::{CheckpointError, Tensor, write_safetensors};
use dnw_core::{Clock, Forward, Wired, Wiring, WiringError};
use dnw_models::{Classifier, ModelError, Published, PublishedError, UseModel};

use crate::masks::{Masks, UPDATES};
use crate::recipe::{Recipe, RecipeError};
use crate::run::{RunError, RunFolder, load_weights, read_bounded};

/// Names and layout of the tensors in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Those of the published checkpoints.
    Published,
    /// Those of the run: Burn's, with the wirings as truth values.
    Burn,
}

/// Why a run cannot be exported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The run cannot be read.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The rule has numbers that published files have no place for.
    #[error(
        "the rule `{rule}` learns a threshold for each tensor, which published files have no place for"
    )]
    Threshold {
        /// The rule.
        rule: String,
    },
    /// The thresholds are not those of a finished run.
    #[error(
        "what an edge gives by the rule `{rule}` is not yet what it gives at the end of a run, and published files have no place for it"
    )]
    Unfinished {
        /// The rule.
        rule: String,
    },
    /// A wiring has to be said, and its tensor has no name that a mask could have.
    #[error("published files have no place for the wiring of `{tensor}`")]
    NoMask {
        /// The tensor's path.
        tensor: String,
    },
    /// A tensor cannot be read.
    #[error(transparent)]
    Published(#[from] PublishedError),
    /// The file cannot be made.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
}

impl ExportError {
    /// What to do about it.
    pub fn help(&self) -> String {
        match self {
            Self::Run(error) => error.help(),
            Self::Published(_) | Self::Checkpoint(_) => {
                "the run folder holds something that cannot be exported; train again to another folder".into()
            }
            _ => "`--layout burn` keeps everything, under the run's own names".into(),
        }
    }
}

/// The bytes of a safetensors file with the weights `which`, `best` or `last`, of a run.
///
/// # Errors
/// [`ExportError`] if the run cannot be read or the layout has no place for something in it.
pub fn export(
    folder: &RunFolder,
    which: &str,
    layout: Layout,
    device: &Device,
) -> Result<Vec<u8>, ExportError> {
    let facts = folder.read_facts()?;
    let recipe = folder.read_recipe()?;
    let classes = facts.classes.len();
    let damaged =
        |error: &dyn std::fmt::Display| RunError::damaged(folder.path().join("recipe.toml"), error);
    let export = Export {
        recipe: &recipe,
        folder,
        which,
        layout,
        classes,
    };
    let built: Result<_, ModelError> = recipe.model.build(facts.image, classes, device, export);
    // The run was made with this recipe, so that a network that cannot be made means that the recipe is no longer that one.
    match built.map_err(|error| damaged(&error))? {
        Err(Failure::Recipe(error)) => Err(damaged(&error).into()),
        Err(Failure::Wiring(error)) => Err(damaged(&error).into()),
        Err(Failure::Export(error)) => Err(error),
        Ok(bytes) => Ok(bytes),
    }
}

struct Export<'a> {
    recipe: &'a Recipe,
    folder: &'a RunFolder,
    which: &'a str,
    layout: Layout,
    classes: usize,
}

enum Failure {
    Recipe(RecipeError),
    Wiring(WiringError),
    Export(ExportError),
}

impl<E: Into<ExportError>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Export(error.into())
    }
}

impl UseModel for Export<'_> {
    type Output = Result<Vec<u8>, Failure>;

    fn with<M: Classifier + ModuleDisplay + 'static>(self, model: M) -> Self::Output {
        let wire = self.recipe.wire(UPDATES, self.classes);
        let wire = wire.map_err(Failure::Recipe)?;
        let mut wired = wire.attach(model).map_err(Failure::Wiring)?;
        let path = self.folder.weights(self.which);
        load_weights(&mut *wired, &path)?;
        if self.layout == Layout::Burn {
            return Ok(read_bounded(&path)?);
        }
        let published = Published::of(&self.recipe.model);
        let mut tensors = published.save(&*wired)?;
        let wirings = self.wirings_to_say(&published, &wired)?;
        tensors.extend(published.masks(&*wired, &wirings));
        let tensors: Vec<Tensor> = tensors.into_iter().map(tensor).collect();
        Ok(write_safetensors(&tensors)?)
    }
}

impl Export<'_> {
    /// The wirings that do not follow from the weights.
    fn wirings_to_say<M: Classifier>(
        &self,
        published: &Published,
        wired: &Wired<M>,
    ) -> Result<BTreeMap<String, Wiring>, Failure> {
        let rule = wired.rule().name.clone();
        if matches!(wired.rule().forward, Forward::LearnedThreshold { .. }) {
            return Err(ExportError::Threshold { rule }.into());
        }
        let masks = Masks::of(wired.rule());
        let real: Vec<_> = wired.tensors();
        if masks != Masks::Needed
            && self.end(wired)? == real.iter().map(|t| t.wiring.clone()).collect::<Vec<_>>()
        {
            return Ok(BTreeMap::new());
        }
        if masks == Masks::Absent {
            return Err(ExportError::Unfinished { rule }.into());
        }
        let places = published.places(&**wired);
        let mut wirings = BTreeMap::new();
        for tensor in real {
            if self.recipe.wiring.dense.contains(&tensor.name) {
                continue;
            }
            let place = places.iter().find(|place| place.path == tensor.name);
            if place.and_then(|place| place.mask_name()).is_none() {
                let tensor = tensor.name;
                return Err(ExportError::NoMask { tensor }.into());
            }
            wirings.insert(tensor.name, tensor.wiring);
        }
        Ok(wirings)
    }

    /// The wirings that the rule chooses from these weights after the last update.
    fn end<M: Classifier>(&self, wired: &Wired<M>) -> Result<Vec<Wiring>, Failure> {
        let mut wired = wired.clone();
        wired.set_clock(Clock {
            update: UPDATES - 1,
            total: UPDATES,
        });
        wired.rewire().map_err(Failure::Wiring)?;
        Ok(wired.tensors().into_iter().map(|t| t.wiring).collect())
    }
}

fn tensor((name, data): (String, TensorData)) -> Tensor {
    Tensor {
        name,
        shape: data.shape().to_vec(),
        data: data.iter().collect(),
    }
}
