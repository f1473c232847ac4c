//! The published files of CIFAR-10 and CIFAR-100: for Python or binary, unpacked or in the archive that is downloaded.
//!
//! A binary file is records of label bytes and 32 x 32 red, green and blue bytes. A file for Python is a pickle of a dictionary with the
//! same bytes as a matrix and the labels as a list; nothing in it is executed. (Krizhevsky 2009, *Learning Multiple Layers of Features from
//! Tiny Images*.)

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use dnw_checkpoint::{PickledValue, read_pickled_data};
use flate2::bufread::MultiGzDecoder;

use crate::archive::{ArchiveError, MAX_UNPACKED, read_entry};
use crate::cifar10::CifarError;
use crate::{DataError, Images};

/// No published file is read that has more bytes: the largest has 155 MB.
pub(crate) const MAX_FILE: u64 = 256 << 20;
/// Height and width of every image.
pub(crate) const SIDES: [usize; 2] = [32, 32];
const PIXELS: usize = 3 * SIDES[0] * SIDES[1];

/// What was published as one set.
#[derive(Debug)]
pub(crate) struct Set {
    pub binary: Names,
    pub python: Names,
    /// Label bytes of a binary record; the last counts.
    pub label_bytes: usize,
    /// The list of labels in a file for Python.
    pub labels: &'static str,
    /// The list of the classes' names in `meta` for Python.
    pub label_names: &'static str,
    pub classes: &'static [&'static str],
}

/// The names of one form's files.
#[derive(Debug)]
pub(crate) struct Names {
    pub archive: &'static str,
    pub folder: &'static str,
    pub train: &'static [&'static str],
    pub test: &'static [&'static str],
    /// The names of the classes; it may be missing.
    pub meta: &'static str,
}

impl Names {
    fn files(&self) -> impl Iterator<Item = &'static str> {
        self.train.iter().chain(self.test).copied()
    }
}

/// Published files that were found.
#[derive(Clone, Debug)]
pub struct Published {
    set: &'static Set,
    is_python: bool,
    /// The folder, or the archive.
    path: PathBuf,
    is_archive: bool,
}

impl PartialEq for Published {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.set, other.set) && self.path == other.path
    }
}

impl Eq for Published {}

/// Where a search has not found a set.
#[derive(Debug, Default)]
pub(crate) struct Search {
    pub looked: Vec<PathBuf>,
    /// A folder with some of the files, and those that it lacks.
    pub incomplete: Option<(PathBuf, Vec<String>)>,
}

impl Search {
    /// Whether the folder has all of these files.
    pub(crate) fn has_all<'a>(
        &mut self,
        folder: &Path,
        files: impl Iterator<Item = &'a str>,
    ) -> bool {
        let there = |file: &&str| folder.join(file).is_file();
        let (present, missing): (Vec<_>, Vec<_>) = files.partition(there);
        if missing.is_empty() {
            return true;
        }
        if !present.is_empty() && self.incomplete.is_none() {
            let missing = missing.into_iter().map(str::to_owned).collect();
            self.incomplete = Some((folder.to_owned(), missing));
        }
        if !self.looked.iter().any(|looked| looked == folder) {
            self.looked.push(folder.to_owned());
        }
        false
    }
}

impl Set {
    /// Finds unpacked files in their own folder or in the data folder itself, then archives.
    pub(crate) fn locate(&'static self, root: &Path, search: &mut Search) -> Option<Published> {
        let found = |path: PathBuf, is_python, is_archive| Published {
            set: self,
            is_python,
            path,
            is_archive,
        };
        let forms = [(&self.binary, false), (&self.python, true)];
        for (names, is_python) in forms {
            for folder in [root.join(names.folder), root.to_owned()] {
                // `train` and `test` alone may be anything's; as folders they are a folder of images.
                if search.has_all(&folder, names.files()) {
                    return Some(found(folder, is_python, false));
                }
            }
        }
        for (names, is_python) in forms {
            let archive = root.join(names.archive);
            if archive.is_file() {
                return Some(found(archive, is_python, true));
            }
            search.looked.push(archive);
        }
        None
    }
}

