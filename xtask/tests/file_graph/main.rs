//! Within a crate, files depend on each other in one direction.

mod graph;

use std::path::Path;
use std::process::Command;

use graph::FileGraph;

/// The cycles of a crate whose `lib.rs` and other files have these texts, with paths relative to its folder.
fn cycles(files: &[(&str, &str)]) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, text).expect("it can be written");
    }
    let cycles = FileGraph::read(&folder.path().join("lib.rs")).cycles();
    let prefix = format!("{}/", folder.path().display());
    cycles
        .iter()
        .map(|cycle| cycle.replace(&prefix, ""))
        .collect()
}

#[test]
fn no_crate_of_the_workspace_has_a_cycle_of_files() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the workspace");
    let metadata = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--no-deps",
            "--offline",
            "--format-version",
            "1",
        ])
        .current_dir(root)
        .output()
        .expect("cargo runs");
    let metadata: serde_json::Value =
        serde_json::from_slice(&metadata.stdout).expect("cargo metadata writes JSON");
    let packages = metadata["packages"].as_array().expect("there are packages");
    let targets = packages
        .iter()
        .flat_map(|package| package["targets"].as_array());
    let roots: Vec<_> = targets
        .flatten()
        .filter_map(|target| target["src_path"].as_str())
        .collect();
    assert!(!roots.is_empty(), "cargo metadata names no crate");
    let prefix = format!("{}/", root.display());
    let cycles: Vec<_> = roots
        .iter()
        .flat_map(|file| FileGraph::read(Path::new(file)).cycles())
        .map(|cycle| cycle.replace(&prefix, ""))
        .collect();
    assert!(
        cycles.is_empty(),
        "files depend on each other in a cycle; move what both need to a file of its own:\n{}",
        cycles.join("\n")
    );
}

#[test]
fn two_files_that_use_each_other_are_a_cycle() {
    let cycles = cycles(&[
        ("lib.rs", "mod hand; mod glove;"),
        (
            "hand.rs",
            "use crate::glove::Glove; pub struct Hand(Glove);",
        ),
        (
            "glove.rs",
            "pub struct Glove; fn fits(hand: &super::hand::Hand) {}",
        ),
    ]);
    assert_eq!(
        cycles,
        ["glove.rs uses `Hand` of hand.rs, which uses `Glove` of glove.rs"]
    );
}

#[test]
fn a_parent_and_its_child_can_be_a_cycle() {
    let cycles = cycles(&[
        ("lib.rs", "mod parent;"),
        (
            "parent.rs",
            "mod child; pub use child::Child; pub struct Parent(Child);",
        ),
        (
            "parent/child.rs",
            "pub struct Child; fn of(parent: super::Parent) {}",
        ),
    ]);
    assert_eq!(
        cycles,
        ["parent/child.rs uses `Parent` of parent.rs, which uses `Child` of parent/child.rs"]
    );
}

#[test]
fn a_use_in_a_function_and_a_path_in_a_macro_count() {
    let cycles = cycles(&[
        ("lib.rs", "mod one; mod two;"),
        ("one.rs", "pub fn one() { use super::two::two; two() }"),
        (
            "two.rs",
            r#"use super::one; pub fn two() { println!("{:?}", one::one()) }"#,
        ),
    ]);
    assert_eq!(cycles.len(), 1, "{cycles:?}");
}

#[test]
fn a_re_export_counts_for_the_file_that_defines_the_item() {
    let cycles = cycles(&[
        (
            "lib.rs",
            "mod parent; pub use parent::Shape; pub use parent::Size;",
        ),
        (
            "parent/mod.rs",
            "mod shape; mod size; pub use shape::*; pub use size::Size;",
        ),
        (
            "parent/shape.rs",
            "use super::Size; pub struct Shape(Size);",
        ),
        ("parent/size.rs", "pub struct Size;"),
    ]);
    assert_eq!(cycles, [""; 0]);
}

#[test]
fn what_tests_use_does_not_count() {
    let cycles = cycles(&[
        ("lib.rs", "mod one; mod two;"),
        (
            "one.rs",
            "pub struct One; #[cfg(test)] mod tests { use crate::two::Two; }",
        ),
        ("two.rs", "use crate::one::One; pub struct Two(One);"),
    ]);
    assert_eq!(cycles, [""; 0]);
}
