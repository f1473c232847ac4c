//! A published file as a run.
//!
//! A `.pt` or safetensors file holds weights under the names of the program that trained them. [`Import`] reads it without running
//! anything in it, finds the model among what is in it and the recipe whose network that is, takes the real edges from the file's masks
//! or zeros (or selects them as the recipe's rule does at the end of a run), and writes a run folder that everything else in this crate
//! works on. The folder is whole or absent.

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

/// What is to be imported, as what.
#[derive(Clone, Debug)]
pub struct Import<'a> {
    /// The file.
    pub file: &'a Path,
    /// The recipe; without a name, the one whose network the file holds.
    pub recipe: Option<&'a str>,
    /// Changes to it, `key=value`.
    pub changes: &'a [String],
    /// The run folder, which must not exist or be empty; without one, the next free `runs/RECIPE-N`.
    pub out: Option<&'a Path>,
    /// The command line that makes the run again.
    pub command: String,
    /// Program, libraries, device: label and value.
    pub environment: Vec<(String, String)>,
    /// Where tensors live, with autodiff.
    pub device: &'a Device,
}

/// What was imported.
#[derive(Clone, Debug)]
pub struct Imported {
    /// Its run folder.
    pub folder: RunFolder,
    /// What is said there.
    pub facts: Facts,
    /// As what it was imported.
    pub recipe: Recipe,
    /// Recipes that fit as well, where none was asked for: what they differ in, such as the budget, is not in the file.
    pub others: Vec<String>,
    /// What of the file was not used, counters of norms and the like aside.
    pub skipped: Vec<Skipped>,
    /// What decided which edges are real.
    pub wiring: WiringSource,
    /// The weights that a parametrization masks in the program that saved them, whose mask is not in the file.
    pub unmasked: Vec<String>,
}

impl Import<'_> {
    /// Imports the file.
    ///
    /// # Errors
    /// [`ImportError`] if the file is none, is damaged, or holds another network; nothing is written then.
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

    /// Where in the file the network of the recipe, or of any, is: the first of the locations that are nearest to one.
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

    /// The recipe that was asked for, if the file fits it, or else the one that it fits best.
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
        // Another recipe may fit as it comes, whatever was changed in this one.
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

    /// Refuses a file in which something that is not read stands in the place of a tensor that the network needs.
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

/// Whether someone may have wanted what was passed over.
fn is_of_interest(skipped: &Skipped) -> bool {
    skipped.reason != Reason::Buffer && !skipped.name.ends_with("num_batches_tracked")
}

/// Writes the network into a new folder. If that cannot be finished, the folder is as it was before: absent, or empty if it was there.
fn fill(folder: &RunFolder, network: &Network, was_there: bool) -> Result<(), RunError> {
    let written = network.write(folder);
    if written.is_err() && std::fs::remove_dir_all(folder.path()).is_ok() && was_there {
        // What cannot be made again is not worth more words than the failure itself.
        let _ = std::fs::create_dir(folder.path());
    }
    written
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_cannot_be_completed_is_as_it_was_before() {
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
            // What comes last but one can then not be written.
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
