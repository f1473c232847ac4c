//! All tensors of a model, with their wirings.

use std::path::Path;

use burn::module::Module;
use burn::store::{ModuleSnapshot, ModuleStore, SafetensorsStore};

use super::frame::read_bounded;
use super::{RunError, write_whole};

/// Writes a model's tensors as safetensors, under their paths in the model.
///
/// # Errors
/// [`RunError::Write`].
pub fn save_weights<M: Module>(model: &M, path: &Path) -> Result<(), RunError> {
    let mut store = SafetensorsStore::from_bytes(None);
    store.collect_from(model).map_err(|error| RunError::damaged(path, error))?;
    let bytes = store.get_bytes().map_err(|error| RunError::damaged(path, error))?;
    write_whole(path, &bytes)
}

/// Puts a file's tensors, wirings among them, into a model of the same shape.
///
/// # Errors
/// [`RunError::Read`], or [`RunError::Damaged`] if the file is none, or lacks a tensor, or one has another shape.
pub fn load_weights<M: Module>(model: &mut M, path: &Path) -> Result<(), RunError> {
    let bytes = read_bounded(path)?;
    // Checked first by the format's own library, whose errors are typed for every way in which a file can be wrong.
    safetensors::SafeTensors::deserialize(&bytes).map_err(|error| RunError::damaged(path, error))?;
    let mut store = SafetensorsStore::from_bytes(Some(bytes)).allow_partial(true).validate(false);
    let result = model.load_from(&mut store).map_err(|error| RunError::damaged(path, error))?;
    if let Some(error) = result.errors.first() {
        return Err(RunError::damaged(path, error));
    }
    let missing: Vec<&str> = result.missing.iter().map(|(name, _)| name.as_str()).collect();
    if !missing.is_empty() {
        return Err(RunError::damaged(path, format!("it lacks {}", missing.join(", "))));
    }
    Ok(())
}
