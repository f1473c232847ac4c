//! What can be wrong with a recording.

use thiserror::Error;

/// Why no page or picture was made.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReportError {
    /// The recording has a layout that this crate does not know.
    #[error("the recording has layout version {found}, this program reads version {expected}")]
    Version {
        /// The version in the recording.
        found: u32,
        /// The version this crate reads.
        expected: u32,
    },
    /// A column, list or blob is longer or shorter than the rest of the recording says.
    #[error("`{field}` has {found} {unit}, expected {expected}")]
    Length {
        /// Path of the field, such as `layers[0].weights`.
        field: String,
        /// What is counted.
        unit: &'static str,
        /// The length the rest of the recording asks for.
        expected: usize,
        /// The length found.
        found: usize,
    },
    /// A value lies outside of what it may be.
    #[error("`{field}` is {found}, but {rule}")]
    Value {
        /// Path of the field.
        field: String,
        /// The value found, in words.
        found: String,
        /// What it must satisfy.
        rule: String,
    },
    /// A list of updates does not ascend.
    #[error("`{field}` must ascend, but entry {entry} is smaller than the one before")]
    Order {
        /// Path of the field.
        field: String,
        /// The first entry that is too small.
        entry: usize,
    },
    /// The picture asked for needs nodes, and the network of this run is not drawn as nodes.
    #[error("the run `{0}` has no nodes to draw: its layers can be shown as matrices only")]
    NoNodes(String),
    /// The data could not be written as JSON.
    #[error("the data of the page could not be written as JSON")]
    Json(#[from] serde_json::Error),
}
