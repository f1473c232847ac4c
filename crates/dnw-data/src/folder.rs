//! Images in folders: one folder per class in a folder per part.
//!
//! The classes are the names of the training part's folders, sorted by bytes; the test part must have the
//! same, or a file with the class of each image ([`annotations`]). Images may lie in further folders inside
//! that of their class. They are listed when the folder is opened, sorted within each class, so that an image's index does
//! not depend on the file system; they are decoded on demand. An image is a `.jpg`, `.jpeg` or `.png` (any
//! case) whose name does not begin with a dot; other files are ignored.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;

use crate::{BadImage, DataError, ImageError, Part, Picture, picture};

mod annotations;
mod error;

pub use error::FolderError;

const ENDINGS: [&str; 3] = ["jpg", "jpeg", "png"];

/// How deep images may lie inside the folder of their class. This also ends a link that leads back.
const MOST_FOLDERS: usize = 4;

/// Two parts of classes of images.
#[derive(Debug)]
pub struct ImageFolder {
    /// The names of the classes.
    pub classes: Vec<String>,
    /// The training images.
    pub train: FolderPart,
    /// The test images.
    pub test: FolderPart,
}

/// The images of one part, decoded on demand.
#[derive(Debug)]
pub struct FolderPart {
    folder: PathBuf,
    classes: Arc<[OsString]>,
    labels: Vec<u16>,
    /// Paths inside the folder of the class, or inside `folder` if there are none of classes.
    names: Vec<Box<OsStr>>,
    has_class_folders: bool,
}

impl ImageFolder {
    /// Lists the images in the folders of two parts.
    ///
    /// # Errors
    /// [`DataError::Folder`] with the [`FolderError`], [`DataError::BadImages`] with every image that is
    /// listed but does not exist, [`DataError::Io`] if a folder cannot be read.
    pub fn open(train: &Path, test: &Path) -> Result<Self, DataError> {
        let names = |classes: &[OsString]| -> Vec<String> {
            let name = |class: &OsString| class.to_string_lossy().into_owned();
            classes.iter().map(name).collect()
        };
        let classes = class_folders(train)?;
        let class_names = names(&classes);
        enough_classes(&class_names).map_err(|problem| wrong(train, problem))?;
        let classes: Arc<[OsString]> = classes.into();
        let open = |test| {
            Ok(Self {
                train: FolderPart::open(train, &classes)?,
                test,
                classes: class_names.clone(),
            })
        };
        if let Some(labels) = annotations::find(test) {
            return open(FolderPart::annotated(test, &labels, &classes)?);
        }
        let of = train.display().to_string();
        let found = class_folders(test)?;
        if found.is_empty() || found == ["images"] && !class_names.contains(&"images".to_owned()) {
            let (images, _) = images_in(test)?;
            if !images.is_empty() {
                let images = images.len();
                return Err(wrong(test, FolderError::Unlabelled { images }));
            }
        }
        same_classes(&of, &class_names, &names(&class_folders(test)?))
            .map_err(|problem| wrong(test, problem))?;
        open(FolderPart::open(test, &classes)?)
    }
}

pub(crate) fn wrong(path: &Path, problem: FolderError) -> DataError {
    DataError::Folder {
        path: path.to_owned(),
        problem,
    }
}

/// Checks the number of classes.
pub(crate) fn enough_classes(classes: &[String]) -> Result<(), FolderError> {
    match classes {
        [] => Err(FolderError::NoClasses),
        [class] => Err(FolderError::OneClass {
            class: class.clone(),
        }),
        _ if classes.len() > 1 << 16 => Err(FolderError::TooManyClasses {
            classes: classes.len(),
        }),
        _ => Ok(()),
    }
}

/// Checks that the classes equal the `wanted` ones; both are sorted.
pub(crate) fn same_classes(
    of: &str,
    wanted: &[String],
    found: &[String],
) -> Result<(), FolderError> {
    let without = |names: &[String], others: &[String]| -> Vec<String> {
        let other = |name: &&String| others.binary_search(name).is_err();
        names.iter().filter(other).cloned().collect()
    };
    let (lacks, has) = (without(wanted, found), without(found, wanted));
    if lacks.is_empty() && has.is_empty() {
        return Ok(());
    }
    let of = of.to_owned();
    Err(FolderError::Classes { of, lacks, has })
}

/// Whether a file with this name is an image.
pub(crate) fn is_image_name(name: &OsStr) -> bool {
    let hidden = name.as_encoded_bytes().starts_with(b".");
    let ending = Path::new(name).extension();
    !hidden && ending.is_some_and(|it| ENDINGS.iter().any(|e| it.eq_ignore_ascii_case(e)))
}

fn class_folders(folder: &Path) -> Result<Vec<OsString>, DataError> {
    let mut classes = Vec::new();
    for entry in entries(folder)? {
        let name = entry.file_name();
        // Also through links.
        if !name.as_encoded_bytes().starts_with(b".") && entry.path().is_dir() {
            classes.push(name);
        }
    }
    classes.sort_unstable();
    Ok(classes)
}

