//! Compiled models as files.
//!
//! `docs/format.md` describes the format byte by byte. A file that was read has the form of a plan, and no weight that is infinite or not a
//! number; [`Model`](crate::Model) checks that the plan can be executed. Reading a file allocates at most [`PER_BYTE`] bytes for
//! each of its bytes and [`BESIDES`], whatever it promises.

mod checksum;
mod code;
mod container;
mod cursor;
mod error;
mod groups;
mod limits;
mod network;
mod other_format;
mod precision;
mod rice;
mod runs;
mod weights;

pub use error::FileError;
pub use limits::{BESIDES, PER_BYTE};
pub use precision::Precision;

use crate::plan::{Input, Plan};
use code::{Code, Reader, Writer, read_text};
use container::{Section, VERSION, newer};
use cursor::Cursor;

/// A file of this plan, whose weights have this precision.
///
/// [`read`] returns the same plan if the precision is [`Precision::F32`] and all numbers are finite.
pub fn write(plan: &Plan, precision: Precision) -> Vec<u8> {
    let mut to = Writer::new(precision);
    plan.input.write(&mut to);
    let input = std::mem::take(&mut to.bytes);
    plan.arena.write(&mut to);
    plan.image.write(&mut to);
    plan.output.write(&mut to);
    plan.constants.write(&mut to);
    plan.steps.write(&mut to);
    let steps = std::mem::take(&mut to.bytes);
    for name in std::mem::take(&mut to.names) {
        name.write(&mut to);
    }
    container::write(&[input, to.bytes, steps, to.weights])
}

/// The plan of a file.
///
/// # Errors
/// If the file is not a compiled model, has a newer version, was cut short, is damaged, has a weight that is not finite, or asks for more memory
/// than its size allows.
pub fn read(file: &[u8]) -> Result<Plan, FileError> {
    let sections = container::read(file)?;
    let version = [VERSION[0], sections.minor];
    read_sections(sections.bytes).map_err(|error| match error {
        // What is unknown here may be known there.
        FileError::Invalid { .. } if version > VERSION => newer(version),
        error => error,
    })
}

fn read_sections([input, names, plan, weights]: [&[u8]; 4]) -> Result<Plan, FileError> {
    let mut from = Reader::new(
        Cursor::new(Section::Input, input),
        Cursor::new(Section::Weights, weights),
    );
    from.place = "the description of the input".to_owned();
    let input = Input::read(&mut from)?;
    from.bytes.finish()?;
    let mut names = Cursor::new(Section::Names, names);
    while !names.rest().is_empty() {
        from.names.push(read_text(&mut names)?);
        if from.names.len() as u64 > limits::NAMES {
            return Err(FileError::Limit {
                what: "names of layers and reasons",
                found: from.names.len() as u64,
                limit: limits::NAMES,
            });
        }
    }
    from.bytes = Cursor::new(Section::Plan, plan);
    let (arena, image, output) = (
        Code::read(&mut from)?,
        Code::read(&mut from)?,
        Code::read(&mut from)?,
    );
    let constants = Code::read(&mut from)?;
    let steps = Code::read(&mut from)?;
    from.bytes.finish()?;
    from.weights.finish()?;
    Ok(Plan {
        input,
        image,
        output,
        arena,
        constants,
        steps,
    })
}
