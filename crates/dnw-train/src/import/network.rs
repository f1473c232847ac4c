//! A file's tensors as the network of a run, and the run folder that holds it.

use burn::module::ModuleDisplay;
use burn::tensor::{Device, TensorData};
use dnw_checkpoint::Tensor;
use dnw_core::{Clock, Forward, WiredTensor};
use dnw_models::{Classifier, Published, UseModel};

use super::ImportError;
use super::fit::Fit;
use crate::masks::UPDATES;
use crate::recipe::Recipe;
use crate::run::frame::Frame;
use crate::run::history::HistoryWriter;
use crate::run::{
    DrawingFile, Facts, MetricsWriter, RunError, RunFolder, Status, to_bytes, write_whole,
};

/// Everything that goes into the folder, made before the folder is.
pub(super) struct Network {
    recipe: Recipe,
    pub(super) facts: Facts,
    tensors: Vec<WiredTensor>,
    weights: Vec<u8>,
    frame: Frame,
    drawing: Option<DrawingFile>,
}

/// What the network is made of.
pub(super) struct Load<'a> {
    pub(super) path: &'a std::path::Path,
    pub(super) fit: &'a Fit,
    pub(super) tensors: Vec<Tensor>,
    pub(super) command: String,
    pub(super) environment: Vec<(String, String)>,
}

impl Load<'_> {
    /// Makes the network, by way of its model on this device.
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
        let tensors = self.tensors.into_iter();
        let tensors = tensors.map(|t| (t.name, TensorData::new(t.data, t.shape)));
        let loaded = Published::of(&recipe.model).load(&mut model, tensors);
        let fixed = loaded.map_err(|source| ImportError::Published {
            path: self.path.to_owned(),
            source,
        })?;
        let wire = recipe.wire(UPDATES, self.fit.classes.len())?;
        let mut wired = wire.attach(model)?;
        if matches!(wired.rule().forward, Forward::LearnedThreshold { .. }) {
            let rule = wired.rule().name.clone();
            return Err(ImportError::Threshold { rule });
        }
        if fixed.is_empty() {
            // A finished network's wiring is the one that the rule chooses after the last update.
            wired.set_clock(Clock {
                update: UPDATES - 1,
                total: UPDATES,
            });
            wired.rewire()?;
        } else {
            wired.set_wirings(&fixed)?;
        }

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
            tensors,
            weights: to_bytes(&*wired, self.path)?,
            frame,
            drawing: wired.drawing().map(DrawingFile::from),
        })
    }
}

impl Network {
    /// Writes everything into a folder that is there and empty.
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
