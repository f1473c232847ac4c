//! Error messages with remedies.

use std::fmt::Write;

use dnw_core::WiringError;
use dnw_device::{DeviceError, ServeError};
use dnw_kernels::settings::SettingError;
use dnw_models::ModelError;
use dnw_report::ReportError;
use dnw_train::data::DataError;
use dnw_train::export::ExportError;
use dnw_train::import::ImportError;
use dnw_train::recipe::RecipeError;
use dnw_train::resuming::ResumeError;
use dnw_train::run::RunError;
use dnw_train::runner::RunnerError;
use dnw_train::training::{ExecutionError, TrainingError};

/// An error message and its remedy.
#[derive(Debug)]
pub struct Failure {
    what: String,
    help: String,
}

impl Failure {
    /// A message with its remedy.
    pub fn new(what: impl ToString, help: impl ToString) -> Self {
        Self {
            what: what.to_string(),
            help: help.to_string(),
        }
    }

    /// Adds a line of help.
    pub fn with_help(mut self, help: impl std::fmt::Display) -> Self {
        let _ = write!(self.help, "\n{help}");
        self
    }

    /// The message and the help as printed lines.
    pub fn to_lines(&self) -> String {
        let mut text = format!("error: {}", self.what);
        for (i, line) in self.help.lines().enumerate() {
            let label = if i == 0 { "help:" } else { "     " };
            let _ = write!(text, "\n{label} {line}");
        }
        text
    }
}

/// Conversions of errors that have a remedy.
macro_rules! from_errors_with_help {
    ($($error:ty),*) => {$(
        impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::new(&error, error.help())
            }
        }
    )*};
}

from_errors_with_help!(
    DataError,
    DeviceError,
    ExecutionError,
    ExportError,
    ImportError,
    RecipeError,
    ResumeError,
    RunError,
    ServeError,
    SettingError
);

impl From<ModelError> for Failure {
    fn from(error: ModelError) -> Self {
        Self::new(
            error,
            "change the recipe's `model` keys with `--set model.KEY=VALUE`",
        )
    }
}

impl From<WiringError> for Failure {
    fn from(error: WiringError) -> Self {
        let help = match &error {
            WiringError::Unit { tensor, .. } | WiringError::Layout { tensor, .. } => {
                let help = format!(
                    "keep it dense with `--set 'wiring.dense=[\"{tensor}\"]'`, or choose another unit, such as `--set wiring.unit=edge`"
                );
                return Self::new(error, help);
            }
            WiringError::Budget { .. } | WiringError::SharedBudget { .. } => {
                "change the budget with `--set wiring.density=0.1` or `--set wiring.edges=400`"
            }
            WiringError::NotANumber { .. } => {
                "lower the learning rate with `--set optimizer.learning-rate=0.01`"
            }
            _ => "`dnw recipes NAME` shows a recipe that works",
        };
        Self::new(error, help)
    }
}

impl From<ReportError> for Failure {
    fn from(error: ReportError) -> Self {
        let help = match error {
            ReportError::NoNodes(_) => "without `--svg`, the page shows its layers as matrices",
            _ => {
                "the run folder holds something that the page cannot show; train again to another folder"
            }
        };
        Self::new(error, help)
    }
}

impl From<TrainingError> for Failure {
    fn from(error: TrainingError) -> Self {
        const KEPT: &str = "the weights of the last evaluation, or of the start, are kept";
        let remedy = match &error {
            TrainingError::Data(_)
            | TrainingError::Recipe(_)
            | TrainingError::Wire(_)
            | TrainingError::Execution(_) => return Self::of_another(error),
            TrainingError::Overflow { .. } => {
                "bf16 reaches as far as f32: `--precision bf16`".to_owned()
            }
            TrainingError::Memory { images: 1, .. } => {
                "it does not hold the network and one image: name another with `--device`"
                    .to_owned()
            }
            TrainingError::Memory { images, .. } => format!(
                "compute fewer images at once with `--micro-batch {}`, which makes the same updates",
                images / 2
            ),
            TrainingError::Device { device, .. } if device.starts_with("remote:") => {
                "what `dnw serve` prints where it runs says more".to_owned()
            }
            TrainingError::Device { device, .. } => format!(
                "try again; if `{device}` fails again, another device may not: `dnw devices` lists them"
            ),
            _ => {
                "lower the rate with `--set optimizer.learning-rate=0.01` or bound the steps with \
                  `--set optimizer.clip-norm=1.0`"
                    .to_owned()
            }
        };
        Self::new(error, format!("{KEPT}; {remedy}"))
    }
}

impl Failure {
    /// The failure of the error that a training error wraps.
    fn of_another(error: TrainingError) -> Self {
        match error {
            TrainingError::Data(error) => error.into(),
            TrainingError::Recipe(error) => error.into(),
            TrainingError::Wire(error) => error.into(),
            TrainingError::Execution(error) => error.into(),
            error => Self::new(error, "see `dnw --help`"),
        }
    }
}

impl From<RunnerError> for Failure {
    fn from(error: RunnerError) -> Self {
        let what = error.to_string();
        match error {
            RunnerError::Training(error) => error.into(),
            RunnerError::Diverged { source, .. } => Self {
                what,
                ..(*source).into()
            },
            RunnerError::Resume(error) => error.into(),
            RunnerError::Run(error) => error.into(),
            RunnerError::Data(error) => error.into(),
            error => Self::new(error, "see `dnw --help`"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(images: usize) -> Failure {
        let error = TrainingError::Memory {
            device: "wgpu:0".into(),
            update: 12,
            epoch: 1,
            images,
            message: "out of memory".into(),
        };
        error.into()
    }

    #[test]
    fn an_out_of_memory_error_suggests_a_smaller_micro_batch() {
        assert_eq!(
            memory(64).to_lines(),
            "error: the device `wgpu:0` ran out of memory in update 12 (epoch 1), with 64 images at once: out of memory\n\
             help: the weights of the last evaluation, or of the start, are kept; compute fewer images at once with \
             `--micro-batch 32`, which makes the same updates"
        );
        assert!(
            memory(1)
                .to_lines()
                .ends_with("name another with `--device`")
        );
    }
}
