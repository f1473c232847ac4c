//! The results and the error of a selection.

/// The error of a selection whose candidates contain NaN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotANumber {
    /// The first candidate that is NaN.
    pub entry: usize,
}

/// Statistics of a selection.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Kept {
    /// The smallest kept magnitude; infinite if nothing is kept.
    pub threshold: f32,
    /// The largest magnitude of the candidates that are not kept.
    pub nearest: Option<f32>,
    /// How many candidates are not kept but have at least 0.9 times the threshold.
    pub contenders: usize,
}

/// The difference between a selection and the mask before it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Changes {
    /// Statistics of the selection.
    pub kept: Kept,
    /// Entries that swap in: selected now but not in the mask before, ascending.
    pub added: Vec<usize>,
    /// Entries that swap out: in the mask before but not selected now, ascending.
    pub removed: Vec<usize>,
}
