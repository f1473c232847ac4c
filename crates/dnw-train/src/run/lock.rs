//! The lock of a run folder that is being written.
//!
//! Two trainings in the same folder would overwrite each other's run. So a run holds a lock of the file `run.lock` in its folder. The operating
//! system releases the lock when the process ends for any reason. `run.pid` holds the process id, for the message to other processes. (On
//! Windows, a locked file cannot be read.) Both files are removed at the end of the run, unless it ends before it began.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::RunError;

/// The locked file.
pub(super) const LOCK: &str = "run.lock";
/// The file with the process id.
pub(super) const PROCESS: &str = "run.pid";

/// A lock of a run folder. It is released when dropped.
#[derive(Debug)]
pub(super) struct RunLock {
    folder: PathBuf,
    file: File,
}

/// A lock, and its previous holder.
pub(super) struct Taken {
    pub(super) lock: RunLock,
    /// Whether a process held it before and did not release it.
    pub(super) was_left: bool,
    /// That process.
    pub(super) left_by: Option<u32>,
}

impl RunLock {
    /// Locks an existing folder.
    ///
    /// # Errors
    /// [`RunError::InUse`] if another run holds it; [`RunError::Write`] if it cannot be locked.
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
                // Some network file systems have no locks. A run without a lock is better than none.
                Ok(()) | Err(TryLockError::Error(_)) => {}
            }
            if !is_there(&file, &folder.join(LOCK)) {
                // The previous holder removed the file after it was opened here.
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
        // What a run leaves that fails before it begins, on a full disk for example, is used again as that of a killed process is. Both are
        // known by their lock.
        if !self.folder.join("run.json").exists() && self.folder.join("weights").exists() {
            let _ = self.file.unlock();
            return;
        }
        // While the lock is held, so that no other run's files are removed.
        let _ = fs::remove_file(self.folder.join(PROCESS));
        let _ = fs::remove_file(self.folder.join(LOCK));
        let _ = self.file.unlock();
    }
}

/// The process that holds the lock of a folder. It writes its id just after it takes the lock.
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

/// Whether a path still is the open file.
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
