//! The sum at the end of a residual block, and the ReLU after it.

use burn::backend::TensorMetadata;
use burn::backend::tensor::{BoolTensor, FloatTensor};
use burn::tensor::{Tensor, activation};
use tracing::{Span, trace_span};

use super::cpu::{CpuBackend, uninitialised_like};
use super::dispatch::{self, Operation};
use super::kernels::Kernels;
#[cfg(feature = "cube")]
use {
    super::gpu::{buffer, empty},
    burn_cubecl::tensor::CubeTensor,
    dnw_cube::add_relu as gpu_add_relu,
};

/// `relu(a + b)`, one operation where there are kernels.
///
/// # Shapes
/// `a`, `b` and the result: `[batch, channels, height, width]`.
pub fn add_rectified(a: Tensor<4>, b: Tensor<4>) -> Tensor<4> {
    add_rectified_by(a, b, Kernels::default())
}

fn add_rectified_by(a: Tensor<4>, b: Tensor<4>, kernels: Kernels) -> Tensor<4> {
    let on_gpu = kernels.on_gpu(&a) && kernels.on_gpu(&b);
    let on_cpu = kernels.on_cpu(&a) && kernels.on_cpu(&b);
    if (!on_gpu && !on_cpu) || a.dims() != b.dims() {
        return activation::relu(a + b);
    }
    let floats = [a.into_dispatch(), b.into_dispatch()];
    let (y, ()) = dispatch::run(AddRelu, floats, []);
    Tensor::from_dispatch(y)
}

/// Inputs: the summands.
#[derive(Clone, Debug)]
struct AddRelu;

impl Operation<2, 0> for AddRelu {
    type Extra = ();
    /// The output.
    type Saved<B: CpuBackend> = FloatTensor<B>;

    fn span() -> Span {
        trace_span!("sum and ReLU")
    }

    fn forward_cpu<B: CpuBackend>(
        &self,
        [a, b]: [FloatTensor<B>; 2],
        []: [BoolTensor<B>; 0],
    ) -> (FloatTensor<B>, (), FloatTensor<B>) {
        let mut sums = uninitialised_like::<B>(&a);
        let summands = B::floats(&a).iter().zip(B::floats(&b));
        for (sum, (a, b)) in sums.iter_mut().zip(summands) {
            *sum = (a + b).max(0.0);
        }
        let y = B::tensor(sums, a.shape());
        (y.clone(), (), y)
    }

    fn backward_cpu<B: CpuBackend>(
        &self,
        y: FloatTensor<B>,
        dy: &FloatTensor<B>,
        _: [bool; 2],
    ) -> [Option<FloatTensor<B>>; 2] {
        let mut dx = uninitialised_like::<B>(&y);
        let given = B::floats(&y).iter().zip(B::floats(dy));
        for (dx, (&y, &dy)) in dx.iter_mut().zip(given) {
            *dx = if y > 0.0 { dy } else { 0.0 };
        }
        let dx = B::tensor(dx, y.shape());
        [Some(dx.clone()), Some(dx)]
    }

    #[cfg(feature = "cube")]
    fn forward_gpu(
        &self,
        [a, b]: &[CubeTensor; 2],
        []: &[CubeTensor; 0],
    ) -> (CubeTensor, (), Vec<CubeTensor>) {
        let (y, output) = empty(a, a.shape());
        gpu_add_relu::forward(&a.client, &buffer(a), &buffer(b), &output);
        (y.clone(), (), vec![y])
    }

    #[cfg(feature = "cube")]
    fn backward_gpu(
        &self,
        _: [CubeTensor; 2],
        []: [CubeTensor; 0],
        saved: Vec<CubeTensor>,
        dy: CubeTensor,
        _: [bool; 2],
    ) -> [Option<CubeTensor>; 2] {
        let y = &saved[0];
        let (dx, output) = empty(y, y.shape());
        gpu_add_relu::backward(&y.client, &buffer(y), &buffer(&dy), &output);
        [Some(dx.clone()), Some(dx)]
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use burn::tensor::Device;
    use proptest::prelude::*;

    use super::*;
    use crate::ops::testing::{agree, random};

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn a_rectified_sum_is_that_of_plain_tensors(
            batch in 1usize..4, channels in 1usize..6, height in 1usize..9, width in 1usize..9,
        ) {
            let device = Device::flex().autodiff();
            let [a, b] = [(); 2].map(|()| random([batch, channels, height, width], &device));
            let by = |kernels| move |[a, b]: [Tensor<4>; 2]| add_rectified_by(a, b, kernels);
            agree([a, b], by(Kernels::Fastest), by(Kernels::Reference));
        }
    }
}
