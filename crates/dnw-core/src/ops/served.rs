//! The operations by kernels, on tensors.

use std::ops::Range;
use std::sync::Arc;

use burn::backend::Dispatch;
use burn::backend::tensor::FloatTensor;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Bool, Tensor};
use dnw_kernels::convolution::ConvolutionShape;
use dnw_kernels::levels::{self, LevelsShape};
use dnw_kernels::product::{Layout, ProductShape};
use dnw_kernels::sgd;
use dnw_kernels::steps::StepsShape;

use super::calls::{CallNorm, ConvolutionCall, LevelsCall, NormCall, ProductCall, StepsCall};
use super::extension::WiredOps;
use super::watch::{self, Place, Surveyed, Watch};
use super::{BatchStatistics, Chosen, IndexCache, SgdStep, Wanted, WholeNodes, WholeNorm};
use crate::graph::{GraphSpec, Outputs};

/// See [`super::wired_product`].
pub(super) fn wired_product(
    x: Tensor<4>,
    weight: Tensor<4>,
    real: Tensor<4, Bool>,
    index: &IndexCache,
) -> Tensor<4> {
    let [images, sources, height, width] = x.dims();
    let targets = weight.dims()[0];
    let call = ProductCall {
        shape: ProductShape {
            images,
            targets,
            sources,
            pixels: height * width,
            layout: Layout::TargetsFirst,
        },
        given: vec![images, targets, height, width],
        index: index.clone(),
    };
    Tensor::from_dispatch(<Dispatch as WiredOps>::wired_product(
        x.into_dispatch(),
        weight.into_dispatch(),
        real.into_dispatch(),
        Arc::new(call),
    ))
}

/// See [`super::wired_linear`].
pub(super) fn wired_linear(
    x: Tensor<2>,
    weight: Tensor<2>,
    real: Tensor<2, Bool>,
    index: &IndexCache,
) -> Tensor<2> {
    let ([images, sources], [_, targets]) = (x.dims(), weight.dims());
    let call = ProductCall {
        shape: ProductShape {
            images,
            targets,
            sources,
            pixels: 1,
            layout: Layout::SourcesFirst,
        },
        given: vec![images, targets],
        index: index.clone(),
    };
    Tensor::from_dispatch(<Dispatch as WiredOps>::wired_product(
        x.into_dispatch(),
        weight.into_dispatch(),
        real.into_dispatch(),
        Arc::new(call),
    ))
}

/// Channels of a group below which the plain convolution, which has a way of its own for such, is quicker.
const FEW: usize = 8;

/// What the kernels are told of a convolution, if it is one for them.
pub(super) fn convolution(
    x: &Tensor<4>,
    weight: &Tensor<4>,
    options: &ConvOptions<2>,
    index: &IndexCache,
) -> Option<ConvolutionCall> {
    let [images, sources, height, width] = x.dims();
    let [targets, of_group, kernel_height, kernel_width] = weight.dims();
    let [(top, bottom), (left, right)] = options.padding;
    let shape = ConvolutionShape {
        images,
        sources,
        targets,
        maps: [height, width],
        kernel: [kernel_height, kernel_width],
        stride: options.stride,
        padding: [top, left],
        dilation: options.dilation,
        groups: options.groups,
    };
    let fits = (top, left) == (bottom, right) && sources == of_group * options.groups;
    let is_for_kernels = options.groups == 1 || of_group >= FEW;
    let given = shape.output().filter(|_| fits && is_for_kernels)?;
    Some(ConvolutionCall {
        shape,
        given,
        index: index.clone(),
    })
}

/// See [`super::wired_convolution`].
pub(super) fn wired_convolution(
    x: Tensor<4>,
    weight: Tensor<4>,
    real: Tensor<4, Bool>,
    call: ConvolutionCall,
) -> Tensor<4> {
    Tensor::from_dispatch(<Dispatch as WiredOps>::wired_convolution(
        x.into_dispatch(),
        weight.into_dispatch(),
        real.into_dispatch(),
        Arc::new(call),
    ))
}

/// See [`super::node_function`].
pub(super) fn fused_nodes(
    x: Tensor<4>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    kernel: Tensor<4>,
    epsilon: f64,
) -> Tensor<4> {
    Tensor::from_dispatch(<Dispatch as WiredOps>::fused_nodes(
        x.into_dispatch(),
        gamma.into_dispatch(),
        beta.into_dispatch(),
        kernel.into_dispatch(),
        epsilon as f32,
    ))
}

/// See [`super::levels`].
pub(super) fn levels(
    x: Tensor<4>,
    weight: Tensor<4>,
    real: Tensor<4, Bool>,
    nodes: WholeNodes,
    spec: &GraphSpec,
    index: &IndexCache,
) -> (Tensor<4>, Option<BatchStatistics>) {
    let [images, _, height, width] = x.dims();
    let call = Arc::new(LevelsCall {
        shape: LevelsShape {
            images,
            entering: [height, width],
            stride: nodes.stride,
            levels: spec.firing_levels().to_vec(),
            outputs: match spec.outputs() {
                Outputs::OwnLevel(n) => levels::Outputs::OwnLevel(n),
                Outputs::InLastLevel(n) => levels::Outputs::InLastLevel(n),
            },
        },
        norm: match nodes.norm {
            WholeNorm::Instance => CallNorm::Instance,
            WholeNorm::Batch => CallNorm::Batch,
            WholeNorm::Running(statistics) => CallNorm::Running(statistics),
        },
        epsilon: nodes.epsilon as f32,
        index: index.clone(),
    });
    let (y, statistics) = <Dispatch as WiredOps>::graph_levels(
        x.into_dispatch(),
        weight.into_dispatch(),
        real.into_dispatch(),
        nodes.gamma.into_dispatch(),
        nodes.beta.into_dispatch(),
        nodes.kernel.into_dispatch(),
        call,
    );
    (Tensor::from_dispatch(y), statistics)
}

