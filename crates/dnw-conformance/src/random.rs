//! Random inputs and sizes, generated on the host: the same for every device and machine.

use burn::tensor::{Device, Tensor, TensorData};

use crate::case::Outcome;

/// A seeded random number generator.
pub(crate) struct Random(fastrand::Rng);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(fastrand::Rng::with_seed(seed))
    }

    /// A size in `range`.
    pub(crate) fn size(&mut self, range: std::ops::RangeInclusive<usize>) -> usize {
        self.0.usize(range)
    }

    /// One of `values`.
    pub(crate) fn choose<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.0.usize(..values.len())]
    }

    /// Uniformly distributed values.
    pub(crate) fn uniform(&mut self, count: usize, low: f32, high: f32) -> Vec<f32> {
        (0..count)
            .map(|_| low + (high - low) * self.0.f32())
            .collect()
    }

    /// Normally distributed values of mean 0 and variance 1, by Box and Muller.
    pub(crate) fn normal(&mut self, count: usize) -> Vec<f32> {
        let one = |_| {
            let (u, v) = (1.0 - self.0.f64(), self.0.f64());
            ((-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()) as f32
        };
        (0..count).map(one).collect()
    }
}

/// Runs `check` with the seeds `0..count`; a failure names its seed.
pub(crate) fn for_seeds(count: u64, check: impl Fn(&mut Random) -> Outcome) -> Outcome {
    for seed in 0..count {
        check(&mut Random::new(seed)).map_err(|s| s.context(&format!("seed {seed}")))?;
    }
    Ok(())
}

/// Copies values to a device.
pub(crate) fn upload<const D: usize>(
    values: &[f32],
    shape: [usize; D],
    device: &Device,
) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values.to_vec(), shape), device)
}
