//! The formats.

use crate::format::Format;

mod checkpoints;
mod data_sets;
mod models;
mod pictures;
#[cfg(feature = "train")]
mod recipes;
#[cfg(feature = "train")]
mod runs;

/// All formats.
pub fn all() -> Vec<Format> {
    let all = [
        checkpoints::PT,
        checkpoints::SAFETENSORS,
        data_sets::IDX,
        data_sets::CIFAR_BINARY,
        data_sets::CIFAR_PYTHON,
        data_sets::CIFAR_ARCHIVE,
        pictures::JPEG,
        pictures::PNG,
        models::COMPILED,
        models::ONNX,
        #[cfg(feature = "train")]
        recipes::RECIPE,
        #[cfg(feature = "train")]
        recipes::BUDGETS,
        #[cfg(feature = "train")]
        runs::RUN,
        #[cfg(feature = "train")]
        runs::CHECKPOINT,
    ];
    all.to_vec()
}

/// The format of this name.
pub fn named(name: &str) -> Option<Format> {
    all().into_iter().find(|format| format.name == name)
}
