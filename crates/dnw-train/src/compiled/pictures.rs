//! The pictures that a model is to classify: files, folders of them, and IDX files with many.

use std::collections::HashSet;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dnw_data::idx::{Idx, read_images};
use dnw_data::{DataError, Picture, picture};

/// The endings of pictures in folders. A file that is named is read whatever its name.
const ENDINGS: [&str; 3] = ["png", "jpg", "jpeg"];
/// What the names of IDX files of images have in them.
const IDX: &str = "idx3-ubyte";
/// How an IDX file of bytes begins.
const IDX_START: [u8; 3] = [0, 0, 8];
const GZIP_START: [u8; 2] = [0x1f, 0x8b];

/// A picture that has not been read yet, or a place in a file that has.
#[derive(Clone, Debug)]
pub enum Source {
    /// A file of its own.
    File(PathBuf),
    /// A place in an IDX file.
    Idx {
        /// The file.
        path: PathBuf,
        /// Its images.
        images: Arc<Idx>,
        /// Which of them.
        index: usize,
    },
}

/// Something that was named and cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unusable {
    /// The file or folder.
    pub path: PathBuf,
    /// What is wrong with it.
    pub problem: String,
}

impl Source {
    /// The file.
    pub fn path(&self) -> &Path {
        match self {
            Self::File(path) | Self::Idx { path, .. } => path,
        }
    }

    /// The place in the file, if it has several pictures.
    pub fn index(&self) -> Option<usize> {
        match self {
            Self::File(_) => None,
            Self::Idx { index, .. } => Some(*index),
        }
    }

    /// Reads and decodes it.
    ///
    /// # Errors
    /// [`Unusable`] if the file cannot be read or is no picture.
    pub fn read(&self) -> Result<Picture<'_>, Unusable> {
        match self {
            Self::File(path) => picture::read(path).map_err(|error| unusable(path, error)),
            Self::Idx { images, index, .. } => {
                let (height, width) = (images.dims[1], images.dims[2]);
                let pixels = &images.data[index * height * width..][..height * width];
                Ok(Picture {
                    shape: [1, height, width],
                    pixels: pixels.into(),
                })
            }
        }
    }
}

fn unusable(path: &Path, problem: impl ToString) -> Unusable {
    Unusable {
        path: path.to_owned(),
        problem: problem.to_string(),
    }
}

/// All pictures of what was named: files as they are, folders with everything below them in the order of their names. What cannot be used
/// at all is in the second list.
pub fn find(named: &[PathBuf]) -> (Vec<Source>, Vec<Unusable>) {
    let mut found = Found::default();
    for path in named {
        found.add(path);
    }
    (found.sources, found.unusable)
}

#[derive(Default)]
struct Found {
    sources: Vec<Source>,
    unusable: Vec<Unusable>,
}

impl Found {
    fn add(&mut self, path: &Path) {
        if !path.is_dir() {
            return self.add_file(path);
        }
        let before = (self.sources.len(), self.unusable.len());
        self.add_folder(path, &mut HashSet::new());
        if (self.sources.len(), self.unusable.len()) == before {
            let problem = "the folder has no pictures (.png, .jpg, .jpeg)";
            self.unusable.push(unusable(path, problem));
        }
    }

    /// `seen` has the folders that were entered, so that a link that leads back ends.
    fn add_folder(&mut self, folder: &Path, seen: &mut HashSet<PathBuf>) {
        match fs::canonicalize(folder) {
            Ok(place) => {
                if !seen.insert(place) {
                    return;
                }
            }
            Err(error) => return self.unusable.push(unusable(folder, error)),
        }
        let mut paths = Vec::new();
        match fs::read_dir(folder) {
            Err(error) => return self.unusable.push(unusable(folder, error)),
            Ok(entries) => {
                for entry in entries {
                    match entry {
                        Ok(entry) => paths.push(entry.path()),
                        Err(error) => self.unusable.push(unusable(folder, error)),
                    }
                }
            }
        }
        paths.sort();
        for path in paths {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let ending = path.extension().unwrap_or_default().to_ascii_lowercase();
            if name.starts_with('.') {
                continue;
            } else if path.is_dir() {
                self.add_folder(&path, seen);
            } else if ENDINGS.iter().any(|known| ending == *known) || name.contains(IDX) {
                self.add_file(&path);
            }
        }
    }

