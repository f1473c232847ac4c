//! A published file as a run.
//!
//! A `.pt` or safetensors file holds weights under the names of the program that trained them. [`Import`] reads it without running any code in
//! it, finds the model in it and the recipe with that network, takes the real edges from the file's masks or zeros (or selects them as the
//! recipe's rule does at the end of a run), and writes a run folder for the other commands. The folder is whole or
//! absent.

mod differences;
mod error;
mod fit;
mod network;
mod wiring_source;

pub use differences::Differences;
pub use error::{Better, ImportError};
pub use wiring_source::WiringSource;

use std::path::Path;

use burn::tensor::Device;
use dnw_checkpoint::{Checkpoint, ModelLocation, ModelState, Reason, Skipped, Tensor};

use crate::recipe::Recipe;
use crate::run::{Facts, RunError, RunFolder};
use fit::{BestFit, Fit, Fitting, by_name};
use network::{Load, Network};

/// An import.
#[derive(Clone, Debug)]
pub struct Import<'a> {
    /// The file.
    pub file: &'a Path,
    /// The recipe; by default one whose network fits the file.
    pub recipe: Option<&'a str>,
    /// Changes to the recipe, `key=value`.
    pub changes: &'a [String],
    /// The run folder, which must be absent or empty; by default the next free `runs/RECIPE-N`.
    pub out: Option<&'a Path>,
    /// The command line of the import.
    pub command: String,
    /// Program, libraries, device: label and value.
    pub environment: Vec<(String, String)>,
    /// The device, with autodiff.
    pub device: &'a Device,
}

/// The result of an import.
#[derive(Clone, Debug)]
pub struct Imported {
    /// Its run folder.
    pub folder: RunFolder,
    /// Its facts.
    pub facts: Facts,
    /// The recipe.
    pub recipe: Recipe,
    /// Other recipes that fit equally well, if none was requested. They differ in something that is not in the file, such as the budget.
    pub others: Vec<String>,
    /// Tensors of the file that were not used, except counters of norms and the like.
    pub skipped: Vec<Skipped>,
    /// How the real edges were determined.
    pub wiring: WiringSource,
    /// Weights with a mask parametrization whose mask is not in the file.
    pub unmasked: Vec<String>,
}

