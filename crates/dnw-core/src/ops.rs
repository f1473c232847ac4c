//! The operations that a backend may do better than its plain tensors can.
//!
//! Each has a body in plain tensors, which is the reference and serves every backend, and one for the CPU backends flex and ndarray
//! on the kernels of `dnw-kernels`. Some have a third for GPUs, on the kernels of `dnw-cube`. The choice is made by the device of
//! the tensors, at run time.

use std::sync::atomic::{AtomicBool, Ordering};

use burn::tensor::module::{batch_norm_train, conv2d};
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Bool, Device, Tensor, activation};

#[cfg(any(feature = "flex", feature = "ndarray", feature = "cube"))]
mod calls;
#[cfg(feature = "cube")]
mod cube;
// Burn calls its ndarray backend deprecated; it is one of ours for as long as Burn publishes it.
#[cfg(any(feature = "flex", feature = "ndarray"))]
#[cfg_attr(feature = "ndarray", allow(deprecated))]
mod extension;
#[cfg(any(feature = "flex", feature = "ndarray"))]
#[cfg_attr(feature = "ndarray", allow(deprecated))]
mod host;
mod index;
#[cfg(any(feature = "flex", feature = "ndarray"))]
mod served;
mod watch;

pub(crate) use index::IndexCache;
pub(crate) use watch::{Place, Surveyed, Surveys, Watch, during};

/// Which bodies are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kernels {
    /// The fastest that the device has.
    #[default]
    Fastest,
    /// Plain tensors, on every device.
    Reference,
}

/// Whether this process was told to do without kernels.
static REFERENCE_ONLY: AtomicBool = AtomicBool::new(false);

impl Kernels {
    /// Uses plain tensors throughout this process, whatever models ask for: to find out whether a kernel is at fault.
    pub fn switch_off() {
        REFERENCE_ONLY.store(true, Ordering::Relaxed);
    }

    /// Whether kernels serve this tensor: on a CPU backend, of 32-bit floats.
    pub(crate) fn serve<const D: usize>(self, x: &Tensor<D>) -> bool {
        self.are_wanted() && x.dtype() == burn::tensor::DType::F32 && is_on_host(x)
    }

    fn are_wanted(self) -> bool {
        self == Self::Fastest && !REFERENCE_ONLY.load(Ordering::Relaxed)
    }

    /// Whether kernels for GPUs serve this tensor: there, of 32-bit floats.
    pub(crate) fn serve_on_gpu<const D: usize>(self, x: &Tensor<D>) -> bool {
        #[cfg(feature = "cube")]
        return self.are_wanted() && cube::serves(x);
        #[cfg(not(feature = "cube"))]
        {
            let _ = x;
            false
        }
    }

    /// Whether kernels choose the largest of these weights.
    pub(crate) fn choose<const D: usize>(self, weights: &Tensor<D>) -> bool {
        self.serve(weights) || self.serve_on_gpu(weights)
    }
}

/// Whether a tensor's numbers are slices of this process.
fn is_on_host<const D: usize>(x: &Tensor<D>) -> bool {
    is_host(&x.device())
}

/// Whether the numbers of a device's tensors are slices of this process.
pub(crate) fn is_host(device: &Device) -> bool {
    let device = device.clone().inner();
    match device.as_dispatch() {
        #[cfg(feature = "flex")]
        burn::backend::DispatchDevice::Flex(_) => true,
        #[cfg(feature = "ndarray")]
        burn::backend::DispatchDevice::NdArray(_) => true,
        #[allow(unreachable_patterns)]
        _ => false,
    }
}

/// The weight of the real edges, through which every entry learns.
fn effective<const D: usize>(weight: Tensor<D>, real: Tensor<D, Bool>) -> Tensor<D> {
    let kept = weight.clone().mask_fill(real.bool_not(), 0.0);
    kept.detach() + (weight.clone() - weight.detach())
}

