//! MNIST, from the user's own IDX files.
//!
//! Four files, gzip or not, in one folder: the data folder itself, its `mnist/`, or its `MNIST/raw/`
//! (as in torchvision). The data folder is the argument, otherwise the environment variable `DNW_DATA`,
//! otherwise `data`.

use std::path::{Path, PathBuf};

use md5::{Digest, Md5};

use crate::data_folder::root;
use crate::data_set::ten_digits;
use crate::{DataError, DataSet, Images, idx};

/// Height and width of every image.
pub const SIDES: [usize; 2] = [28, 28];

const NAME: &str = "mnist";
const CLASSES: usize = 10;
/// The statistics of the 60,000 published training images.
const STATISTICS: (f32, f32) = (0.1307, 0.3081);
const PLACES: [&str; 3] = ["", "mnist", "MNIST/raw"];

/// The published files of a data set, and their mirrors.
#[derive(Clone, Debug)]
pub struct Publication {
    /// Base URLs, to which a file's name is appended, in the order in which they are tried.
    pub mirrors: Vec<String>,
    /// Training images, training labels, test images, test labels.
    pub files: [PublishedFile; 4],
}

/// One published IDX file.
#[derive(Clone, Debug)]
pub struct PublishedFile {
    /// The beginning of its name, such as `train-images`.
    pub stem: String,
    /// Dimensions: 3 for images, 1 for labels.
    pub dimensions: u8,
    /// The MD5 sum of the unpacked file, in lower-case hexadecimal.
    pub md5: String,
}

impl Publication {
    /// MNIST as published by Y. LeCun, C. Cortes and C. Burges.
    pub fn mnist() -> Self {
        let file = |stem: &str, dimensions, md5: &str| PublishedFile {
            stem: stem.to_owned(),
            dimensions,
            md5: md5.to_owned(),
        };
        Self {
            mirrors: vec![
                "https://ossci-datasets.s3.amazonaws.com/mnist/".to_owned(),
                "https://storage.googleapis.com/cvdf-datasets/mnist/".to_owned(),
            ],
            files: [
                file("train-images", 3, "6bbc9ace898e44ae57da46a324031adb"),
                file("train-labels", 1, "a25bea736e30d166cdddb491f175f624"),
                file("t10k-images", 3, "2646ac647ad5339dbf082846283269ea"),
                file("t10k-labels", 1, "27ae3e4e09519cfbb04c329615203637"),
            ],
        }
    }
}

impl PublishedFile {
    /// Its name on the mirrors: `train-images-idx3-ubyte.gz`.
    pub fn packed_name(&self) -> String {
        format!("{}-idx{}-ubyte.gz", self.stem, self.dimensions)
    }

    /// The file in `folder`, under any of its usual names: unpacked before gzipped.
    pub fn find(&self, folder: &Path) -> Option<PathBuf> {
        let Self {
            stem, dimensions, ..
        } = self;
        ["", ".gz"]
            .iter()
            .flat_map(|end| ["-", "."].map(|dot| format!("{stem}{dot}idx{dimensions}-ubyte{end}")))
            .map(|name| folder.join(name))
            .find(|path| path.is_file())
    }

    /// The MD5 sum of the unpacked file at `path`, which is checked to be such an IDX file.
    ///
    /// # Errors
    /// [`DataError::Idx`] or [`DataError::Io`] if it is not a valid file of this kind.
    pub fn unpacked_md5(&self, path: &Path) -> Result<(String, usize), DataError> {
        let idx = if self.dimensions == 1 {
            idx::read_labels(path, CLASSES)?
        } else {
            idx::read(path, self.dimensions)?
        };
        let digest = Md5::new_with_prefix(idx.header())
            .chain_update(&idx.data)
            .finalize();
        Ok((hexadecimal(&digest), idx.dims[0]))
    }
}

/// Bytes as lower-case hexadecimal digits.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The searched folders, in order.
pub fn folders(root: &Path) -> Vec<PathBuf> {
    PLACES
        .iter()
        .map(|place| {
            if place.is_empty() {
                root.to_owned()
            } else {
                root.join(place)
            }
        })
        .collect()
}

/// The first folder with all four files, and the files in the order of [`Publication::files`].
///
/// # Errors
/// [`DataError::NotFound`] with the searched folders.
pub fn locate(root: &Path) -> Result<(PathBuf, [PathBuf; 4]), DataError> {
    let files = Publication::mnist().files;
    let mut incomplete = None;
    for folder in folders(root) {
        let found = files.each_ref().map(|file| file.find(&folder));
        if let [Some(a), Some(b), Some(c), Some(d)] = found {
            return Ok((folder, [a, b, c, d]));
        }
        if incomplete.is_none() && found.iter().any(Option::is_some) {
            let missing = files
                .iter()
                .zip(&found)
                .filter(|(_, path)| path.is_none())
                .map(|(file, _)| file.packed_name())
                .collect();
            incomplete = Some((folder, missing));
        }
    }
    Err(DataError::NotFound {
        name: NAME,
        looked: folders(root),
        incomplete,
    })
}

/// The mean and standard deviation of its one channel.
pub(crate) fn statistics() -> (Vec<f32>, Vec<f32>) {
    (vec![STATISTICS.0], vec![STATISTICS.1])
}

/// Reads MNIST from the data folder (see [`root`]); mean 0.1307, standard deviation 0.3081.
///
/// # Errors
/// [`DataError::NotFound`], or the error of an invalid file.
pub fn open(given: Option<&Path>) -> Result<DataSet, DataError> {
    let (_, [train_images, train_labels, test_images, test_labels]) = locate(&root(given))?;
    DataSet::new(
        NAME,
        ten_digits(),
        read_part(&train_images, &train_labels)?,
        read_part(&test_images, &test_labels)?,
        statistics(),
    )
}

fn read_part(images_path: &Path, labels_path: &Path) -> Result<Images, DataError> {
    let labels = idx::read_labels(labels_path, CLASSES)?;
    let images = idx::read_images(images_path)?;
    let found = [images.dims[1], images.dims[2]];
    if found != SIDES {
        return Err(DataError::ImageSize {
            name: NAME,
            path: images_path.to_owned(),
            found,
            wanted: SIDES,
        });
    }
    if images.dims[0] != labels.dims[0] {
        return Err(DataError::Counts {
            images_path: images_path.to_owned(),
            images: images.dims[0],
            labels_path: labels_path.to_owned(),
            labels: labels.dims[0],
        });
    }
    let labels = labels.data.into_iter().map(u16::from).collect();
    Images::new([1, SIDES[0], SIDES[1]], images.data, labels)
}
