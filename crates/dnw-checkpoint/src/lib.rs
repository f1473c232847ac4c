//! Reads published checkpoints, `.pt` and safetensors files, and writes safetensors files.
//!
//! A `.pt` file contains a *pickle*, a program that PyTorch executes to rebuild the saved objects; a malicious one can execute
//! anything. This crate executes nothing. A small stack machine reads the pickle. It understands dictionaries, lists, numbers and tensors.
//! Objects of any other class are opaque: they are listed with the name of the class, and nothing of them is imported, called or kept.
//! Sizes in a file are checked against the file's length before any allocation, so a file of 1 KB that claims 200 GB fails at once.
//!
//! | format | recognized by | notes |
//! | --- | --- | --- |
//! | zip archive, `torch.save` since PyTorch 1.6 | `PK` | stored or deflated entries, checksums verified |
//! | stream of pickles, `torch.save` of PyTorch 0.1.10 to 1.5 | a pickle of PyTorch's magic number | the published DNW files |
//! | safetensors | a JSON header | |
//!
//! ```no_run
//! # fn main() -> Result<(), dnw_checkpoint::CheckpointError> {
//! let model = dnw_checkpoint::read("mobilenet_v1.pt".as_ref())?.model_state()?;
//! for tensor in &model.tensors {
//!     println!("{} {:?}", tensor.name, tensor.shape);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Why not an existing reader
//!
//! `pytorch-reader`, the reader of Burn's `PytorchStore`, executes nothing either. But it loses the order of the tensors, and has constant
//! limits (10 GiB per tensor) that are independent of the file's length.
//! Candle's reader allocates lengths without checking them and does not read files from before PyTorch 1.6. Zip archives are opened
//! with `rawzip`, which does not allocate; `zip` allocates its table of entries by the count in the file.
#![deny(missing_docs)]

mod checkpoint;
mod element;
mod error;
mod kind;
mod limits;
mod masked;
mod model_state;
mod pickle;
mod pickled_data;
mod safetensors;
mod torch;

use std::fs::File;
use std::io::Read;
use std::path::Path;

pub use checkpoint::{Checkpoint, Reason, Section, Skipped, Tensor};
pub use element::ElementType;
pub use error::{CheckpointError, quoted};
pub use model_state::{ModelLocation, ModelState};
pub use pickled_data::{PickledValue, read_pickled_data};
pub use safetensors::write_safetensors;

/// Reads a checkpoint file of any supported format.
///
/// # Errors
/// [`CheckpointError::Read`] if the file cannot be read; otherwise those of [`parse`].
pub fn read(path: &Path) -> Result<Checkpoint, CheckpointError> {
    let unreadable = |source| CheckpointError::Read {
        path: path.to_owned(),
        source,
    };
    if path.is_dir() {
        return Err(kind::of_folder(path));
    }
    let file = File::open(path).map_err(unreadable)?;
    let length = file.metadata().map_err(unreadable)?.len();
    limits::check("bytes in the file", length, limits::FILE_BYTES)?;
    let mut bytes = Vec::new();
    // The file's length is reserved; a pipe has no length and is limited while reading.
    if bytes.try_reserve_exact(length as usize).is_err() {
        return Err(CheckpointError::Memory { bytes: length });
    }
    file.take(limits::FILE_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    limits::check("bytes in the file", bytes.len() as u64, limits::FILE_BYTES)?;
    parse(&bytes)
}

/// Reads the bytes of a checkpoint file of any supported format.
///
/// # Errors
/// [`CheckpointError::OtherFormat`] if the file is of another kind that is known, [`CheckpointError::UnknownFormat`] if of none;
/// [`CheckpointError::Forbidden`] if a pickle has instructions that checkpoints do not need; other variants for damaged files and for
/// sizes that exceed the file.
pub fn parse(bytes: &[u8]) -> Result<Checkpoint, CheckpointError> {
    if bytes.starts_with(b"PK\x03\x04") {
        torch::read_archive(bytes)
    } else if safetensors::recognizes(bytes) {
        safetensors::read(bytes)
    } else if bytes.first() == Some(&pickle::PROTO) {
        torch::read_legacy(bytes)
    } else {
        Err(kind::of_bytes(bytes))
    }
}
