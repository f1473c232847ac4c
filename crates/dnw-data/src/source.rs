//! The data sets by name.

use std::path::{Path, PathBuf};

use crate::mnist::Publication;
use crate::{DataError, DataSet, digits, idx, mnist};

/// A data set that can be opened by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Source {
    /// [`digits`]: built in.
    Digits,
    /// [`mnist`]: from files.
    Mnist,
}

/// Names less alike than this (1 is equal) are not suggested.
const ALIKE: f64 = 0.6;

impl Source {
    /// All data sets, the built-in one first.
    pub const ALL: [Self; 2] = [Self::Digits, Self::Mnist];

    /// The data set of this name.
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

    /// The name it is opened by.
    pub fn name(self) -> &'static str {
        match self {
            Self::Digits => "digits",
            Self::Mnist => "mnist",
        }
    }

    /// What it is, in a few words.
    pub fn description(self) -> &'static str {
        match self {
            Self::Digits => "handwritten digits, 8 x 8 pixels (UCI, CC BY 4.0)",
            Self::Mnist => "handwritten digits, 28 x 28 pixels",
        }
    }

    /// Reads it; `root` is the data folder, see [`mnist::root`].
    ///
    /// # Errors
    /// As [`open`].
    pub fn open(self, root: Option<&Path>) -> Result<DataSet, DataError> {
        match self {
            Self::Digits => digits::open(),
            Self::Mnist => mnist::open(root),
        }
    }
}

/// Opens the data set `name`: `digits` (built in) or `mnist` (from files under `root`, else the
/// environment variable `DNW_DATA`, else `data`).
///
/// # Errors
/// [`DataError::UnknownName`] with the nearest name, [`DataError::NotFound`] with where it looked, or
/// what is wrong with which file.
pub fn open(name: &str, root: Option<&Path>) -> Result<DataSet, DataError> {
    Source::named(name)?.open(root)
}

/// What [`list`] says of one data set.
#[derive(Debug)]
pub struct Listing {
    /// Which one.
    pub source: Source,
    /// Whether it can be opened and where it is; else the error says what is wrong, and its
    /// [`help`](DataError::help) what to do.
    pub found: Result<Found, DataError>,
}

/// A data set that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its folder; `None` if it is built in.
    pub folder: Option<PathBuf>,
    /// Training images.
    pub train_images: usize,
    /// Test images.
    pub test_images: usize,
}

/// All data sets and whether they are there, looking at the files' headers only.
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
                Source::Mnist => find_mnist(&mnist::root(root)),
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
