//! The tensors of a model, with its wirings.

use std::path::Path;

use burn::module::Module;
use burn::store::{
    ModuleAdapter, ModuleContext, ModuleSnapshot, ModuleStore, SafetensorsStore, bridge, burn_pack,
};
use burn::tensor::{BoolStore, DType};
use safetensors::{Dtype, SafeTensors};

use super::frame::read_bounded;
use super::{RunError, write_whole};
use crate::BURN_VERSION;

/// Writes a model's tensors as safetensors, under their paths in the model.
///
/// # Errors
/// [`RunError::Write`].
pub fn save_weights<M: Module>(model: &M, path: &Path) -> Result<(), RunError> {
    write_whole(path, &to_bytes(model, path)?)
}

/// The safetensors file of a model's tensors, by their paths in the model. `path` is the file's path, for error messages.
///
/// # Panics
/// Like Burn's tensors, if their device fails when they are read.
pub(crate) fn to_bytes<M: Module>(model: &M, path: &Path) -> Result<Vec<u8>, RunError> {
    // Burn writes three notes in varying order. With one note, the same tensors are the same bytes.
    let note = format!("burn {BURN_VERSION}");
    let mut store = SafetensorsStore::from_bytes(None)
        .clear_metadata()
        .metadata("producer", note)
        .with_to_adapter(PlainMasks);
    if let Err(error) = store.collect_from(model) {
        // The store turns a panic of a device into an error, which is not a damaged file. Panic again, for the caller's guard.
        panic!("{error}");
    }
    store
        .get_bytes()
        .map_err(|error| RunError::damaged(path, error))
}

/// Writes masks as one byte per entry, as the file format does, however a device stores them (CubeCL: 32 bits). So files do not depend on the
/// device.
#[derive(Clone)]
struct PlainMasks;

impl ModuleAdapter for PlainMasks {
    fn adapt(&self, tensor: burn_pack::Tensor, _: ModuleContext<'_>) -> burn_pack::Tensor {
        const PLAIN: DType = DType::Bool(BoolStore::Native);
        if !tensor.dtype.is_bool() || tensor.dtype == PLAIN {
            return tensor;
        }
        let (name, shape) = (tensor.name.clone(), tensor.shape.clone());
        bridge::map_data(tensor, name, PLAIN, shape, |data| data.convert_dtype(PLAIN))
    }

    fn clone_box(&self) -> Box<dyn ModuleAdapter> {
        Box::new(self.clone())
    }
}

/// Loads a file's tensors and wirings into a model of the same shape.
///
/// # Errors
/// [`RunError::Read`], or [`RunError::Damaged`] if the file is invalid, lacks a tensor, or has one of another shape.
pub fn load_weights<M: Module>(model: &mut M, path: &Path) -> Result<(), RunError> {
    let bytes = with_current_names(read_bounded(path)?);
    let own = to_bytes(model, path)?;
    if let Some(reason) = difference(&bytes, &own) {
        return Err(RunError::damaged(path, reason));
    }
    let mut store = SafetensorsStore::from_bytes(Some(bytes))
        .allow_partial(true)
        .validate(false);
    let result = model
        .load_from(&mut store)
        .map_err(|error| RunError::damaged(path, error))?;
    if let Some(error) = result.errors.first() {
        return Err(RunError::damaged(path, error));
    }
    Ok(())
}

/// The same tensors with their current names. Older files have `.wiring.law`.
fn with_current_names(bytes: Vec<u8>) -> Vec<u8> {
    const OLD: &str = ".wiring.law";
    const CURRENT: &str = ".wiring.threshold";
    // An invalid file is refused later, with a reason.
    let Ok(file) = SafeTensors::deserialize(&bytes) else {
        return bytes;
    };
    if !file.names().iter().any(|name| name.ends_with(OLD)) {
        return bytes;
    }
    let renamed = file.tensors().into_iter().map(|(name, tensor)| {
        let name = match name.strip_suffix(OLD) {
            Some(weight) => format!("{weight}{CURRENT}"),
            None => name,
        };
        (name, tensor)
    });
    let renamed = safetensors::serialize(renamed, None);
    renamed.unwrap_or(bytes)
}

