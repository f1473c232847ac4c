//! `include/dnw.h` is what cbindgen makes of the sources.

use std::path::Path;
use std::{env, fs};

/// Set to any value, the test writes the header instead of comparing it.
const WRITE: &str = "DNW_WRITE_HEADER";

fn header() -> String {
    let source = |name| Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(name);
    let mut config = cbindgen::Config {
        language: cbindgen::Language::C,
        cpp_compat: true,
        documentation_style: cbindgen::DocumentationStyle::C99,
        documentation: true,
        include_guard: Some("DNW_H".to_owned()),
        header: Some(
            "// Loads compiled networks and predicts with them. Generated from the sources of dnw-c.".to_owned(),
        ),
        no_includes: true,
        sys_includes: vec!["stddef.h".to_owned()],
        usize_is_size_t: true,
        style: cbindgen::Style::Type,
        line_length: 120,
        ..cbindgen::Config::default()
    };
    config.enumeration.rename_variants = cbindgen::RenameRule::QualifiedScreamingSnakeCase;
    let mut written = Vec::new();
    cbindgen::Builder::new()
        .with_config(config)
        .with_src(source("error.rs"))
        .with_src(source("model.rs"))
        .with_src(source("session.rs"))
        .rename_item("Status", "dnw_status")
        .generate()
        .expect("sources that cbindgen understands")
        .write(&mut written);
    let header = String::from_utf8(written).expect("text");
    header.replace("# Safety\n// ", "Required: ")
}

#[test]
fn the_header_is_that_of_the_sources() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("include/dnw.h");
    let expected = header();
    if env::var_os(WRITE).is_some() {
        fs::write(&path, expected).unwrap();
        return;
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == expected,
        "include/dnw.h is not what the sources say: run `{WRITE}=1 cargo test -p dnw-c --test header`"
    );
}
