//! The run folder: everything that one training leaves behind.
//!
//! | file | holds | written |
//! | --- | --- | --- |
//! | `run.json` | what was run, where, how it stands ([`Facts`]) | as a whole, at the start, each epoch, the end |
//! | `recipe.toml` | the resolved recipe | as a whole, at the start |
//! | `metrics.jsonl` | one JSON object a line ([`Metric`]) | appended |
//! | `weights/{best,last}.safetensors` | every tensor, with the wirings | as a whole, each epoch |
//! | `wiring/TENSOR.history` | the first wiring, then every swap ([`history`]) | appended |
//! | `frames/UPDATE.safetensors` | wired weights and sample predictions at a moment ([`frame`]) | as a whole |
//! | `samples.safetensors`, `drawing.json` | the sample images; the network as nodes and edges | as a whole |
//! | `report.html` | the explorer | as a whole |
//! | `run.lock`, `run.pid` | that a process writes the run, and which | while it does |
//!
//! A file written as a whole is written beside its place, synced, and renamed, so that it is there entirely or as it was before.
//! An appended file may be cut anywhere: its reader stops at the last whole entry.

mod error;
mod facts;
mod folder;
pub mod frame;
pub mod history;
mod lock;
mod metrics;
mod weights;
mod whole_file;

pub use error::RunError;
pub(crate) use facts::MOST_EDGES;
pub use facts::{DrawingFile, Facts, Status, TensorFacts};
pub use folder::RunFolder;
pub(crate) use frame::read_bounded;
pub(crate) use metrics::MetricsWriter;
pub use metrics::{Metric, Metrics};
pub(crate) use weights::to_bytes;
pub use weights::{load_weights, save_weights};
pub use whole_file::write_whole;
