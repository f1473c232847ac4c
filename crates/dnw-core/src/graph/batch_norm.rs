//! Batch normalization whose running variance is PyTorch's.

use burn::nn::BatchNorm;
use burn::tensor::Tensor;
use burn::tensor::module;

/// Applies the layer as PyTorch's does.
///
/// Burn's own `forward` keeps the running mean of the *biased* variance of its batches, PyTorch that of the unbiased one
/// (times `n / (n - 1)` for `n` numbers a channel). The two train alike and evaluate apart where maps are small: of four
/// 2 x 2 maps, by a fifteenth. Published checkpoints hold the latter, and so must their continuation.
///
/// # Shapes
/// - `input`: `[batch, channels, height, width]`
/// - result: the same
pub fn batch_norm(norm: &BatchNorm, input: Tensor<4>) -> Tensor<4> {
    let device = input.device();
    let (gamma, beta) = (norm.gamma.val(), norm.beta.val());
    if !(device.is_autodiff() && norm.training.is_enabled()) {
        return norm.forward(input);
    }
    let [batch, _, height, width] = input.dims();
    let n = (batch * height * width) as f64;
    let unbiased = n / (n - 1.0).max(1.0);
    let result = module::batch_norm_train(input, gamma, beta, norm.epsilon);
    let moved = |running: Tensor<1>, of_batch: Tensor<1>| {
        let running = running.to_device(&device);
        (running * (1.0 - norm.momentum) + of_batch.detach() * norm.momentum).detach()
    };
    let mean = moved(norm.running_mean.value_sync(), result.mean);
    let variance = moved(norm.running_var.value_sync(), result.variance * unbiased);
    norm.running_mean.update(mean);
    norm.running_var.update(variance);
    result.output
}
