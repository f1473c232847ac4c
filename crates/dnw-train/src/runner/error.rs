//! Errors of a run.

use crate::data::DataError;
use crate::resuming::ResumeError;
use crate::run::RunError;
use crate::training::TrainingError;

/// Why a run failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunnerError {
    /// The training failed.
    #[error(transparent)]
    Training(#[from] TrainingError),
    /// The training diverged again and again.
    #[error(
        "{source}, and did so again after {times} roll backs, with {rate} of the learning rate"
    )]
    Diverged {
        /// The last failure.
        source: Box<TrainingError>,
        /// The roll backs since a further update was made.
        times: usize,
        /// The share of the learning rate, such as 1/32.
        rate: String,
    },
    /// The folder cannot be written.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The run cannot be resumed.
    #[error(transparent)]
    Resume(#[from] ResumeError),
    /// The data cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
}