/// `y = (M * W) x` over pixels, where every entry of `W` receives the dense product's gradient and `x` that of
/// the real edges.
///
/// `x`: `[batch, sources, height, width]`; `weight`, `real`: `[targets, sources, 1, 1]`; the result:
/// `[batch, targets, height, width]`.
pub(crate) fn wired_product(
    x: Tensor<4>,
    weight: Tensor<4>,
    real: Tensor<4, Bool>,
    index: &IndexCache,
    kernels: Kernels,
) -> Tensor<4> {
    #[cfg(any(feature = "flex", feature = "ndarray"))]
    if kernels.serve(&x) {
        return served::wired_product(x, weight, real, index);
    }
    #[cfg(feature = "cube")]
    if kernels.serve_on_gpu(&x) && kernels.serve_on_gpu(&weight) {
        return cube::wired_product(x, weight, real);
    }
    let _ = (kernels, index);
    let options = ConvOptions::new([1, 1], [0, 0], [1, 1], 1);
    conv2d(x, effective(weight, real), None, options)
}

/// The convolution by the real entries of a kernel, where every entry receives the dense convolution's gradient.
///
/// `x`: `[batch, sources, height, width]`; `weight`, `real`: `[targets, sources / groups, height, width]`.
pub(crate) fn wired_convolution(
    x: Tensor<4>,
    weight: Tensor<4>,
    real: Tensor<4, Bool>,
    options: ConvOptions<2>,
    index: &IndexCache,
    kernels: Kernels,
) -> Tensor<4> {
    #[cfg(any(feature = "flex", feature = "ndarray"))]
    if kernels.serve(&x)
        && let Some(call) = served::convolution(&x, &weight, &options, index)
    {
        return served::wired_convolution(x, weight, real, call);
    }
    let _ = (kernels, index);
    conv2d(x, effective(weight, real), None, options)
}

/// The product of a linear layer, `y = x (M * W)`.
///
/// `x`: `[rows, inputs]`; `weight`, `real`: `[inputs, outputs]`.
pub(crate) fn wired_linear(
    x: Tensor<2>,
    weight: Tensor<2>,
    real: Tensor<2, Bool>,
    index: &IndexCache,
    kernels: Kernels,
) -> Tensor<2> {
    #[cfg(any(feature = "flex", feature = "ndarray"))]
    if kernels.serve(&x) {
        return served::wired_linear(x, weight, real, index);
    }
    let _ = (kernels, index);
    x.matmul(effective(weight, real))
}

/// The node function: instance norm, ReLU, depthwise 3 x 3 with one pixel of padding.
///
/// `x`: `[batch, nodes, height, width]`; `gamma`, `beta`: `[nodes]`; `kernel`: `[nodes, 1, 3, 3]`.
pub(crate) fn node_function(
    x: Tensor<4>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    kernel: Tensor<4>,
    epsilon: f64,
    kernels: Kernels,
) -> Tensor<4> {
    #[cfg(any(feature = "flex", feature = "ndarray"))]
    if kernels.serve(&x) {
        return served::fused_nodes(x, gamma, beta, kernel, epsilon);
    }
    #[cfg(feature = "cube")]
    if kernels.serve_on_gpu(&x) && kernels.serve_on_gpu(&kernel) && cube::serves_nodes(&x) {
        return cube::fused_nodes(x, gamma, beta, kernel, epsilon);
    }
    let _ = kernels;
    let nodes = x.dims()[1];
    let normed = instance_norm(x, gamma, beta, epsilon);
    let options = ConvOptions::new([1, 1], [1, 1], [1, 1], nodes);
    conv2d(activation::relu(normed), kernel, None, options)
}

/// All nodes of a graph whose function is a norm, ReLU and a depthwise 3 x 3 convolution, described for kernels that run it whole.
#[derive(Clone, Debug)]
pub struct WholeNodes {
    /// Scale after the norm, `[nodes with a node function]`.
    pub gamma: Tensor<1>,
    /// Shift after the norm, `[nodes with a node function]`.
    pub beta: Tensor<1>,
    /// `[nodes with a node function, 1, 3, 3]`.
    pub kernel: Tensor<4>,
    /// Added to the variance.
    pub epsilon: f64,
    /// The stride of the input level's convolution.
    pub stride: usize,
    /// Which statistics normalise the nodes.
    pub norm: WholeNorm,
}

