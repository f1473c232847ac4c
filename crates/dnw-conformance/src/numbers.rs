//! Numbers and sizes drawn on the host, the same on every machine.

use burn::tensor::{Device, Tensor, TensorData};

use crate::case::Verdict;

/// A seeded source.
pub(crate) struct Numbers(fastrand::Rng);

impl Numbers {
    pub(crate) fn new(seed: u64) -> Self {
        Self(fastrand::Rng::with_seed(seed))
    }

    /// One of `range`.
    pub(crate) fn size(&mut self, range: std::ops::RangeInclusive<usize>) -> usize {
        self.0.usize(range)
    }

    /// One of the given ones.
    pub(crate) fn one_of<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.0.usize(..values.len())]
    }

    /// Uniform between two numbers.
    pub(crate) fn uniform(&mut self, count: usize, low: f32, high: f32) -> Vec<f32> {
        (0..count)
            .map(|_| low + (high - low) * self.0.f32())
            .collect()
    }

    /// Of mean 0 and variance 1, by Box and Muller.
    pub(crate) fn normal(&mut self, count: usize) -> Vec<f32> {
        let one = |_| {
            let (u, v) = (1.0 - self.0.f64(), self.0.f64());
            ((-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()) as f32
        };
        (0..count).map(one).collect()
    }
}

/// Checks something on that many drawings; what fails says of which seed.
pub(crate) fn on_drawings(count: u64, check: impl Fn(&mut Numbers) -> Verdict) -> Verdict {
    for seed in 0..count {
        check(&mut Numbers::new(seed)).map_err(|s| s.within(&format!("seed {seed}")))?;
    }
    Ok(())
}

/// Numbers on a device.
pub(crate) fn upload<const D: usize>(
    values: &[f32],
    shape: [usize; D],
    device: &Device,
) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values.to_vec(), shape), device)
}
