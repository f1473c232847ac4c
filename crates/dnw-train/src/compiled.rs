//! Runs as compiled models: files that `dnw-runtime` executes without Burn.
//!
//! [`Compile`] makes a file of a run and [`CompileOnnx`] one of an ONNX model, [`ModelFile`] reads one. [`pictures`] finds the pictures that a model is to classify, [`prediction`]
//! classifies them, [`verify`](Verification) compares a model with the network that it was compiled from, [`timing`] measures it, [`StepFacts`] says what
//! its steps are, and [`Roofline`] what the machine could do at most.

mod compile;
mod model_file;
mod onnx;
pub mod pictures;
pub mod prediction;
mod verify;

pub use compile::{Compile, CompileError, Compiled};
pub use dnw_compiler::{Roofline, StepFacts, in_blocks, timing};
pub use model_file::{ModelFile, ModelFileError};
pub use onnx::{CompileOnnx, ExportOnnx};
pub use verify::{Verification, Verify, VerifyError};
