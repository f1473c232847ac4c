//! Networks from ONNX files, and to them.
//!
//! [`export`] writes a circuit. [`open`] reads a file, [`import`] bytes. The result is a [`Circuit`](dnw_circuit::Circuit): zeros in weights are no edges, batch is 1, and
//! shapes that the exporter computes from the image are folded. So a network that was pruned anywhere can be compiled:
//!
//! ```no_run
//! use dnw_compiler::{Passes, compile};
//! use dnw_runtime::{Model, Session, plan::Input};
//!
//! let imported = dnw_onnx::open("pruned.onnx".as_ref(), None)?;
//! let model = Model::new(compile(&imported.circuit, Input::default(), Passes::default()))?;
//! let image = vec![0.0; model.image_len()];
//! let mut logits = vec![0.0; model.output_len()];
//! Session::new(&model, 1).run(&image, &mut logits)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Files are not trusted: every size is bounded before it is allocated, and nothing outside the model's folder is read. What is not supported
//! is an [`ImportError`] that names the node. `docs/decisions/reading-onnx.md` says why the file format is read this way.

#![deny(missing_docs)]

mod constant;
mod description;
mod error;
mod export;
mod external;
mod import;
mod model;
mod node;
#[allow(missing_docs)]
mod proto;
#[cfg(test)]
mod tests;

use std::path::Path;

use dnw_circuit::Circuit;
use prost::bytes::Bytes;

pub use description::Description;
pub use error::ImportError;
pub use export::{ExportOptions, Exported, export};

/// Bytes of a model's own file, beyond which protobuf allows no message.
const MOST_BYTES: u64 = 1 << 31;

/// A network that was read.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The network, for one image.
    pub circuit: Circuit,
    /// Whether the file's images have their channels last, as those of Keras have. The circuit's have them first.
    pub channels_last: bool,
    /// What an image must look like, as far as the file says it.
    pub description: Description,
    /// The program that wrote the file.
    pub producer: String,
    /// The version of ONNX's operators.
    pub opset: i64,
    /// Whether the model's feature maps are quantised. In the circuit they are clipped to what its integers can express, and not rounded.
    pub quantised: bool,
    /// Outputs of the model besides the first, which are left out.
    pub other_outputs: Vec<String>,
}

/// Reads the model in a file, with external data from its folder. `image`, `[channels, height, width]`, is for models that leave the size of
/// images open, and for those that read the pixels of an image as a vector.
///
/// A signal `[channels, length]` becomes an image of height 1, a vector one of a pixel.
///
/// # Errors
/// [`ImportError`] if the file cannot be read, is no valid model, or has something that is not supported.
pub fn open(path: &Path, image: Option<[usize; 3]>) -> Result<Imported, ImportError> {
    let io = |error| ImportError::Io {
        path: path.to_owned(),
        error,
    };
    let found = std::fs::metadata(path).map_err(io)?.len();
    if found > MOST_BYTES {
        return Err(ImportError::Limit {
            what: "bytes of the file".to_owned(),
            found,
            limit: MOST_BYTES,
        });
    }
    let bytes = std::fs::read(path).map_err(io)?;
    // The folder of a path without one is the current one.
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    import(bytes, Some(folder.unwrap_or(Path::new("."))), image)
}

/// Reads a model from bytes. External data is read from `folder`, and refused without one.
///
/// # Errors
/// [`ImportError`] as for [`open`].
pub fn import(
    bytes: impl Into<Vec<u8>>,
    folder: Option<&Path>,
    image: Option<[usize; 3]>,
) -> Result<Imported, ImportError> {
    import::import(Bytes::from(bytes.into()), folder, image)
}
