//! The errors of this crate.
//!
//! The message describes the problem; [`DataError::help`] describes the solution.

use std::io;
use std::path::PathBuf;

use crate::archive::ArchiveError;
use crate::cifar10::CifarError;
use crate::folder::FolderError;
use crate::{BadImage, IdxError, TransformError};

mod help;

/// The maximum number of images that an error lists; of more it states the number.
const NAMED: usize = 20;

/// Data cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// No data set has this name.
    #[error("there is no data set `{name}`")]
    UnknownName {
        /// The requested name.
        name: String,
        /// The most similar name, if any.
        nearest: Option<&'static str>,
    },
    /// The files are in none of the folders.
    #[error(
        "the data set `{name}` was not found; looked in {}{}",
        quoted(looked),
        missing_from(incomplete)
    )]
    NotFound {
        /// The data set.
        name: &'static str,
        /// The folders looked in, in order.
        looked: Vec<PathBuf>,
        /// A folder that has some of the files, and the names of those it lacks.
        incomplete: Option<(PathBuf, Vec<String>)>,
    },
    /// A file or folder cannot be used at all.
    #[error("cannot {action} `{}`: {cause}", path.display())]
    Io {
        /// The action, as a verb.
        action: &'static str,
        /// The path.
        path: PathBuf,
        /// The system's error.
        cause: io::Error,
    },
    /// An invalid IDX file.
    #[error("cannot read `{}`: {problem}", path.display())]
    Idx {
        /// The file.
        path: PathBuf,
        /// The problem.
        problem: IdxError,
    },
    /// An invalid CIFAR-10 file.
    #[error("cannot read `{}`: {problem}", path.display())]
    Cifar {
        /// The file.
        path: PathBuf,
        /// The problem.
        problem: CifarError,
    },
    /// An invalid folder of images.
    #[error("cannot use `{}`: {problem}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The problem.
        problem: FolderError,
    },
    /// An invalid archive of images.
    #[error("cannot read `{}`: {problem}", path.display())]
    Archive {
        /// The file.
        path: PathBuf,
        /// The problem.
        problem: ArchiveError,
    },
    /// Images are missing or cannot be decoded.
    #[error("{} cannot be used: {}", counted(images.len()), first(images))]
    BadImages {
        /// All such images.
        images: Vec<BadImage>,
    },
    /// Images need more memory than the limit.
    #[error("{images} images would take {} MiB of memory", bytes >> 20)]
    InMemory {
        /// The number of images.
        images: usize,
        /// Their decoded size in bytes.
        bytes: usize,
    },
    /// A transform does not fit the images.
    #[error(transparent)]
    Transform(#[from] TransformError),
    /// A data set that this program cannot download, because it needs its owners' consent or is not one file.
    #[error("this program does not download `{name}`")]
    ByHand {
        /// The data set.
        name: &'static str,
    },
    /// The numbers of images and labels differ.
    #[error("`{}` holds {images} images, but `{}` holds {labels} labels", images_path.display(), labels_path.display())]
    Counts {
        /// The file of images.
        images_path: PathBuf,
        /// Images in it.
        images: usize,
        /// The file of labels.
        labels_path: PathBuf,
        /// Labels in it.
        labels: usize,
    },
    /// The images of a file have another size than the data set's.
    #[error("`{}` holds images of {}x{}, those of `{name}` are {}x{}", path.display(), found[0], found[1], wanted[0], wanted[1])]
    ImageSize {
        /// The data set.
        name: &'static str,
        /// The file.
        path: PathBuf,
        /// Height and width in the file.
        found: [usize; 2],
        /// Height and width of the data set.
        wanted: [usize; 2],
    },
    /// A part without images, or images without pixels.
    #[error("there are no images")]
    NoImages,
    /// The number of pixel values does not fit the number of labels.
    #[error("{pixels} pixel values do not make {images} images of {}x{}x{}", shape[0], shape[1], shape[2])]
    PixelCount {
        /// Channels, height, width.
        shape: [usize; 3],
        /// The number of labels.
        images: usize,
        /// The number of pixel values.
        pixels: usize,
    },
    /// The images of the two parts differ in size.
    #[error("training images have the shape {train:?}, test images {test:?}")]
    PartsDiffer {
        /// Channels, height, width of the training part.
        train: [usize; 3],
        /// Channels, height, width of the test part.
        test: [usize; 3],
    },
    /// A label out of range.
    #[error("image {index} has the label {label}, but there are {classes} classes, counted from 0")]
    LabelRange {
        /// The image's index in its part.
        index: usize,
        /// Its label.
        label: u16,
        /// The number of classes.
        classes: usize,
    },
    /// Mean or standard deviation cannot normalise the images.
    #[error(
        "normalisation needs a finite mean and a positive standard deviation for each of {channels} channel(s)"
    )]
    Statistics {
        /// Channels of the images.
        channels: usize,
    },
    /// The batch size is larger than the number of training images.
    #[error("a batch of {batch} is larger than the data, which has {images} training images")]
    BatchTooLarge {
        /// Images in a batch.
        batch: usize,
        /// Training images.
        images: usize,
    },
    /// A subset that is empty or larger than the part.
    #[error("{asked} {part} images cannot be drawn of {all}")]
    Subset {
        /// The part: training or test.
        part: &'static str,
        /// The requested number of images.
        asked: usize,
        /// The number of images of the part.
        all: usize,
    },
    /// A batch size of zero.
    #[error("a batch needs at least one image")]
    BatchZero,
    /// A first batch after the end of the epoch.
    #[error("cannot start at batch {first} of an epoch of {batches} batches")]
    FirstBatch {
        /// The batch to start at, from 0.
        first: usize,
        /// Batches in an epoch.
        batches: usize,
    },
    /// A thread could not be started.
    #[error("cannot start a thread to load data: {0}")]
    Thread(io::Error),
    /// No mirror has the file.
    #[error("cannot download `{}`{}", files.first().map_or("", |(file, _)| file), reasons(attempts))]
    Download {
        /// The folder that the files belong in.
        folder: PathBuf,
        /// The files still missing, the failed one first: name, and MD5 sum when unpacked.
        files: Vec<(String, String)>,
        /// Every mirror that was tried, and its error.
        attempts: Vec<Attempt>,
    },
    /// A valid file with other contents is at the path of a download.
    #[error("`{}` is not the published file (its MD5 sum, unpacked, is {md5}), and is not overwritten", path.display())]
    Occupied {
        /// The file.
        path: PathBuf,
        /// Its MD5 sum when unpacked.
        md5: String,
    },
}