/// A file, and the images in it.
pub(crate) type Counted = (PathBuf, Result<usize, DataError>);

impl Published {
    /// The folder or archive.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn names(&self) -> &'static Names {
        match self.is_python {
            true => &self.set.python,
            false => &self.set.binary,
        }
    }

    /// Reads both parts.
    pub(crate) fn read(&self) -> Result<[Images; 2], DataError> {
        let mut files = self.files()?;
        self.check_names(&mut files)?;
        let names = self.names();
        let mut part = |names: &[&str]| {
            let (mut pixels, mut labels) = (Vec::new(), Vec::new());
            for name in names {
                let (more_pixels, more_labels) = self.read_file(&mut files, name)?;
                pixels.extend(more_pixels);
                labels.extend(more_labels);
            }
            Images::new([3, SIDES[0], SIDES[1]], pixels, labels)
        };
        Ok([part(names.train)?, part(names.test)?])
    }

    /// Reads every file, to find out which of them are sound.
    pub(crate) fn check(&self) -> Result<Vec<Counted>, DataError> {
        let mut files = self.files()?;
        let check = |name| {
            let read = self.read_file(&mut files, name);
            (self.place(name), read.map(|(_, labels)| labels.len()))
        };
        Ok(self.names().files().map(check).collect())
    }

    /// The numbers of training and test images.
    pub(crate) fn count(&self) -> Result<[usize; 2], DataError> {
        let [train, test] = self.read()?;
        Ok([&train, &test].map(crate::Part::len))
    }

    fn place(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    fn files(&self) -> Result<Files, DataError> {
        if !self.is_archive {
            return Ok(Files::Folder(self.path.clone()));
        }
        let names = self.names();
        let wanted: Vec<&str> = names.files().chain([names.meta]).collect();
        let archive = File::open(&self.path).map_err(|cause| DataError::Io {
            action: "open",
            path: self.path.clone(),
            cause,
        })?;
        let unpacked = unpack(archive, &wanted).map_err(|problem| DataError::Archive {
            path: self.path.clone(),
            problem,
        })?;
        Ok(Files::Unpacked(unpacked))
    }

    fn read_file(&self, files: &mut Files, name: &str) -> Result<(Vec<u8>, Vec<u16>), DataError> {
        let mut read = || {
            let bytes = files.take(name)?;
            let (pixels, labels) = match self.is_python {
                true => pickled(&bytes, self.set)?,
                false => records(&bytes, self.set)?,
            };
            Ok((pixels, checked(&labels, self.set)?))
        };
        read().map_err(|problem| in_file(&self.place(name), problem))
    }

    fn check_names(&self, files: &mut Files) -> Result<(), DataError> {
        let meta = self.names().meta;
        let mut check = || {
            let bytes = match files.take(meta) {
                Err(CifarError::Io(error)) if error.kind() == io::ErrorKind::NotFound => {
                    return Ok(());
                }
                bytes => bytes?,
            };
            let is_same = if self.is_python {
                let key = self.set.label_names;
                let names = entry(&bytes, key)?;
                matches!(names, Some(PickledValue::Texts(names)) if names == self.set.classes)
            } else {
                let text = String::from_utf8_lossy(&bytes);
                let names = text.lines().map(str::trim).filter(|name| !name.is_empty());
                names.eq(self.set.classes.iter().copied())
            };
            is_same.then_some(()).ok_or(CifarError::Names)
        };
        check().map_err(|problem| in_file(&self.place(meta), problem))
    }
}

fn in_file(path: &Path, problem: CifarError) -> DataError {
    DataError::Cifar {
        path: path.to_owned(),
        problem,
    }
}

/// Files in a folder, or of an archive that was read.
enum Files {
    Folder(PathBuf),
    Unpacked(BTreeMap<String, Vec<u8>>),
}

impl Files {
    /// The content of a file, which is asked for once.
    fn take(&mut self, name: &str) -> Result<Vec<u8>, CifarError> {
        match self {
            Self::Folder(folder) => {
                let file = File::open(folder.join(name))?;
                let mut bytes = Vec::new();
                file.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
                if bytes.len() as u64 > MAX_FILE {
                    return Err(CifarError::Oversized);
                }
                Ok(bytes)
            }
            Self::Unpacked(files) => {
                let missing = || io::Error::new(io::ErrorKind::NotFound, "the archive lacks it");
                files.remove(name).ok_or_else(|| missing().into())
            }
        }
    }
}

