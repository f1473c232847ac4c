//! Compares data with what was published.

use std::path::{Path, PathBuf};

use md5::{Digest, Md5};

use crate::archive::ImageArchive;
use crate::cifar::Published;
use crate::cifar10::{self, Form};
use crate::folder::ImageFolder;
use crate::mnist::{self, Publication, hexadecimal};
use crate::part::bad_images;
use crate::{DataError, Part, Source, cifar100, digits, imagenet};

/// The result of [`check`].
#[derive(Debug)]
pub struct Check {
    /// The data set.
    pub source: Source,
    /// Its files.
    pub files: Vec<FileCheck>,
    /// A problem of the whole set, although each file can be read.
    pub problem: Option<DataError>,
}

/// The result of [`check`] for one file.
#[derive(Debug)]
pub struct FileCheck {
    /// The file, or a description of built-in data.
    pub path: PathBuf,
    /// The MD5 sum of the published file, unpacked, if it is known.
    pub published_md5: Option<String>,
    /// The verdict.
    pub verdict: Verdict,
}

/// How a file compares with the published one.
#[derive(Debug)]
pub enum Verdict {
    /// Identical, after unpacking.
    Published {
        /// Images or labels in it.
        count: usize,
    },
    /// Valid, without a published checksum: every image was decoded.
    Sound {
        /// Images in it.
        count: usize,
    },
    /// A valid file with other contents.
    Differs {
        /// Images or labels in it.
        count: usize,
        /// The MD5 sum of its contents.
        md5: String,
    },
    /// It cannot be used.
    Broken(DataError),
}

impl Check {
    /// Whether the set is complete and, as far as known, as published.
    pub fn passed(&self) -> bool {
        let good = |file: &FileCheck| {
            let verdict = &file.verdict;
            matches!(verdict, Verdict::Published { .. } | Verdict::Sound { .. })
        };
        self.problem.is_none() && self.files.iter().all(good)
    }
}

/// Reads the data set `name`, decodes every image and compares published checksums.
///
/// A damaged file is a [`Verdict`], so that one call reports all of them. ImageNet takes long.
///
/// # Errors
/// [`DataError::UnknownName`], or [`DataError::NotFound`] if files are missing.
pub fn check(name: &str, root: Option<&Path>) -> Result<Check, DataError> {
    let source = Source::named(name)?;
    let files = match source {
        Source::Digits => vec![check_digits()],
        Source::Mnist => check_mnist(&crate::root(root))?,
        Source::Cifar10 => check_cifar10(&crate::root(root))?,
        Source::Cifar100 => check_published(&cifar100::locate(&crate::root(root))?)?,
        Source::Imagenet => {
            let [train, test] = imagenet::locate(&crate::root(root))?;
            check_folder(&train, &test)?
        }
    };
    let readable = |file: &FileCheck| !matches!(file.verdict, Verdict::Broken(_));
    let problem = match files.iter().all(readable) {
        true => source.open(root).err(),
        false => None,
    };
    Ok(Check {
        source,
        files,
        problem,
    })
}

fn check_digits() -> FileCheck {
    let path = PathBuf::from("the built-in digits");
    let verdict = match digits::unpack() {
        Ok(bytes) => verdict(
            (hexadecimal(&Md5::digest(&bytes)), digits::IMAGES),
            digits::MD5,
        ),
        Err(cause) => Verdict::Broken(DataError::Io {
            action: "unpack",
            path: path.clone(),
            cause,
        }),
    };
    FileCheck {
        path,
        published_md5: Some(digits::MD5.to_owned()),
        verdict,
    }
}

fn check_mnist(root: &Path) -> Result<Vec<FileCheck>, DataError> {
    let (_, paths) = mnist::locate(root)?;
    let check_file = |(path, file): (PathBuf, mnist::PublishedFile)| FileCheck {
        verdict: match file.unpacked_md5(&path) {
            Ok(sum) => verdict(sum, &file.md5),
            Err(error) => Verdict::Broken(error),
        },
        path,
        published_md5: Some(file.md5),
    };
    let files = Publication::mnist().files;
    Ok(paths.into_iter().zip(files).map(check_file).collect())
}

fn verdict((md5, count): (String, usize), published: &str) -> Verdict {
    if md5 == published {
        Verdict::Published { count }
    } else {
        Verdict::Differs { count, md5 }
    }
}

fn check_cifar10(root: &Path) -> Result<Vec<FileCheck>, DataError> {
    match cifar10::locate(root)? {
        Form::Binary(folder) => {
            let check_file = |name: String| {
                let path = folder.join(name);
                let read = cifar10::read_file(&path);
                sound(path, read.map(|(_, labels)| labels.len()))
            };
            Ok(cifar10::binary_files().map(check_file).into())
        }
        Form::Published(found) => check_published(&found),
        Form::Folder(folder) => check_folder(&folder.join("train"), &folder.join("test")),
        Form::Archive(path) => {
            let found = ImageArchive::open(&path)?;
            let mut checks = check_part(path.join("train"), &found.train);
            checks.extend(check_part(path.join("test"), &found.test));
            Ok(checks)
        }
    }
}

fn check_published(found: &Published) -> Result<Vec<FileCheck>, DataError> {
    let files = found.check()?.into_iter();
    Ok(files.map(|(path, read)| sound(path, read)).collect())
}

fn check_folder(train: &Path, test: &Path) -> Result<Vec<FileCheck>, DataError> {
    let found = ImageFolder::open(train, test)?;
    let mut checks = check_part(train.to_owned(), &found.train);
    checks.extend(check_part(test.to_owned(), &found.test));
    Ok(checks)
}

/// The verdict of the part, or of each image that cannot be used.
fn check_part(path: PathBuf, part: &dyn Part) -> Vec<FileCheck> {
    let bad = bad_images(part);
    if bad.is_empty() {
        return vec![sound(path, Ok(part.len()))];
    }
    bad.into_iter()
        .map(|bad| sound(bad.path.clone(), Err(DataError::bad_images(vec![bad]))))
        .collect()
}

fn sound(path: PathBuf, read: Result<usize, DataError>) -> FileCheck {
    FileCheck {
        path,
        published_md5: None,
        verdict: match read {
            Ok(count) => Verdict::Sound { count },
            Err(error) => Verdict::Broken(error),
        },
    }
}
