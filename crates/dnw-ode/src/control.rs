//! Step sizes.

use crate::error::OdeError;
use crate::state::{State, Tolerance};

/// The step-size control.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Control {
    /// This many steps of equal length.
    Constant {
        /// The number of steps.
        steps: usize,
    },
    /// Adaptive steps, by the error estimate.
    Adaptive(Adaptive),
}

impl Control {
    /// Adaptive steps with these relative and absolute tolerances, and the settings of [`Adaptive::new`].
    pub fn adaptive(relative: f64, absolute: f64) -> Self {
        Self::Adaptive(Adaptive::new(relative, absolute))
    }

    pub(crate) fn check(&self) -> Result<(), OdeError> {
        match self {
            Self::Constant { steps: 0 } => Err(OdeError::Setting {
                what: "the number of steps",
                expected: "positive",
                found: 0.0,
            }),
            Self::Constant { .. } => Ok(()),
            Self::Adaptive(adaptive) => adaptive.check(),
        }
    }
}

/// Adaptive step sizes by the error estimate, with the same decisions as torchdiffeq: the same problem results in the same steps.
///
/// A step's error ratio is the root mean square over all entries of `error / (absolute + relative * max(|before|, |after|))`. The
/// step is accepted if that is at most 1. The length of the next step, or attempt, is multiplied by `safety / ratio^(1/order)`,
/// limited to `shrink` and `grow`, and never decreases after an accepted step. The last step may go beyond the end of the interval; the
/// solution at the end is interpolated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adaptive {
    /// Relative tolerance.
    pub relative: f64,
    /// Absolute tolerance, in the state's units.
    pub absolute: f64,
    /// Safety factor: below 1, so that fewer steps are rejected.
    pub safety: f64,
    /// The maximum factor by which a step grows.
    pub grow: f64,
    /// The minimum factor by which a step shrinks.
    pub shrink: f64,
    /// The length of the first step. `None` estimates it from two evaluations (Hairer, Norsett and Wanner I, section II.4).
    pub first_step: Option<f64>,
}

impl Adaptive {
    /// The usual settings: safety 0.9, growth at most 10, shrinking at most to 0.2, an estimated first step.
    pub fn new(relative: f64, absolute: f64) -> Self {
        Self {
            relative,
            absolute,
            safety: 0.9,
            grow: 10.0,
            shrink: 0.2,
            first_step: None,
        }
    }

    /// Sets the length of the first step.
    pub fn with_first_step(mut self, step: f64) -> Self {
        self.first_step = Some(step);
        self
    }

    pub(crate) fn tolerance(&self) -> Tolerance {
        Tolerance {
            relative: self.relative,
            absolute: self.absolute,
        }
    }

    fn check(&self) -> Result<(), OdeError> {
        let setting = |what, expected, found, fine: bool| match fine {
            true => Ok(()),
            false => Err(OdeError::Setting {
                what,
                expected,
                found,
            }),
        };
        let positive = "positive and finite";
        let is_positive = |x: f64| x > 0.0 && x.is_finite();
        let (relative, absolute) = (self.relative, self.absolute);
        let is_tolerance = |x: f64| x >= 0.0 && x.is_finite();
        setting(
            "the relative tolerance",
            "finite, not negative",
            relative,
            is_tolerance(relative),
        )?;
        // With an absolute tolerance of zero, an entry that crosses zero would have to be exact.
        setting(
            "the absolute tolerance",
            positive,
            absolute,
            is_positive(absolute),
        )?;
        setting(
            "the safety factor",
            "in (0, 1]",
            self.safety,
            self.safety > 0.0 && self.safety <= 1.0,
        )?;
        setting(
            "the growth of a step",
            "at least 1",
            self.grow,
            self.grow >= 1.0,
        )?;
        setting(
            "the shrinking of a step",
            "in (0, 1)",
            self.shrink,
            self.shrink > 0.0 && self.shrink < 1.0,
        )?;
        let first = self.first_step.unwrap_or(1.0);
        setting("the first step", positive, first, is_positive(first))
    }

    /// The estimated length of the first step of a method of order `order` (Hairer, Norsett and Wanner I, section II.4), at most a hundred times
    /// the length in which the state changes by 1 %.
    ///
    /// `probe` returns the slope after a step of a given length along `slope`. The result is `NaN` if any value is.
    pub(crate) fn first_step<S: State>(
        &self,
        order: u32,
        state: &S,
        slope: &S,
        probe: impl FnOnce(f64) -> Result<S, OdeError>,
    ) -> Result<f64, OdeError> {
        // Only a length results, so no autodiff graph is needed.
        let scale = state.untracked();
        let norm = |x: &S| x.norm(&scale, &scale, self.tolerance());
        let slope = slope.untracked();
        let (d0, d1) = (norm(&scale), norm(&slope));
        let h0 = if d0 < 1e-5 || d1 < 1e-5 {
            1e-6
        } else {
            0.01 * d0 / d1
        };
        let after = probe(h0)?.untracked();
        let change = S::sum(&[1.0, -1.0], &[after, slope]).expect("two terms");
        let d2 = norm(&change) / h0;
        // Not `max`, which hides NaN.
        let steepest = if d1 > d2 { d1 } else { d2 };
        let h1 = if d1 <= 1e-15 && d2 <= 1e-15 {
            f64::max(1e-6, h0 * 1e-3)
        } else {
            libm::pow(0.01 / steepest, 1.0 / f64::from(order))
        };
        Ok(if 100.0 * h0 < h1 { 100.0 * h0 } else { h1 })
    }

    /// The length of the step after one of length `step` with error ratio `ratio`. A ratio of NaN or infinity shrinks the step.
    pub(crate) fn next_step(&self, step: f64, ratio: f64, order: u32) -> f64 {
        if ratio == 0.0 {
            return step * self.grow;
        }
        let least = if ratio < 1.0 { 1.0 } else { self.shrink };
        let factor = self.safety / libm::pow(ratio, 1.0 / f64::from(order));
        // `max` first: it also turns NaN into `least`.
        step * factor.max(least).min(self.grow)
    }
}
