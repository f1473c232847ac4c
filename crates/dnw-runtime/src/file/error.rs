//! The errors of model files.

/// A model file cannot be read.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The file has no bytes.
    #[error(
        "the model file is empty: copy or download it again, or compile the run again with `dnw compile`"
    )]
    Empty,
    /// The file has another format.
    #[error("this is {found}, not a compiled model: {remedy}")]
    OtherFormat {
        /// What it looks like, such as `a safetensors file`.
        found: &'static str,
        /// What to do, without a full stop.
        remedy: &'static str,
    },
    /// The file has a format that this program does not know.
    #[error(
        "the model file has format {}.{}, this program reads up to {}.{}: update the program, or compile the run again with its version of `dnw`",
        found[0], found[1], known[0], known[1]
    )]
    Newer {
        /// The file's version, major and minor.
        found: [u16; 2],
        /// The newest version that can be read.
        known: [u16; 2],
    },
    /// The file ends too early.
    #[error(
        "the model file ends after {found} bytes, it should have at least {expected}: copy or download it again"
    )]
    CutShort {
        /// The bytes that it should have, as far as they are known.
        expected: u64,
        /// The bytes that it has.
        found: u64,
    },
    /// There are further bytes behind the last section.
    #[error(
        "the model file has {found} bytes, its header says {expected}: it was damaged or appended to; copy or download it again"
    )]
    TooLong {
        /// The bytes that it should have.
        expected: u64,
        /// The bytes that it has.
        found: u64,
    },
    /// A checksum differs.
    #[error(
        "the {part} of the model file is damaged, its checksum differs: copy or download the file again, or compile the run again with `dnw compile`"
    )]
    Damaged {
        /// `header` or a section.
        part: String,
    },
    /// The table of sections contradicts itself.
    #[error(
        "the model file is invalid: {what}; it was written by a faulty program, compile the run again with `dnw compile`"
    )]
    Table {
        /// What is wrong.
        what: String,
    },
    /// A section holds something that cannot be.
    #[error(
        "the model file is invalid at byte {at} of section `{section}`: {what}; it was written by a faulty program, compile the run again with `dnw compile`"
    )]
    Invalid {
        /// The section.
        section: &'static str,
        /// The byte of the section behind what was read last.
        at: usize,
        /// What is wrong.
        what: String,
    },
    /// A weight is infinite or not a number.
    #[error(
        "{place} has the weight {value}, which is not finite: its training diverged; compile an earlier run or epoch"
    )]
    NotFinite {
        /// Where it is: a layer, a constant or the description of the input.
        place: String,
        /// The weight.
        value: f32,
    },
    /// The file exceeds a limit.
    #[error("the model file asks for {found} {what}, at most {limit} are read")]
    Limit {
        /// What is counted.
        what: &'static str,
        /// The number in the file.
        found: u64,
        /// The limit.
        limit: u64,
    },
}
