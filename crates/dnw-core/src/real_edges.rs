//! The wiring inside the model: a reparameterization of a weight.
//!
//! Burn lets a parameter carry state through which its stored value becomes its effective one. Here the stored
//! value is the weight of every possible edge, and the effective one keeps the real edges and zeroes the rest. So
//! **any** layer that reads its weight by `Param::val` is wired without knowing it, the mask travels, is
//! saved and is loaded with the weight it belongs to, and `Module::materialize` writes the zeros in.

use burn::module::{Flag, Module, Param, ParamId, Reparameterization};
use burn::tensor::{Bool, Device, Tensor, TensorData, activation};

use crate::ops::IndexCache;
use crate::{Forward, Gradient, Wiring};

/// The real edges of the parameter that it is attached to.
///
/// The effective weight is `M * W`, or `M * f(W)` where edges give less than their weight by a threshold ([`Forward`]). Its
/// gradient reaches every entry of `W`, scaled by [`Gradient::hallucinated`] where the edge is not real: forward `M * W`,
/// backward `dL/dW = dL/d(M * W)` for all entries in the published method (Wortsman et al. 2019, section 2.2).
///
/// Burn keeps it through every traversal of a module, but not through [`Param::map`] of a parameter by itself, which leaves the weight
/// without its wiring: change weights by a [`ModuleMapper`](burn::module::ModuleMapper) or by [`Wired::set_weights`](crate::Wired::set_weights).
///
/// Weights must be finite: the gradient travels as `x - x`, which is zero for every number but not for an infinite one.
#[derive(Module, Debug)]
pub struct RealEdges {
    /// Which entries are real, `[entries]`.
    real: Param<Tensor<1, Bool>>,
    /// Which entries may become real, `[entries]`; all may where there is none.
    legal: Option<Param<Tensor<1, Bool>>>,
    /// Which other entries take part while training, `[entries]`; none do where it has another length.
    joined: Param<Tensor<1, Bool>>,
    /// What the gradient of a hallucinated edge is multiplied by, `[1]`. A tensor, so that it is set and kept as the mask
    /// is; it takes no gradient of its own.
    hallucinated: Param<Tensor<1>>,
    /// What a real edge gives, as [`Forward::threshold_parameters`] writes it.
    threshold: Param<Tensor<1>>,
    /// Whether a real edge gives its weight and all edges learn alike, which is when a kernel may take the stored weight as it is.
    plain: Param<Flag>,
    /// Whether the model is being trained: Burn switches it off in `valid` and on in `train`.
    training: Param<Flag>,
    /// Where kernels find the real edges.
    #[module(skip)]
    index: IndexCache,
}

/// The names under which traversals of a module meet [`RealEdges`] and its parts.
pub(crate) mod path {
    /// The name that files see.
    pub(crate) const NAME: &str = "wiring";
    /// What stands for it on a traversal's path: a mark that no field of a user's module can have.
    pub(crate) const WIRING: &str = "(wiring)";
    pub(crate) const REAL: &str = "real";
    pub(crate) const LEGAL: &str = "legal";
    pub(crate) const JOINED: &str = "joined";
    pub(crate) const HALLUCINATED: &str = "hallucinated";
    pub(crate) const THRESHOLD: &str = "threshold";
    pub(crate) const PLAIN: &str = "plain";

    /// A step of a traversal's path. Burn says of what type the thing entered is part; a reparameterization is told from a
    /// field of the same name by that.
    pub(crate) fn step(name: &str, container: &str) -> String {
        let is_wiring = container == "Reparameterization" && name == NAME;
        if is_wiring { WIRING } else { name }.to_owned()
    }

    /// The weight's path and the part's name, where a path leads to a part of a wiring.
    pub(crate) fn part(path: &[String]) -> Option<(String, &str)> {
        match path {
            [weight @ .., container, part] if container == WIRING => {
                Some((weight.join("."), part.as_str()))
            }
            _ => None,
        }
    }
}

