//! Data sets by name.

use std::path::{Path, PathBuf};

use crate::data_set::ten_digits;
use crate::mnist::Publication;
use crate::{
    DataError, DataSet, Part, Transforms, by_hand, cifar10, cifar100, digits, idx, imagenet, mnist,
    root as data_folder,
};

/// A data set that can be opened by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Source {
    /// [`digits`]: built in.
    Digits,
    /// [`mnist`]: from files.
    Mnist,
    /// [`cifar10`]: from files.
    Cifar10,
    /// [`cifar100`]: from files.
    Cifar100,
    /// [`imagenet`]: from a folder of images.
    Imagenet,
}

/// The properties of a data set that are known without its files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// The names of the classes, or their indices if the names depend on the files.
    pub classes: Vec<String>,
    /// Channels of an image.
    pub channels: usize,
    /// Height and width of every image; `None` if they differ in size.
    pub sides: Option<[usize; 2]>,
}

/// The minimum similarity of suggested names (1 is equal).
const ALIKE: f64 = 0.6;

impl Source {
    /// All data sets, the built-in one first.
    pub const ALL: [Self; 5] = [
        Self::Digits,
        Self::Mnist,
        Self::Cifar10,
        Self::Cifar100,
        Self::Imagenet,
    ];

    /// The data set with this name.
    ///
    /// # Errors
    /// [`DataError::UnknownName`] with the nearest name.
    pub fn named(name: &str) -> Result<Self, DataError> {
        let lower = name.to_lowercase();
        let likeness = |source: Self| strsim::jaro_winkler(source.name(), &lower);
        Self::ALL
            .into_iter()
            .find(|source| source.name() == name)
            .ok_or_else(|| DataError::UnknownName {
                name: name.to_owned(),
                nearest: Self::ALL
                    .into_iter()
                    .filter(|&source| likeness(source) >= ALIKE)
                    .max_by(|&a, &b| likeness(a).total_cmp(&likeness(b)))
                    .map(Self::name),
            })
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Digits => "digits",
            Self::Mnist => "mnist",
            Self::Cifar10 => by_hand::CIFAR10.name,
            Self::Cifar100 => by_hand::CIFAR100.name,
            Self::Imagenet => by_hand::IMAGENET.name,
        }
    }

    /// A short description.
    pub fn description(self) -> &'static str {
        match self {
            Self::Digits => "handwritten digits, 8 x 8 pixels (UCI, CC BY 4.0)",
            Self::Mnist => "handwritten digits, 28 x 28 pixels",
            Self::Cifar10 => "photographs of 10 classes, 32 x 32 pixels",
            Self::Cifar100 => "photographs of 100 classes, 32 x 32 pixels",
            Self::Imagenet => {
                "photographs of 1000 classes (or your own), read from disk, shown at 224 x 224 pixels"
            }
        }
    }

    /// Its properties that are known without its files.
    pub fn known(self) -> Known {
        let numbers = |classes: usize| (0..classes).map(|class| class.to_string()).collect();
        let (classes, channels, sides) = match self {
            Self::Digits => (ten_digits(), 1, Some(digits::SIDES)),
            Self::Mnist => (ten_digits(), 1, Some(mnist::SIDES)),
            Self::Cifar10 => {
                let classes = cifar10::CLASSES.map(str::to_owned).into();
                (classes, 3, Some(cifar10::SIDES))
            }
            Self::Cifar100 => {
                let classes = cifar100::CLASSES.map(str::to_owned).into();
                (classes, 3, Some(cifar100::SIDES))
            }
            // The names are those of the folders.
            Self::Imagenet => (numbers(imagenet::CLASSES), 3, None),
        };
        Known {
            classes,
            channels,
            sides,
        }
    }

    /// Mean and standard deviation of each channel with which its images are normalised.
    ///
    /// # Errors
    /// As [`digits::open`].
    pub fn statistics(self) -> Result<(Vec<f32>, Vec<f32>), DataError> {
        Ok(match self {
            Self::Digits => {
                let digits = digits::open()?;
                (digits.mean, digits.std)
            }
            Self::Mnist => mnist::statistics(),
            Self::Cifar10 => cifar10::statistics(),
            Self::Cifar100 => cifar100::statistics(),
            Self::Imagenet => imagenet::statistics(),
        })
    }

    /// How its images are shown if nothing else is said.
    pub fn transforms(self) -> Transforms {
        match self {
            Self::Imagenet => imagenet::TRANSFORMS,
            Self::Digits | Self::Mnist | Self::Cifar10 | Self::Cifar100 => Transforms::default(),
        }
    }

    /// The number of training images of the published set.
    pub fn published_train_images(self) -> usize {
        match self {
            Self::Digits => digits::TRAIN_IMAGES,
            Self::Mnist => 60_000,
            Self::Cifar10 | Self::Cifar100 => 50_000,
            Self::Imagenet => 1_281_167,
        }
    }

    /// Reads it; `root` is the data folder, see [`root`](data_folder).
    ///
    /// # Errors
    /// As [`open`].
    pub fn open(self, root: Option<&Path>) -> Result<DataSet, DataError> {
        match self {
            Self::Digits => digits::open(),
            Self::Mnist => mnist::open(root),
            Self::Cifar10 => cifar10::open(root),
            Self::Cifar100 => cifar100::open(root),
            Self::Imagenet => imagenet::open(root),
        }
    }
}

