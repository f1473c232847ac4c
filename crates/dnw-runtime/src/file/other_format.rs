//! What a file is that is not a compiled model.

use super::error::FileError;

const COMPILE: &str = "make one of it with `dnw compile`";
const COMPILE_RUN: &str = "give the run's folder to `dnw compile`, which makes one of it";
const COMPILE_OTHER: &str = "make one of a run or checkpoint with `dnw compile`";
const DOWNLOAD: &str =
    "download the file itself; in a browser, check that the link leads to the raw file";

/// How a file begins, what it is, what to do.
const BEGINNINGS: [(&[u8], &str, &str); 17] = [
    (
        b"\x89DNW",
        "a model that was changed as if it were text, or damaged in its first bytes",
        "copy it again, as a binary file",
    ),
    (
        b"PK\x03\x04",
        "a PyTorch checkpoint or another zip archive",
        COMPILE,
    ),
    (
        b"\x80\x02",
        "an old PyTorch checkpoint or another pickle",
        COMPILE,
    ),
    (
        b"version https://git-lfs.github.com/spec/",
        "a Git LFS pointer",
        "run `git lfs pull` in its repository, which fetches the file itself",
    ),
    (b"<!DOCTYPE", "a web page", DOWNLOAD),
    (b"<!doctype", "a web page", DOWNLOAD),
    (b"<html", "a web page", DOWNLOAD),
    (
        b"<?xml",
        "an XML document, perhaps a server's error",
        DOWNLOAD,
    ),
    (b"{\"error\"", "a server's error message", DOWNLOAD),
    (b"\x1f\x8b", "a gzip archive", "unpack it first"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive", "unpack it first"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file", COMPILE_OTHER),
    (b"\x93NUMPY", "a NumPy array", COMPILE_OTHER),
    (
        b"\x89PNG",
        "a picture",
        "give the model first, then the pictures",
    ),
    (
        b"\xff\xd8\xff",
        "a picture",
        "give the model first, then the pictures",
    ),
    (b"\x7fELF", "a program or library", COMPILE_OTHER),
    (b"GGUF", "a GGUF file", COMPILE_OTHER),
];

/// The error for a file without the magic number.
pub(super) fn other_format(bytes: &[u8]) -> FileError {
    let (found, remedy) = BEGINNINGS
        .iter()
        .find(|(beginning, ..)| bytes.starts_with(beginning))
        .map(|&(_, found, remedy)| (found, remedy))
        .or_else(|| is_safetensors(bytes).then_some(("a safetensors file", COMPILE)))
        .or_else(|| is_onnx(bytes).then_some(("an ONNX model", COMPILE_OTHER)))
        .or_else(|| {
            is_text(bytes).then_some(("a text file, such as a run's folder has", COMPILE_RUN))
        })
        .unwrap_or(("a file of an unknown format", COMPILE_OTHER));
    FileError::OtherFormat { found, remedy }
}

/// The length of a JSON object, then the object.
fn is_safetensors(bytes: &[u8]) -> bool {
    let Some((length, rest)) = bytes.split_first_chunk::<8>() else {
        return false;
    };
    // The format's own limit.
    u64::from_le_bytes(*length) <= 100_000_000 && rest.starts_with(b"{")
}

/// A protocol buffer whose first field is the small version number, and whose second is a text or a nested message.
fn is_onnx(bytes: &[u8]) -> bool {
    matches!(bytes, [0x08, 1..=63, second, ..] if second & 7 == 2)
}

fn is_text(bytes: &[u8]) -> bool {
    let start = &bytes[..bytes.len().min(256)];
    start
        .iter()
        .all(|&byte| matches!(byte, b'\t' | b'\n' | b'\r' | b' '..=b'~'))
}