/// The wanted files of an archive, by their names without folders.
fn unpack(archive: File, wanted: &[&str]) -> Result<BTreeMap<String, Vec<u8>>, ArchiveError> {
    let unpacked = MultiGzDecoder::new(BufReader::new(archive)).take(MAX_UNPACKED);
    let mut archive = tar::Archive::new(unpacked);
    let mut files = BTreeMap::new();
    for entry in archive.entries().map_err(ArchiveError::Damaged)? {
        let mut entry = entry.map_err(ArchiveError::Damaged)?;
        let path = entry.path().map_err(ArchiveError::Damaged)?.into_owned();
        let name = path.file_name().and_then(|name| name.to_str());
        let Some(name) = name.filter(|name| wanted.contains(name)) else {
            continue;
        };
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let name = name.to_owned();
        let content = read_entry(&mut entry, path, MAX_FILE)?;
        files.insert(name, content);
    }
    // gzip verifies its checksum at the end of the stream.
    io::copy(&mut archive.into_inner(), &mut io::sink()).map_err(ArchiveError::Damaged)?;
    Ok(files)
}

/// Pixels and labels of a binary file.
fn records(bytes: &[u8], set: &Set) -> Result<(Vec<u8>, Vec<i64>), CifarError> {
    let record = set.label_bytes + PIXELS;
    if bytes.is_empty() || !bytes.len().is_multiple_of(record) {
        let found = bytes.len() as u64;
        return Err(CifarError::Records { found, record });
    }
    let mut pixels = Vec::with_capacity(bytes.len());
    let mut labels = Vec::new();
    for record in bytes.chunks_exact(record) {
        labels.push(record[set.label_bytes - 1].into());
        pixels.extend(&record[set.label_bytes..]);
    }
    Ok((pixels, labels))
}

/// Pixels and labels of a file for Python.
fn pickled(bytes: &[u8], set: &Set) -> Result<(Vec<u8>, Vec<i64>), CifarError> {
    let wrong = |key, expected| CifarError::Entry { key, expected };
    let (mut pixels, mut labels) = (None, None);
    for (key, value) in read_pickled_data(bytes)? {
        match value {
            PickledValue::Bytes {
                columns, values, ..
            } if key == "data" && columns == PIXELS => {
                pixels = Some(values);
            }
            PickledValue::Numbers(numbers) if key == set.labels => labels = Some(numbers),
            // An array of unsigned bytes.
            PickledValue::Bytes {
                columns: 1, values, ..
            } if key == set.labels => {
                labels = Some(values.iter().map(|&label| label.into()).collect());
            }
            _ => {}
        }
    }
    let pixels = pixels.ok_or_else(|| wrong("data", "a matrix of bytes with 3072 columns"))?;
    let labels: Vec<i64> = labels.ok_or_else(|| wrong(set.labels, "a list of whole numbers"))?;
    let images = pixels.len() / PIXELS;
    if images == 0 || images != labels.len() {
        let labels = labels.len();
        return Err(CifarError::Counts { images, labels });
    }
    Ok((Cow::into_owned(pixels), labels))
}

fn entry<'a>(bytes: &'a [u8], key: &str) -> Result<Option<PickledValue<'a>>, CifarError> {
    let entries = read_pickled_data(bytes)?;
    Ok(entries
        .into_iter()
        .find(|(found, _)| found == key)
        .map(|(_, value)| value))
}

fn checked(labels: &[i64], set: &Set) -> Result<Vec<u16>, CifarError> {
    let classes = set.classes.len();
    let check = |(index, &label): (usize, &i64)| match u16::try_from(label) {
        Ok(label) if usize::from(label) < classes => Ok(label),
        _ => Err(CifarError::Label {
            index,
            label,
            classes,
        }),
    };
    labels.iter().enumerate().map(check).collect()
}
