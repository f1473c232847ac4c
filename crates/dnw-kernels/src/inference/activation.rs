//! Functions of single numbers, in place.
//!
//! There are no fused multiply-adds here and no functions of a library, so every machine gives the same bits.

use crate::simd::vectorised;

/// An activation: `f(x)`, or `x f(x)` if it is gated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Activation {
    /// The function `f`.
    pub function: Function,
    /// Whether the result is multiplied by `x`.
    pub gated: bool,
}

/// The function of an [`Activation`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Function {
    /// `min(max(x, low), high)`.
    Clip {
        /// The smallest result.
        low: f32,
        /// The largest result.
        high: f32,
    },
    /// `x` if it is positive, else `slope x`.
    LeakyRelu {
        /// The slope for negative numbers.
        slope: f32,
    },
    /// `min(max(slope x + shift, 0), 1)`.
    HardSigmoid {
        /// The slope between 0 and 1.
        slope: f32,
        /// The result at zero.
        shift: f32,
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

/// Applies an activation to every number.
pub fn activate(activation: Activation, numbers: &mut [f32]) {
    activate_all(activation, numbers);
}

vectorised! {
    fn activate_all(activation: Activation, numbers: &mut [f32]) = activate_body;
}

#[inline(always)]
pub(super) fn activate_body<const SET: u8>(activation: Activation, numbers: &mut [f32]) {
    let Activation { function, gated } = activation;
    match function {
        Function::Clip { low, high } => each(gated, numbers, |x| between(x, low, high)),
        Function::LeakyRelu { slope } => {
            each(gated, numbers, |x| if x > 0.0 { x } else { slope * x });
        }
        Function::HardSigmoid { slope, shift } => {
            each(gated, numbers, |x| between(slope * x + shift, 0.0, 1.0));
        }
        Function::Sigmoid => each(gated, numbers, |x| 1.0 / (1.0 + exp(-x))),
        Function::Normal => each(gated, numbers, normal),
        Function::Softplus => {
            // Without overflow for large numbers.
            let positive = |x: f32| if x > 0.0 { x } else { 0.0 };
            each(gated, numbers, |x| positive(x) + ln(1.0 + exp(-x.abs())));
        }
        Function::Exp => each(gated, numbers, exp),
        Function::Ln => each(gated, numbers, ln),
        Function::Sqrt => each(gated, numbers, f32::sqrt),
        Function::Reciprocal => each(gated, numbers, |x| 1.0 / x),
        Function::Abs => each(gated, numbers, f32::abs),
    }
}

#[inline(always)]
fn each(gated: bool, numbers: &mut [f32], f: impl Fn(f32) -> f32) {
    if gated {
        numbers.iter_mut().for_each(|x| *x *= f(*x));
    } else {
        numbers.iter_mut().for_each(|x| *x = f(*x));
    }
}

#[inline(always)]
fn between(x: f32, low: f32, high: f32) -> f32 {
    let x = if x > low { x } else { low };
    if x < high { x } else { high }
}

/// `e` to the power of `x`, to about 1e-7 of it, for `x` from -87 to 88; beyond, the result for the nearest of these.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    /// Added to a small number, it rounds it to an integer, which then is in the lowest bits.
    const ROUND: f32 = 12_582_912.0;
    /// The natural logarithm of two in two parts; the first has few bits, so that its multiples are exact.
    const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
    let x = between(x, -87.0, 88.0);
    let rounded = x * std::f32::consts::LOG2_E + ROUND;
    let power = rounded - ROUND;
    let rest = x - power * LN_2[0] - power * LN_2[1];
    // The series of the exponential function; the rest is at most ln(2) / 2.
    let mut series = 1.0 / 720.0;
    for coefficient in [1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        series = series * rest + coefficient;
    }
    series * f32::from_bits(rounded.to_bits().wrapping_add(127) << 23)
}