impl Import<'_> {
    /// Imports the file.
    ///
    /// # Errors
    /// [`ImportError`] if the file is invalid, damaged, or holds another network; nothing is written then.
    pub fn run(self) -> Result<Imported, ImportError> {
        let unreadable = |error| ImportError::unreadable(self.file, error);
        let checkpoint = dnw_checkpoint::read(self.file).map_err(unreadable)?;
        let mut fitting = Fitting::new(self.changes, self.device);
        let model = match self.locate(&checkpoint, &mut fitting)? {
            Some(location) => checkpoint.model_state_at(&location),
            None => checkpoint.model_state(),
        };
        let model = model.map_err(unreadable)?;
        let BestFit { fit, others } = self.select_recipe(&model, &mut fitting)?;
        self.check_finite(&model.tensors)?;
        let load = Load {
            path: self.file,
            fit: &fit,
            tensors: model.tensors,
            command: self.command.clone(),
            environment: self.environment.clone(),
        };
        let network = load.network(self.device)?;
        let was_there = self.out.is_some_and(Path::is_dir);
        let folder = match self.out {
            Some(path) => RunFolder::create(path)?,
            None => RunFolder::create_numbered(Path::new("runs"), &fit.recipe.name)?,
        };
        fill(&folder, &network, was_there)?;
        Ok(Imported {
            folder,
            facts: network.facts,
            recipe: fit.recipe,
            others,
            skipped: model.skipped.into_iter().filter(is_of_interest).collect(),
            wiring: network.source,
            unmasked: model.unmasked,
        })
    }

    /// Where the network is in the file: the first of the locations that are nearest to the network of the recipe, or of any.
    fn locate(
        &self,
        checkpoint: &Checkpoint,
        fitting: &mut Fitting<'_>,
    ) -> Result<Option<ModelLocation>, ImportError> {
        let mut nearest = None;
        for location in checkpoint.locations() {
            let outline = checkpoint.outline(&location);
            let distance = fitting.distance(&by_name(&outline), self.recipe)?;
            if nearest.as_ref().is_none_or(|(least, _)| distance < *least) {
                nearest = Some((distance, location));
            }
            if distance == 0 {
                break;
            }
        }
        Ok(nearest.map(|(_, location)| location))
    }

    /// The requested recipe if the file fits it, or else the one that fits best.
    fn select_recipe(
        &self,
        model: &ModelState,
        fitting: &mut Fitting<'_>,
    ) -> Result<BestFit, ImportError> {
        let path = || self.file.to_owned();
        let tensors = by_name(&model.tensors);
        let Some(name) = self.recipe else {
            return match fitting.best(&tensors)? {
                Ok(best) => Ok(best),
                Err(nearest) => {
                    let differences = nearest.as_ref().map(|fit| &fit.differences);
                    self.check_needed(model, differences)?;
                    Err(ImportError::NoRecipe {
                        path: path(),
                        nearest: nearest.map(|fit| Box::new((fit.recipe.name, fit.differences))),
                        names: model
                            .tensors
                            .iter()
                            .take(3)
                            .map(|t| t.name.clone())
                            .collect(),
                    })
                }
            };
        };
        let fit = fitting.with(&tensors, name)?;
        if fit.differences.count() == 0 {
            let others = Vec::new();
            return Ok(BestFit { fit, others });
        }
        self.check_needed(model, Some(&fit.differences))?;
        // Another recipe may fit without the changes.
        let better = |fit: Fit| Better {
            differences: fit.differences.count(),
            recipe: fit.recipe.name,
        };
        let best = Fitting::new(&[], self.device).best(&tensors)?;
        Err(ImportError::Unfit {
            path: path(),
            recipe: fit.recipe.name,
            differences: Box::new(fit.differences),
            better: match best {
                Ok(choice) => Some(better(choice.fit)),
                Err(nearest) => nearest.map(better),
            },
        })
    }

    /// Refuses a file with something unreadable in place of a tensor that the network needs.
    fn check_needed(
        &self,
        model: &ModelState,
        differences: Option<&Differences>,
    ) -> Result<(), ImportError> {
        let missing = differences.map_or(&[][..], |differences| &differences.missing);
        let stands_for = |skipped: &Skipped, name: &String| {
            let before = skipped.name.strip_suffix(name.as_str());
            before.is_some_and(|before| before.is_empty() || before.ends_with('.'))
        };
        let needed = model.skipped.iter().filter(|skipped| {
            skipped.reason != Reason::OutsideModel
                && missing.iter().any(|name| stands_for(skipped, name))
        });
        let needed: Vec<String> = needed.map(ToString::to_string).collect();
        if needed.is_empty() {
            return Ok(());
        }
        Err(ImportError::NoTensor {
            path: self.file.to_owned(),
            needed,
        })
    }

    fn check_finite(&self, tensors: &[Tensor]) -> Result<(), ImportError> {
        let not_finite = |tensor: &&Tensor| tensor.data.iter().any(|x| !x.is_finite());
        let names = tensors.iter().filter(not_finite);
        let names: Vec<String> = names.map(|tensor| tensor.name.clone()).collect();
        if names.is_empty() {
            return Ok(());
        }
        Err(ImportError::NotFinite {
            path: self.file.to_owned(),
            names,
        })
    }
}

/// Whether a skipped entry may be of interest to the user.
fn is_of_interest(skipped: &Skipped) -> bool {
    skipped.reason != Reason::Buffer && !skipped.name.ends_with("num_batches_tracked")
}

/// Writes the network into a new folder. On failure the folder is restored: absent, or empty if it existed.
fn fill(folder: &RunFolder, network: &Network, was_there: bool) -> Result<(), RunError> {
    let written = network.write(folder);
    if written.is_err() && std::fs::remove_dir_all(folder.path()).is_ok() && was_there {
        // A failure to clean up is less important than the failure itself.
        let _ = std::fs::create_dir(folder.path());
    }
    written
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_cannot_be_completed_is_restored() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../dnw-conformance/records/tiny_static_dnw/initial.safetensors");
        let changes = ["model.stem=8", "model.level=24", "model.outputs=16"].map(String::from);
        let device = Device::flex().autodiff();
        let tensors = dnw_checkpoint::read(&file).unwrap().model_state().unwrap();
        let fit = Fitting::new(&changes, &device)
            .with(&by_name(&tensors.tensors), "cifar10-tiny-static-dnw")
            .unwrap();
        let load = Load {
            path: &file,
            fit: &fit,
            tensors: tensors.tensors.clone(),
            command: String::new(),
            environment: Vec::new(),
        };
        let network = load.network(&device).unwrap();
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("run");
        for was_there in [false, true] {
            let folder = RunFolder::create(&path).unwrap();
            // This file, the last but one, then cannot be written.
            std::fs::remove_dir(path.join("frames")).unwrap();
            std::fs::write(path.join("frames"), "a file").unwrap();
            assert!(matches!(
                fill(&folder, &network, was_there),
                Err(RunError::Write { .. })
            ));
            assert_eq!(path.exists(), was_there);
        }
        assert_eq!(std::fs::read_dir(&path).unwrap().count(), 0);
        let folder = RunFolder::create(&path).unwrap();
        fill(&folder, &network, true).unwrap();
        assert_eq!(folder.read_facts().unwrap(), network.facts);
    }
}
