//! Whether the data is what was published.

use std::path::{Path, PathBuf};

use md5::{Digest, Md5};

use crate::mnist::{self, Publication, hexadecimal};
use crate::{DataError, Source, digits};

/// What [`check`] found.
#[derive(Debug)]
pub struct Check {
    /// The data set.
    pub source: Source,
    /// Every file of it.
    pub files: Vec<FileCheck>,
    /// What is wrong with the set as a whole although each file can be read.
    pub problem: Option<DataError>,
}

/// What [`check`] found about one file.
#[derive(Debug)]
pub struct FileCheck {
    /// The file, or what stands for it.
    pub path: PathBuf,
    /// The MD5 sum of the published file, unpacked.
    pub published_md5: String,
    /// How it compares.
    pub verdict: Verdict,
}

/// How a file compares with the published one.
#[derive(Debug)]
pub enum Verdict {
    /// Bit for bit the same, unpacked.
    Published {
        /// Images or labels in it.
        count: usize,
    },
    /// A sound file with other contents.
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
    /// Whether the set is there, whole and as published.
    pub fn passed(&self) -> bool {
        let published = |file: &FileCheck| matches!(file.verdict, Verdict::Published { .. });
        self.problem.is_none() && self.files.iter().all(published)
    }
}

/// Reads all of the data set `name` and compares it with what was published.
///
/// A damaged file is a [`Verdict`], so that one call reports all of them.
///
/// # Errors
/// [`DataError::UnknownName`], or [`DataError::NotFound`] if the files are not all there.
pub fn check(name: &str, root: Option<&Path>) -> Result<Check, DataError> {
    let source = Source::named(name)?;
    let files = match source {
        Source::Digits => vec![check_digits()],
        Source::Mnist => check_mnist(&mnist::root(root))?,
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
        published_md5: digits::MD5.to_owned(),
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
        published_md5: file.md5,
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
