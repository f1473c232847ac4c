//! Reads damaged files of every format that the project reads.
//!
//! A [`Format`] has valid files, a function that makes checksums right again after a change, and the function that reads a file as the
//! program would. Three programs use it:
//!
//! * `cargo run --release -p dnw-fuzz -- pt --seconds 60` changes valid files at random, on any toolchain;
//! * `fuzz/` has a target of each format for `cargo fuzz`, which searches for inputs that reach new code;
//! * `tests/corpus.rs` reads the files in `corpus/` in CI, and some thousand changed ones.
//!
//! `first-message` is no file but the first message of a client to `dnw serve`, which it sends to a server.
//!
//! A file may be refused, or be read as something else than it was. Reading must not panic, hang, or allocate more than
//! [`Format::most_memory`] says.
#![deny(missing_docs)]
#![recursion_limit = "256"]

pub mod mutation;

mod format;
mod formats;

// What the tests of `dnw-runtime` make random model files with.
#[path = "../../dnw-runtime/tests/file/bytes.rs"]
#[allow(dead_code)]
mod bytes;
#[path = "../../dnw-runtime/tests/file/networks.rs"]
#[allow(dead_code)]
mod networks;
#[path = "../../dnw-runtime/tests/file/plans.rs"]
#[allow(dead_code)]
mod plans;
#[path = "../../dnw-runtime/tests/file/random.rs"]
#[allow(dead_code)]
mod random;

pub use format::{Format, Outcome};
pub use formats::{all, named, start_server, stop_server};

/// Reads bytes as a file of a format, as they are and with right checksums; what a target of a coverage-guided fuzzer does.
///
/// # Panics
/// If there is no such format, or if reading panics.
pub fn attempt(format: &str, bytes: &[u8]) {
    let format = named(format).expect("a format of this name");
    (format.read)(bytes);
    let mut repaired = bytes.to_vec();
    (format.repair)(&mut repaired);
    if repaired != bytes {
        (format.read)(&repaired);
    }
}