/// The natural logarithm to about 1e-7, of the smallest positive normal number for what is less.
#[inline(always)]
fn ln(x: f32) -> f32 {
    let x = if x > f32::MIN_POSITIVE {
        x
    } else {
        f32::MIN_POSITIVE
    };
    // x = 2^power (1 + rest), with the mantissa from sqrt(1/2) to sqrt(2).
    let bits = x.to_bits().wrapping_sub(0x3f35_04f3);
    let power = (bits as i32 >> 23) as f32;
    let rest = f32::from_bits((bits & 0x007f_ffff).wrapping_add(0x3f35_04f3)) - 1.0;
    // ln(1 + rest) = 2 artanh(rest / (2 + rest)), whose series has odd powers only.
    let s = rest / (2.0 + rest);
    let square = s * s;
    let mut series = 2.0 / 9.0;
    for coefficient in [2.0 / 7.0, 2.0 / 5.0, 2.0 / 3.0, 2.0] {
        series = series * square + coefficient;
    }
    power * std::f32::consts::LN_2 + series * s
}

/// The normal distribution's cumulative probability to 1e-7, by formula 7.1.26 of Abramowitz and Stegun.
#[inline(always)]
fn normal(x: f32) -> f32 {
    let z = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * z);
    let mut series = 1.061_405_4;
    for coefficient in [-1.453_152, 1.421_413_7, -0.284_496_74, 0.254_829_6] {
        series = series * t + coefficient;
    }
    // The half of the distribution that is beyond |x| on one side.
    let beyond = 0.5 * series * t * exp(-z * z);
    if x < 0.0 { beyond } else { 1.0 - beyond }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponentials_are_those_of_the_library_to_a_few_units_in_the_last_place() {
        for i in -8700..=8800 {
            let x = i as f32 / 100.0;
            let expected = f64::from(x).exp();
            let apart = (f64::from(exp(x)) - expected).abs() / expected;
            assert!(apart < 5e-7, "exp({x}) differs by {apart}");
        }
        assert!(exp(f32::NEG_INFINITY) > 0.0 && exp(f32::INFINITY).is_finite());
    }

    #[test]
    fn logarithms_and_probabilities_are_exact_to_seven_digits() {
        for i in 1..=20_000 {
            let x = (i as f32 / 1000.0 - 10.0).exp2();
            let apart = (f64::from(ln(x)) - f64::from(x).ln()).abs();
            assert!(
                apart < 5e-7 * (1.0 + f64::from(x).ln().abs()),
                "ln({x}) differs by {apart}"
            );
        }
        assert!(ln(0.0).is_finite() && ln(-1.0).is_finite());
        // `erfc(-x / sqrt(2)) / 2` of a library in C.
        for (x, expected) in [
            (0.0, 0.5),
            (1.0, 0.841_344_746_068_542_9),
            (-1.96, 0.024_997_895_148_220_43),
            (3.5, 0.999_767_370_920_964_5),
            (-9.0, 0.0),
        ] {
            let apart = (f64::from(normal(x)) - expected).abs();
            assert!(apart < 2e-7, "normal({x}) differs by {apart}");
        }
    }

    #[test]
    fn every_length_is_computed_number_by_number() {
        let gated = |function| Activation {
            function,
            gated: true,
        };
        for length in 0..40 {
            let x: Vec<f32> = (0..length).map(|i| i as f32 - 9.5).collect();
            let mut silu = x.clone();
            activate(gated(Function::Sigmoid), &mut silu);
            let mut hard = x.clone();
            let (slope, shift) = (0.25, 0.5);
            activate(gated(Function::HardSigmoid { slope, shift }), &mut hard);
            for ((x, silu), hard) in x.into_iter().zip(silu).zip(hard) {
                let x64 = f64::from(x);
                let expected = x64 / (1.0 + (-x64).exp());
                assert!((f64::from(silu) - expected).abs() < 1e-6 * (1.0 + x64.abs()));
                assert_eq!(hard, x * (0.25 * x + 0.5).clamp(0.0, 1.0));
            }
        }
    }
}
