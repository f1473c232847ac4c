//! External data, and nothing outside the folder of the model.

use std::fs;
use std::path::Path;

use dnw_circuit::interpret;

use super::hostile::external;
use crate::{ImportError, import, open};

fn read(folder: &Path, location: &str, offset: &str) -> Result<Vec<f64>, ImportError> {
    let path = folder.join("model.onnx");
    fs::write(&path, external(location, offset).model()).unwrap();
    let imported = open(&path, None)?;
    Ok(interpret(&imported.circuit, &[1.0]).unwrap())
}

#[test]
fn weights_are_read_from_files_beside_the_model() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("data")).unwrap();
    let numbers: Vec<u8> = [3.0f32, 4.0].iter().flat_map(|x| x.to_le_bytes()).collect();
    fs::write(folder.path().join("data/weights.bin"), numbers).unwrap();
    assert_eq!(read(folder.path(), "data/weights.bin", "4").unwrap(), [5.0]);
    for (location, offset) in [
        ("data/weights.bin", "5"),
        ("data/weights.bin", "18446744073709551615"),
        ("data", "0"),
        ("missing", "0"),
    ] {
        let error = read(folder.path(), location, offset).unwrap_err();
        assert!(matches!(error, ImportError::External { .. }), "{error}");
    }
    let error = read(folder.path(), "data/weights.bin", "many").unwrap_err();
    assert!(error.to_string().contains("`many`"));
}

#[test]
fn nothing_outside_the_folder_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("model");
    fs::create_dir(&inner).unwrap();
    let secret = folder.path().join("secret");
    fs::write(&secret, [0; 4]).unwrap();
    let absolute = secret.to_string_lossy().into_owned();
    for location in ["../secret", "a/../../secret", absolute.as_str(), "", "a\0b"] {
        let error = read(&inner, location, "0").unwrap_err();
        assert!(error.to_string().contains("leaves the folder"), "{error}");
    }
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(&secret, inner.join("link")).unwrap();
        let error = read(&inner, "link", "0").unwrap_err();
        assert!(error.to_string().contains("leaves the folder"), "{error}");
    }
    // Bytes without a folder have no other files.
    let error = import(external("secret", "0").model(), None, None).unwrap_err();
    assert!(matches!(error, ImportError::External { .. }));
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = open("no such model.onnx".as_ref(), None).unwrap_err();
    assert!(error.to_string().contains("no such model.onnx"));
}