/// Which statistics normalise the nodes.
#[derive(Clone, Debug)]
pub enum WholeNorm {
    /// Those of each map.
    Instance,
    /// Those of the node's maps in the whole batch.
    Batch,
    /// Known ones: mean and variance, `[nodes with a node function]` each.
    Running([Vec<f32>; 2]),
}

/// Mean and biased variance of what each node gathered in a batch, `[nodes with a node function]` each.
pub type BatchStatistics = [Vec<f32>; 2];

/// A whole graph of levels, if kernels serve it: what the outputs gather, and the statistics where the norm is that of the batch.
///
/// `x`: `[batch, inputs, height, width]`; `weight`, `real`: `[targets, sources, 1, 1]`.
pub(crate) fn levels(
    x: Tensor<4>,
    weight: Tensor<4>,
    real: Tensor<4, Bool>,
    nodes: WholeNodes,
    spec: &crate::graph::GraphSpec,
    index: &IndexCache,
) -> (Tensor<4>, Option<BatchStatistics>) {
    #[cfg(any(feature = "flex", feature = "ndarray"))]
    return served::levels(x, weight, real, nodes, spec, index);
    #[cfg(not(any(feature = "flex", feature = "ndarray")))]
    {
        let _ = (x, weight, real, nodes, spec, index);
        unreachable!("no kernels serve in this build")
    }
}

/// A cyclic graph's steps, if kernels serve it: from the state of the first nodes, the others at zero, to that of the `outputs`.
///
/// `x`: `[batch, inputs, height, width]`; `weight`, `real`: `[nodes, nodes, 1, 1]`.
#[allow(clippy::too_many_arguments)]
pub(crate) fn steps(
    x: Tensor<4>,
    weight: Tensor<4>,
    real: Tensor<4, Bool>,
    nodes: WholeNodes,
    outputs: std::ops::Range<usize>,
    steps: usize,
    index: &IndexCache,
) -> Tensor<4> {
    #[cfg(any(feature = "flex", feature = "ndarray"))]
    return served::steps(x, weight, real, nodes, outputs, steps, index);
    #[cfg(not(any(feature = "flex", feature = "ndarray")))]
    {
        let _ = (x, weight, real, nodes, outputs, steps, index);
        unreachable!("no kernels serve in this build")
    }
}

/// Batch norm by the statistics of the batch, `[channels]` each, which are given besides; and the ReLU behind it, if it is wanted.
///
/// `x`: `[batch, channels, height, width]`; `gamma`, `beta`: `[channels]`.
pub(crate) fn batch_norm(
    x: Tensor<4>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    epsilon: f64,
    rectified: bool,
) -> (Tensor<4>, [Tensor<1>; 2]) {
    #[cfg(any(feature = "flex", feature = "ndarray"))]
    if Kernels::default().serve(&x) && Kernels::default().serve(&gamma) {
        let device = x.device().inner();
        let (y, statistics) = served::batch_norm(x, gamma, beta, epsilon, rectified);
        return (
            y,
            statistics.map(|of| Tensor::from_floats(of.as_slice(), &device)),
        );
    }
    let found = batch_norm_train(x, gamma, beta, epsilon);
    let output = match rectified {
        true => activation::relu(found.output),
        false => found.output,
    };
    (output, [found.mean, found.variance])
}

