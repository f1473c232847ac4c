//! The published binary files: records of a label byte and 32 x 32 red, green and blue bytes.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use dnw_checkpoint::CheckpointError;

/// The classes in the published order, which is also the alphabetical one.
pub const CLASSES: [&str; 10] = [
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
];
/// Height and width of every image.
pub const SIDES: [usize; 2] = [32, 32];
/// Images in a binary file.
pub const PER_FILE: usize = 10_000;
const PIXELS: usize = 3 * SIDES[0] * SIDES[1];
/// Bytes of an image with its label.
pub(crate) const RECORD: usize = 1 + PIXELS;
/// Bytes of a binary file.
const FILE: u64 = (PER_FILE * RECORD) as u64;

/// A way in which a binary file can be wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CifarError {
    /// The file does not consist of whole records.
    #[error("it has {found} bytes, which are no whole number of images of {record} bytes")]
    Records {
        /// Its length.
        found: u64,
        /// Bytes of an image with its labels.
        record: usize,
    },
    /// The pickle cannot be read.
    #[error("{0}")]
    Pickle(#[from] CheckpointError),
    /// The pickle lacks an entry, or holds something else there.
    #[error("its entry `{key}` is not {expected}")]
    Entry {
        /// The key.
        key: &'static str,
        /// What should be there.
        expected: &'static str,
    },
    /// The numbers of images and labels differ.
    #[error("it has {images} images and {labels} labels")]
    Counts {
        /// Images.
        images: usize,
        /// Labels.
        labels: usize,
    },
    /// The file is larger than any published one.
    #[error("it has more than the {} MiB that are read at most", crate::cifar::MAX_FILE >> 20)]
    Oversized,
    /// The file has not the length of the published ones.
    #[error("it has {found} bytes where {FILE} are needed ({PER_FILE} images of {RECORD} bytes)")]
    Length {
        /// Its length.
        found: u64,
    },
    /// A label names no class.
    #[error("image {index} has the label {label}, labels go from 0 to {}", classes - 1)]
    Label {
        /// Which image of the file.
        index: usize,
        /// Its label.
        label: i64,
        /// The number of classes.
        classes: usize,
    },
    /// The names of the classes are others.
    #[error("it does not list the classes of the data set in their order")]
    Names,
    /// Reading failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Pixels and labels of a file.
pub(crate) fn read_records(path: &Path) -> Result<(Vec<u8>, Vec<u16>), CifarError> {
    let mut file = File::open(path)?;
    let found = file.metadata()?.len();
    if found != FILE {
        return Err(CifarError::Length { found });
    }
    let mut bytes = vec![0; PER_FILE * RECORD];
    file.read_exact(&mut bytes)?;
    let mut pixels = Vec::with_capacity(PER_FILE * PIXELS);
    let mut labels = Vec::with_capacity(PER_FILE);
    for (index, record) in bytes.chunks_exact(RECORD).enumerate() {
        let label = record[0];
        if usize::from(label) >= CLASSES.len() {
            return Err(CifarError::Label {
                index,
                label: label.into(),
                classes: CLASSES.len(),
            });
        }
        labels.push(label.into());
        pixels.extend(&record[1..]);
    }
    Ok((pixels, labels))
}
