//! Tests of files that are no checkpoints: the error says what they are.

use dnw_checkpoint::CheckpointError;

use crate::by_hand::{Entry, Pickle, refused_file, zip};

#[track_caller]
fn is(bytes: &[u8], kind: &str) {
    let error = refused_file(bytes);
    assert!(
        matches!(error, CheckpointError::OtherFormat { .. }),
        "{error:?}"
    );
    assert!(error.to_string().contains(kind), "{error}");
}

#[test]
fn a_file_is_named_by_its_first_bytes() {
    is(b"", "an empty file");
    is(&[0; 100], "zero bytes");
    is(
        b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n",
        "a Git LFS pointer",
    );
    is(
        b"<!DOCTYPE html><html><head><title>Quota exceeded</title>",
        "a web page",
    );
    is(b"\n\n  <html lang=\"en\">", "a web page");
    is(
        b"<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>",
        "an XML document",
    );
    is(b"Entry not found", "a server's error");
    is(b"{\"error\":\"Repository not found\"}", "a server's error");
    is(b"\x89HDF\r\n\x1a\n\0\0\0\0\0\x08\x08", "an HDF5 file");
    is(b"\x93NUMPY\x01\0v\0{'descr': '<f4'}", "a NumPy array");
    is(b"GGUF\x03\0\0\0", "a GGUF file");
    is(b"\x1f\x8b\x08\0\0\0\0\0", "a gzip archive");
    is(b"\x08\x0a\x12\x07pytorch\x1a\x062.15.0", "an ONNX model");
    // As onnx 1.23 writes a model without the name of a producer.
    is(
        b"\x08\x0e\x3a\x33\x0a\x0c\x0a\x01x\x12\x01y\"\x04Relu",
        "an ONNX model",
    );
    is(b"(dp0\nVfc.weight\np1\n", "a pickle of protocol 0");
    let mut tar = vec![b'a'; 512];
    tar[257..262].copy_from_slice(b"ustar");
    is(&tar, "a tar archive");
    let index = b"{\n  \"metadata\": {\"total_size\": 160},\n  \"weight_map\": {\"fc.weight\": \"model-00001-of-00002.safetensors\"}}";
    is(index, "the index of a model in several files");
    let unknown = refused_file(b"epoch,loss\n1,2.3\n");
    assert!(
        matches!(unknown, CheckpointError::UnknownFormat),
        "{unknown:?}"
    );
}

#[test]
fn an_archive_is_named_by_its_entries() {
    for (entries, kind) in [
        (
            &[
                "m/archive_format",
                "m/models/model.json",
                "m/data/sample_inputs/model.pt",
            ][..],
            "torch.export",
        ),
        (
            &[
                "serialized_exported_program.json",
                "serialized_state_dict.pt",
                "version",
            ],
            "torch.export",
        ),
        (
            &["m/data.pkl", "m/constants.pkl", "m/code/__torch__.py"],
            "a TorchScript archive",
        ),
        (
            &["m/.data/extern_modules", "m/model/model.pkl"],
            "torch.package",
        ),
        (
            &["m/archive_format", "m/data/aotinductor/model/m.so"],
            "AOTInductor",
        ),
        (&["fc.weight.npy", "fc.bias.npy"], "a NumPy archive"),
        (
            &["metadata.json", "config.json", "model.weights.h5"],
            "a Keras model",
        ),
        (
            &["readme.txt", "weights/best.pth"],
            "a zip archive with a checkpoint inside",
        ),
        (&["readme.txt"], "a zip archive of something else"),
    ] {
        let entries: Vec<Entry> = entries
            .iter()
            .map(|name| Entry::stored(name, &Pickle::new().raw(b"}.").0))
            .collect();
        is(&zip(&entries), kind);
    }
}

#[test]
fn a_folder_is_named_by_what_lies_in_it() {
    for (file, kind) in [
        (".metadata", "a distributed checkpoint"),
        ("saved_model.pb", "a TensorFlow model"),
        ("model.safetensors", "a folder with a model"),
        ("recipe.toml", "a run folder"),
        ("notes.txt", "a folder"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(file), b"").unwrap();
        let error = dnw_checkpoint::read(folder.path()).unwrap_err();
        assert!(
            matches!(error, CheckpointError::OtherFormat { .. }),
            "{error:?}"
        );
        assert!(error.to_string().contains(kind), "{error}");
    }
}
