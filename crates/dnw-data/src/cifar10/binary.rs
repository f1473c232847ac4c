//! The published binary files: records of a label byte and 32 x 32 red, green and blue bytes.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

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
    /// The file has not the length of the published ones.
    #[error("it has {found} bytes where {FILE} are needed ({PER_FILE} images of {RECORD} bytes)")]
    Length {
        /// Its length.
        found: u64,
    },
    /// A label names no class.
    #[error("image {index} has the label {label}, labels go from 0 to 9")]
    Label {
        /// Which image of the file.
        index: usize,
        /// Its label.
        label: u8,
    },
    /// The names of the classes are others.
    #[error("it does not list the ten classes of CIFAR-10 in their order")]
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
            return Err(CifarError::Label { index, label });
        }
        labels.push(label.into());
        pixels.extend(&record[1..]);
    }
    Ok((pixels, labels))
}
