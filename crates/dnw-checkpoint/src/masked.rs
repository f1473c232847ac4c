//! The masks of pruned models, in the forms in which programs save them.
//!
//! | form | weight | mask |
//! | --- | --- | --- |
//! | `torch.nn.utils.prune` | `X.weight_orig` | `X.weight_mask` |
//! | a parametrization with a mask | `X.parametrizations.weight.original` | `X.parametrizations.weight.0.mask` |
//! | a buffer beside the weight; sparse tensors | `X.weight` | `X.weight_mask` |
//! | NNCF 3.4 | `X.weight` | `__nncf_hooks.post_hooks.X:weight__0.0.binary_mask` |
//! | NNI 3.0, model not exported | `X.weight`, again as `X._nni_wrapper.weight` | `X._nni_wrapper.weight_mask` |
//! | fasterai 0.4 | `X.weight` with zeros, its first values as `X._init_weights` | `X._mask` |
//! | STR | `X.weight` | `X.sparseThreshold`, applied to the weight: `sign(w) max(|w| - sigmoid(s), 0)` |
//! | published files of this method | `X.weight` | `X.mask` |
//!
//! All become the last form. PyTorch's `WeightNormSparsifier` parametrizes the weight, but its masks are in its own state, under
//! `state.X.weight.mask`, and not among the model's tensors.
//! A `weight_orig` without a mask is not pruned (PyTorch's older spectral norm writes one) and stays as it is.

use std::collections::{HashMap, HashSet};

use crate::Tensor;

/// The parts of names that PyTorch writes.
const ORIGINAL: &str = "_orig";
const MASK: &str = "_mask";
const PARAMETRIZED: &str = ".parametrizations.";
/// A parametrization of one tensor.
const PARAMETRIZED_ORIGINAL: &str = ".original";

/// What was done besides renaming.
#[derive(Debug, Default)]
pub struct Unified {
    /// The masks that were multiplied into their tensors: those of biases and other tensors without edges.
    pub applied: Vec<String>,
    /// Second copies of weights, which were removed.
    pub copies: Vec<String>,
    /// The weights that are parametrized and whose mask is not among the tensors.
    pub unmasked: Vec<String>,
}

/// Gives weights and masks the names of the last form.
pub fn unify(tensors: &mut Vec<Tensor>) -> Unified {
    let mut done = Unified::default();
    let mut renamed = Vec::new();
    // The mask's name and the tensor that it masks.
    let mut masks: HashMap<String, String> = HashMap::new();
    {
        let present: HashSet<&str> = tensors.iter().map(|t| t.name.as_str()).collect();
        for tensor in tensors.iter() {
            let name = tensor.name.as_str();
            if let Some(weight) = name.strip_suffix(ORIGINAL) {
                let mask = [weight, MASK].concat();
                if present.contains(mask.as_str()) && !present.contains(weight) {
                    renamed.push((name.to_owned(), weight.to_owned()));
                    masks.insert(mask, weight.to_owned());
                }
            } else if let Some((weight, mask)) = parametrized(name, &present) {
                renamed.push((name.to_owned(), weight.clone()));
                match mask {
                    Some(mask) => drop(masks.insert(mask, weight)),
                    None => done.unmasked.push(weight),
                }
            } else if let Some(weight) = masked_weight(name)
                && present.contains(weight.as_str())
            {
                masks.insert(name.to_owned(), weight);
            } else if is_copy(name, &present) {
                done.copies.push(name.to_owned());
            }
        }
    }
    let renamed: HashMap<String, String> = renamed.into_iter().collect();
    let mut factors: HashMap<String, Tensor> = HashMap::new();
    let mut thresholds: HashMap<String, f32> = HashMap::new();
    let mut kept = Vec::with_capacity(tensors.len());
    for mut tensor in tensors.drain(..) {
        if done.copies.contains(&tensor.name) {
            continue;
        }
        if let Some(layer) = tensor.name.strip_suffix("sparseThreshold") {
            let learned = tensor.data.first().copied().unwrap_or(f32::NEG_INFINITY);
            thresholds.insert([layer, "weight"].concat(), 1.0 / (1.0 + (-learned).exp()));
            done.applied.push(tensor.name);
            continue;
        }
        if let Some(weight) = masks.get(&tensor.name) {
            match mask_name(weight) {
                Some(name) if tensor.shape.len() > 1 => tensor.name = name,
                _ => {
                    done.applied.push(tensor.name.clone());
                    factors.insert(weight.clone(), tensor);
                    continue;
                }
            }
        } else if let Some(weight) = renamed.get(&tensor.name) {
            tensor.name.clone_from(weight);
        }
        kept.push(tensor);
    }
    for tensor in &mut kept {
        if let Some(factor) = factors.get(&tensor.name)
            && factor.shape == tensor.shape
        {
            let pairs = tensor.data.iter_mut().zip(&factor.data);
            pairs.for_each(|(value, factor)| *value *= factor);
        }
        if let Some(threshold) = thresholds.get(&tensor.name) {
            let values = tensor.data.iter_mut();
            values.for_each(|w| *w = (w.abs() - threshold).max(0.0).copysign(*w));
        }
    }
    *tensors = kept;
    done
}

/// The weight that a tensor of this name masks, if it is a mask.
fn masked_weight(name: &str) -> Option<String> {
    if let Some(hook) = name.strip_prefix("__nncf_hooks.post_hooks.") {
        let (weight, _) = hook.strip_suffix(".binary_mask")?.rsplit_once("__")?;
        return Some(weight.replace(':', "."));
    }
    if let Some(layer) = name.strip_suffix("._nni_wrapper.weight_mask") {
        return Some([layer, ".weight"].concat());
    }
    match name.strip_suffix("._mask") {
        Some(layer) => Some([layer, ".weight"].concat()),
        None => Some(name.strip_suffix(MASK)?.to_owned()),
    }
}

/// Whether this is a second copy of a weight that a pruning program keeps.
fn is_copy(name: &str, present: &HashSet<&str>) -> bool {
    let beside = |layer: &str, other: &str| present.contains([layer, other].concat().as_str());
    match name.strip_suffix("._init_weights") {
        Some(layer) => beside(layer, "._mask"),
        None => name
            .strip_suffix("._nni_wrapper.weight")
            .is_some_and(|layer| beside(layer, ".weight")),
    }
}

/// The name of the mask of a weight, in the last form.
pub fn mask_name(weight: &str) -> Option<String> {
    Some([weight.strip_suffix("weight")?, "mask"].concat())
}

/// The weight that a parametrization's original belongs to, and the name of the mask among its steps, if there is one.
fn parametrized(name: &str, present: &HashSet<&str>) -> Option<(String, Option<String>)> {
    let steps = name.strip_suffix(PARAMETRIZED_ORIGINAL)?;
    let (layer, weight) = steps.rsplit_once(PARAMETRIZED)?;
    // A layer has few parametrizations; PyTorch numbers them from zero.
    let mask = (0..16)
        .map(|step| format!("{steps}.{step}.mask"))
        .find(|mask| present.contains(mask.as_str()));
    Some((format!("{layer}.{weight}"), mask))
}
