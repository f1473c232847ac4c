//! What a selection finds.

/// A weight is not a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotANumber {
    /// The first such entry.
    pub entry: usize,
}

/// What a choice found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Kept {
    /// The smallest magnitude that is kept; infinite if none is.
    pub threshold: f32,
    /// The largest magnitude among the candidates that are not kept.
    pub nearest: Option<f32>,
    /// Candidates that are not kept, of at least nine tenths of the threshold.
    pub contenders: usize,
}

/// What a choice changes.
#[derive(Clone, Debug, PartialEq)]
pub struct Changes {
    /// What was found.
    pub kept: Kept,
    /// Entries that are chosen and were not before, ascending.
    pub born: Vec<usize>,
    /// Entries that were and are no longer, ascending.
    pub died: Vec<usize>,
}
