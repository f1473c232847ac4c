use thiserror::Error;

/// An equation could not be solved.
#[derive(Clone, Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum OdeError {
    /// Adaptive steps with a solver that has no error estimate.
    #[error("the solver {solver} has no error estimate and only supports constant steps")]
    NoErrorEstimate {
        /// The solver's name.
        solver: &'static str,
    },
    /// An invalid setting.
    #[error("{what} must be {expected}, not {found}")]
    Setting {
        /// The setting.
        what: &'static str,
        /// The valid values.
        expected: &'static str,
        /// The value.
        found: f64,
    },
    /// The solution needs more evaluations of the slope than the limit.
    #[error(
        "{limit} evaluations of the slope reached t = {t}, not {end}: the equation is stiff or the tolerance too small"
    )]
    TooManyEvaluations {
        /// The limit.
        limit: usize,
        /// The time reached.
        t: f64,
        /// The end of the interval.
        end: f64,
    },
    /// The step size underflows.
    #[error(
        "the step size underflows: at t = {t} the tolerance needs a step of {step}, which does not change t"
    )]
    StepUnderflow {
        /// The time reached.
        t: f64,
        /// The required step.
        step: f64,
    },
    /// The state or its slope is infinite or not a number.
    #[error("the state or its slope is infinite or not a number after t = {t}")]
    NonFinite {
        /// The last time at which all values were finite.
        t: f64,
    },
    /// The shape of the slope differs from that of the state.
    #[error("the slope has the shape {found:?}, the state {expected:?}")]
    SlopeShape {
        /// The state's shape.
        expected: Vec<usize>,
        /// The slope's shape.
        found: Vec<usize>,
    },
    /// The slope depends on a tracked tensor that is not a parameter, so its gradient would be lost.
    #[error(
        "the slope depends on a tracked tensor that is neither the state nor a parameter: pass it as a parameter"
    )]
    HiddenParameter,
    /// The backend does not support operations with a custom gradient.
    #[error("{device} only supports the gradient through the solver")]
    Device {
        /// The device.
        device: String,
    },
}
