//! Published checkpoints: `.pt` files and safetensors files in, safetensors files out.
//!
//! A `.pt` file is a *pickle*, a program that PyTorch runs to rebuild what was saved, and a hostile one runs
//! anything. Here no program is run. A pickle is read by a small stack machine that knows the few instructions and the few
//! names which tensors in dictionaries need; whatever else a file asks for is refused by name and byte offset. Sizes that a file
//! claims are checked against the file before anything is allocated, so a file of 1 KB that promises 200 GB
//! fails at once.
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
//! # Why a reader of its own
//!
//! `pytorch-reader`, the reader behind Burn's `PytorchStore`, executes nothing either. It keeps objects of unknown classes as
//! opaque values, where a checkpoint from a stranger is better refused; it forgets the order of the tensors; and its
//! limits are constants (10 GiB a tensor), which the file does not have to back. Candle's reader allocates what a length
//! claims and knows no files from before PyTorch 1.6. Zip archives are opened with `rawzip`, which allocates nothing by
//! itself; `zip` reserves its table of entries by the number that the file claims.
#![deny(missing_docs)]

mod checkpoint;
mod element;
mod error;
mod limits;
mod model_state;
mod pickle;
mod safetensors;
mod torch;

use std::fs::File;
use std::io::Read;
use std::path::Path;

pub use checkpoint::{Checkpoint, Reason, Section, Skipped, Tensor};
pub use element::ElementType;
pub use error::{CheckpointError, quoted};
pub use model_state::ModelState;
pub use safetensors::write_safetensors;

/// Reads a checkpoint file, whatever its format.
///
/// # Errors
/// [`CheckpointError::Read`] if the file cannot be read; otherwise those of [`parse`].
pub fn read(path: &Path) -> Result<Checkpoint, CheckpointError> {
    let unreadable = |source| CheckpointError::Read {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(unreadable)?;
    let length = file.metadata().map_err(unreadable)?.len();
    limits::check("bytes in the file", length, limits::FILE_BYTES)?;
    let mut bytes = Vec::new();
    // The length is reserved only if it is there; a pipe has none and is cut off at the limit.
    if bytes.try_reserve_exact(length as usize).is_err() {
        return Err(CheckpointError::Memory { bytes: length });
    }
    file.take(limits::FILE_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    limits::check("bytes in the file", bytes.len() as u64, limits::FILE_BYTES)?;
    parse(&bytes)
}

/// Reads the bytes of a checkpoint file, whatever its format.
///
/// # Errors
/// [`CheckpointError::Forbidden`] if a pickle asks for anything but tensors and plain values; the other
/// variants for damage and for sizes that the bytes do not back.
pub fn parse(bytes: &[u8]) -> Result<Checkpoint, CheckpointError> {
    if bytes.starts_with(b"PK\x03\x04") {
        torch::read_archive(bytes)
    } else if safetensors::recognizes(bytes) {
        safetensors::read(bytes)
    } else if bytes.first() == Some(&pickle::PROTO) {
        torch::read_legacy(bytes)
    } else {
        Err(CheckpointError::UnknownFormat)
    }
}
