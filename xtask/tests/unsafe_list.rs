//! `docs/unsafe.md` lists the files with unsafe code.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Whether a line of code, not of a comment, begins an unsafe block, function or implementation.
fn has_unsafe_code(text: &str) -> bool {
    let code = text
        .lines()
        .map(|line| line.split("//").next().unwrap_or(""));
    code.map(str::trim).any(|line| {
        ["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern"]
            .iter()
            .any(|start| line.contains(start))
    })
}

#[test]
fn every_file_with_unsafe_code_is_listed_with_its_reason() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the workspace");
    let crates = root.join("crates");
    let mut files = Vec::new();
    for entry in std::fs::read_dir(&crates).expect("the crates") {
        rust_files(&entry.expect("a crate").path().join("src"), &mut files);
    }
    let found: BTreeSet<String> = files
        .into_iter()
        .filter(|path| has_unsafe_code(&std::fs::read_to_string(path).expect("UTF-8")))
        .map(|path| {
            let path = path.strip_prefix(&crates).expect("a file of a crate");
            path.to_string_lossy().replace('\\', "/")
        })
        .collect();
    let page = std::fs::read_to_string(root.join("docs/unsafe.md")).expect("the list");
    let listed: BTreeSet<String> = page
        .split('`')
        .filter(|text| text.ends_with(".rs"))
        .map(str::to_owned)
        .collect();
    assert_eq!(
        found, listed,
        "files with unsafe code, and those of docs/unsafe.md"
    );
}
