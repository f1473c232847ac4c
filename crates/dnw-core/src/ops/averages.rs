//! The running averages of a batch norm after a batch.

use burn::tensor::Tensor;

use super::cpu::CpuBackend;
use super::dispatch::{self, Tensors, Untracked};
use super::kernels::Kernels;
#[cfg(feature = "cube")]
use {
    super::gpu::{buffer, tensor},
    burn::backend::TensorMetadata,
    burn_cubecl::{CubeBackend, kernel::into_contiguous},
    dnw_cube::norm,
};

/// Mean and biased variance of each channel in a batch, `[channels]` each, without a gradient.
pub type BatchStatistics = [Tensor<1>; 2];

/// Which statistics move running averages, and how far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Move {
    /// The share of the batch in the averages.
    pub(crate) momentum: f64,
    /// Values per channel behind the statistics.
    pub(crate) count: usize,
}

/// The averages after a batch, on the device of its statistics, without a gradient. The average of the variance is that of the unbiased
/// variance.
///
/// `running`: mean and variance, `[channels]` each.
pub(crate) fn move_averages(
    running: [Tensor<1>; 2],
    of_batch: &BatchStatistics,
    by: Move,
) -> [Tensor<1>; 2] {
    let n = by.count as f64;
    let unbiased = n / (n - 1.0).max(1.0);
    let kernels = Kernels::default();
    let on_gpu = |tensor: &Tensor<1>| kernels.on_gpu(tensor);
    if running.iter().all(on_gpu) && of_batch.iter().all(on_gpu) {
        let plain = |tensor: Tensor<1>| match tensor.is_autodiff() {
            true => tensor.inner(),
            false => tensor,
        };
        let [mean, variance] = running.map(plain);
        let [of_mean, of_variance] = of_batch.clone().map(plain);
        let floats = [mean, variance, of_mean, of_variance].map(Tensor::into_dispatch);
        let (moved, ()) = dispatch::run_untracked(MoveAverages { by, unbiased }, floats, []);
        let (moved, []) = moved.split();
        return moved.map(Tensor::from_dispatch);
    }
    let moved = |running: Tensor<1>, of_batch: Tensor<1>| {
        let running = running.to_device(&of_batch.device());
        let of_batch = of_batch.detach().cast(running.dtype());
        (running * (1.0 - by.momentum) + of_batch * by.momentum).detach()
    };
    let [mean, variance] = running;
    let [of_mean, of_variance] = of_batch.clone();
    [
        moved(mean, of_mean),
        moved(variance, of_variance * unbiased),
    ]
}

/// Inputs: the running mean and variance, those of the batch; outputs: the running ones after the batch. On GPUs.
#[derive(Debug)]
#[cfg_attr(not(feature = "cube"), allow(dead_code))] // Only GPUs read it.
struct MoveAverages {
    by: Move,
    unbiased: f64,
}

impl Untracked for MoveAverages {
    type Extra = ();

    fn run_cpu<B: CpuBackend>(self, _: Tensors<B>) -> (Tensors<B>, ()) {
        unreachable!("averages move by plain tensors on CPUs")
    }

    #[cfg(feature = "cube")]
    fn run_gpu(self, tensors: Tensors<CubeBackend>) -> (Tensors<CubeBackend>, ()) {
        let (floats, []) = tensors.split::<4, 0>();
        let floats = floats.map(into_contiguous);
        let [mean, variance, of_mean, of_variance] = floats.each_ref().map(buffer);
        let of_batch = norm::Statistics {
            mean: of_mean,
            variance: of_variance,
        };
        let (momentum, unbiased) = (self.by.momentum as f32, self.unbiased as f32);
        let (client, running) = (&floats[0].client, [&mean, &variance]);
        let moved = norm::move_averages(client, running, &of_batch, momentum, unbiased);
        let like = &floats[0];
        let moved = moved.map(|moved| tensor(like, like.shape(), &moved));
        (Tensors::new(moved, []), ())
    }
}
