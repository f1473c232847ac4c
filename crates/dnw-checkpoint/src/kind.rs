//! What a file is that is no checkpoint: an error that names it says what to do.
//!
//! Formats are told by their first bytes, archives by the names of their entries, folders by what lies in them.

use std::path::Path;

use crate::CheckpointError;

/// Give the `state_dict` of a model that PyTorch can load.
const SAVE_STATE: &str =
    "load the model in Python and save `model.state_dict()` with `torch.save`, or as safetensors";
const OTHER_LIBRARY: &str = "convert the weights to a PyTorch or safetensors file first";
const UNPACK: &str = "unpack it and give the checkpoint inside";
const DOWNLOAD: &str =
    "download the file itself; in a browser, check that the link leads to the raw file";

/// How a file begins, what it is, what to do.
const BEGINNINGS: [(&[u8], &str, &str); 22] = [
    (
        b"version https://git-lfs.github.com/spec/",
        "a Git LFS pointer",
        "run `git lfs pull` in its repository, which fetches the file itself",
    ),
    (b"<!DOCTYPE", "a web page", DOWNLOAD),
    (b"<!doctype", "a web page", DOWNLOAD),
    (b"<html", "a web page", DOWNLOAD),
    (b"<HTML", "a web page", DOWNLOAD),
    (
        b"<?xml",
        "an XML document, perhaps a server's error",
        DOWNLOAD,
    ),
    (b"Entry not found", "a server's error message", DOWNLOAD),
    (b"Not Found", "a server's error message", DOWNLOAD),
    (b"{\"error\"", "a server's error message", DOWNLOAD),
    (
        b"\x89HDF\r\n\x1a\n",
        "an HDF5 file, as Keras writes them",
        OTHER_LIBRARY,
    ),
    (b"GGUF", "a GGUF file of quantized weights", OTHER_LIBRARY),
    (b"\x93NUMPY", "a NumPy array", OTHER_LIBRARY),
    (b"\x1f\x8b", "a gzip archive", UNPACK),
    (b"BZh", "a bzip2 archive", UNPACK),
    (b"\xfd7zXZ\0", "an xz archive", UNPACK),
    (b"\x28\xb5\x2f\xfd", "a zstd archive", UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", UNPACK),
    (b"Rar!\x1a\x07", "a RAR archive", UNPACK),
    (b"././@PaxHeader", "a tar archive", UNPACK),
    (b"\x7fELF", "a program or library", SAVE_STATE),
    (b"\x89PNG", "a picture", "give a `.pt` or safetensors file"),
    (
        b"%PDF",
        "a PDF document",
        "give a `.pt` or safetensors file",
    ),
];

/// What the name of an entry of a zip archive ends or begins with, what the archive is, what to do. The first that an archive has decides.
const ENTRIES: [(&str, &str, &str); 15] = [
    (
        "data/aotinductor/",
        "a compiled model of AOTInductor",
        SAVE_STATE,
    ),
    (
        "archive_format",
        "an archive of `torch.export`",
        "save the `state_dict` of the program in it: `torch.save(torch.export.load(FILE).state_dict, OUT)`",
    ),
    (
        "serialized_exported_program.json",
        "an archive of `torch.export`",
        "save the `state_dict` of the program in it: `torch.save(torch.export.load(FILE).state_dict, OUT)`",
    ),
    (
        "constants.pkl",
        "a TorchScript archive",
        "save the weights in it: `torch.save(torch.jit.load(FILE).state_dict(), OUT)`",
    ),
    (
        "bytecode.pkl",
        "a TorchScript archive",
        "save the weights in it: `torch.save(torch.jit.load(FILE).state_dict(), OUT)`",
    ),
    (
        ".data/extern_modules",
        "a package of `torch.package`",
        SAVE_STATE,
    ),
    ("model.weights.h5", "a Keras model", OTHER_LIBRARY),
    (".npy", "a NumPy archive", OTHER_LIBRARY),
    ("saved_model.pb", "a zipped TensorFlow model", OTHER_LIBRARY),
    (
        "META-INF/MANIFEST.MF",
        "a Java archive",
        "give a `.pt` or safetensors file",
    ),
    (
        "[Content_Types].xml",
        "an office document",
        "give a `.pt` or safetensors file",
    ),
    (".pt", "a zip archive with a checkpoint inside", UNPACK),
    (".pth", "a zip archive with a checkpoint inside", UNPACK),
    (
        ".safetensors",
        "a zip archive with a checkpoint inside",
        UNPACK,
    ),
    (".bin", "a zip archive with a checkpoint inside", UNPACK),
];

/// What lies in a folder, what the folder is, what to do.
const FOLDERS: [(&str, &str, &str); 8] = [
    (
        ".metadata",
        "the folder of a distributed checkpoint",
        "make one file of it: `python -m torch.distributed.checkpoint.format_utils dcp_to_torch DIR OUT.pt`",
    ),
    ("saved_model.pb", "a TensorFlow model", OTHER_LIBRARY),
    (
        "model.safetensors.index.json",
        "a folder of a model in several files",
        "give one file: load the model in Python and save its `state_dict()`",
    ),
    (
        "model.safetensors",
        "a folder with a model",
        "give the file `model.safetensors` in it",
    ),
    (
        "pytorch_model.bin",
        "a folder with a model",
        "give the file `pytorch_model.bin` in it",
    ),
    (
        "data.pkl",
        "an unpacked checkpoint",
        "pack the folder as a zip archive without compression, or save it again with `torch.save`",
    ),
    (
        "recipe.toml",
        "a run folder of this program",
        "it needs no import: `dnw eval DIR` and the other commands take it as it is",
    ),
    (
        "latest",
        "the folder of a DeepSpeed checkpoint",
        "run the `zero_to_fp32.py` in it, and give the file that it makes",
    ),
];

/// The error for a file that begins like no checkpoint.
pub fn of_bytes(bytes: &[u8]) -> CheckpointError {
    if bytes.is_empty() {
        return CheckpointError::OtherFormat {
            found: "an empty file",
            remedy: "copy or download it again",
        };
    }
    if bytes[..bytes.len().min(4096)].iter().all(|&byte| byte == 0) {
        return CheckpointError::OtherFormat {
            found: "a file of zero bytes, which a download left behind that did not end",
            remedy: "copy or download it again",
        };
    }
    let text = bytes.trim_ascii_start();
    let known = BEGINNINGS
        .iter()
        .find(|(beginning, _, _)| text.starts_with(beginning));
    if let Some(&(_, found, remedy)) = known {
        return CheckpointError::OtherFormat { found, remedy };
    }
    if bytes.get(257..262) == Some(b"ustar") {
        return CheckpointError::OtherFormat {
            found: "a tar archive",
            remedy: UNPACK,
        };
    }
    let head = &bytes[..bytes.len().min(4096)];
    let holds = |part: &[u8]| head.windows(part.len()).any(|window| window == part);
    if text.starts_with(b"{") && holds(b"\"weight_map\"") {
        return CheckpointError::OtherFormat {
            found: "the index of a model in several files",
            remedy: "give one file: load the model in Python and save its `state_dict()`",
        };
    }
    // A protobuf message: field 1, the version of the format, below 128; then the producer's name (field 2) or, without one, the graph (7) or
    // the operator sets (8), as ONNX writes them.
    if let [0x08, 0..0x80, 0x12 | 0x3a | 0x42, ..] = head {
        return CheckpointError::OtherFormat {
            found: "an ONNX model",
            remedy: "give the PyTorch checkpoint that it was exported from",
        };
    }
    if head.starts_with(b"(dp0") || head.starts_with(b"(lp0") {
        return CheckpointError::OtherFormat {
            found: "a pickle of protocol 0",
            remedy: SAVE_STATE,
        };
    }
    CheckpointError::UnknownFormat
}

/// The entries that only TorchScript archives have. These have the other entries of a checkpoint too.
pub const SCRIPT: [&str; 2] = ["constants.pkl", "bytecode.pkl"];

/// The error for a zip archive with entries of these names, if one of `ENTRIES` tells what it is, one of `only` if there are any.
pub fn of_entries<'n>(
    names: impl Iterator<Item = &'n [u8]> + Clone,
    only: &[&str],
) -> Option<CheckpointError> {
    let mut rows = ENTRIES.iter().filter(|(entry, _, _)| {
        if !only.is_empty() && !only.contains(entry) {
            return false;
        }
        let entry = entry.as_bytes();
        let mut names = names.clone();
        if entry.ends_with(b"/") {
            names.any(|name| name.windows(entry.len()).any(|part| part == entry))
        } else {
            names.any(|name| name.ends_with(entry))
        }
    });
    let &(_, found, remedy) = rows.next()?;
    Some(CheckpointError::OtherFormat { found, remedy })
}

/// The error for a folder.
pub fn of_folder(path: &Path) -> CheckpointError {
    let known = FOLDERS
        .iter()
        .find(|(entry, _, _)| path.join(entry).exists());
    let &(_, found, remedy) =
        known.unwrap_or(&("", "a folder", "give a `.pt` or safetensors file in it"));
    CheckpointError::OtherFormat { found, remedy }
}