/// Each map of each image with a mean of zero and a variance of one, times `gamma`, plus `beta`; computed in their type.
///
/// `x`: `[batch, nodes, height, width]`; `gamma`, `beta`: `[nodes]`.
pub(crate) fn instance_norm(
    x: Tensor<4>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    epsilon: f64,
) -> Tensor<4> {
    let (nodes, given) = (x.dims()[1], x.dtype());
    let x = x.cast(gamma.dtype());
    let (variance, mean) = variance_and_mean_over_pixels(x.clone());
    let normed = (x - mean) / (variance + epsilon).sqrt();
    let normed = normed * gamma.reshape([1, nodes, 1, 1]) + beta.reshape([1, nodes, 1, 1]);
    normed.cast(given)
}

/// The biased variance and the mean over height and width, kept as dimensions of one.
fn variance_and_mean_over_pixels(x: Tensor<4>) -> (Tensor<4>, Tensor<4>) {
    let mean = x.clone().mean_dim(3).mean_dim(2);
    let centred = x - mean.clone();
    ((centred.clone() * centred).mean_dim(3).mean_dim(2), mean)
}

/// What is to be kept.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The edges that may be.
    pub(crate) candidates: std::sync::Arc<crate::Wiring>,
    /// Whether these are all entries.
    pub(crate) all: bool,
    /// How many of them.
    pub(crate) edges: usize,
    /// Where the smallest magnitude that is kept may lie.
    pub(crate) guess: Option<f32>,
}

impl Wanted {
    /// The candidates, a bit each, where not all entries are.
    #[cfg(any(feature = "flex", feature = "ndarray", feature = "cube"))]
    pub(crate) fn candidate_words(&self) -> Option<&[u64]> {
        (!self.all).then(|| self.candidates.words())
    }
}

/// Where the numbers of a contiguous tensor lie, if kernels serve it on this process's memory.
pub(crate) fn place<const D: usize>(weights: &Tensor<D>) -> Option<Place> {
    #[cfg(any(feature = "flex", feature = "ndarray"))]
    if Kernels::default().serve(weights) {
        return served::place(weights.clone());
    }
    let _ = weights;
    None
}

/// What was chosen.
#[derive(Clone, Debug, Default)]
pub struct Chosen {
    /// Entries that became real, ascending, and their magnitudes.
    pub(crate) born: Vec<(usize, f32)>,
    /// Entries that ceased to be, the same.
    pub(crate) died: Vec<(usize, f32)>,
    /// The smallest magnitude that is kept.
    pub(crate) threshold: f32,
    /// The largest among the candidates that are not.
    pub(crate) nearest: Option<f32>,
    /// Candidates that are not kept, of at least nine tenths of the threshold.
    pub(crate) contenders: usize,
}

/// How the mask of the largest weights differs from the one that is, where kernels serve.
///
/// `weights`, `real`: `[entries]`. What was seen of the weights when they were moved makes it quicker.
///
/// # Errors
/// The first candidate that is not a number.
pub(crate) fn select_top_k(
    weights: Tensor<1>,
    real: Tensor<1, Bool>,
    wanted: Wanted,
    surveyed: Option<Surveyed>,
) -> Result<Chosen, usize> {
    #[cfg(feature = "cube")]
    if cube::serves(&weights) {
        return cube::select_top_k(weights, real, wanted);
    }
    #[cfg(any(feature = "flex", feature = "ndarray"))]
    return served::select_top_k(weights, real, wanted, surveyed);
    #[cfg(not(any(feature = "flex", feature = "ndarray")))]
    {
        let _ = (weights, real, wanted, surveyed);
        unreachable!("no kernels serve in this build")
    }
}

/// The mask with some entries turned over, where kernels serve.
pub(crate) fn toggle_mask<const D: usize>(
    mask: Tensor<D, Bool>,
    entries: Vec<usize>,
) -> Tensor<D, Bool> {
    #[cfg(feature = "cube")]
    if cube::has(&mask.device()) {
        return cube::toggle_mask(mask, entries);
    }
    #[cfg(any(feature = "flex", feature = "ndarray"))]
    return served::toggle_mask(mask, entries);
    #[cfg(not(any(feature = "flex", feature = "ndarray")))]
    {
        let _ = (mask, entries);
        unreachable!("no kernels serve in this build")
    }
}

