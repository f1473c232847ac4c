//! A file's tensors as the network of a run, and its run folder.

use std::collections::HashMap;

use burn::module::ModuleDisplay;
use burn::tensor::{Device, TensorData};
use dnw_checkpoint::Tensor;
use dnw_core::{Forward, WiredTensor};
use dnw_models::{Classifier, Place, Published, UseModel};

use super::ImportError;
use super::fit::Fit;
use super::wiring_source::{WiringSource, set_wirings};
use crate::masks::{UPDATES, is_wired};
use crate::recipe::Recipe;
use crate::run::frame::Frame;
use crate::run::history::HistoryWriter;
use crate::run::{
    DrawingFile, Facts, MetricsWriter, RunError, RunFolder, Status, to_bytes, write_whole,
};

/// The content of the run folder, complete before the folder is created.
pub(super) struct Network {
    recipe: Recipe,
    pub(super) facts: Facts,
    pub(super) source: WiringSource,
    tensors: Vec<WiredTensor>,
    weights: Vec<u8>,
    frame: Frame,
    drawing: Option<DrawingFile>,
}

/// What a network is loaded from.
pub(super) struct Load<'a> {
    pub(super) path: &'a std::path::Path,
    pub(super) fit: &'a Fit,
    pub(super) tensors: Vec<Tensor>,
    pub(super) command: String,
    pub(super) environment: Vec<(String, String)>,
}

impl Load<'_> {
    /// Loads the network, as a model on this device.
    pub(super) fn network(self, device: &Device) -> Result<Network, ImportError> {
        let fit = self.fit;
        let classes = fit.classes.len();
        fit.recipe.model.build(fit.image, classes, device, self)?
    }
}

impl UseModel for Load<'_> {
    type Output = Result<Network, ImportError>;

    fn with<M: Classifier + ModuleDisplay + 'static>(self, mut model: M) -> Self::Output {
        let recipe = &self.fit.recipe;
        let published = Published::of(&recipe.model);
        let tensors = without_idle_masks(self.tensors, &published.places(&model), recipe);
        let tensors = tensors.into_iter();
        let tensors = tensors.map(|t| (t.name, TensorData::new(t.data, t.shape)));
        let loaded = published.load(&mut model, tensors);
        let masks = loaded.map_err(|source| ImportError::Published {
            path: self.path.to_owned(),
            source,
        })?;
        let wire = recipe.wire(UPDATES, self.fit.classes.len())?;
        let mut wired = wire.attach(model)?;
        if matches!(wired.rule().forward, Forward::LearnedThreshold { .. }) {
            let rule = wired.rule().name.clone();
            return Err(ImportError::Threshold { rule });
        }
        let source = set_wirings(&mut wired, masks)?;

        let tensors = wired.tensors();
        let facts = Facts {
            command: self.command,
            environment: self.environment,
            classes: self.fit.classes.clone(),
            image: self.fit.image,
            status: Status::Imported,
            ..Facts::of(&wired)
        };
        let mut frame = Frame::default();
        tensors.iter().for_each(|tensor| frame.put_weights(tensor));
        Ok(Network {
            recipe: recipe.clone(),
            facts,
            source,
            tensors,
            weights: to_bytes(&*wired, self.path)?,
            frame,
            drawing: wired.drawing().map(DrawingFile::from),
        })
    }
}

/// The tensors, without the masks of weights that the recipe does not wire: their zeros are written into the weights.
fn without_idle_masks(tensors: Vec<Tensor>, places: &[Place], recipe: &Recipe) -> Vec<Tensor> {
    let idle = places
        .iter()
        .filter(|place| !is_wired(&recipe.wiring, place));
    let idle = idle.filter_map(|place| Some((place.mask_name()?, place.name.as_str())));
    let idle: HashMap<String, &str> = idle.collect();
    let (masks, mut kept): (Vec<Tensor>, Vec<Tensor>) = tensors
        .into_iter()
        .partition(|tensor| idle.contains_key(&tensor.name));
    for mask in masks {
        let weight = kept.iter_mut().find(|t| t.name == idle[&mask.name]);
        if let Some(weight) = weight {
            let pairs = weight.data.iter_mut().zip(&mask.data);
            pairs.for_each(|(weight, mask)| *weight *= mask);
        }
    }
    kept
}

impl Network {
    /// Writes everything into an empty folder.
    pub(super) fn write(&self, folder: &RunFolder) -> Result<(), RunError> {
        folder.write_recipe(&self.recipe)?;
        write_whole(&folder.weights("last"), &self.weights)?;
        for tensor in &self.tensors {
            let path = folder.history(&tensor.name);
            HistoryWriter::create(path, tensor.shape.clone(), &tensor.wiring, &tensor.legal)?;
        }
        MetricsWriter::create(folder.metrics())?;
        self.frame.write(&folder.frame(0))?;
        if let Some(drawing) = &self.drawing {
            folder.write_drawing(drawing)?;
        }
        // Last, because a folder with facts is a run.
        folder.write_facts(&self.facts)
    }
}
