//! The lock of a run folder, while something writes into it.
//!
//! Two trainings that were started with the same folder would write over each other's run. So whoever makes a run holds a lock of the folder's
//! file `run.lock`. The operating system releases it when the process ends, however that ends, so that no lock outlives its holder. Beside it,
//! `run.pid` has the number of the process, for the message to others. (In one file it could not be read while it is locked, on Windows.) Both
//! files are removed when the run is over.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::RunError;

/// The file that is locked.
pub(super) const LOCK: &str = "run.lock";
/// The file that says by which process.
pub(super) const PROCESS: &str = "run.pid";

/// A lock of a run folder, which is released when this is dropped.
#[derive(Debug)]
pub(super) struct RunLock {
    folder: PathBuf,
    file: File,
}

/// A lock that was taken.
pub(super) struct Taken {
    pub(super) lock: RunLock,
    /// Whether somebody has held it who did not release it.
    pub(super) was_left: bool,
    /// The process that has.
    pub(super) left_by: Option<u32>,
}

impl RunLock {
    /// Takes the lock of a folder that exists.
    ///
    /// # Errors
    /// [`RunError::InUse`] if another process, or another run of this one, holds it; [`RunError::Write`] if there can be none.
    pub(super) fn take(folder: &Path) -> Result<Taken, RunError> {
        let failed = |source| RunError::Write {
            path: folder.join(LOCK),
            source,
        };
        loop {
            let was_left = folder.join(LOCK).exists();
            let mut open = File::options();
            let file = open.create(true).truncate(false).write(true);
            let file = file.open(folder.join(LOCK)).map_err(failed)?;
            match file.try_lock() {
                Err(TryLockError::WouldBlock) => {
                    return Err(RunError::InUse {
                        path: folder.to_owned(),
                        process: holder(folder),
                    });
                }
                // Some network file systems have no locks. Better an unguarded run than none.
                Ok(()) | Err(TryLockError::Error(_)) => {}
            }
            if !is_there(&file, &folder.join(LOCK)) {
                // Its holder has removed it after it was opened here.
                continue;
            }
            let left_by = read_process(folder).filter(|_| was_left);
            let lock = Self {
                folder: folder.to_owned(),
                file,
            };
            fs::write(folder.join(PROCESS), std::process::id().to_string()).map_err(failed)?;
            return Ok(Taken {
                lock,
                was_left,
                left_by,
            });
        }
    }
}

impl Drop for RunLock {
    fn drop(&mut self) {
        // While it is held: nobody else's are removed.
        let _ = fs::remove_file(self.folder.join(PROCESS));
        let _ = fs::remove_file(self.folder.join(LOCK));
        let _ = self.file.unlock();
    }
}

/// The process that holds the lock of a folder; it writes its number just after it has taken the lock.
fn holder(folder: &Path) -> Option<u32> {
    for _ in 0..20 {
        if let Some(process) = read_process(folder) {
            return Some(process);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    None
}

fn read_process(folder: &Path) -> Option<u32> {
    let mut bytes = [0; 16];
    let read = io::Read::read(&mut File::open(folder.join(PROCESS)).ok()?, &mut bytes).ok()?;
    str::from_utf8(&bytes[..read]).ok()?.trim().parse().ok()
}

/// Whether the file of a path is the one that was opened.
fn is_there(file: &File, path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let identity = |it: fs::Metadata| (it.dev(), it.ino());
        let opened = file.metadata().map(identity).ok();
        opened.is_some() && opened == fs::metadata(path).map(identity).ok()
    }
    #[cfg(not(unix))]
    {
        let _ = file;
        path.exists()
    }
}