/// Why a file's tensors do not fit the model's, if they do not. Checked with the format's own library before loading, so that Burn's loader
/// only sees tensors of the right types and shapes.
fn difference(file: &[u8], own: &[u8]) -> Option<String> {
    let read = |bytes| {
        SafeTensors::deserialize(bytes)
            .map_err(|error| format!("it is no safetensors file ({error})"))
    };
    let (file, own) = match (read(file), read(own)) {
        (Ok(file), Ok(own)) => (file, own),
        (Err(reason), _) | (_, Err(reason)) => return Some(reason),
    };
    let mut missing = Vec::new();
    for (name, wanted) in own.tensors() {
        let Ok(found) = file.tensor(&name) else {
            missing.push(format!("`{name}`"));
            continue;
        };
        if found.shape() != wanted.shape() {
            let (found, wanted) = (sides(found.shape()), sides(wanted.shape()));
            return Some(format!(
                "`{name}` has the shape {found}, the network of the recipe wants {wanted}"
            ));
        }
        if found.dtype() != wanted.dtype() {
            return Some(format!(
                "`{name}` holds numbers of the type {}, not {}",
                found.dtype(),
                wanted.dtype()
            ));
        }
        if found.dtype() == Dtype::BOOL && found.data().iter().any(|&byte| byte > 1) {
            return Some(format!("`{name}` holds something other than yes and no"));
        }
    }
    missing.sort();
    (!missing.is_empty()).then(|| format!("it lacks {}", missing.join(", ")))
}

fn sides(shape: &[usize]) -> String {
    shape
        .iter()
        .map(usize::to_string)
        .collect::<Vec<_>>()
        .join(" x ")
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use burn::nn::{Linear, LinearConfig};
    use dnw_core::{Budget, ParamGroup, Wire, Wired};
    use dnw_device::{DeviceName, open};

    use super::*;

    fn wired_on(device: &str) -> Wired<Linear> {
        let name: DeviceName = device.parse().expect(device);
        let device = open(&name).expect("it is here").device.autodiff();
        let wire = Wire::dnw(Budget::Density(0.3)).weights(ParamGroup::all());
        let layer = LinearConfig::new(7, 5).init(&device);
        wire.attach(layer).expect("the budget fits")
    }

    /// A file's bytes with one tensor renamed.
    fn renamed(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
        let file = SafeTensors::deserialize(bytes).expect("a safetensors file");
        let tensors = file.tensors().into_iter().map(|(name, tensor)| {
            let name = if name == from { to.to_owned() } else { name };
            (name, tensor)
        });
        safetensors::serialize(tensors, None).expect("tensors can be written")
    }

    #[test]
    fn a_file_with_the_old_name_of_the_threshold_is_loaded() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("old.safetensors");
        let (saved, mut loaded) = (wired_on("flex"), wired_on("flex"));
        let current = to_bytes(&saved, &path).expect("tensors can be written");
        let old = renamed(&current, "weight.wiring.threshold", "weight.wiring.law");
        assert_ne!(old, current, "the file has the old name");
        std::fs::write(&path, old).expect("a file can be written");
        assert_ne!(
            to_bytes(&loaded, &path).expect("tensors can be written"),
            current
        );
        load_weights(&mut loaded, &path).expect("an old file can be loaded");
        assert_eq!(
            to_bytes(&loaded, &path).expect("tensors can be written"),
            current
        );
    }

    #[cfg(feature = "wgpu")]
    #[test]
    fn a_file_is_the_same_bytes_from_every_device() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("made.safetensors");
        save_weights(&wired_on("wgpu:cpu"), &path).expect("it can be written");
        let made = std::fs::read(&path).expect("it can be read");
        for device in ["flex", "wgpu:cpu"] {
            let mut other = wired_on(device);
            let own = to_bytes(&other, &path).expect("they can be had");
            assert_ne!(
                own, made,
                "other weights are drawn, so loading proves something"
            );
            load_weights(&mut other, &path).expect(device);
            assert_eq!(to_bytes(&other, &path).expect("they can be had"), made);
        }
    }
}
