//! Why nothing was measured.

use dnw_device::DeviceError;
use dnw_train::recipe::RecipeError;
use dnw_train::training::{ExecutionError, TrainingError};

/// Why nothing was measured.
#[derive(Debug)]
pub struct Failure(pub String);

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

macro_rules! failures {
    ($($error:ty),*) => {$(
        impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self(error.to_string())
            }
        }
    )*};
}

failures!(
    RecipeError,
    TrainingError,
    ExecutionError,
    dnw_core::WiringError,
    dnw_models::ModelError,
    dnw_train::counting::CountError,
    dnw_train::data::DataError,
    dnw_train::run::RunError,
    burn::tensor::ExecutionError,
    rayon::ThreadPoolBuildError,
    serde_json::Error,
    std::io::Error,
    String
);

impl From<DeviceError> for Failure {
    fn from(error: DeviceError) -> Self {
        Self(format!("{error} ({})", error.help()))
    }
}
