//! CIFAR-10, from the user's own files.
//!
//! Several forms are supported, of which the first that exists is read: the published binary files
//! (`cifar-10-batches-bin/`), those for Python (`cifar-10-batches-py/`), either archive as it is downloaded, a folder of images (`train/<class>/*.jpg`, `test/<class>/*.jpg`, in
//! `cifar10-jpeg/`, `cifar10/` or the data folder itself), and an archive of such a folder
//! (`cifar10-jpeg.tar.gz` or `cifar10.tar.gz`). All images are decoded once and kept in memory.
//!
//! A binary file is 10,000 records of a label byte and 32 x 32 red, green and blue bytes
//! (Krizhevsky 2009, *Learning Multiple Layers of Features from Tiny Images*).

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::archive::ImageArchive;
use crate::by_hand::CIFAR10;
use crate::cifar::{Names, Published, Search, Set};
use crate::data_folder::root;
use crate::folder::{ImageFolder, same_classes, wrong};
use crate::{DataError, DataSet, Images, Part};

mod binary;

pub use binary::{CLASSES, CifarError, PER_FILE, SIDES};
use binary::{RECORD, read_records};

/// Of the published training images.
const MEAN: [f32; 3] = [0.491, 0.482, 0.447];
const STD: [f32; 3] = [0.247, 0.243, 0.262];

static SET: Set = Set {
    binary: Names {
        archive: "cifar-10-binary.tar.gz",
        folder: "cifar-10-batches-bin",
        train: &[
            "data_batch_1.bin",
            "data_batch_2.bin",
            "data_batch_3.bin",
            "data_batch_4.bin",
            "data_batch_5.bin",
        ],
        test: &["test_batch.bin"],
        meta: "batches.meta.txt",
    },
    python: Names {
        archive: "cifar-10-python.tar.gz",
        folder: "cifar-10-batches-py",
        train: &[
            "data_batch_1",
            "data_batch_2",
            "data_batch_3",
            "data_batch_4",
            "data_batch_5",
        ],
        test: &["test_batch"],
        meta: "batches.meta",
    },
    label_bytes: 1,
    labels: "labels",
    label_names: "label_names",
    classes: &CLASSES,
};

const FOLDERS: [&str; 2] = ["cifar10-jpeg", "cifar10"];
const ARCHIVES: [&str; 2] = ["cifar10-jpeg.tar.gz", "cifar10.tar.gz"];

/// The location and form of CIFAR-10.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Form {
    /// The published binary files, in this folder.
    Binary(PathBuf),
    /// The published files for Python, or a published archive.
    Published(Published),
    /// A folder with `train/` and `test/`.
    Folder(PathBuf),
    /// A `.tar.gz` of such a folder.
    Archive(PathBuf),
}

impl Form {
    /// The folder or file.
    pub fn path(&self) -> &Path {
        match self {
            Self::Binary(path) | Self::Folder(path) | Self::Archive(path) => path,
            Self::Published(found) => found.path(),
        }
    }
}

/// The names of the binary files: five of training images, one of test images.
pub fn binary_files() -> [String; 6] {
    std::array::from_fn(|file| match file {
        5 => "test_batch.bin".to_owned(),
        file => format!("data_batch_{}.bin", file + 1),
    })
}

/// Finds CIFAR-10 under the data folder.
///
/// # Errors
/// [`DataError::NotFound`] with the searched folders.
pub fn locate(root: &Path) -> Result<Form, DataError> {
    let mut search = Search::default();
    let files = binary_files();
    for folder in [root.join(SET.binary.folder), root.to_owned()] {
        if search.has_all(&folder, files.iter().map(String::as_str)) {
            return Ok(Form::Binary(folder));
        }
    }
    if let Some(found) = SET.locate(root, &mut search) {
        return Ok(Form::Published(found));
    }
    let Search {
        mut looked,
        incomplete,
    } = search;
    for folder in FOLDERS.map(|name| root.join(name)) {
        if folder.join("train").is_dir() && folder.join("test").is_dir() {
            return Ok(Form::Folder(folder));
        }
        looked.push(folder);
    }
    // The data folder itself may contain the parts of any set; one class identifies it.
    if root.join("train").join(CLASSES[0]).is_dir() && root.join("test").is_dir() {
        return Ok(Form::Folder(root.to_owned()));
    }
    for archive in ARCHIVES.map(|name| root.join(name)) {
        if archive.is_file() {
            return Ok(Form::Archive(archive));
        }
        looked.push(archive);
    }
    Err(DataError::NotFound {
        name: CIFAR10.name,
        looked,
        incomplete,
    })
}

