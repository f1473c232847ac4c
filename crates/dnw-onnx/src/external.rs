//! Data of tensors in other files.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};

use prost::bytes::Bytes;

use crate::ImportError;
use crate::proto::{Entry, decode};

/// The folder of a model, outside of which nothing is read.
#[derive(Debug, Default)]
pub struct Folder {
    /// `None` for a model that came without a folder.
    path: Option<PathBuf>,
    files: HashMap<String, (File, u64)>,
}

impl Folder {
    pub fn new(path: Option<&Path>) -> Self {
        Self {
            path: path.map(Path::to_owned),
            files: HashMap::new(),
        }
    }

    /// The bytes that a tensor's entries name; `expected` of them.
    pub fn read(
        &mut self,
        tensor: &str,
        entries: &[Bytes],
        expected: u64,
    ) -> Result<Vec<u8>, ImportError> {
        let (mut location, mut offset, mut length) = (String::new(), 0, None);
        for entry in entries {
            let entry: Entry = decode(entry.clone(), "the place of external data")?;
            let number = || {
                entry.value.parse::<u64>().map_err(|_| ImportError::Tensor {
                    tensor: tensor.to_owned(),
                    reason: format!("has external data with the {} `{}`", entry.key, entry.value),
                })
            };
            match entry.key.as_str() {
                "location" => location = entry.value.clone(),
                "offset" => offset = number()?,
                "length" => length = Some(number()?),
                _ => {}
            }
        }
        let wrong = |reason: String| ImportError::External {
            tensor: tensor.to_owned(),
            location: location.clone(),
            reason,
        };
        if length.is_some_and(|length| length != expected) {
            return Err(wrong(format!(
                "its length is not the {expected} bytes of its shape"
            )));
        }
        if !self.files.contains_key(&location) {
            let path = self.inside(&location).map_err(&wrong)?;
            let file = File::open(path).map_err(|error| wrong(error.to_string()))?;
            let facts = file.metadata().map_err(|error| wrong(error.to_string()))?;
            if !facts.is_file() {
                return Err(wrong("it is no file".to_owned()));
            }
            self.files.insert(location.clone(), (file, facts.len()));
        }
        let Some((file, size)) = self.files.get_mut(&location) else {
            return Ok(Vec::new());
        };
        if offset.checked_add(expected).is_none_or(|end| end > *size) {
            return Err(wrong(format!(
                "it has {size} bytes, and {expected} from byte {offset} on are needed"
            )));
        }
        let mut bytes = Vec::new();
        let read = file
            .seek(SeekFrom::Start(offset))
            .and_then(|_| file.take(expected).read_to_end(&mut bytes));
        match read {
            Ok(count) if count as u64 == expected => Ok(bytes),
            Ok(_) => Err(wrong("it became shorter while it was read".to_owned())),
            Err(error) => Err(wrong(error.to_string())),
        }
    }

    /// The path of a location, if it is inside the folder, links followed.
    fn inside(&self, location: &str) -> Result<PathBuf, String> {
        const OUTSIDE: &str = "it leaves the folder of the model";
        let Some(folder) = &self.path else {
            return Err("the model was given without a folder".to_owned());
        };
        let relative = Path::new(location);
        let mut parts = relative.components();
        let plain = |part| matches!(part, Component::Normal(_) | Component::CurDir);
        if location.is_empty() || location.contains('\0') || !parts.all(plain) {
            return Err(OUTSIDE.to_owned());
        }
        let path = folder.join(relative);
        let canonical = |path: &Path| path.canonicalize().map_err(|error| error.to_string());
        match canonical(&path)?.starts_with(canonical(folder)?) {
            true => Ok(path),
            false => Err(OUTSIDE.to_owned()),
        }
    }
}