impl RealEdges {
    /// The given edges real, each giving its weight; the legal ones, if not all are; the gradient of the others.
    pub fn new(real: &Wiring, legal: Option<&Wiring>, gradient: Gradient, device: &Device) -> Self {
        let constant = |values: Vec<f32>| {
            let length = values.len();
            let tensor = Tensor::from_data(TensorData::new(values, [length]), device);
            Param::initialized(ParamId::new(), tensor)
        };
        Self {
            real: mask_param(real, device),
            legal: legal.map(|legal| mask_param(legal, device)),
            joined: mask_param(&Wiring::empty(1), device),
            hallucinated: constant(vec![gradient.hallucinated()]),
            threshold: constant(Forward::Weight.threshold_parameters(0.0)),
            plain: Param::from_bool(gradient == Gradient::AllEdges),
            training: Param::from_bool(true),
            index: IndexCache::default(),
        }
    }

    /// The real edges, read from the device.
    pub fn wiring(&self) -> Wiring {
        wiring_of(&self.real.val())
    }

    /// The edges that take part, in the weight's own shape: the real ones that are legal (where all entries are ranked, an edge
    /// may be chosen that the layer cannot use), and while training those that a rule lets join.
    pub fn mask<const D: usize>(&self, shape: [usize; D]) -> Tensor<D, Bool> {
        let mut mask = self.real.val();
        // A model made to be evaluated is on a plain device, and nobody need have called `valid` on it.
        let trains = self.training.is_enabled() && self.hallucinated.val().is_autodiff();
        if trains && self.joined.val().dims() == mask.dims() {
            mask = mask.bool_or(self.joined.val());
        }
        if let Some(legal) = &self.legal {
            mask = mask.bool_and(legal.val());
        }
        mask.reshape(shape)
    }

    /// Where kernels find the real edges.
    pub(crate) fn index(&self) -> &IndexCache {
        &self.index
    }

    /// Whether hallucinated edges learn exactly as real ones do and real ones give their weight, which is when a kernel may take
    /// the stored weight and compute the gradient of all edges at once.
    pub(crate) fn all_edges_learn(&self) -> bool {
        self.plain.is_enabled()
    }

    /// What the edges of a mask give.
    fn effective<const D: usize>(&self, base: Tensor<D>, real: Tensor<D, Bool>) -> Tensor<D> {
        let parameters = self.threshold.val();
        let entry = |i: usize| parameters.clone().narrow(0, i, 1).reshape([1; D]);
        let sign = || base.clone().sign().detach();
        let value = match parameters.dims() {
            [2] => (base.clone().abs() - entry(0)).clamp_min(0.0) * sign(),
            [3] => {
                let (threshold, power) = (entry(0), entry(1));
                let powers = |x: Tensor<D>, p: Tensor<D>| {
                    let shape = x.dims();
                    x.powf(p.expand(shape))
                };
                let left =
                    powers(base.clone().abs(), power.clone()) - threshold.powf(power.clone());
                powers(left.clamp_min(0.0), power.recip()) * sign()
            }
            [4] => {
                let threshold = activation::sigmoid(entry(0));
                activation::relu(base.clone().abs() - threshold) * sign()
            }
            _ => base,
        };
        value.mask_fill(real.bool_not(), 0.0)
    }
}

impl Reparameterization for RealEdges {
    const NAME: &'static str = path::NAME;

    fn apply<const D: usize>(&self, base: Tensor<D>) -> Tensor<D> {
        let real = self.mask(base.dims());
        let is_learned = self.threshold.val().dims() == [4];
        if !base.is_autodiff() || is_learned {
            return self.effective(base, real);
        }
        let effective = self.effective(base.clone().detach(), real.clone());
        // The gradient flows through `passed`, the value comes from `effective`: x - x is exactly zero.
        let scale = self.hallucinated.val().detach().reshape([1; D]);
        let scale = scale.expand(base.dims()).mask_fill(real, 1.0);
        let passed = base * scale;
        effective.detach() + (passed.clone() - passed.detach())
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