/// A failed attempt to download a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The URL.
    pub url: String,
    /// The reason.
    pub reason: String,
}

impl DataError {
    pub(crate) fn bad_images(images: Vec<BadImage>) -> Self {
        Self::BadImages { images }
    }
}

fn counted(images: usize) -> String {
    match images {
        1 => "an image".to_owned(),
        images => format!("{images} images"),
    }
}

fn first(images: &[BadImage]) -> String {
    let shown = images.iter().take(NAMED).map(ToString::to_string);
    let shown = shown.collect::<Vec<_>>().join("; ");
    match images.len().saturating_sub(NAMED) {
        0 => shown,
        more => format!("{shown}; and {more} more"),
    }
}

fn quoted(paths: &[PathBuf]) -> String {
    let quoted: Vec<_> = paths
        .iter()
        .map(|path| format!("`{}`", path.display()))
        .collect();
    quoted.join(", ")
}

fn missing_from(incomplete: &Option<(PathBuf, Vec<String>)>) -> String {
    match incomplete {
        Some((folder, missing)) => {
            format!("; `{}` lacks {}", folder.display(), missing.join(", "))
        }
        None => String::new(),
    }
}

fn reasons(attempts: &[Attempt]) -> String {
    attempts
        .iter()
        .map(|attempt| format!("; {}: {}", attempt.url, attempt.reason))
        .collect()
}
