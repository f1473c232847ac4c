use thiserror::Error;

/// Why an equation could not be solved.
#[derive(Clone, Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum OdeError {
    /// Adaptive steps were asked of a solver that cannot estimate its error.
    #[error("the solver {solver} has no error estimate, so it makes constant steps only")]
    NoErrorEstimate {
        /// The solver's name.
        solver: &'static str,
    },
    /// A setting that no step can be made with.
    #[error("{what} must be {expected}, not {found}")]
    Setting {
        /// Which setting.
        what: &'static str,
        /// What it may be.
        expected: &'static str,
        /// What it is.
        found: f64,
    },
    /// The equation asks for more evaluations of its slope than the limit allows.
    #[error(
        "{limit} evaluations of the slope reached t = {t}, not {end}: the equation is stiff or the tolerance too small"
    )]
    TooManyEvaluations {
        /// The limit.
        limit: usize,
        /// The time reached.
        t: f64,
        /// The time asked for.
        end: f64,
    },
    /// No step that the clock can tell from none meets the tolerance.
    #[error(
        "at t = {t} the tolerance asks for a step of {step}, which the clock cannot tell from none"
    )]
    StepUnderflow {
        /// The time reached.
        t: f64,
        /// The step that was asked for.
        step: f64,
    },
    /// The state or its slope is infinite or not a number.
    #[error("the state or its slope is infinite or not a number after t = {t}")]
    NonFinite {
        /// The last time at which all was finite.
        t: f64,
    },
    /// A slope has another shape than its state.
    #[error("the slope has the shape {found:?}, the state {expected:?}")]
    SlopeShape {
        /// The state's shape.
        expected: Vec<usize>,
        /// The slope's shape.
        found: Vec<usize>,
    },
    /// The slope needs the gradient of a tensor that it was not given, so the gradient would be lost.
    #[error(
        "the slope depends on a tracked tensor that is neither its state nor among its parameters: hand it over as a parameter"
    )]
    HiddenParameter,
    /// The backend has no operation with a gradient of its own.
    #[error("{device} has no gradient but the one through the solver")]
    Device {
        /// The device.
        device: String,
    },
}
