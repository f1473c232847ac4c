//! The model's tensors among those of a training checkpoint.
//!
//! Published files wrap the model's dictionary under `state_dict` (some programs under `model`), beside the epoch and the
//! optimizer; training on several devices puts `module.` before each name; buffers that carry nothing learned come along.

use crate::checkpoint::{join, refuse_duplicates};
use crate::{Checkpoint, CheckpointError, Reason, Skipped, Tensor};

/// Where the model's dictionary lies: the first of these paths that holds tensors.
const WRAPPERS: [&str; 3] = ["state_dict", "model", ""];

/// What `DataParallel` puts before each name.
const PREFIX: &str = "module.";

/// Buffers without anything learned, by the last part of the name: a tensor of zeros that the published tiny networks
/// keep at hand, the count of batches that norms keep.
const BUFFERS: [&str; 2] = ["zeros", "num_batches_tracked"];

/// A model's tensors under the names that its own program gives them.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelState {
    /// The tensors, in the file's order, no two of one name.
    pub tensors: Vec<Tensor>,
    /// What the file holds besides, under the names in the file.
    pub skipped: Vec<Skipped>,
}

impl Checkpoint {
    /// The model's tensors: those directly under `state_dict`, or else under `model`, or else at the top.
    ///
    /// A prefix `module.` that all names share is taken off; `zeros` and `num_batches_tracked` are left out.
    ///
    /// # Errors
    /// [`CheckpointError::NoModel`] if none of the three places holds tensors.
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
