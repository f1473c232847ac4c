//! The wiring inside the model: a reparameterization of a weight.
//!
//! Burn lets a parameter carry state that maps its stored value to its effective value. Here the stored value
//! is the weight of every possible edge; the effective value keeps the real edges and zeroes the rest.
//! **Any** layer that reads its weight through `Param::val` is therefore wired unchanged. The mask moves, is
//! saved and is loaded with its weight, and `Module::materialize` writes the zeros into the weight.

use burn::module::{Flag, Module, Param, ParamId, Reparameterization};
use burn::tensor::{Bool, Device, Tensor, TensorData, activation};

use crate::ops::IndexCache;
use crate::{Forward, Gradient, Wiring};

/// The real edges of the parameter it is attached to.
///
/// The effective weight is `M * W`, or `M * f(W)` with a threshold function `f` ([`Forward`]). Its gradient
/// reaches every entry of `W`, multiplied by [`Gradient::hallucinated`] where the edge is not real. In the
/// published method `dL/dW = dL/d(M * W)` for all entries (Wortsman et al. 2019, section 2.2).
///
/// Burn keeps it through every traversal of a module, but [`Param::map`] on a single parameter drops it.
/// Change weights with a [`ModuleMapper`](burn::module::ModuleMapper) or
/// [`Wired::set_weights`](crate::Wired::set_weights).
///
/// Weights must be finite: the gradient flows through `x - x`, which is zero for finite values only.
#[derive(Module, Debug)]
pub struct RealEdges {
    /// Which entries are real, `[entries]`.
    real: Param<Tensor<1, Bool>>,
    /// Which entries may become real, `[entries]`; `None` if all may.
    legal: Option<Param<Tensor<1, Bool>>>,
    /// Which hallucinated entries take part in training, `[entries]`; a tensor of another length means none.
    joined: Param<Tensor<1, Bool>>,
    /// The factor on the gradient of hallucinated edges, `[1]`. It is a tensor so that it is saved and loaded
    /// as the mask is; it has no gradient.
    hallucinated: Param<Tensor<1>>,
    /// The parameters of the threshold function, see [`Forward::threshold_parameters`].
    threshold: Param<Tensor<1>>,
    /// Whether real edges contribute their weight unchanged and all edges receive the same gradient. A kernel
    /// may then use the stored weight directly.
    plain: Param<Flag>,
    /// Whether the model is in training: Burn disables it in `valid` and enables it in `train`.
    training: Param<Flag>,
    /// The index of the real edges, for kernels.
    #[module(skip)]
    index: IndexCache,
}

/// The names of [`RealEdges`] and its parts on the paths of module traversals.
pub(crate) mod path {
    /// The name in files.
    pub(crate) const NAME: &str = "wiring";
    /// Its name on a traversal's path, which no field of a user's module can have.
    pub(crate) const WIRING: &str = "(wiring)";
    pub(crate) const REAL: &str = "real";
    pub(crate) const LEGAL: &str = "legal";
    pub(crate) const JOINED: &str = "joined";
    pub(crate) const HALLUCINATED: &str = "hallucinated";
    pub(crate) const THRESHOLD: &str = "threshold";
    pub(crate) const PLAIN: &str = "plain";

    /// One element of a traversal's path. The container type that Burn reports distinguishes a
    /// reparameterization from a field of the same name.
    pub(crate) fn step(name: &str, container: &str) -> String {
        let is_wiring = container == "Reparameterization" && name == NAME;
        if is_wiring { WIRING } else { name }.to_owned()
    }

    /// The methods of a `ModuleVisitor` or `ModuleMapper` that keep the path of the traversal in its field
    /// `path: Vec<String>`.
    macro_rules! track {
        () => {
            fn enter_module(&mut self, name: &str, container: &str) {
                self.path.push(path::step(name, container));
            }

            fn exit_module(&mut self, _: &str, _: &str) {
                self.path.pop();
            }
        };
    }
    pub(crate) use track;

    /// The weight's path and the part's name, if the path leads to a part of a wiring.
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
    /// Makes the edges of `real` real; each contributes its weight. `legal`: the edges that may become real,
    /// `None` for all. `gradient`: the gradient of hallucinated edges.
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
            hallucinated: constant(vec![gradient.hallucinated_scale()]),
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

    /// The edges that take part in the forward pass, in the shape of the weight: the edges that are real and
    /// legal (if all entries are ranked, illegal ones may be selected), and in training those that the rule
    /// lets join.
    pub fn mask<const D: usize>(&self, shape: [usize; D]) -> Tensor<D, Bool> {
        let mut mask = self.real.val();
        // A model built for evaluation is on a device without autodiff, and `valid` may not have been called
        // on it.
        let trains = self.training.is_enabled() && self.hallucinated.val().is_autodiff();
        if trains && self.joined.val().dims() == mask.dims() {
            mask = mask.bool_or(self.joined.val());
        }
        if let Some(legal) = &self.legal {
            mask = mask.bool_and(legal.val());
        }
        mask.reshape(shape)
    }

    /// The index of the real edges, for kernels.
    pub(crate) fn index(&self) -> &IndexCache {
        &self.index
    }

    /// Whether real edges contribute their weight unchanged and hallucinated edges receive the same gradient.
    /// A kernel may then use the stored weight and compute the gradient of all edges.
    pub(crate) fn all_edges_learn(&self) -> bool {
        // `Module::unfreeze` enables every flag of a model, this one too. A threshold still counts.
        self.plain.is_enabled() && self.threshold.val().dims() == [1]
    }

    /// The effective weight: the threshold function of the real edges, zero elsewhere.
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
                let difference =
                    powers(base.clone().abs(), power.clone()) - threshold.powf(power.clone());
                powers(difference.clamp_min(0.0), power.recip()) * sign()
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
        // The value comes from `effective` and the gradient flows through `passed`: x - x is exactly zero.
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
