//! Wired variants of Burn's layers.
//!
//! Each has the configuration and methods of the Burn layer it is named after, is made from such a layer
//! without losing weights, and converts back to one with the zeros written in. A plain Burn layer can be
//! wired without these ([`Wire::weights`](crate::Wire::weights)); they are for models whose types state what
//! is wired, and with which budget.

mod conv;
mod linear;

pub use conv::{MaskedConv2d, MaskedConv2dConfig, convolve};
pub use linear::{DnwLinear, DnwLinearConfig, apply};

pub use crate::ops::global_average;

use burn::module::{Module, Param, Reparameterizer};
use burn::tensor::Tensor;

use crate::real_edges::RealEdges;
use crate::{Budget, Gradient, Wiring, WiringError, select_top_edges};

/// Attaches a wiring to a layer's weight: all edges, or the largest weights within the budget.
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

/// Attaches a wiring to a parameter. Burn attaches reparameterizations to modules only; a parameter is a
/// module.
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

/// The wiring of a parameter that [`attach`] was called on.
pub(crate) fn edges_of<const D: usize>(param: &Param<Tensor<D>>) -> &RealEdges {
    param
        .reparameterization()
        .expect("a wired layer's weight carries its wiring from the start")
}

/// The weight to pass to an operation that returns a gradient for all entries: the stored weight if all edges
/// learn alike, else the effective weight, which scales the gradient of hallucinated edges and applies the
/// threshold function.
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
