//! Functions of single pixels.

/// An activation: `f(x)`, or `x f(x)` if it is gated.
///
/// ReLU6 is a clip to `0..=6`. HardSwish is a gated HardSigmoid of slope 1/6 and shift 1/2, SiLU (also called Swish) a gated sigmoid.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Activation {
    /// The function `f`.
    pub function: Function,
    /// Whether the result is multiplied by `x`.
    pub gated: bool,
}

/// The function of an [`Activation`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Function {
    /// `min(max(x, low), high)`.
    Clip {
        /// The smallest result.
        low: f64,
        /// The largest result.
        high: f64,
    },
    /// `x` if it is positive, else `slope x`.
    LeakyRelu {
        /// The slope for negative numbers.
        slope: f64,
    },
    /// `min(max(slope x + shift, 0), 1)`.
    HardSigmoid {
        /// The slope between 0 and 1.
        slope: f64,
        /// The result at zero.
        shift: f64,
    },
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
}

impl Activation {
    /// `f(x)`.
    pub fn plain(function: Function) -> Self {
        Self {
            function,
            gated: false,
        }
    }

    /// `x f(x)`.
    pub fn gated(function: Function) -> Self {
        Self {
            function,
            gated: true,
        }
    }

    /// The result for one number.
    pub fn apply(self, x: f64) -> f64 {
        let y = match self.function {
            Function::Clip { low, high } => x.max(low).min(high),
            Function::LeakyRelu { slope } if x < 0.0 => slope * x,
            Function::LeakyRelu { .. } => x,
            Function::HardSigmoid { slope, shift } => (slope * x + shift).clamp(0.0, 1.0),
            Function::Sigmoid => 1.0 / (1.0 + (-x).exp()),
        };
        if self.gated { x * y } else { y }
    }

    /// Whether all its constants are finite, and a clip's bounds are in order.
    pub(crate) fn is_valid(self) -> bool {
        match self.function {
            Function::Clip { low, high } => low.is_finite() && high.is_finite() && low <= high,
            Function::LeakyRelu { slope } => slope.is_finite(),
            Function::HardSigmoid { slope, shift } => slope.is_finite() && shift.is_finite(),
            Function::Sigmoid => true,
        }
    }
}
