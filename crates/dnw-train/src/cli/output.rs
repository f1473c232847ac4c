//! Standard output and standard error.
//!
//! Standard output holds only the result. `println!` panics when the reader is gone, as in `dnw recipes | head -1`; here the output just
//! ends.

use std::fmt::Display;
use std::io::{ErrorKind, Write};

use dnw_train::recipe::Unused;

use super::failure::Failure;

/// Prints a line of the result.
pub fn line(text: impl Display) -> Result<(), Failure> {
    print_bytes(format!("{text}\n").as_bytes())
}

/// Prints a part of the result.
pub fn print_bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Failure::new(
            format!("cannot write the result: {error}"),
            "look where the output goes",
        )),
        _ => Ok(()),
    }
}

/// Prints a line to standard error; errors are ignored, so that a training goes on.
pub fn note(text: impl Display) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Notes the keys of a recipe that have no effect because of changes.
pub fn note_unused(unused: &[Unused]) {
    for unused in unused {
        note(format!("note: the recipe's {unused}"));
    }
}