/// Opens the data set `name`: `digits` (built in), `mnist`, `cifar10`, `cifar100` or `imagenet` (from files under
/// `root`, else the environment variable `DNW_DATA`, else `data`).
///
/// # Errors
/// [`DataError::UnknownName`] with the nearest name, [`DataError::NotFound`] with the searched folders, or the
/// error of an invalid file.
pub fn open(name: &str, root: Option<&Path>) -> Result<DataSet, DataError> {
    Source::named(name)?.open(root)
}

/// An entry of [`list`].
#[derive(Debug)]
pub struct Listing {
    /// The data set.
    pub source: Source,
    /// Its location, or the error if it cannot be opened.
    pub found: Result<Found, DataError>,
}

/// An available data set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its folder or archive; `None` if it is built in.
    pub folder: Option<PathBuf>,
    /// The number of training images.
    pub train_images: usize,
    /// The number of test images.
    pub test_images: usize,
}

/// Lists all data sets and whether they are available, from names, lengths and headers where they tell; no image is
/// decoded.
pub fn list(root: Option<&Path>) -> Vec<Listing> {
    Source::ALL
        .map(|source| Listing {
            source,
            found: match source {
                Source::Digits => Ok(Found {
                    folder: None,
                    train_images: digits::TRAIN_IMAGES,
                    test_images: digits::TEST_IMAGES,
                }),
                Source::Mnist => find_mnist(&data_folder(root)),
                Source::Cifar10 => find_cifar10(&data_folder(root)),
                Source::Cifar100 => find_cifar100(&data_folder(root)),
                Source::Imagenet => find_imagenet(&data_folder(root)),
            },
        })
        .into()
}

fn find_mnist(root: &Path) -> Result<Found, DataError> {
    let (folder, paths) = mnist::locate(root)?;
    let mut counts = [0; 4];
    for ((count, path), file) in counts
        .iter_mut()
        .zip(&paths)
        .zip(Publication::mnist().files)
    {
        *count = idx::read_count(path, file.dimensions)?;
    }
    Ok(Found {
        folder: Some(folder),
        train_images: counts[0],
        test_images: counts[2],
    })
}

fn find_cifar10(root: &Path) -> Result<Found, DataError> {
    let form = cifar10::locate(root)?;
    let [train_images, test_images] = cifar10::count(&form)?;
    Ok(Found {
        folder: Some(form.path().to_owned()),
        train_images,
        test_images,
    })
}

fn find_cifar100(root: &Path) -> Result<Found, DataError> {
    let found = cifar100::locate(root)?;
    let [train_images, test_images] = found.count()?;
    Ok(Found {
        folder: Some(found.path().to_owned()),
        train_images,
        test_images,
    })
}

fn find_imagenet(root: &Path) -> Result<Found, DataError> {
    let [train, _] = imagenet::locate(root)?;
    let found = imagenet::list(Some(root))?;
    Ok(Found {
        folder: train.parent().map(Path::to_owned),
        train_images: found.train.len(),
        test_images: found.test.len(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_without_files_is_what_the_built_in_set_says_when_read() {
        let (known, read) = (Source::Digits.known(), crate::open("digits", None).unwrap());
        assert_eq!(known.classes, read.classes);
        let [height, width] = known.sides.unwrap();
        assert_eq!([known.channels, height, width], read.shape());
    }
}
