//! The operations of a state: weighted sums of slopes, and a norm.
//!
//! The user's state is a tensor; the adjoint's state has three tensors. States are never changed in place, so a slope may keep its
//! argument.

use burn::tensor::Tensor;

use crate::error::OdeError;

/// The tolerance: `absolute + relative * |state|`, entry by entry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tolerance {
    pub relative: f64,
    pub absolute: f64,
}

pub(crate) trait State: Clone {
    /// `sum of factor * slope`, or `None` if every factor is zero.
    fn sum(factors: &[f64], slopes: &[Self]) -> Option<Self>;

    /// `self + other`.
    fn plus(&self, other: &Self) -> Self;

    /// The same values, outside any autodiff graph.
    fn untracked(&self) -> Self;

    /// The root mean square over all entries of `self / (absolute + relative * max(|a|, |b|))`; the maximum, if a state
    /// has several parts.
    fn norm(&self, a: &Self, b: &Self, tolerance: Tolerance) -> f64;

    /// Whether every entry is finite.
    fn all_finite(&self) -> bool;

    /// Checks that `slope` has the shape of `self`.
    fn check(&self, slope: &Self) -> Result<(), OdeError>;

    /// `self + step * sum of weight * slope`.
    fn advance(&self, step: f64, weights: &[f64], slopes: &[Self]) -> Self {
        let factors: Vec<f64> = weights.iter().map(|weight| weight * step).collect();
        match Self::sum(&factors, slopes) {
            Some(change) => self.plus(&change),
            None => self.clone(),
        }
    }
}

impl<const D: usize> State for Tensor<D> {
    fn sum(factors: &[f64], slopes: &[Self]) -> Option<Self> {
        let terms = factors
            .iter()
            .zip(slopes)
            .filter(|(factor, _)| **factor != 0.0);
        terms
            .map(|(factor, slope)| slope.clone().mul_scalar(*factor))
            .reduce(|sum, term| sum + term)
    }

    fn plus(&self, other: &Self) -> Self {
        self.clone() + other.clone()
    }

    fn untracked(&self) -> Self {
        self.clone().inner()
    }

    fn norm(&self, a: &Self, b: &Self, tolerance: Tolerance) -> f64 {
        let size = a.clone().abs().max_pair(b.clone().abs());
        let allowed = size
            .mul_scalar(tolerance.relative)
            .add_scalar(tolerance.absolute);
        let ratio = self.clone() / allowed;
        ratio.square().mean().sqrt().into_scalar::<f64>()
    }

    fn all_finite(&self) -> bool {
        // The sum of zero times each value is finite if and only if all values are.
        let witness = self.clone().mul_scalar(0.0).sum();
        witness.into_scalar::<f64>() == 0.0
    }

    fn check(&self, slope: &Self) -> Result<(), OdeError> {
        let (expected, found) = (self.dims(), slope.dims());
        if expected == found {
            Ok(())
        } else {
            Err(OdeError::SlopeShape {
                expected: expected.to_vec(),
                found: found.to_vec(),
            })
        }
    }
}
