//! Why a run could not be made or went wrong.

use crate::data::DataError;
use crate::run::RunError;
use crate::training::TrainingError;

/// Why a run could not be made or went wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunnerError {
    /// The training could not go on.
    #[error(transparent)]
    Training(#[from] TrainingError),
    /// The folder could not be written.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The data could not be had.
    #[error(transparent)]
    Data(#[from] DataError),
}
