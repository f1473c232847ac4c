//! Writing files that are whole or absent, even if the program is interrupted.

use std::io::Write;
use std::path::Path;

/// Writes a temporary file and renames it to `path`. Creates missing folders.
pub fn write(path: &Path, text: &str) -> Result<(), String> {
    write_whole(path, text).map_err(|error| format!("{}: {error}", path.display()))
}

fn write_whole(path: &Path, text: &str) -> std::io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    std::fs::create_dir_all(folder)?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(".").suffix(".tmp");
    // Temporary files are readable only by their owner. The result should be readable as the umask says.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_and_nothing_is_left_beside_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("made/rows.json");
        for text in ["one", "two"] {
            write(&path, text).expect("it can be written");
            assert_eq!(std::fs::read_to_string(&path).expect("it is there"), text);
        }
        let beside = std::fs::read_dir(folder.path().join("made")).expect("a folder");
        assert_eq!(beside.count(), 1);
    }

    #[test]
    fn what_cannot_be_written_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let error = write(folder.path(), "text").expect_err("it is a folder");
        assert!(
            error.starts_with(&folder.path().display().to_string()),
            "{error}"
        );
    }
}
