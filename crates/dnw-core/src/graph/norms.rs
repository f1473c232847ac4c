//! Norms in the type of their own parameters, and batch norm with PyTorch's running variance.
//!
//! A model may compute in a type of 16 bits while its norms stay in 32: sums over many pixels are where few digits hurt first. Which
//! of them do is said by nothing but their parameters. What comes in is cast to their type, and what goes out to the type that came
//! in; where the two are the same, nothing is done.

use burn::nn::{BatchNorm, InstanceNorm};
use burn::tensor::Tensor;
use burn::tensor::activation::relu;

use crate::ops::{self, Kernels};

/// Applies Burn's layer in the type of its parameters.
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
    norm.forward(input.cast(own)).cast(dtype)
}

/// Applies the layer as PyTorch's does, in the type of its parameters. The running averages keep their own.
///
/// Burn's own `forward` keeps the running mean of the *biased* variance of its batches, PyTorch that of the unbiased one
/// (times `n / (n - 1)` for `n` numbers a channel). The two train alike and evaluate apart where maps are small: of four
/// 2 x 2 maps, by a fifteenth. Published checkpoints hold the latter, and so must their continuation.
///
/// # Shapes
/// - `input`: `[batch, channels, height, width]`
/// - result: the same
pub fn batch_norm(norm: &BatchNorm, input: Tensor<4>) -> Tensor<4> {
    normed(norm, input, false)
}

/// [`batch_norm`] and the ReLU behind it, which on CPU backends are one operation.
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
    let (output, [mean, variance]) = ops::batch_norm(
        input,
        gamma,
        beta,
        norm.epsilon,
        rectified,
        Kernels::default(),
    );
    update_running_averages(norm, mean, variance, batch * height * width);
    output.cast(dtype)
}

/// Moves the running averages towards the statistics of a batch, of which the variance is the biased one of so many numbers a channel.
pub(super) fn update_running_averages(
    norm: &BatchNorm,
    mean: Tensor<1>,
    variance: Tensor<1>,
    count: usize,
) {
    let n = count as f64;
    let unbiased = n / (n - 1.0).max(1.0);
    let moved = |running: Tensor<1>, of_batch: Tensor<1>| {
        let running = running.to_device(&of_batch.device());
        let of_batch = of_batch.detach().cast(running.dtype());
        (running * (1.0 - norm.momentum) + of_batch * norm.momentum).detach()
    };
    norm.running_mean
        .update(moved(norm.running_mean.value_sync(), mean));
    norm.running_var
        .update(moved(norm.running_var.value_sync(), variance * unbiased));
}
