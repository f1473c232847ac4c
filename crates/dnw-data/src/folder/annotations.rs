//! Labels in a file beside images that lie in no folders of classes.
//!
//! | set | file | a line |
//! | --- | --- | --- |
//! | Tiny ImageNet | `val/val_annotations.txt` | `val_0.JPEG<TAB>n03444034<TAB>..` |
//! | ImageNet of Kaggle | `LOC_val_solution.csv`, beside `val/` or in it | `ILSVRC2012_val_00048981,n03995372 85 1 499 272` |
//!
//! Either form is read for any set: the image's name, with or without its ending, then a tab or a comma, then the class.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::DataError;

const FILES: [&str; 2] = ["val_annotations.txt", "LOC_val_solution.csv"];

/// The largest file that is read: that of ImageNet has 2 MB.
const MOST_BYTES: u64 = 64 << 20;

/// The file with the labels of the images in this folder, if there is one.
pub(super) fn find(folder: &Path) -> Option<PathBuf> {
    let places = [Some(folder), folder.parent()];
    let mut paths = places
        .into_iter()
        .flatten()
        .flat_map(|place| FILES.map(|file| place.join(file)));
    paths.find(|path| path.is_file())
}

/// The class of each image, by the image's name without its ending.
pub(super) fn read(path: &Path) -> Result<HashMap<String, String>, DataError> {
    let failed = |cause| DataError::Io {
        action: "read the labels",
        path: path.to_owned(),
        cause,
    };
    let mut text = String::new();
    let file = File::open(path).map_err(failed)?;
    file.take(MOST_BYTES + 1)
        .read_to_string(&mut text)
        .map_err(failed)?;
    if text.len() as u64 > MOST_BYTES {
        return Err(failed(std::io::Error::other(
            "it is too large for a list of labels",
        )));
    }
    let labels = text.lines().filter_map(|line| {
        let (image, rest) = line.split_once(['\t', ','])?;
        let class = rest.split([' ', '\t', ',']).next()?;
        let stem = Path::new(image.trim()).file_stem()?.to_string_lossy();
        Some((stem.into_owned(), class.trim().to_owned()))
    });
    Ok(labels.collect())
}
