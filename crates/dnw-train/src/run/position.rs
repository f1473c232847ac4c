//! Files to which a run appends, with a hash of everything appended so far.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::RunError;

/// The length of a file, and the SHA-256 of its bytes in hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Position {
    pub(crate) bytes: u64,
    pub(crate) sha256: String,
}

impl Position {
    /// Of bytes in memory.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self {
            bytes: bytes.len() as u64,
            sha256: hexadecimal(Sha256::new_with_prefix(bytes)),
        }
    }
}

/// The hash of a whole file.
///
/// # Errors
/// [`RunError::Read`].
pub(crate) fn hash_of_file(path: &Path) -> Result<String, RunError> {
    let failed = |source| RunError::Read {
        path: path.to_owned(),
        source,
    };
    let mut hash = Sha256::new();
    let mut file = File::open(path).map_err(failed)?;
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer).map_err(failed)? {
            0 => return Ok(hexadecimal(hash)),
            read => hash.update(&buffer[..read]),
        }
    }
}

/// The hash of a text.
pub(crate) fn sha256(text: &str) -> String {
    hexadecimal(Sha256::new_with_prefix(text))
}

fn hexadecimal(hash: Sha256) -> String {
    let bytes = hash.finalize();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Checks that a file begins with the bytes of a position. Reads no more than those.
///
/// # Errors
/// [`RunError::Read`], or [`RunError::Damaged`] if it is shorter or has other bytes.
pub(crate) fn check_beginning(path: &Path, position: &Position) -> Result<(), RunError> {
    hash_beginning(path, position).map(|_| ())
}

fn hash_beginning(path: &Path, position: &Position) -> Result<Sha256, RunError> {
    let failed = |source| RunError::Read {
        path: path.to_owned(),
        source,
    };
    let mut file = File::open(path).map_err(failed)?;
    let found = file.metadata().map_err(failed)?.len();
    if found < position.bytes {
        let reason = format!("it has {found} bytes of {}", position.bytes);
        return Err(RunError::damaged(path, reason));
    }
    let (mut hash, mut left) = (Sha256::new(), position.bytes);
    let mut buffer = vec![0; 1 << 16];
    while left > 0 {
        let most = left.min(buffer.len() as u64) as usize;
        let read = file.read(&mut buffer[..most]).map_err(failed)?;
        if read == 0 {
            return Err(RunError::damaged(path, "it ends before its end"));
        }
        hash.update(&buffer[..read]);
        left -= read as u64;
    }
    if hexadecimal(hash.clone()) != position.sha256 {
        return Err(RunError::damaged(path, "its bytes have changed"));
    }
    Ok(hash)
}

/// A file to which bytes are appended.
#[derive(Debug)]
pub(crate) struct Appended {
    path: PathBuf,
    file: File,
    bytes: u64,
    hash: Sha256,
}

impl Appended {
    /// Creates an empty file.
    pub(crate) fn create(path: PathBuf) -> Result<Self, RunError> {
        match File::create(&path) {
            Ok(file) => Ok(Self {
                path,
                file,
                bytes: 0,
                hash: Sha256::new(),
            }),
            Err(source) => Err(RunError::Write { path, source }),
        }
    }

    /// Cuts a file off at a position, to append to it again.
    pub(crate) fn cut(path: PathBuf, position: &Position) -> Result<Self, RunError> {
        let hash = hash_beginning(&path, position)?;
        let open = || {
            let mut file = File::options().write(true).open(&path)?;
            file.set_len(position.bytes)?;
            file.seek(SeekFrom::End(0))?;
            Ok(file)
        };
        match open() {
            Ok(file) => Ok(Self {
                bytes: position.bytes,
                path,
                file,
                hash,
            }),
            Err(source) => Err(RunError::Write { path, source }),
        }
    }

    /// Its path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Appends bytes in one write.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<(), RunError> {
        let written = self.file.write_all(bytes);
        written.map_err(|source| self.failed(source))?;
        self.bytes += bytes.len() as u64;
        self.hash.update(bytes);
        Ok(())
    }

    /// Waits until everything appended is on the disk, and returns the end.
    pub(crate) fn sync(&mut self) -> Result<Position, RunError> {
        let synced = self.file.sync_data();
        synced.map_err(|source| self.failed(source))?;
        Ok(Position {
            bytes: self.bytes,
            sha256: hexadecimal(self.hash.clone()),
        })
    }

    fn failed(&self, source: std::io::Error) -> RunError {
        RunError::Write {
            path: self.path.clone(),
            source,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_cut_and_appended_to_has_the_bytes_of_one_that_was_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let mut file = Appended::create(path.clone()).unwrap();
        file.append(b"one ").unwrap();
        let position = file.sync().unwrap();
        file.append(b"two, lost").unwrap();
        drop(file);
        let mut file = Appended::cut(path.clone(), &position).unwrap();
        file.append(b"three").unwrap();
        let end = file.sync().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"one three");
        assert_eq!(end, Position::of(b"one three"));
        assert!(check_beginning(&path, &position).is_ok());
    }

    #[test]
    fn a_file_that_is_shorter_or_has_other_bytes_is_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let position = Position::of(b"one two");
        for bytes in [&b"one tw"[..], b"one twO", b""] {
            std::fs::write(&path, bytes).unwrap();
            let refused = Appended::cut(path.clone(), &position).unwrap_err();
            assert!(matches!(refused, RunError::Damaged { .. }), "{refused}");
            assert_eq!(std::fs::read(&path).unwrap(), bytes, "it is not changed");
        }
    }
}
