//! Limits on the content of files.
//!
//! There are two kinds: constant limits, far above any published checkpoint, and limits proportional to the file's length, so that
//! allocations are at most a small multiple of it. Each limit is checked before the allocation.

use crate::CheckpointError;

/// Bytes of a file: a ResNet-50 with its optimizer's state has 200 MB.
pub const FILE_BYTES: u64 = 4 << 30;
/// Bytes of the pickle that lists the tensors: that of a ResNet-50 has 50 KB.
pub const PICKLE_BYTES: u64 = 64 << 20;
/// Values of a pickle: a tensor needs about 20.
pub const VALUES: usize = 1_000_000;
/// Values on the pickle's stack; picklers add to a container after each thousand.
pub const STACK: usize = 1 << 16;
/// Bytes of a module's or class's name in a pickle.
pub const GLOBAL_BYTES: usize = 256;
/// Nesting of dictionaries, lists and tuples. This limit also detects a container that contains itself.
pub const NESTING: usize = 32;
/// Tensors of a checkpoint.
pub const TENSORS: usize = 100_000;
/// Dimensions of a tensor.
pub const RANK: usize = 8;
/// Bytes of a tensor's full path.
pub const NAME_BYTES: usize = 1024;
/// Entries of a zip archive.
pub const ARCHIVE_ENTRIES: usize = 100_000;

/// Bytes of all names together. A pickle can refer to one long key many times with two bytes each; real files only repeat
/// the names of an optimizer's settings.
pub fn total_name_bytes(pickle_bytes: usize) -> usize {
    (1 << 20) + 16 * pickle_bytes
}

/// Containers and entries visited while tensors are listed. A pickle can refer to a container many times with two bytes each,
/// also in nested containers; real files share little except tensors.
pub fn visits(values: usize) -> usize {
    1024 + 4 * values
}

/// Elements of all tensors together. A tensor can repeat elements of its storage (strides of zero), and several tensors can
/// share a storage. One element per byte of storage allows each 32-bit storage to be used four times.
pub fn total_elements(storage_bytes: u64) -> u64 {
    (1 << 20) + storage_bytes
}

/// Elements of a dense tensor that is filled from this many entries of a sparse one. At 0.1 % density a tensor has 1000 elements per entry.
pub fn sparse_elements(entries: usize) -> u64 {
    (1 << 20) + 1024 * entries as u64
}

/// Elements of all tensors that are filled from sparse ones: 1 GiB of 32-bit floats.
pub const DENSE_ELEMENTS: u64 = 1 << 28;

/// Inflated bytes of the deflated entries of an archive. Trained weights hardly compress.
pub fn inflated_bytes(file_bytes: usize) -> u64 {
    (1 << 20) + 16 * file_bytes as u64
}

/// Returns an error if `found` exceeds `limit`.
pub fn check(what: &'static str, found: u64, limit: u64) -> Result<(), CheckpointError> {
    if found <= limit {
        return Ok(());
    }
    Err(CheckpointError::Limit { what, found, limit })
}
