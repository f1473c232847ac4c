//! Removing what a run does not need any more.

use std::path::PathBuf;

use super::folder::entries;
use super::{RunError, RunFolder};

impl RunFolder {
    /// Removes what interrupted writes have left, and the frames of all but these updates.
    pub(crate) fn clean(&self, frames: &[u64]) -> Result<(), RunError> {
        self.remove_interrupted_writes()?;
        for update in self.frame_updates()? {
            if !frames.contains(&update) {
                remove(self.frame(update))?;
            }
        }
        Ok(())
    }

    /// Removes what interrupted writes have left.
    ///
    /// # Errors
    /// [`RunError`] if the operating system refuses it.
    pub fn remove_interrupted_writes(&self) -> Result<(), RunError> {
        for folder in ["", "weights", "wiring", "frames"] {
            let path = self.path().join(folder);
            let names = entries(&path).map_err(|source| RunError::Read {
                path: path.clone(),
                source,
            })?;
            for name in names.iter().filter(|name| name.starts_with(".writing-")) {
                remove(path.join(name))?;
            }
        }
        Ok(())
    }

    /// Removes all checkpoints, of which a finished run needs none.
    ///
    /// # Errors
    /// [`RunError::Write`] if the operating system refuses it.
    pub fn remove_checkpoints(&self) -> Result<(), RunError> {
        let path = self.checkpoints();
        match std::fs::remove_dir_all(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(RunError::Write {
                path,
                source: error,
            }),
            _ => Ok(()),
        }
    }
}

fn remove(path: PathBuf) -> Result<(), RunError> {
    std::fs::remove_file(&path).map_err(|source| RunError::Write { path, source })
}
