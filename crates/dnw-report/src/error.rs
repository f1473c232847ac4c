//! The errors of this crate.

use thiserror::Error;

/// An error while creating a page or a picture.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReportError {
    /// The recording has an unsupported layout version.
    #[error("the recording has layout version {found}, this program reads version {expected}")]
    Version {
        /// The version in the recording.
        found: u32,
        /// The version this crate reads.
        expected: u32,
    },
    /// The length of a column, list or blob does not fit the rest of the recording.
    #[error("`{field}` has {found} {unit}, expected {expected}")]
    Length {
        /// Path of the field, such as `layers[0].weights`.
        field: String,
        /// The unit of the length.
        unit: &'static str,
        /// The expected length.
        expected: usize,
        /// The length found.
        found: usize,
    },
    /// An invalid value.
    #[error("`{field}` is {found}, but {rule}")]
    Value {
        /// Path of the field.
        field: String,
        /// The value, as text.
        found: String,
        /// The rule that it violates.
        rule: String,
    },
    /// A list of updates that is not in ascending order.
    #[error("`{field}` must ascend, but entry {entry} is smaller than the one before")]
    Order {
        /// Path of the field.
        field: String,
        /// The first entry that is smaller than its predecessor.
        entry: usize,
    },
    /// The picture needs nodes, but the network of this run is not drawn as nodes.
    #[error("the run `{0}` has no nodes to draw: its layers can be shown as matrices only")]
    NoNodes(String),
    /// The data could not be written as JSON.
    #[error("the data of the page could not be written as JSON")]
    Json(#[from] serde_json::Error),
}
