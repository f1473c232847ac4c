//! Writing files that are whole or absent.

use std::io::Write;
use std::path::Path;

use super::RunError;

/// Writes a file so that readers see the old content or the new: writes a temporary file, syncs and renames it, and syncs the
/// folder.
///
/// # Errors
/// [`RunError::Write`] if it cannot be written; the old content is unchanged then.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), RunError> {
    let write = || {
        // The parent of a bare file name is empty, which cannot be opened.
        let folder = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        let mut file = tempfile::Builder::new()
            .prefix(".writing-")
            .tempfile_in(folder)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        let mut permissions = file.as_file().metadata()?.permissions();
        // Temporary files are private; the finished file is as readable as any other.
        #[cfg(unix)]
        std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o644);
        #[cfg(not(unix))]
        permissions.set_readonly(false);
        file.as_file().set_permissions(permissions)?;
        file.persist(path).map_err(|error| error.error)?;
        #[cfg(unix)]
        std::fs::File::open(folder)?.sync_all()?;
        Ok(())
    };
    write().map_err(|source| RunError::Write {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_file_name_is_written_to_the_working_folder() {
        // Changing the working folder would need a process of its own, so the test uses a unique name.
        let name = format!("whole-file-{}.txt", std::process::id());
        write_whole(Path::new(&name), b"here").unwrap();
        let read = std::fs::read(&name);
        std::fs::remove_file(&name).unwrap();
        assert_eq!(read.unwrap(), b"here");
    }

    #[test]
    fn a_failed_write_leaves_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        write_whole(&path, b"first").unwrap();
        write_whole(&path, b"second").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"second");
        assert!(write_whole(&folder.path().join("missing/a"), b"x").is_err());
        let names: Vec<_> = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .collect();
        assert_eq!(names, ["a"], "nothing is left beside it");
    }
}
