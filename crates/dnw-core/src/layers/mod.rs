//! Burn's own layers with a wiring of their own.
//!
//! Each is configured, made and used as the layer that it is named after, comes from such a layer without losing its
//! weights, and goes back to one with the zeros written in. A plain Burn layer needs none of this to
//! be wired ([`Wire::weights`](crate::Wire::weights)); these are for models that say in their own types what
//! is wired, with which budget.

mod conv;
mod linear;

pub use conv::{MaskedConv2d, MaskedConv2dConfig, convolve};
pub use linear::{DnwLinear, DnwLinearConfig, apply};

use burn::module::{Module, Param, Reparameterizer};
use burn::tensor::Tensor;

use crate::real_edges::RealEdges;
use crate::{Budget, Gradient, Wiring, WiringError, select_top_edges};

/// Attaches a wiring to a layer's weight: complete, or the largest weights that the budget allows.
fn wire_weight<const D: usize>(
    weight: Param<Tensor<D>>,
    budget: Option<Budget>,
) -> Result<Param<Tensor<D>>, WiringError> {
    let magnitudes: Vec<f32> = weight.base().abs().to_data().iter::<f32>().collect();
    let all = Wiring::full(magnitudes.len());
    let wiring = match budget {
        None => all,
        Some(budget) => {
            let k = budget.resolve("weight", magnitudes.len())?;
            select_top_edges("weight", &magnitudes, &all, k)?
        }
    };
    let device = weight.base().device();
    let edges = RealEdges::new(&wiring, None, Gradient::AllEdges, &device);
    Ok(attach(weight, edges))
}

/// Gives a parameter its wiring. Burn attaches reparameterizations to whole modules only; a parameter is one.
pub(crate) fn attach<const D: usize>(
    param: Param<Tensor<D>>,
    edges: RealEdges,
) -> Param<Tensor<D>> {
    struct AttachOnce(Option<RealEdges>);

    impl Reparameterizer for AttachOnce {
        type Reparam = RealEdges;

        fn reparameterize<const D: usize>(
            &mut self,
            _: &str,
            param: Param<Tensor<D>>,
        ) -> (Param<Tensor<D>>, Option<RealEdges>) {
            (param, self.0.take())
        }
    }

    param.apply_reparameterization(AttachOnce(Some(edges)))
}

/// The wiring that [`attach`] gave.
pub(crate) fn edges_of<const D: usize>(param: &Param<Tensor<D>>) -> &RealEdges {
    param
        .reparameterization()
        .expect("a wired layer's weight carries its wiring from the start")
}

/// The weight that an operation learns which hands its gradient to all entries: the stored one, or, where hallucinated edges get
/// another gradient or edges give less than their weight, the effective one, which sees to that itself.
pub(crate) fn trainable_weight<const D: usize>(
    weight: &Param<Tensor<D>>,
    edges: &RealEdges,
) -> Tensor<D> {
    if edges.all_edges_learn() {
        weight.base()
    } else {
        weight.val()
    }
}
