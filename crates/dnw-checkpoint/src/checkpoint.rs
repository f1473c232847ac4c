//! What a file holds: named tensors in the file's order, and a note on everything that was passed over.

use std::collections::HashSet;
use std::fmt;

use crate::CheckpointError;
use crate::error::quoted;

/// A named tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Its key in the dictionary that holds it, such as `layers.0.graph.weight`.
    pub name: String,
    /// Elements along each axis, slowest first; no axes for a single number.
    pub shape: Vec<usize>,
    /// The elements, row-major, as many as the product of `shape`.
    pub data: Vec<f32>,
}

/// The tensors that lie directly in one dictionary of the file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Section {
    /// The keys that lead to the dictionary, joined by dots: empty for the outermost one, `state_dict`,
    /// `optimizer.state.0`. Positions in lists count as keys.
    pub path: String,
    /// Its tensors, in the file's order, no two of one name.
    pub tensors: Vec<Tensor>,
}

/// All tensors of a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Checkpoint {
    /// The dictionaries that hold tensors, in the order in which the file first mentions them.
    pub sections: Vec<Section>,
    /// What the file holds besides.
    pub skipped: Vec<Skipped>,
}

/// Something that the file holds and the result does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// The keys that lead to it, joined by dots.
    pub name: String,
    /// Why it was passed over.
    pub reason: Reason,
}

/// Why something was passed over.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// It is no tensor but, say, `a whole number`. Of a container without tensors there is one note.
    Plain(&'static str),
    /// It is a tensor of elements that 32-bit floats cannot hold, such as `int64`.
    Elements(String),
    /// It is a buffer that carries nothing learned (`zeros`, `num_batches_tracked`).
    Buffer,
    /// It is a tensor outside the model's dictionary, such as the optimizer's.
    OutsideModel,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(kind) => write!(f, "{kind}, not a tensor"),
            Self::Elements(kind) => write!(f, "a tensor of {kind}"),
            Self::Buffer => f.write_str("a buffer without anything learned"),
            Self::OutsideModel => f.write_str("a tensor outside the model"),
        }
    }
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", quoted(&self.name), self.reason)
    }
}

/// The path of `key` in the dictionary at `path`.
pub(crate) fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        return key.to_owned();
    }
    [path, ".", key].concat()
}

/// Refuses a second tensor of one name.
pub(crate) fn refuse_duplicates<'n>(
    path: &str,
    names: impl IntoIterator<Item = &'n str>,
) -> Result<(), CheckpointError> {
    let mut seen = HashSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(CheckpointError::Duplicate {
                name: quoted(&join(path, name)),
            });
        }
    }
    Ok(())
}
