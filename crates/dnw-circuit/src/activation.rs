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
    /// The normal distribution's cumulative probability, `(1 + erf(x / sqrt(2))) / 2`. Gated it is GELU.
    Normal,
    /// `ln(1 + exp(x))`.
    Softplus,
    /// `exp(x)`.
    Exp,
    /// `ln(x)` of a positive number.
    Ln,
    /// `sqrt(x)`.
    Sqrt,
    /// `1 / x`.
    Reciprocal,
    /// `|x|`.
    Abs,
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
            Function::Normal => normal(x),
            // Without overflow for large numbers.
            Function::Softplus => x.max(0.0) + (-x.abs()).exp().ln_1p(),
            Function::Exp => x.exp(),
            Function::Ln => x.ln(),
            Function::Sqrt => x.sqrt(),
            Function::Reciprocal => x.recip(),
            Function::Abs => x.abs(),
        };
        if self.gated { x * y } else { y }
    }

    /// Whether all its constants are finite, and a clip's bounds are in order.
    pub(crate) fn is_valid(self) -> bool {
        match self.function {
            Function::Clip { low, high } => low.is_finite() && high.is_finite() && low <= high,
            Function::LeakyRelu { slope } => slope.is_finite(),
            Function::HardSigmoid { slope, shift } => slope.is_finite() && shift.is_finite(),
            _ => true,
        }
    }
}

/// `(1 + erf(z)) / 2` with `z = x / sqrt(2)`, to 1e-15: a series for small numbers, a continued fraction for large ones.
fn normal(x: f64) -> f64 {
    let z = x.abs() * std::f64::consts::FRAC_1_SQRT_2;
    let bell = (-z * z).exp() / std::f64::consts::PI.sqrt();
    // The half of the distribution that is beyond z on one side.
    let beyond = if z < 2.5 {
        let (mut term, mut sum) = (z, z);
        for n in 1..60 {
            term *= 2.0 * z * z / f64::from(2 * n + 1);
            sum += term;
        }
        0.5 - bell * sum
    } else {
        let fraction = (1..60)
            .rev()
            .fold(z, |rest, n| z + f64::from(n) / 2.0 / rest);
        bell / fraction / 2.0
    };
    if x < 0.0 { beyond } else { 1.0 - beyond }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_normal_distribution_is_that_of_tables() {
        // `erfc(-x / sqrt(2)) / 2` of a library in C.
        let table = [
            (0.0, 0.5),
            (1.0, 0.841_344_746_068_542_9),
            (-1.96, 0.024_997_895_148_220_43),
            (3.5, 0.999_767_370_920_964_5),
            (-3.6, 1.591_085_901_575_338_7e-4),
            (-8.0, 6.220_960_574_271_785e-16),
        ];
        for (x, expected) in table {
            let found = Activation::plain(Function::Normal).apply(x);
            assert!(
                (found - expected).abs() < 1e-13 * expected.max(1e-3),
                "{x}: {found}"
            );
        }
    }
}
