//! The product of a linear layer without a wiring.

use burn::backend::TensorMetadata;
use burn::backend::tensor::{BoolTensor, FloatTensor};
use burn::tensor::{Shape, Tensor};
use dnw_kernels::linear::{self, LinearShape};
use dnw_kernels::pool;
use tracing::{Span, trace_span};

use super::cpu::{CpuBackend, uninitialised_like};
use super::dispatch::{self, Operation};
use super::kernels::Kernels;

/// `x weight`.
///
/// On a CPU this is a kernel with an order of additions that is the same on every machine; Burn's own product adds in as many parts as the
/// machine's vectors have lanes.
///
/// `x`: `[rows, inputs]`; `weight`: `[inputs, outputs]`; the result: `[rows, outputs]`.
pub(crate) fn linear(x: Tensor<2>, weight: Tensor<2>, kernels: Kernels) -> Tensor<2> {
    if !kernels.on_cpu(&x) || !kernels.on_cpu(&weight) {
        return x.matmul(weight);
    }
    let ([rows, inputs], [_, outputs]) = (x.dims(), weight.dims());
    let product = Linear(LinearShape {
        rows,
        inputs,
        outputs,
    });
    let floats = [x.into_dispatch(), weight.into_dispatch()];
    let (y, ()) = dispatch::run(product, floats, []);
    Tensor::from_dispatch(y)
}

/// Inputs: `x`, `weight`.
#[derive(Clone, Debug)]
struct Linear(LinearShape);

impl Operation<2, 0> for Linear {
    type Extra = ();
    type Saved<B: CpuBackend> = [FloatTensor<B>; 2];

    fn span() -> Span {
        trace_span!("linear")
    }

    fn forward_cpu<B: CpuBackend>(
        &self,
        [x, weight]: [FloatTensor<B>; 2],
        []: [BoolTensor<B>; 0],
    ) -> (FloatTensor<B>, (), Self::Saved<B>) {
        let shape = self.0;
        let mut y = pool::acquire(shape.rows * shape.outputs);
        linear::forward(shape, B::floats(&x), B::floats(&weight), &mut y);
        let y = B::tensor(y, Shape::from([shape.rows, shape.outputs]));
        (y, (), [x, weight])
    }

    fn backward_cpu<B: CpuBackend>(
        &self,
        [x, weight]: Self::Saved<B>,
        dy: &FloatTensor<B>,
        [x_needed, weight_needed]: [bool; 2],
    ) -> [Option<FloatTensor<B>>; 2] {
        let dy = B::floats(dy);
        let dx = x_needed.then(|| {
            let mut dx = uninitialised_like::<B>(&x);
            linear::input_gradient(self.0, dy, B::floats(&weight), &mut dx);
            B::tensor(dx, x.shape())
        });
        let dw = weight_needed.then(|| {
            let mut dw = uninitialised_like::<B>(&weight);
            linear::weight_gradient(self.0, B::floats(&x), dy, &mut dw);
            B::tensor(dw, weight.shape())
        });
        [dx, dw]
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
        fn a_linear_layer_is_that_of_plain_tensors(rows in 1usize..20, inputs in 1usize..600, outputs in 1usize..20) {
            let device = Device::flex().autodiff();
            let x = random([rows, inputs], &device);
            let weight = random([inputs, outputs], &device);
            let by = |kernels| move |[x, weight]: [Tensor<2>; 2]| linear(x, weight, kernels);
            agree([x, weight], by(Kernels::Fastest), by(Kernels::Reference));
        }
    }
}
