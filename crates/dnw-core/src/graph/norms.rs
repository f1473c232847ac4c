//! Norms in the type of their own parameters, and batch norm with PyTorch's running variance.
//!
//! A model may compute in 16 bits while its norms stay in 32, because sums over many pixels lose precision
//! first. The parameters of a norm determine its type: the input is cast to it, and the output back to the
//! type of the input. Equal types need no cast.

use burn::nn::{BatchNorm, InstanceNorm};
use burn::tensor::Tensor;
use burn::tensor::activation::relu;

use crate::ops::{self, BatchStatistics, Kernels, Move};

/// Applies Burn's instance norm in the type of its parameters.
///
/// # Shapes
/// - `input`: `[batch, channels, height, width]`
/// - result: the same
pub fn instance_norm(norm: &InstanceNorm, input: Tensor<4>) -> Tensor<4> {
    let dtype = input.dtype();
    let own = norm
        .gamma
        .as_ref()
        .map_or(dtype, |gamma| gamma.val().dtype());
    let input = input.cast(own);
    let output = match (&norm.gamma, &norm.beta) {
        (Some(gamma), Some(beta)) if Kernels::default().on_cpu(&input) => ops::instance_norm(
            input,
            gamma.val(),
            beta.val(),
            norm.epsilon,
            Kernels::default(),
        ),
        _ => norm.forward(input),
    };
    output.cast(dtype)
}

/// Applies batch norm as PyTorch does, in the type of its parameters. The running averages keep their own
/// type.
///
/// Burn's own `forward` averages the *biased* variance of its batches, PyTorch the unbiased one (times
/// `n / (n - 1)` for `n` values per channel). Training is the same, but evaluation differs on small feature
/// maps: by a fifteenth for four 2 x 2 maps. Published checkpoints hold the unbiased variance, so continuing
/// them needs it.
///
/// # Shapes
/// - `input`: `[batch, channels, height, width]`
/// - result: the same
pub fn batch_norm(norm: &BatchNorm, input: Tensor<4>) -> Tensor<4> {
    normed(norm, input, false)
}

/// [`batch_norm`] followed by ReLU, one operation on CPU backends and GPUs.
///
/// # Shapes
/// - `input`: `[batch, channels, height, width]`
/// - result: the same
pub fn batch_norm_rectified(norm: &BatchNorm, input: Tensor<4>) -> Tensor<4> {
    normed(norm, input, true)
}

fn normed(norm: &BatchNorm, input: Tensor<4>, rectified: bool) -> Tensor<4> {
    let device = input.device();
    let (gamma, beta) = (norm.gamma.val(), norm.beta.val());
    let dtype = input.dtype();
    let input = input.cast(gamma.dtype());
    if !(device.is_autodiff() && norm.training.is_enabled()) {
        let output = norm.forward(input);
        let output = if rectified { relu(output) } else { output };
        return output.cast(dtype);
    }
    let [batch, _, height, width] = input.dims();
    let (output, statistics) = ops::batch_norm(
        input,
        gamma,
        beta,
        norm.epsilon,
        rectified,
        Kernels::default(),
    );
    update_running_averages(norm, &statistics, batch * height * width);
    output.cast(dtype)
}

/// Updates the running averages with the statistics of a batch. The variances are biased and of `count` values per channel.
pub(super) fn update_running_averages(
    norm: &BatchNorm,
    statistics: &BatchStatistics,
    count: usize,
) {
    let running = [
        norm.running_mean.value_sync(),
        norm.running_var.value_sync(),
    ];
    let by = Move {
        momentum: norm.momentum,
        count,
    };
    let [mean, variance] = ops::move_averages(running, statistics, by);
    for (running, moved) in [(&norm.running_mean, mean), (&norm.running_var, variance)] {
        running.update(moved);
        // Burn keeps the update of each thread apart until the same thread comes back, and then takes their mean. Steps
        // run on any worker thread, so the averages would depend on which. This hands the update over at once.
        running.value_sync();
    }
}
