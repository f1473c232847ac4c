//! The formats.

use crate::format::Format;

mod checkpoints;
mod data_sets;
mod first_message;
mod models;
mod pictures;
#[cfg(feature = "train")]
mod recipes;
#[cfg(feature = "train")]
mod runs;

pub use first_message::{start_server, stop_server};

/// All formats of files.
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

/// The format of this name. One is no file: `first-message` is sent to a server, for which [`start_server`] must have been called.
pub fn named(name: &str) -> Option<Format> {
    let mut formats = all().into_iter().chain([first_message::FIRST_MESSAGE]);
    formats.find(|format| format.name == name)
}