/// The published mean and standard deviation of each channel.
pub(crate) fn statistics() -> (Vec<f32>, Vec<f32>) {
    (MEAN.into(), STD.into())
}

/// Reads CIFAR-10 from the data folder (see [`root`]) into memory, with the published mean and standard
/// deviation.
///
/// # Errors
/// [`DataError::NotFound`], or the error of an invalid file.
pub fn open(given: Option<&Path>) -> Result<DataSet, DataError> {
    let [train, test] = match locate(&root(given))? {
        Form::Binary(folder) => read_binary(&folder)?,
        Form::Published(found) => found.read()?,
        Form::Folder(folder) => {
            let found = ImageFolder::open(&folder.join("train"), &folder.join("test"))?;
            in_memory(&folder, &found.classes, [&found.train, &found.test])?
        }
        Form::Archive(path) => {
            let found = ImageArchive::open(&path)?;
            in_memory(&path, &found.classes, [&found.train, &found.test])?
        }
    };
    let classes = CLASSES.map(str::to_owned).into();
    DataSet::new(CIFAR10.name, classes, train, test, statistics())
}

/// Checks that the classes at `path` are those of CIFAR-10.
pub(crate) fn check_classes(path: &Path, classes: &[String]) -> Result<(), DataError> {
    same_classes(CIFAR10.name, &CLASSES.map(str::to_owned), classes).map_err(|it| wrong(path, it))
}

fn in_memory(
    path: &Path,
    classes: &[String],
    parts: [&dyn Part; 2],
) -> Result<[Images; 2], DataError> {
    check_classes(path, classes)?;
    let [train, test] = parts.map(|part| Images::decode(part, SIDES));
    Ok([train?, test?])
}

fn read_binary(folder: &Path) -> Result<[Images; 2], DataError> {
    check_names(&folder.join(SET.binary.meta))?;
    let files = binary_files();
    let part = |files: &[String]| {
        let (mut pixels, mut labels) = (Vec::new(), Vec::new());
        for file in files {
            let (more_pixels, more_labels) = read_file(&folder.join(file))?;
            pixels.extend(more_pixels);
            labels.extend(more_labels);
        }
        Images::new([3, SIDES[0], SIDES[1]], pixels, labels)
    };
    Ok([part(&files[..5])?, part(&files[5..])?])
}

/// Pixels `[10000, 3, 32, 32]` and labels `[10000]` of a binary file.
///
/// # Errors
/// [`DataError::Cifar`] with the [`CifarError`].
pub fn read_file(path: &Path) -> Result<(Vec<u8>, Vec<u16>), DataError> {
    read_records(path).map_err(|problem| in_file(path, problem))
}

fn in_file(path: &Path, problem: CifarError) -> DataError {
    DataError::Cifar {
        path: path.to_owned(),
        problem,
    }
}

/// The list of class names says nothing new, so it may be missing, but not differ.
pub(crate) fn check_names(path: &Path) -> Result<(), DataError> {
    let text = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(in_file(path, error.into())),
        Ok(file) => {
            let mut text = Vec::new();
            // Ten short lines; a longer file is different.
            let read = file.take(1024).read_to_end(&mut text);
            read.map_err(|error| in_file(path, error.into()))?;
            String::from_utf8_lossy(&text).into_owned()
        }
    };
    let names = text.lines().map(str::trim).filter(|name| !name.is_empty());
    if names.eq(CLASSES) {
        Ok(())
    } else {
        Err(in_file(path, CifarError::Names))
    }
}

/// The numbers of training and test images: of binary files by their length, of others by listing.
///
/// # Errors
/// [`DataError`] if the files cannot be listed.
pub fn count(form: &Form) -> Result<[usize; 2], DataError> {
    match form {
        Form::Binary(folder) => {
            let files = binary_files();
            let images = |files: &[String]| {
                let lengths = files.iter().map(|file| {
                    let path = folder.join(file);
                    let length = fs::metadata(&path).map(|it| it.len());
                    length.map_err(|error| in_file(&path, error.into()))
                });
                lengths
                    .sum::<Result<u64, _>>()
                    .map(|it| it as usize / RECORD)
            };
            Ok([images(&files[..5])?, images(&files[5..])?])
        }
        Form::Published(found) => found.count(),
        Form::Folder(folder) => {
            let found = ImageFolder::open(&folder.join("train"), &folder.join("test"))?;
            Ok([found.train.len(), found.test.len()])
        }
        Form::Archive(path) => {
            let found = ImageArchive::open(path)?;
            Ok([found.train.len(), found.test.len()])
        }
    }
}
