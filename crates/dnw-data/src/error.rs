//! The errors of this crate.
//!
//! The message describes the problem; [`DataError::help`] describes the solution.

use std::io;
use std::path::PathBuf;

use crate::archive::ArchiveError;
use crate::by_hand::{CIFAR10, CIFAR100, IMAGENET};
use crate::cifar10::CifarError;
use crate::folder::FolderError;
use crate::{BadImage, IdxError, TransformError};

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

    /// How to solve the problem: one or a few lines without a final full stop.
    pub fn help(&self) -> String {
        let fixed = match self {
            Self::UnknownName { nearest, .. } => {
                let all = "`dnw data list` shows all data sets";
                return match nearest {
                    Some(nearest) => format!("did you mean `{nearest}`? {all}"),
                    None => all.to_owned(),
                };
            }
            Self::NotFound { name, .. }
                if [CIFAR10.name, CIFAR100.name, IMAGENET.name].contains(name) =>
            {
                return format!(
                    "`dnw data fetch {name}` says how to get it; if it is there, say where with `--data DIR` \
                     or the environment variable DNW_DATA"
                );
            }
            Self::NotFound { name, .. } => {
                return format!(
                    "run `dnw data fetch {name}`, or say where the files are with `--data DIR` or the \
                     environment variable DNW_DATA"
                );
            }
            Self::Idx { problem, .. } => idx_help(problem),
            Self::Cifar { problem, .. } => cifar_help(problem),
            Self::Folder { problem, .. } => folder_help(problem),
            Self::Archive { .. } => "the file was probably cut short or altered; get it again",
            Self::BadImages { .. } => {
                "bring the files back, or remove what is no image; `dnw data check NAME` lists all such files"
            }
            Self::InMemory { .. } => "use fewer images, or read them from disk as `imagenet`",
            Self::Transform(problem) => transform_help(problem),
            Self::ByHand { name } if *name == CIFAR10.name => CIFAR10.instructions,
            Self::ByHand { name } if *name == CIFAR100.name => CIFAR100.instructions,
            Self::ByHand { .. } => IMAGENET.instructions,
            Self::Io { .. } => "check that the path exists and that you may use it",
            Self::Counts { .. } => {
                "the two files belong to different sets; delete both and run `dnw data fetch mnist`"
            }
            Self::ImageSize { .. } => {
                "these are files of another data set; choose another folder with `--data DIR`"
            }
            Self::NoImages => "give at least one image of at least one pixel",
            Self::PixelCount { .. } => {
                "give one label for each image, and for each image channels x height x width values"
            }
            Self::PartsDiffer { .. } => "bring the images of both parts to one size",
            Self::LabelRange { .. } => "name every class, or correct the label",
            Self::Statistics { .. } => "compute them from the training images",
            Self::BatchTooLarge { images, .. } => {
                return format!("choose a batch of at most {images}");
            }
            Self::Subset { all, .. } => {
                return format!("choose from 1 to {all} images");
            }
            Self::BatchZero => "choose a batch of 1 or more",
            Self::FirstBatch { .. } => {
                "the saved state belongs to other data or another batch size; resume with its own recipe"
            }
            Self::Thread(_) => "use fewer threads, for example `--threads 1`",
            Self::Download { folder, files, .. } => {
                let mut help = format!(
                    "without a network, put these files into `{}` (as they are or unpacked) and run \
                     `dnw data check mnist`:",
                    folder.display()
                );
                for (file, md5) in files {
                    help += &format!("\n  {file}  (MD5 when unpacked: {md5})");
                }
                return help;
            }
            Self::Occupied { .. } => "move it away, or choose another folder with `--data DIR`",
        };
        fixed.to_owned()
    }
}

fn idx_help(problem: &IdxError) -> &'static str {
    match problem {
        IdxError::Truncated { .. } | IdxError::HeaderCut => {
            "the download was probably cut short; delete the file and run `dnw data fetch mnist` again"
        }
        IdxError::Magic { .. } => {
            "it may be an error page that was saved in place of the file; delete it and run \
             `dnw data fetch mnist`"
        }
        IdxError::Dimensions { .. } => {
            "images and labels may be swapped; compare the names, or delete the files and run \
             `dnw data fetch mnist`"
        }
        IdxError::Io(_) => "check that the file can be read",
        _ => "the file is damaged or of another data set; delete it and run `dnw data fetch mnist`",
    }
}

fn cifar_help(problem: &CifarError) -> &'static str {
    match problem {
        CifarError::Length { .. } => {
            "the file was cut short or is another one; unpack its archive, such as cifar-10-binary.tar.gz, again \
             (`dnw data fetch cifar10` says where it is to be had)"
        }
        CifarError::Io(_) => "check that the file can be read",
        _ => {
            "the file is damaged or of another data set; unpack its archive, such as cifar-10-binary.tar.gz, again \
             (`dnw data fetch cifar10` says where it is to be had)"
        }
    }
}

fn folder_help(problem: &FolderError) -> &'static str {
    match problem {
        FolderError::NoClasses | FolderError::OneClass { .. } => {
            "it needs one folder for each of two or more classes, such as `train/cat/1.jpg` and `train/dog/1.jpg`"
        }
        FolderError::EmptyClasses { .. } => {
            "put images directly into the folder of each class, or remove the folder from both parts"
        }
        FolderError::TooManyClasses { .. } => "check that the folders are those of classes",
        FolderError::Classes { .. } => "give both parts the same folders",
        FolderError::Unlabelled { .. } | FolderError::NoLabel { .. } => {
            "move each image into a folder of its class, or put a file `val_annotations.txt` beside them with a line `IMAGE<TAB>CLASS` for each"
        }
    }
}

fn transform_help(problem: &TransformError) -> &'static str {
    match problem {
        TransformError::VariousSizes { .. } => {
            "show them with a random resized crop in training and a resized centre crop in evaluation"
        }
        TransformError::Shift { .. } => "shift by less than the shorter side",
        _ => "choose a size from 1 to 4096, and one to resize to that is not below it",
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
