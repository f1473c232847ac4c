//! The run folder: all files of a training.
//!
//! | file | holds | written |
//! | --- | --- | --- |
//! | `run.json` | what was run, where, and its state ([`Facts`]) | whole, at the start, after each epoch, at the end |
//! | `recipe.toml` | the resolved recipe | whole, at the start |
//! | `metrics.jsonl` | one JSON object per line ([`Metric`]) | appended |
//! | `weights/{best,last}.safetensors` | all tensors, with the wirings | whole, after each epoch |
//! | `wiring/TENSOR.history` | the first wiring, then every swap ([`history`]) | appended |
//! | `frames/UPDATE.safetensors` | wired weights and sample predictions at an update ([`frame`]) | whole |
//! | `samples.safetensors`, `drawing.json` | the sample images; the network as nodes and edges | whole |
//! | `report.html` | the explorer | whole |
//! | `checkpoints/UPDATE/` | everything that the rest of the run depends on ([`Checkpoint`]) | whole, again and again; removed at the end |
//! | `settings.json` | options of the command that the recipe does not hold ([`Settings`]) | whole, at the start |
//! | `run.lock`, `run.pid` | the lock of the process that writes the run, and its id | during the run |
//!
//! Whole files are written to a temporary file, synced and renamed, so that they have either the new or the old content. An appended file may
//! be incomplete; its reader stops at the last complete entry.

mod checkpoint;
mod clean;
mod error;
mod facts;
mod folder;
pub mod frame;
pub mod history;
mod lock;
mod metrics;
mod position;
mod settings;
mod weights;
mod whole_file;

pub use checkpoint::{Checkpoint, Newest};
pub(crate) use checkpoint::{FilesState, Origin, RunState, Scores, SumsState};
pub use error::RunError;
pub use facts::{DrawingFile, Facts, RollBack, Status, TensorFacts};
pub(crate) use facts::{MAX_EDGES, halved};
pub use folder::RunFolder;
pub(crate) use frame::read_bounded;
pub(crate) use metrics::MetricsWriter;
pub use metrics::{Metric, Metrics};
pub(crate) use position::{Position, sha256};
pub use settings::Settings;
pub(crate) use weights::to_bytes;
pub use weights::{load_weights, save_weights};
pub use whole_file::write_whole;
