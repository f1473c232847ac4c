//! How much a file may ask for.
//!
//! Two kinds: plain ceilings, far above any published checkpoint, and ceilings in proportion to the bytes that the file
//! holds, so that what is allocated stays within a small multiple of the file. Each is checked before the memory is asked for.

use crate::CheckpointError;

/// Bytes of a file: a ResNet-50 with its optimizer's state has 200 MB.
pub const FILE_BYTES: u64 = 4 << 30;
/// Bytes of the pickle that lists the tensors: a ResNet-50's has 50 KB.
pub const PICKLE_BYTES: u64 = 64 << 20;
/// Values that a pickle may create: a tensor takes about 20.
pub const VALUES: usize = 1_000_000;
/// Values on the pickle's stack; picklers add to a container after each thousand.
pub const STACK: usize = 1 << 16;
/// Bytes of a module's or class's name in a pickle.
pub const GLOBAL_BYTES: usize = 256;
/// Dictionaries, lists and tuples within one another. A container that holds itself is found by this.
pub const NESTING: usize = 32;
/// Tensors of a checkpoint.
pub const TENSORS: usize = 100_000;
/// Axes of a tensor.
pub const RANK: usize = 8;
/// Bytes of a tensor's name with the dictionaries that it lies in.
pub const NAME_BYTES: usize = 1024;
/// Entries of a zip archive.
pub const ARCHIVE_ENTRIES: usize = 100_000;

/// Bytes of all names together. A pickle may mention one long key many times in two bytes each; real files repeat
/// only the few names of an optimizer's settings.
pub fn total_name_bytes(pickle_bytes: usize) -> usize {
    (1 << 20) + 16 * pickle_bytes
}

/// Containers and entries visited while tensors are listed. A pickle may mention a container many times in two bytes
/// each, and those that hold it as well; real files share little besides tensors.
pub fn visits(values: usize) -> usize {
    1024 + 4 * values
}

/// Elements of all tensors together. A tensor may repeat its storage's elements (strides of zero) and several may share
/// one storage; as many elements as the storages have bytes leave room for each 32-bit storage to be used four times.
pub fn total_elements(storage_bytes: u64) -> u64 {
    (1 << 20) + storage_bytes
}

/// Bytes that the deflated entries of an archive may inflate to. Trained weights hardly compress.
pub fn inflated_bytes(file_bytes: usize) -> u64 {
    (1 << 20) + 16 * file_bytes as u64
}

/// Refuses `found` of something if it is more than `limit`.
pub fn check(what: &'static str, found: u64, limit: u64) -> Result<(), CheckpointError> {
    if found <= limit {
        return Ok(());
    }
    Err(CheckpointError::Limit { what, found, limit })
}