/// How an update is made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SgdStep {
    /// The learning rate.
    pub(crate) rate: f64,
    /// The share of the velocity that stays.
    pub(crate) momentum: f32,
    /// The weight decay.
    pub(crate) decay: Option<f32>,
}

/// An update of stochastic gradient descent: the weights and their velocity.
pub(crate) fn sgd_step<const D: usize>(
    weights: Tensor<D>,
    gradient: Tensor<D>,
    velocity: Option<Tensor<D>>,
    sgd: SgdStep,
) -> (Tensor<D>, Tensor<D>) {
    #[cfg(any(feature = "flex", feature = "ndarray"))]
    if Kernels::default().serve(&weights) && Kernels::default().serve(&gradient) {
        return served::sgd_step(weights, gradient, velocity, sgd);
    }
    let decayed = match sgd.decay {
        Some(decay) => weights.clone().mul_scalar(decay).add(gradient),
        None => gradient,
    };
    let velocity = match velocity {
        Some(velocity) => decayed.add(velocity.mul_scalar(sgd.momentum)),
        None => decayed,
    };
    (weights - velocity.clone().mul_scalar(sgd.rate), velocity)
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use burn::tensor::{Device, Distribution, Tolerance};
    use proptest::prelude::*;

    fn random<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
        Tensor::random(shape, Distribution::Normal(0.0, 1.0), device).require_grad()
    }

    /// The outputs of two bodies and their gradients to every input agree.
    fn agree<const N: usize>(
        inputs: [Tensor<4>; N],
        fast: impl Fn([Tensor<4>; N]) -> Tensor<4>,
        plain: impl Fn([Tensor<4>; N]) -> Tensor<4>,
    ) {
        let (a, b) = (fast(inputs.clone()), plain(inputs.clone()));
        let tolerance = Tolerance::<f32>::rel_abs(2e-3, 2e-4);
        a.to_data().assert_approx_eq(&b.to_data(), tolerance);
        let direction = a.random_like(Distribution::Normal(0.0, 1.0)).detach();
        let gradients = [a, b].map(|y| (y * direction.clone()).sum().backward());
        for input in inputs {
            let [a, b] = gradients
                .each_ref()
                .map(|g| input.grad(g).expect("a gradient").to_data());
            a.assert_approx_eq(&b, tolerance);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn the_wired_product_is_that_of_plain_tensors(
            batch in 1usize..5, sources in 1usize..9, targets in 1usize..9, height in 1usize..9, width in 1usize..9,
            density in 0.0f64..1.0,
        ) {
            let device = Device::flex().autodiff();
            let (x, w) = (random([batch, sources, height, width], &device), random([targets, sources, 1, 1], &device));
            let real = w.random_like(Distribution::Uniform(0.0, 1.0)).detach().lower_elem(density);
            let again = real.clone();
            agree(
                [x, w],
                move |[x, w]| wired_product(x, w, real.clone(), &IndexCache::default(), Kernels::Fastest),
                move |[x, w]| wired_product(x, w, again.clone(), &IndexCache::default(), Kernels::Reference),
            );
        }

        #[test]
        fn the_fused_node_function_is_that_of_plain_tensors(
            batch in 1usize..4, nodes in 1usize..6, height in 2usize..11, width in 2usize..11,
        ) {
            let device = Device::flex().autodiff();
            let x = random([batch, nodes, height, width], &device);
            let (gamma, beta) = (random([nodes, 1, 1, 1], &device), random([nodes, 1, 1, 1], &device));
            let kernel = random([nodes, 1, 3, 3], &device);
            agree(
                [x, gamma, beta, kernel],
                |[x, g, b, k]| node_function(x, g.flatten(0, 3), b.flatten(0, 3), k, 1e-2, Kernels::Fastest),
                |[x, g, b, k]| node_function(x, g.flatten(0, 3), b.flatten(0, 3), k, 1e-2, Kernels::Reference),
            );
        }
    }
}
