//! The content of a file: named tensors in the file's order, and a list of everything that was skipped.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use crate::CheckpointError;
use crate::error::quoted;

/// A named tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Its key in its dictionary, such as `layers.0.graph.weight`.
    pub name: String,
    /// Its shape; empty for a scalar.
    pub shape: Vec<usize>,
    /// The elements, row-major.
    pub data: Vec<f32>,
}

/// The tensors that are directly in one dictionary of the file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Section {
    /// The path of the dictionary, keys joined by dots: empty for the outermost one, otherwise such as `state_dict` or
    /// `optimizer.state.0`. List indices are keys too.
    pub path: String,
    /// Its tensors, in the file's order, with distinct names.
    pub tensors: Vec<Tensor>,
}

/// All tensors of a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Checkpoint {
    /// The dictionaries with tensors, in the file's order.
    pub sections: Vec<Section>,
    /// Everything else in the file.
    pub skipped: Vec<Skipped>,
}

/// Something in the file that is not in the result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Its path, keys joined by dots.
    pub name: String,
    /// Why it was skipped.
    pub reason: Reason,
}

/// Why something was skipped.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// It is not a tensor but, for example, `a whole number` or `an object of numpy.float64`. A container without tensors is one entry.
    Plain(Cow<'static, str>),
    /// It is a tensor of elements that 32-bit floats cannot represent, such as `int64`.
    Elements(String),
    /// It is a buffer without learned values (`zeros`, `num_batches_tracked`).
    Buffer,
    /// It is a tensor outside the model's dictionary, such as one of the optimizer.
    OutsideModel,
    /// It is a threshold, or the mask of a tensor that is not a matrix or a kernel, and was applied to its tensor.
    Applied,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(kind) => write!(f, "{kind}, not a tensor"),
            Self::Elements(kind) => write!(f, "a tensor of {kind}"),
            Self::Buffer => f.write_str("a buffer without anything learned"),
            Self::OutsideModel => f.write_str("a tensor outside the model"),
            Self::Applied => f.write_str("a mask or threshold, applied to its tensor"),
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

/// Returns an error for a second tensor with the same name.
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
