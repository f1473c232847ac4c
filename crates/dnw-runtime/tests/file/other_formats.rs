//! Files that are not compiled models.

use dnw_runtime::file::{FileError, read};

fn found(bytes: &[u8]) -> (&'static str, &'static str) {
    match read(bytes) {
        Err(FileError::OtherFormat { found, remedy }) => (found, remedy),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_file_of_another_kind_is_named_with_what_to_do() {
    let mut safetensors = 40_u64.to_le_bytes().to_vec();
    safetensors.extend(br#"{"weight":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#);
    let cases: [(&[u8], &str, &str); 8] = [
        (&safetensors, "a safetensors file", "dnw compile"),
        (
            b"PK\x03\x04\0\0\0\0\0\0",
            "a PyTorch checkpoint",
            "dnw compile",
        ),
        (
            b"\x08\x08\x12\x07pytorch\x1a\x052.9.0",
            "an ONNX model",
            "dnw compile",
        ),
        (b"{\"recipe\": \"digits\",\n", "a text file", "folder"),
        (b"name = \"mnist\"\n[model]\n", "a text file", "folder"),
        (b"<!DOCTYPE html><html>", "a web page", "raw file"),
        (
            b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
            "a picture",
            "the model first",
        ),
        (&[0xa5; 64], "a file of an unknown format", "dnw compile"),
    ];
    for (bytes, expected, remedy) in cases {
        let (found, says) = found(bytes);
        assert!(found.starts_with(expected), "{found} is not {expected}");
        assert!(says.contains(remedy), "{says} does not mention {remedy}");
    }
}

#[test]
fn a_model_whose_line_ends_were_changed_is_told_apart() {
    let mut file = b"\x89DNW\n\x1a\n".to_vec();
    file.extend([0; 100]);
    let (found, remedy) = found(&file);
    assert!(found.contains("as if it were text"), "{found}");
    assert!(remedy.contains("binary"), "{remedy}");
}
