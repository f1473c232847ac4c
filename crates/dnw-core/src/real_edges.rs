//! The wiring inside the model: a reparameterization of a weight.
//!
//! Burn lets a parameter carry state through which its stored value becomes its effective one. Here the stored
//! value is the weight of every possible edge, and the effective one keeps the real edges and zeroes the rest. So
//! **any** layer that reads its weight by `Param::val` is wired without knowing it, the mask travels, is
//! saved and is loaded with the weight it belongs to, and `Module::materialize` writes the zeros in.

use burn::module::{Module, Param, ParamId, Reparameterization};
use burn::tensor::{Bool, Device, Tensor, TensorData};

use crate::{Gradient, Wiring};

/// The real edges of the parameter that it is attached to.
///
/// The effective weight is `M * W`. Its gradient reaches every entry of `W`, scaled by [`Gradient::hallucinated`] where the edge
/// is not real: forward `M * W`, backward `dL/dW = dL/d(M * W)` for all entries in the published method
/// (Wortsman et al. 2019, section 2.2).
///
/// Weights must be finite: the gradient travels as `x - x`, which is zero for every number but not for an infinite one.
#[derive(Module, Debug)]
pub struct RealEdges {
    /// Which entries are real, `[entries]`.
    real: Param<Tensor<1, Bool>>,
    /// Which entries may become real, `[entries]`; all may where there is none.
    legal: Option<Param<Tensor<1, Bool>>>,
    /// What the gradient of a hallucinated edge is multiplied by, `[1]`. A tensor, so that it is set and kept as the mask
    /// is; it takes no gradient of its own.
    hallucinated: Param<Tensor<1>>,
}

/// The names under which traversals of a module meet [`RealEdges`] and its parts.
pub(crate) mod path {
    /// The name that files see.
    pub(crate) const NAME: &str = "wiring";
    /// What stands for it on a traversal's path: a mark that no field of a user's module can have.
    pub(crate) const WIRING: &str = "(wiring)";
    pub(crate) const REAL: &str = "real";
    pub(crate) const LEGAL: &str = "legal";
    pub(crate) const HALLUCINATED: &str = "hallucinated";

    /// A step of a traversal's path. Burn says of what type the thing entered is part; a reparameterization is told from a
    /// field of the same name by that.
    pub(crate) fn step(name: &str, container: &str) -> String {
        let is_wiring = container == "Reparameterization" && name == NAME;
        if is_wiring { WIRING } else { name }.to_owned()
    }
}

impl RealEdges {
    /// The given edges real; the legal ones, if not all are; the gradient of the others.
    pub fn new(real: &Wiring, legal: Option<&Wiring>, gradient: Gradient, device: &Device) -> Self {
        Self {
            real: mask_param(real, device),
            legal: legal.map(|legal| mask_param(legal, device)),
            hallucinated: Param::initialized(
                ParamId::new(),
                Tensor::from_floats([gradient.hallucinated()], device),
            ),
        }
    }

    /// The real edges, read from the device.
    pub fn wiring(&self) -> Wiring {
        wiring_of(&self.real.val())
    }

    /// The mask in the weight's own shape: real and legal. (Where all entries are ranked, an entry may be chosen that the
    /// layer cannot use.)
    pub fn mask<const D: usize>(&self, shape: [usize; D]) -> Tensor<D, Bool> {
        let real = self.real.val();
        let mask = match &self.legal {
            Some(legal) => real.bool_and(legal.val()),
            None => real,
        };
        mask.reshape(shape)
    }

    /// Whether hallucinated edges learn exactly as real ones do, which is when a kernel may compute the gradient of all
    /// edges at once.
    pub(crate) fn all_edges_learn(&self) -> bool {
        self.hallucinated
            .val()
            .into_data()
            .iter::<f32>()
            .all(|scale| scale == 1.0)
    }
}

impl Reparameterization for RealEdges {
    const NAME: &'static str = path::NAME;

    fn apply<const D: usize>(&self, base: Tensor<D>) -> Tensor<D> {
        let real = self.mask(base.dims());
        let kept = base.clone().mask_fill(real.clone().bool_not(), 0.0);
        if !base.is_autodiff() {
            return kept;
        }
        // The gradient flows through `passed`, the value comes from `kept`: x - x is exactly zero.
        let scale = self.hallucinated.val().detach().reshape([1; D]);
        let scale = scale.expand(base.dims()).mask_fill(real, 1.0);
        let passed = base * scale;
        kept.detach() + (passed.clone() - passed.detach())
    }
}

fn mask_param(wiring: &Wiring, device: &Device) -> Param<Tensor<1, Bool>> {
    Param::initialized(ParamId::new(), mask_tensor(wiring, device))
}

/// A wiring as a mask on a device, `[entries]`.
pub(crate) fn mask_tensor(wiring: &Wiring, device: &Device) -> Tensor<1, Bool> {
    let mask = wiring.to_mask();
    let entries = mask.len();
    Tensor::from_data(TensorData::new(mask, [entries]), device)
}

/// A mask on a device as a wiring.
pub(crate) fn wiring_of(mask: &Tensor<1, Bool>) -> Wiring {
    Wiring::from_mask(mask.to_data().iter::<bool>())
}