/// See [`super::steps`].
pub(super) fn steps(
    x: Tensor<4>,
    weight: Tensor<4>,
    real: Tensor<4, Bool>,
    nodes: WholeNodes,
    outputs: Range<usize>,
    steps: usize,
    index: &IndexCache,
) -> Tensor<4> {
    let [images, inputs, height, width] = x.dims();
    let call = Arc::new(StepsCall {
        shape: StepsShape {
            images,
            nodes: weight.dims()[0],
            height,
            width,
            inputs,
            outputs,
            steps,
        },
        epsilon: nodes.epsilon as f32,
        index: index.clone(),
    });
    Tensor::from_dispatch(<Dispatch as WiredOps>::graph_steps(
        x.into_dispatch(),
        weight.into_dispatch(),
        real.into_dispatch(),
        nodes.gamma.into_dispatch(),
        nodes.beta.into_dispatch(),
        nodes.kernel.into_dispatch(),
        call,
    ))
}

/// See [`super::select_top_k`].
pub(super) fn select_top_k(
    weights: Tensor<1>,
    real: Tensor<1, Bool>,
    wanted: Wanted,
    surveyed: Option<Surveyed>,
) -> Result<Chosen, usize> {
    let (seen, held) = match surveyed {
        Some(Surveyed { seen, held }) => (Some(seen), Some(held)),
        None => (None, None),
    };
    let chosen = <Dispatch as WiredOps>::select_top_k(
        weights.into_dispatch(),
        real.into_dispatch(),
        wanted,
        seen,
    );
    // The handles keep the surveyed memory from being reused for other tensors until the survey was compared with where these lie.
    drop(held);
    chosen
}

/// See [`super::toggle_mask`].
pub(super) fn toggle_mask<const D: usize>(
    mask: Tensor<D, Bool>,
    entries: Vec<usize>,
) -> Tensor<D, Bool> {
    let mask = mask.into_dispatch();
    Tensor::from_dispatch(<Dispatch as WiredOps>::toggle_mask(mask, Arc::new(entries)))
}

/// See [`super::sgd_step`].
pub(super) fn sgd_step<const D: usize>(
    weights: Tensor<D>,
    gradient: Tensor<D>,
    velocity: Option<Tensor<D>>,
    sgd: SgdStep,
) -> (Tensor<D>, Tensor<D>) {
    let sgd = sgd::SgdStep {
        rate: sgd.rate as f32,
        momentum: sgd.momentum,
        decay: sgd.decay,
    };
    let watched = match velocity.is_some() && watch::is_watching() {
        true => place(weights.clone())
            .and_then(|place| watch::take(place, weights.shape().num_elements())),
        false => None,
    };
    let (weights, gradient) = (weights.into_dispatch(), gradient.into_dispatch());
    let (weights, velocity) = match velocity.map(Tensor::into_dispatch) {
        Some(velocity) => match watched {
            Some(watch) => sgd_step_and_survey(weights, gradient, velocity, sgd, watch),
            None => <Dispatch as WiredOps>::sgd_step(weights, gradient, velocity, sgd),
        },
        None => <Dispatch as WiredOps>::sgd_first_step(weights, gradient, sgd),
    };
    (
        Tensor::from_dispatch(weights),
        Tensor::from_dispatch(velocity),
    )
}

/// An update of weights that are watched.
fn sgd_step_and_survey(
    weights: FloatTensor<Dispatch>,
    gradient: FloatTensor<Dispatch>,
    velocity: FloatTensor<Dispatch>,
    sgd: sgd::SgdStep,
    watch: Watch,
) -> (FloatTensor<Dispatch>, FloatTensor<Dispatch>) {
    let Watch {
        name, real, wanted, ..
    } = watch;
    let real = real.into_dispatch();
    let (weights, velocity, seen) = <Dispatch as WiredOps>::sgd_step_and_survey(
        weights,
        gradient,
        velocity,
        real.clone(),
        sgd,
        wanted,
    );
    if let Some(seen) = seen {
        let held = (weights.clone(), real);
        watch::record(name, Surveyed { seen, held });
    }
    (weights, velocity)
}

/// See [`super::place`].
pub(super) fn place<const D: usize>(tensor: Tensor<D>) -> Option<Place> {
    <Dispatch as WiredOps>::place(tensor.into_dispatch())
}

/// See [`super::batch_norm`].
pub(super) fn batch_norm(
    x: Tensor<4>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    epsilon: f64,
    rectified: bool,
) -> (Tensor<4>, BatchStatistics) {
    let call = Arc::new(NormCall {
        epsilon: epsilon as f32,
        rectified,
    });
    let (y, statistics) = <Dispatch as WiredOps>::batch_norm_by_batch(
        x.into_dispatch(),
        gamma.into_dispatch(),
        beta.into_dispatch(),
        call,
    );
    (Tensor::from_dispatch(y), statistics)
}
