//! What goes to standard output, and what to standard error.
//!
//! Standard output holds the result and nothing else. Rust's own `println!` panics when whoever reads has gone, which
//! `dnw recipes | head -1` is enough for; here that ends the writing quietly.

use std::fmt::Display;
use std::io::{ErrorKind, Write};

use dnw_train::recipe::Unused;

use super::failure::Failure;

/// Writes a line of the result.
pub fn line(text: impl Display) -> Result<(), Failure> {
    whole(format!("{text}\n").as_bytes())
}

/// Writes a part of the result as it is.
pub fn whole(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Failure::new(
            format!("cannot write the result: {error}"),
            "look where the output goes",
        )),
        _ => Ok(()),
    }
}

/// Tells whoever watches; a training goes on when nobody does.
pub fn note(text: impl Display) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Names the keys of a recipe that changes to it left without effect.
pub fn name_unused(unused: &[Unused]) {
    for unused in unused {
        note(format!("note: the recipe's {unused}"));
    }
}