fn entries(folder: &Path) -> Result<Vec<fs::DirEntry>, DataError> {
    let unreadable = |cause: io::Error| DataError::Io {
        action: "read the folder",
        path: folder.to_owned(),
        cause,
    };
    fs::read_dir(folder)
        .and_then(Iterator::collect)
        .map_err(unreadable)
}

/// The sorted paths of the images inside a folder, and those that are listed but are not files.
fn images_in(folder: &Path) -> Result<(Vec<Box<OsStr>>, Vec<BadImage>), DataError> {
    let (mut names, mut bad) = (Vec::new(), Vec::new());
    list_images(folder, Path::new(""), 0, &mut names, &mut bad)?;
    names.sort_unstable();
    bad.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    Ok((names, bad))
}

fn list_images(
    folder: &Path,
    inside: &Path,
    depth: usize,
    names: &mut Vec<Box<OsStr>>,
    bad: &mut Vec<BadImage>,
) -> Result<(), DataError> {
    for entry in entries(&folder.join(inside))? {
        let name = entry.file_name();
        if !is_image_name(&name) {
            let is_hidden = name.as_encoded_bytes().starts_with(b".");
            // A file of another kind is not looked up: there may be as many as images.
            let is_folder = entry
                .file_type()
                .is_ok_and(|kind| kind.is_dir() || kind.is_symlink());
            if is_folder && !is_hidden && depth < MOST_FOLDERS && entry.path().is_dir() {
                list_images(folder, &inside.join(&name), depth + 1, names, bad)?;
            }
            continue;
        }
        // Only links are resolved, because that is slow for a million files.
        let is_file = match entry.file_type() {
            Ok(kind) if kind.is_file() => Ok(true),
            Ok(kind) if kind.is_dir() => Ok(false),
            _ => fs::metadata(entry.path()).map(|it| it.is_file()),
        };
        match is_file {
            Ok(true) => names.push(inside.join(name).into_os_string().into_boxed_os_str()),
            Ok(false) => {}
            Err(error) => bad.push(BadImage {
                path: entry.path(),
                problem: ImageError::Io(error),
            }),
        }
    }
    Ok(())
}

impl FolderPart {
    /// The images of a folder whose classes a file says.
    fn annotated(
        folder: &Path,
        labels: &Path,
        classes: &Arc<[OsString]>,
    ) -> Result<Self, DataError> {
        let class_of = annotations::read(labels)?;
        let (names, bad) = images_in(folder)?;
        if !bad.is_empty() {
            return Err(DataError::bad_images(bad));
        }
        let (mut part_labels, mut unknown) = (Vec::with_capacity(names.len()), Vec::new());
        for name in &names {
            let stem = Path::new(name).file_stem().unwrap_or_default();
            let Some(class) = class_of.get(stem.to_string_lossy().as_ref()) else {
                let image = name.to_string_lossy().into_owned();
                return Err(wrong(labels, FolderError::NoLabel { image }));
            };
            match classes.binary_search_by(|known| known.as_os_str().cmp(OsStr::new(class))) {
                Ok(label) => part_labels.push(label as u16),
                Err(_) if unknown.contains(class) => {}
                Err(_) => unknown.push(class.clone()),
            }
        }
        if !unknown.is_empty() {
            unknown.sort_unstable();
            let (of, lacks) = ("the training part".to_owned(), Vec::new());
            let has = unknown;
            return Err(wrong(labels, FolderError::Classes { of, lacks, has }));
        }
        if names.is_empty() {
            return Err(wrong(folder, FolderError::NoClasses));
        }
        Ok(Self {
            folder: folder.to_owned(),
            classes: Arc::clone(classes),
            labels: part_labels,
            names,
            has_class_folders: false,
        })
    }

    fn open(folder: &Path, classes: &Arc<[OsString]>) -> Result<Self, DataError> {
        let listings: Result<Vec<_>, _> = classes
            .par_iter()
            .map(|class| images_in(&folder.join(class)))
            .collect();
        let mut part = Self {
            folder: folder.to_owned(),
            classes: Arc::clone(classes),
            labels: Vec::new(),
            names: Vec::new(),
            has_class_folders: true,
        };
        let (mut bad, mut empty) = (Vec::new(), Vec::new());
        for (label, (names, missing)) in listings?.into_iter().enumerate() {
            if names.is_empty() && missing.is_empty() {
                empty.push(classes[label].to_string_lossy().into_owned());
            }
            part.labels
                .extend(std::iter::repeat_n(label as u16, names.len()));
            part.names.extend(names);
            bad.extend(missing);
        }
        if !empty.is_empty() {
            return Err(wrong(folder, FolderError::EmptyClasses { classes: empty }));
        }
        if !bad.is_empty() {
            return Err(DataError::bad_images(bad));
        }
        Ok(part)
    }
}

impl Part for FolderPart {
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
        picture::read(&self.place(index))
    }

    fn place(&self, index: usize) -> PathBuf {
        let name = &*self.names[index];
        if !self.has_class_folders {
            return self.folder.join(name);
        }
        let class = &self.classes[usize::from(self.labels[index])];
        self.folder.join(class).join(name)
    }
}
