//! The model's tensors among those of a training checkpoint.
//!
//! Published files have the model's dictionary under `state_dict` (some programs under `model`), next to the epoch and the
//! optimizer. Training on several devices prefixes each name with `module.`. Buffers without learned values are included.

use crate::checkpoint::{join, refuse_duplicates};
use crate::{Checkpoint, CheckpointError, Reason, Skipped, Tensor};

/// The paths of the model's dictionary: the first one with tensors is used.
const WRAPPERS: [&str; 3] = ["state_dict", "model", ""];

/// The prefix of names from `DataParallel`.
const PREFIX: &str = "module.";

/// Buffers without learned values, by the last part of the name: a constant tensor of the published tiny networks, and the batch
/// counter of norms.
const BUFFERS: [&str; 2] = ["zeros", "num_batches_tracked"];

/// A model's tensors, with the names of its own program.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelState {
    /// The tensors, in the file's order, with distinct names.
    pub tensors: Vec<Tensor>,
    /// Everything else in the file, with the names of the file.
    pub skipped: Vec<Skipped>,
}

impl Checkpoint {
    /// The model's tensors: those directly in `state_dict`, otherwise in `model`, otherwise in the outermost dictionary.
    ///
    /// A prefix `module.` of all names is removed; `zeros` and `num_batches_tracked` are skipped.
    ///
    /// # Errors
    /// [`CheckpointError::NoModel`] if none of the three has tensors.
    pub fn model_state(self) -> Result<ModelState, CheckpointError> {
        let Self {
            mut sections,
            mut skipped,
        } = self;
        let place = WRAPPERS
            .iter()
            .find_map(|path| sections.iter().position(|section| section.path == *path));
        let Some(place) = place else {
            return Err(CheckpointError::NoModel {
                sections: sections.into_iter().map(|section| section.path).collect(),
            });
        };
        let model = sections.remove(place);

        let prefixed = model.tensors.iter().all(|t| t.name.starts_with(PREFIX));
        let mut tensors = Vec::with_capacity(model.tensors.len());
        for mut tensor in model.tensors {
            if is_buffer(&tensor.name) {
                skipped.push(Skipped {
                    name: join(&model.path, &tensor.name),
                    reason: Reason::Buffer,
                });
                continue;
            }
            if prefixed {
                tensor.name.drain(..PREFIX.len());
            }
            tensors.push(tensor);
        }
        refuse_duplicates("", tensors.iter().map(|tensor| tensor.name.as_str()))?;

        for section in &sections {
            skipped.extend(section.tensors.iter().map(|tensor| Skipped {
                name: join(&section.path, &tensor.name),
                reason: Reason::OutsideModel,
            }));
        }
        Ok(ModelState { tensors, skipped })
    }
}

fn is_buffer(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name);
    BUFFERS.contains(&last)
}