    fn add_file(&mut self, path: &Path) {
        // What cannot be opened is said when it is read.
        if !is_idx(path) {
            return self.sources.push(Source::File(path.to_owned()));
        }
        match read_images(path) {
            Ok(images) => {
                let images = Arc::new(images);
                let sources = (0..images.dims[0]).map(|index| Source::Idx {
                    path: path.to_owned(),
                    images: Arc::clone(&images),
                    index,
                });
                self.sources.extend(sources);
            }
            Err(DataError::Idx { problem, .. }) => self.unusable.push(unusable(path, problem)),
            Err(error) => self.unusable.push(unusable(path, error)),
        }
    }
}

/// Whether a file begins as an IDX file of bytes, packed or not. What is no file, such as a pipe that nobody writes to, is not opened.
fn is_idx(path: &Path) -> bool {
    if !path.is_file() {
        return false;
    }
    let mut start = [0; 3];
    let read = fs::File::open(path).and_then(|mut file| file.read_exact(&mut start));
    read.is_ok() && (start == IDX_START || start[..2] == GZIP_START)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(sources: &[Source], folder: &Path) -> Vec<String> {
        let name = |source: &Source| {
            let inside = source.path().strip_prefix(folder).unwrap();
            inside.to_string_lossy().replace('\\', "/")
        };
        sources.iter().map(name).collect()
    }

    #[test]
    fn folders_are_searched_in_the_order_of_names() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("b/deep")).unwrap();
        for name in [
            "c.PNG",
            "a.jpeg",
            "b/deep/x.jpg",
            "b/notes.txt",
            ".hidden.png",
        ] {
            fs::write(at(name), "no picture").unwrap();
        }
        let (sources, unusable) = find(&[folder.path().to_owned(), at("b/notes.txt")]);
        assert_eq!(
            names(&sources, folder.path()),
            ["a.jpeg", "b/deep/x.jpg", "c.PNG", "b/notes.txt"]
        );
        assert_eq!(unusable, []);
        // They are no pictures, which is found out when each is read.
        assert!(sources.iter().all(|source| source.read().is_err()));
    }

    #[cfg(unix)]
    #[test]
    fn a_link_that_leads_back_is_followed_once() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("in")).unwrap();
        fs::write(folder.path().join("in/a.png"), "").unwrap();
        std::os::unix::fs::symlink(folder.path(), folder.path().join("in/back")).unwrap();
        let (sources, _) = find(&[folder.path().to_owned()]);
        assert_eq!(names(&sources, folder.path()), ["in/a.png"]);
    }

    #[test]
    fn an_empty_folder_and_labels_cannot_be_used() {
        let folder = tempfile::tempdir().unwrap();
        let labels = folder.path().join("labels");
        fs::write(&labels, [0, 0, 8, 1, 0, 0, 0, 1, 5]).unwrap();
        fs::create_dir(folder.path().join("empty")).unwrap();
        let (sources, unusable) = find(&[folder.path().join("empty"), labels]);
        assert!(sources.is_empty());
        assert!(
            unusable[0].problem.contains("no pictures"),
            "{:?}",
            unusable[0]
        );
        assert_eq!(unusable.len(), 2);
    }

    #[test]
    fn an_idx_file_is_many_pictures() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("some");
        let mut bytes = vec![0, 0, 8, 3, 0, 0, 0, 3, 0, 0, 0, 1, 0, 0, 0, 2];
        bytes.extend([1, 2, 3, 4, 5, 6]);
        fs::write(&path, bytes).unwrap();
        let (sources, _) = find(&[path]);
        let pixels: Vec<Vec<u8>> = sources
            .iter()
            .map(|source| source.read().unwrap().pixels.to_vec())
            .collect();
        assert_eq!(pixels, [[1, 2], [3, 4], [5, 6]]);
        assert_eq!(sources[2].index(), Some(2));
    }
}
