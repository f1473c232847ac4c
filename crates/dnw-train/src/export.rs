//! A run's network as a file for other programs.
//!
//! Other programs use every weight that they read. So a file for them has zeros in place of hallucinated edges, or a mask for each weight in the
//! form of `torch.nn.utils.prune`. Names and layouts are those of the published programs: linear weights are `[outputs, inputs]`. Two other forms
//! can be written too: the weights of all possible edges, as the published programs save them, and the run's own file. Importing those restores
//! the network to the bit.

use std::collections::BTreeMap;

use burn::module::ModuleDisplay;
use burn::tensor::{Device, TensorData};
use dnw_checkpoint::{CheckpointError, Tensor, write_safetensors};
use dnw_core::{Clock, Forward, Wired, Wiring, WiringError};
use dnw_models::{Classifier, ModelError, Published, PublishedError, UseModel};

use crate::masks::{Masks, UPDATES};
use crate::recipe::{Recipe, RecipeError};
use crate::run::{RunError, RunFolder, load_weights, read_bounded};

/// The form of an exported file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Form {
    /// Published names; effective weights, with zeros for hallucinated edges.
    Zeros,
    /// Published names; `X_orig` and `X_mask` for each sparse weight `X`. Their product is the effective weight.
    Masks,
    /// Published names; the weights of all possible edges, and a mask if the wiring does not follow from them.
    Raw,
    /// The run's own names and layout (Burn's), with the wirings as booleans.
    Burn,
}

impl Form {
    /// The note in the file.
    fn note(self) -> &'static str {
        match self {
            Self::Zeros => "zeros: weights as the forward pass uses them",
            Self::Masks => "masks: weight = weight_orig * weight_mask",
            Self::Raw => {
                "raw: stored weights of all possible edges, of which only the real ones take part in the forward pass"
            }
            Self::Burn => "the run's own",
        }
    }
}

/// Why a run cannot be exported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The run cannot be read.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The rule has thresholds, which published files cannot hold.
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
    /// A wiring needs a mask, and its tensor has no published name for one.
    #[error("published files have no place for the wiring of `{tensor}`")]
    NoMask {
        /// The tensor's path.
        tensor: String,
    },
    /// A tensor cannot be read.
    #[error(transparent)]
    Published(#[from] PublishedError),
    /// The file cannot be created.
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
            _ => "without `--raw`, zeros are written in; `--layout burn` keeps everything, under the run's own names".into(),
        }
    }
}

/// The bytes of a safetensors file with the weights `which` (`best` or `last`) of a run.
///
/// # Errors
/// [`ExportError`] if the run cannot be read, or the form cannot hold its tensors.
pub fn export(
    folder: &RunFolder,
    which: &str,
    form: Form,
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
        form,
        classes,
    };
    let built: Result<_, ModelError> = recipe.model.build(facts.image, classes, device, export);
    // The run was made with this recipe. If its network cannot be created, the recipe has been damaged.
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
    form: Form,
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
        if self.form == Form::Burn {
            return Ok(read_bounded(&path)?);
        }
        let published = Published::of(&self.recipe.model);
        let tensors = match self.form {
            Form::Raw => {
                let mut tensors = published.save(&*wired)?;
                let wirings = self.wirings_to_say(&published, &wired)?;
                tensors.extend(published.masks(&*wired, &wirings));
                tensors
            }
            Form::Masks => masked(&published, &wired)?,
            _ => published.save(&final_model(&wired))?,
        };
        let tensors: Vec<Tensor> = tensors.into_iter().map(tensor).collect();
        Ok(write_safetensors(&tensors, &self.notes(&wired))?)
    }
}

/// The model with the effective weights of evaluation.
fn final_model<M: Classifier>(wired: &Wired<M>) -> M {
    wired.clone().into_model().materialize()
}

/// The tensors, with each sparse weight as `X_orig` and `X_mask`.
fn masked<M: Classifier>(
    published: &Published,
    wired: &Wired<M>,
) -> Result<Vec<(String, TensorData)>, Failure> {
    let sparse = wired
        .tensors()
        .into_iter()
        .filter(|tensor| tensor.active() != Wiring::full(tensor.wiring.entries()));
    let wirings: BTreeMap<String, Wiring> = sparse.map(|t| (t.name.clone(), t.active())).collect();
    let places = published.places(&**wired);
    let mut masks = BTreeMap::new();
    for (path, wiring) in &wirings {
        let one = BTreeMap::from([(path.clone(), wiring.clone())]);
        let place = places.iter().find(|place| place.path == *path);
        let mask = published.masks(&**wired, &one).pop();
        let (Some(place), Some((_, mask))) = (place, mask) else {
            let tensor = path.clone();
            return Err(ExportError::NoMask { tensor }.into());
        };
        masks.insert(place.name.clone(), mask);
    }
    // Real edges have their effective weight, which a threshold may have reduced, the others the stored weight.
    let stored: BTreeMap<String, TensorData> = published.save(&**wired)?.into_iter().collect();
    let mut tensors = Vec::new();
    for (name, data) in published.save(&final_model(wired))? {
        let Some(mask) = masks.remove(&name) else {
            tensors.push((name, data));
            continue;
        };
        let values = data.iter::<f32>().zip(stored[&name].iter::<f32>());
        let values = values.zip(mask.iter::<f32>());
        let original: Vec<f32> = values
            .map(|((used, stored), real)| if real == 1.0 { used } else { stored })
            .collect();
        let shape = data.shape().clone();
        let mask: Vec<f32> = mask.iter().collect();
        tensors.push((
            format!("{name}_orig"),
            TensorData::new(original, shape.clone()),
        ));
        tensors.push((format!("{name}_mask"), TensorData::new(mask, shape)));
    }
    Ok(tensors)
}

impl Export<'_> {
    /// The file's notes.
    fn notes<M: Classifier>(&self, wired: &Wired<M>) -> Vec<(&'static str, String)> {
        let tensors = wired.tensors();
        let real: usize = tensors.iter().map(|tensor| tensor.active().count()).sum();
        let possible: usize = tensors.iter().map(|tensor| tensor.legal.count()).sum();
        let wiring = &self.recipe.wiring;
        let budget = wiring.budget().map(|budget| budget.to_string());
        vec![
            ("dnw.version", env!("CARGO_PKG_VERSION").into()),
            ("dnw.form", self.form.note().into()),
            ("dnw.recipe", self.recipe.name.clone()),
            ("dnw.rule", wiring.rule.clone()),
            ("dnw.budget", budget.unwrap_or_default()),
            ("dnw.edges", format!("{real} real of {possible} possible")),
        ]
    }

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

    /// The wirings that the rule selects from these weights after the last update.
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
