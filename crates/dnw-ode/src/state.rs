//! The operations of a state: weighted sums of slopes, and a norm.
//!
//! The user's state is a tensor; the adjoint's state has three tensors. States are never changed in place, so a slope may keep its
//! argument.

use burn::tensor::{DType, Device, Tensor};

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
        root_mean_square(ratio)
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

/// The root mean square over all entries. Step sizes follow from it, so on a CPU it is summed in an order that is the same on every machine;
/// Burn's own order there depends on the width of vectors.
pub(crate) fn root_mean_square<const D: usize>(values: Tensor<D>) -> f64 {
    if !(is_cpu(&values.device()) && values.dtype() == DType::F32) {
        return values.square().mean().sqrt().into_scalar::<f64>();
    }
    let data = values.into_data();
    let squares = data.iter::<f32>().map(|value| f64::from(value).powi(2));
    let count = data.num_elements().max(1);
    (squares.sum::<f64>() / count as f64).sqrt()
}

/// Whether a device's tensors are slices of this process's memory.
fn is_cpu(device: &Device) -> bool {
    match device.clone().inner().as_dispatch() {
        #[cfg(feature = "flex")]
        burn::backend::DispatchDevice::Flex(_) => true,
        // Burn calls its ndarray backend deprecated.
        #[cfg(feature = "ndarray")]
        #[allow(deprecated)]
        burn::backend::DispatchDevice::NdArray(_) => true,
        #[allow(unreachable_patterns)]
        _ => false,
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;

    #[test]
    fn the_root_mean_square_is_that_of_all_entries_whatever_backend_sums() {
        let values: Vec<f32> = (0..1003).map(|i| (i % 37) as f32 - 18.0).collect();
        let expected = values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / 1003.0;
        let tensor = Tensor::<1>::from_floats(&values[..], &Device::flex());
        assert_eq!(root_mean_square(tensor.clone()), expected.sqrt());
        let by_burn = tensor.square().mean().sqrt().into_scalar::<f64>();
        assert!((by_burn - expected.sqrt()).abs() < 1e-5 * expected.sqrt());
        let infinite = Tensor::<1>::from_floats([1.0, f32::INFINITY], &Device::flex());
        assert_eq!(root_mean_square(infinite), f64::INFINITY);
    }
}
