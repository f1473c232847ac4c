//! Facts about `dnw` as a user meets it: every test runs the program itself in a folder of its own.

#![recursion_limit = "256"]

#[path = "cli/compiling.rs"]
mod compiling;
#[path = "cli/counting.rs"]
mod counting;
#[path = "cli/damaged_runs.rs"]
mod damaged_runs;
#[path = "cli/determinism.rs"]
mod determinism;
#[path = "cli/devices.rs"]
mod devices;
#[path = "cli/executing.rs"]
mod executing;
#[path = "cli/exporting.rs"]
mod exporting;
#[cfg(target_os = "linux")]
#[path = "cli/faults.rs"]
mod faults;
#[path = "cli/idx_files.rs"]
mod idx_files;
#[path = "cli/image_folders.rs"]
mod image_folders;
#[path = "cli/import_forms.rs"]
mod import_forms;
#[path = "cli/import_refusals.rs"]
mod import_refusals;
#[path = "cli/importing.rs"]
mod importing;
#[path = "cli/locking.rs"]
mod locking;
#[path = "cli/looking_back.rs"]
mod looking_back;
#[path = "cli/onnx.rs"]
mod onnx;
#[path = "cli/own_data.rs"]
mod own_data;
#[path = "cli/pickles.rs"]
mod pickles;
#[path = "cli/published.rs"]
mod published;
#[path = "cli/refusals.rs"]
mod refusals;
#[cfg(unix)]
#[path = "cli/resuming.rs"]
mod resuming;
#[cfg(unix)]
#[path = "cli/rolling_back.rs"]
mod rolling_back;
#[cfg(feature = "remote")]
#[path = "cli/server.rs"]
mod server;
#[cfg(feature = "remote")]
#[path = "cli/serving.rs"]
mod serving;
#[cfg(all(unix, feature = "remote"))]
#[path = "cli/serving_frozen.rs"]
mod serving_frozen;
#[cfg(feature = "remote")]
#[path = "cli/serving_strangers.rs"]
mod serving_strangers;
#[path = "cli/shell.rs"]
mod shell;
#[path = "cli/stopping.rs"]
mod stopping;
#[path = "cli/training.rs"]
mod training;
