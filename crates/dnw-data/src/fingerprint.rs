//! A hash by which a run recognises its data.

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use crate::Part;

/// Of images that are decoded on demand, the size of so many files is part of the hash. Reading the size of each would take minutes for
/// millions of files on a network disk.
const MOST_SIZES: usize = 4096;

/// The SHA-256 of names, numbers and the images of parts, in hexadecimal digits.
///
/// Images in memory count with every pixel. Those that are decoded on demand count with their names and the sizes of up to 4096 files,
/// evenly spaced, without their folder: a data set can be moved.
pub(crate) fn fingerprint<'a>(
    names: impl IntoIterator<Item = &'a str>,
    statistics: impl IntoIterator<Item = &'a f32>,
    parts: [&dyn Part; 2],
) -> String {
    let mut hash = Sha256::new();
    for name in names {
        hash.update((name.len() as u64).to_le_bytes());
        hash.update(name);
    }
    for value in statistics {
        hash.update(value.to_le_bytes());
    }
    for part in parts {
        add_part(&mut hash, part);
    }
    let bytes = hash.finalize();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn add_part(hash: &mut Sha256, part: &dyn Part) {
    let images = part.len();
    hash.update((images as u64).to_le_bytes());
    for label in part.labels() {
        hash.update(label.to_le_bytes());
    }
    if part.size().is_some() {
        for index in 0..images {
            // What cannot be read fails in training, with its name.
            if let Ok(picture) = part.picture(index) {
                hash.update(&picture.pixels);
            }
        }
        return;
    }
    for index in 0..images {
        let place = part.place(index);
        let name = place.file_name().unwrap_or_default();
        hash.update(name.as_encoded_bytes());
        hash.update([0]);
    }
    let every = images.div_ceil(MOST_SIZES).max(1);
    let sizes: Vec<u64> = (0..images)
        .into_par_iter()
        .step_by(every)
        // Images in an archive have no files of their own.
        .map(|index| std::fs::metadata(part.place(index)).map_or(0, |file| file.len()))
        .collect();
    for size in sizes {
        hash.update(size.to_le_bytes());
    }
}
