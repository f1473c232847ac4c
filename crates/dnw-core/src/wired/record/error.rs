//! Errors of records.

/// Why a record cannot be restored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// A tensor of the model is not in the record.
    #[error("the record lacks `{0}`")]
    Missing(String),
    /// A tensor of the record is not in the model.
    #[error("the record has `{0}`, which the model does not have")]
    Unknown(String),
    /// A tensor has another shape or type.
    #[error("`{path}` is {found} in the record, and {expected} in the model")]
    Differs {
        /// The tensor's path.
        path: String,
        /// Type and shape in the record.
        found: String,
        /// Type and shape in the model.
        expected: String,
    },
    /// The rule rewinds to an initial model, and the record has none, or the opposite.
    #[error("the record is of another rule: {0}")]
    Rule(&'static str),
}
