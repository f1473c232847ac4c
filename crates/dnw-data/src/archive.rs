//! A folder of images in a gzipped tar archive, read without unpacking it to disk.
//!
//! The paths in the archive end in `part/class/image`, with any prefix. The encoded images are kept in
//! memory, in the order of [`folder`](crate::folder), independent of their order in the archive.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Component, Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

use crate::folder::{enough_classes, is_image_name, same_classes, wrong};
use crate::{DataError, ImageError, Part, Picture, picture};

mod error;

pub use error::{ArchiveError, MAX_ENTRY, MAX_UNPACKED};

/// The encoded images of both parts, in memory.
#[derive(Debug)]
pub struct ImageArchive {
    /// The sorted names of the classes.
    pub classes: Vec<String>,
    /// The images of `train/`.
    pub train: ArchivePart,
    /// The images of `test/`.
    pub test: ArchivePart,
}

/// The encoded images of one part.
pub struct ArchivePart {
    archive: PathBuf,
    labels: Vec<u16>,
    images: Vec<(PathBuf, Vec<u8>)>,
}

impl std::fmt::Debug for ArchivePart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ArchivePart")
            .field("archive", &self.archive)
            .field("images", &self.images.len())
            .finish_non_exhaustive()
    }
}

/// Images by class and name.
type Classes = BTreeMap<String, BTreeMap<String, Vec<u8>>>;

impl ImageArchive {
    /// Reads a `.tar.gz`.
    ///
    /// # Errors
    /// [`DataError::Archive`] with the [`ArchiveError`], [`DataError::Folder`] if its classes are wrong,
    /// [`DataError::Io`] if it cannot be opened.
    pub fn open(path: &Path) -> Result<Self, DataError> {
        let file = File::open(path).map_err(|cause| DataError::Io {
            action: "open",
            path: path.to_owned(),
            cause,
        })?;
        let mut parts = read(file).map_err(|problem| DataError::Archive {
            path: path.to_owned(),
            problem,
        })?;
        let [train, test] = ["train", "test"].map(|part| parts.remove(part).unwrap_or_default());
        let classes: Vec<_> = train.keys().cloned().collect();
        enough_classes(&classes).map_err(|problem| wrong(&path.join("train"), problem))?;
        let found: Vec<_> = test.keys().cloned().collect();
        let of = path.join("train").display().to_string();
        same_classes(&of, &classes, &found).map_err(|it| wrong(&path.join("test"), it))?;
        Ok(Self {
            train: ArchivePart::new(path, "train", train),
            test: ArchivePart::new(path, "test", test),
            classes,
        })
    }
}

fn read(archive: impl Read) -> Result<BTreeMap<String, Classes>, ArchiveError> {
    // One byte more than the limit distinguishes an archive that ends there from a longer one.
    let unpacked = MultiGzDecoder::new(BufReader::new(archive)).take(MAX_UNPACKED + 1);
    let mut archive = tar::Archive::new(unpacked);
    let mut parts: BTreeMap<String, Classes> = BTreeMap::new();
    let found = collect(&mut archive, &mut parts);
    let mut rest = archive.into_inner();
    // gzip verifies its checksum at the end of the stream.
    let drained = match found {
        Ok(()) => io::copy(&mut rest, &mut io::sink()).map_err(ArchiveError::Damaged),
        Err(_) => Ok(0),
    };
    if rest.limit() == 0 {
        return Err(ArchiveError::Oversized);
    }
    found?;
    drained?;
    Ok(parts)
}

fn collect(
    archive: &mut tar::Archive<impl Read>,
    parts: &mut BTreeMap<String, Classes>,
) -> Result<(), ArchiveError> {
    for entry in archive.entries().map_err(ArchiveError::Damaged)? {
        let mut entry = entry.map_err(ArchiveError::Damaged)?;
        let name = entry.path().map_err(ArchiveError::Damaged)?.into_owned();
        let is_image = name.file_name().is_some_and(is_image_name);
        let Some([part, class, image]) = last_three(&name) else {
            continue;
        };
        if !entry.header().entry_type().is_file() || !is_image {
            continue;
        }
        let content = read_entry(&mut entry, name, MAX_ENTRY)?;
        let classes = parts.entry(part).or_default();
        classes.entry(class).or_default().insert(image, content);
    }
    Ok(())
}

/// The content of an entry of at most `most` bytes.
pub(crate) fn read_entry(
    entry: &mut tar::Entry<'_, impl Read>,
    name: PathBuf,
    most: u64,
) -> Result<Vec<u8>, ArchiveError> {
    let bytes = entry.size();
    if bytes > most {
        return Err(ArchiveError::Entry { name, bytes, most });
    }
    let mut content = Vec::new();
    let read = entry.take(most).read_to_end(&mut content);
    read.map_err(ArchiveError::Damaged)?;
    if content.len() as u64 != bytes {
        let cut = io::Error::from(io::ErrorKind::UnexpectedEof);
        return Err(ArchiveError::Damaged(cut));
    }
    Ok(content)
}

/// The part, class and name of an image, from its path.
fn last_three(path: &Path) -> Option<[String; 3]> {
    let mut names = path.components().rev().map(|component| match component {
        Component::Normal(name) => name.to_str().map(str::to_owned),
        _ => None,
    });
    let mut next = || names.next().flatten();
    let [image, class, part] = [next()?, next()?, next()?];
    Some([part, class, image])
}

impl ArchivePart {
    fn new(archive: &Path, part: &str, classes: Classes) -> Self {
        let mut this = Self {
            archive: archive.to_owned(),
            labels: Vec::new(),
            images: Vec::new(),
        };
        for (label, (class, images)) in classes.into_iter().enumerate() {
            for (name, bytes) in images {
                this.labels.push(label as u16);
                let path = [part, &class, &name].iter().collect();
                this.images.push((path, bytes));
            }
        }
        this
    }
}

impl Part for ArchivePart {
    fn labels(&self) -> &[u16] {
        &self.labels
    }

    fn channels(&self) -> usize {
        3
    }

    fn size(&self) -> Option<[usize; 2]> {
        None
    }

    fn picture(&self, index: usize) -> Result<Picture<'_>, ImageError> {
        picture::decode(&self.images[index].1)
    }

    fn place(&self, index: usize) -> PathBuf {
        self.archive.join(&self.images[index].0)
    }
}
