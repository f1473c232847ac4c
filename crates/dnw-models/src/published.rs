//! Names and layouts of tensors in published checkpoints.
//!
//! Published files come from PyTorch programs. Their tensors have other names, and linear weights are `[outputs, inputs]`, or
//! `[outputs, inputs, 1, 1]` if the layer was a 1 x 1 convolution. A [`Published`] converts in both directions between a list of named
//! tensors, from any file format, and a model.

use std::collections::BTreeMap;

use burn::module::Module;
use burn::store::burn_pack::Tensor as StoredTensor;
use burn::store::{ApplyError, ModuleAdapter, ModuleContext, ModuleSnapshot, bridge};
use burn::tensor::{Shape, TensorData};
use dnw_core::Wiring;

use crate::{Head, ModelConfig};

mod places;

pub use places::Place;

/// The names and layouts of a model's tensors in published checkpoints.
#[derive(Clone, Debug, PartialEq)]
pub struct Published {
    names: Vec<Pair>,
    head_is_convolution: bool,
}

/// A path and its published name. `#` stands for a number, the n-th of the path for the n-th of the name; `*` at the end for any suffix.
type Pair = (&'static str, &'static str);

/// Published tensors do not fit a model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublishedError {
    /// Tensors of the model are missing in the file.
    #[error("the file lacks `{}`, which the model needs: it has another model, or one of other sizes", .names.join("`, `"))]
    Missing {
        /// Their published names.
        names: Vec<String>,
    },
    /// Tensors of the file that the model does not have.
    #[error("the model has no place for `{}`: the file has another model, or one of other sizes", .names.join("`, `"))]
    Unknown {
        /// Their published names.
        names: Vec<String>,
    },
    /// A tensor has another shape.
    #[error("`{name}` has shape {found:?} in the file and shape {expected:?} in the model")]
    Shape {
        /// Its published name.
        name: String,
        /// The file's shape.
        found: Vec<usize>,
        /// The model's shape, in its own layout.
        expected: Vec<usize>,
    },
    /// An invalid mask.
    #[error("`{name}` has the value {found}, but a mask must be 1 for real edges and 0 for others")]
    Mask {
        /// Its published name.
        name: String,
        /// The value.
        found: String,
    },
    /// A tensor that cannot be used.
    #[error("`{name}` cannot be used: {reason}")]
    Unusable {
        /// Its path in the model.
        name: String,
        /// The store's message.
        reason: String,
    },
}

const STEM: [Pair; 9] = [
    ("stem.conv1.*", "downsample.0.*"),
    ("stem.norm1.gamma", "downsample.1.weight"),
    ("stem.norm1.beta", "downsample.1.bias"),
    ("stem.norm1.*", "downsample.1.*"),
    ("stem.conv2.*", "downsample.3.*"),
    ("stem.conv3.*", "downsample.4.*"),
    ("stem.norm2.gamma", "downsample.5.weight"),
    ("stem.norm2.beta", "downsample.5.bias"),
    ("stem.norm2.*", "downsample.5.*"),
];

const TINY_STATIC: [Pair; 3] = [
    ("graph.function.kernel", "conv.weight"),
    ("graph.function.norm.#.gamma", "norm.#.weight"),
    ("graph.function.norm.#.beta", "norm.#.bias"),
];

const TINY_DISCRETE: [Pair; 3] = [
    ("graph.function.kernel", "conv.weight"),
    ("graph.function.norm.gamma", "norm.weight"),
    ("graph.function.norm.beta", "norm.bias"),
];

const TINY_CONTINUOUS: [Pair; 4] = [
    ("graph.weight", "odesolve.odefunc.graph.weight"),
    ("graph.function.kernel", "odesolve.odefunc.conv.weight"),
    ("graph.function.norm.gamma", "odesolve.odefunc.norm.weight"),
    ("graph.function.norm.beta", "odesolve.odefunc.norm.bias"),
];

const MOBILENET: [Pair; 8] = [
    ("stages.#.weight", "layers.#.graph.weight"),
    (
        "stages.#.function.input_kernel",
        "layers.#.downsample.0.weight",
    ),
    ("stages.#.function.kernel", "layers.#.conv.weight"),
    ("stages.#.function.norm.#.gamma", "layers.#.norm.#.weight"),
    ("stages.#.function.norm.#.beta", "layers.#.norm.#.bias"),
    ("stages.#.function.norm.#.*", "layers.#.norm.#.*"),
    ("bn.gamma", "bn.weight"),
    ("bn.beta", "bn.bias"),
];

const DENSE_HEAD: [Pair; 1] = [("fc.*", "linear.*")];

const WIRED_HEAD: [Pair; 1] = [("fc.weight", "linear.graph.weight")];

const RESNET: [Pair; 6] = [
    ("bn#.gamma", "bn#.weight"),
    ("bn#.beta", "bn#.bias"),
    ("layer#.#.bn#.gamma", "layer#.#.bn#.weight"),
    ("layer#.#.bn#.beta", "layer#.#.bn#.bias"),
    (
        "layer#.#.downsample.1.gamma",
        "layer#.#.downsample.1.weight",
    ),
    ("layer#.#.downsample.1.beta", "layer#.#.downsample.1.bias"),
];

/// The mask of a fixed wiring is published as 32-bit floats of the weight's shape, under the weight's name with this instead of `weight`.
const MASK: &str = "mask";

impl Published {
    /// The names for a model of this configuration. Models that were not published use their paths as names.
    pub fn of(model: &ModelConfig) -> Self {
        let names = match model {
            ModelConfig::TinyStatic(_) => [&STEM[..], &TINY_STATIC].concat(),
            ModelConfig::TinyDiscrete(_) => [&STEM[..], &TINY_DISCRETE].concat(),
            ModelConfig::TinyContinuous(_) => [&STEM[..], &TINY_CONTINUOUS].concat(),
            ModelConfig::Mobilenet(mobilenet) => match mobilenet.head {
                Head::Dense => [&MOBILENET[..], &DENSE_HEAD].concat(),
                Head::Wired => [&MOBILENET[..], &WIRED_HEAD].concat(),
            },
            ModelConfig::Resnet(_) => RESNET.to_vec(),
            ModelConfig::Graph(_) | ModelConfig::Lenet(_) | ModelConfig::MobilenetDense(_) => {
                Vec::new()
            }
        };
        // The classifier of the published small models is a 1 x 1 convolution.
        let head_is_convolution =
            matches!(model, ModelConfig::Mobilenet(mobilenet) if mobilenet.head == Head::Wired);
        Self {
            names,
            head_is_convolution,
        }
    }

    /// The published name of the parameter at this path.
    pub fn name_of(&self, path: &str) -> String {
        let mut pairs = self.names.iter();
        let found = pairs.find_map(|&(ours, published)| rewrite(path, ours, published));
        found.unwrap_or_else(|| path.to_owned())
    }

    /// The path of the parameter with this published name.
    pub fn path_of(&self, name: &str) -> String {
        let mut pairs = self.names.iter();
        let found = pairs.find_map(|&(ours, published)| rewrite(name, published, ours));
        found.unwrap_or_else(|| name.to_owned())
    }

    /// Loads published tensors into the model. Returns the fixed wirings among them by the paths of their weights, for
    /// [`dnw_core::Wired::set_wirings`]. Discovered wirings are determined by the weights and not in such files.
    ///
    /// # Errors
    /// [`PublishedError`] if a tensor is missing, unknown, or has another shape. Some tensors may have been loaded then.
    pub fn load<M: Module>(
        &self,
        model: &mut M,
        tensors: impl IntoIterator<Item = (String, TensorData)>,
    ) -> Result<BTreeMap<String, Wiring>, PublishedError> {
        let places = self.places(model);
        let mut wirings = BTreeMap::new();
        let mut stored = Vec::new();
        for (name, data) in tensors {
            if last_part(&name) == MASK {
                let (path, wiring) = self.wiring_of(&places, &name, &data)?;
                wirings.insert(path, wiring);
            } else if !is_idle(&name) {
                stored.push(bridge::from_data(data, self.path_of(&name), None));
            }
        }
        let layout = Layout::Import;
        let result = model.apply(stored, None, Some(layout.clone_box()), false);
        let names = |paths: &[String]| paths.iter().map(|path| self.name_of(path)).collect();
        if let Some(error) = result.errors.into_iter().next() {
            return Err(self.refused(error));
        }
        let missing: Vec<String> = result.missing.into_iter().map(|(path, _)| path).collect();
        let missing: Vec<String> = missing
            .into_iter()
            .filter(|path| !is_wiring(path))
            .collect();
        if !missing.is_empty() {
            let names = names(&missing);
            return Err(PublishedError::Missing { names });
        }
        if !result.unused.is_empty() {
            let names = names(&result.unused);
            return Err(PublishedError::Unknown { names });
        }
        Ok(wirings)
    }

    /// The model's tensors with published names and layouts, in the order of its fields, without wirings.
    ///
    /// # Errors
    /// [`PublishedError::Unusable`] if a tensor cannot be read from its device.
    pub fn save<M: Module>(&self, model: &M) -> Result<Vec<(String, TensorData)>, PublishedError> {
        let layout = Layout::Export {
            four_dimensional: self.head_is_convolution,
        };
        let tensors = model.collect(None, Some(layout.clone_box()), false);
        let tensors = tensors
            .into_iter()
            .filter(|tensor| !is_wiring(&tensor.name));
        let read = tensors.map(|tensor| {
            let path = tensor.name.clone();
            match bridge::into_data(tensor) {
                Ok(data) => Ok((self.name_of(&path), data)),
                Err(error) => Err(PublishedError::Unusable {
                    name: path,
                    reason: error.to_string(),
                }),
            }
        });
        read.collect()
    }

    fn refused(&self, error: ApplyError) -> PublishedError {
        let reason = error.to_string();
        match error {
            ApplyError::ShapeMismatch {
                path,
                expected,
                found,
            } => PublishedError::Shape {
                name: self.name_of(&path),
                found: found.to_vec(),
                expected: expected.to_vec(),
            },
            ApplyError::DTypeMismatch { path, .. }
            | ApplyError::AdapterError { path, .. }
            | ApplyError::LoadError { path, .. } => PublishedError::Unusable { name: path, reason },
        }
    }
}

/// Whether a published tensor is unused: constants of the graph and counters of the norms.
fn is_idle(name: &str) -> bool {
    matches!(last_part(name), "zeros" | "num_batches_tracked")
}

fn last_part(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

/// Whether this is the weight of a linear layer, by the layer's type and the weight's path.
fn is_linear(layer: Option<&str>, path: &str) -> bool {
    matches!(layer, Some("Struct:Linear" | "Struct:DnwLinear")) && last_part(path) == "weight"
}

/// Whether a path is inside a weight's wiring.
fn is_wiring(path: &str) -> bool {
    path.contains(".wiring.")
}

/// Rewrites `name` from the pattern `from` to the pattern `to`; `None` if it does not match.
fn rewrite(name: &str, from: &str, to: &str) -> Option<String> {
    let (mut rest, mut numbers, mut tail) = (name, Vec::new(), "");
    for part in from.chars() {
        match part {
            '#' => {
                let end = rest
                    .find(|c: char| !c.is_ascii_digit())
                    .unwrap_or(rest.len());
                let (number, after) = rest.split_at(end);
                if number.is_empty() {
                    return None;
                }
                numbers.push(number);
                rest = after;
            }
            '*' => (tail, rest) = (rest, ""),
            _ => rest = rest.strip_prefix(part)?,
        }
    }
    if !rest.is_empty() {
        return None;
    }
    let (mut numbers, mut written) = (numbers.into_iter(), String::new());
    for part in to.chars() {
        match part {
            '#' => written += numbers.next()?,
            '*' => written += tail,
            _ => written.push(part),
        }
    }
    Some(written)
}

/// The layout of linear weights in PyTorch, `[outputs, inputs]` and perhaps two ones, and in Burn, `[inputs, outputs]`.
#[derive(Clone, Debug)]
enum Layout {
    Import,
    Export { four_dimensional: bool },
}

impl ModuleAdapter for Layout {
    fn adapt(&self, tensor: StoredTensor, context: ModuleContext<'_>) -> StoredTensor {
        if !is_linear(context.module_type(), &tensor.name) {
            return tensor;
        }
        let (rows, columns) = match tensor.shape.as_slice() {
            &[rows, columns] | &[rows, columns, 1, 1] => (rows, columns),
            _ => return tensor,
        };
        let shape = match self {
            Self::Export {
                four_dimensional: true,
            } => Shape::new([columns, rows, 1, 1]),
            _ => Shape::new([columns, rows]),
        };
        let (name, dtype) = (tensor.name.clone(), tensor.dtype);
        let into = shape.clone();
        bridge::map_data(tensor, name, dtype, shape, move |data| {
            let (size, bytes) = (dtype.size(), data.as_bytes());
            let mut turned = Vec::with_capacity(bytes.len());
            for column in 0..columns {
                for row in 0..rows {
                    let at = size * (row * columns + column);
                    turned.extend_from_slice(&bytes[at..at + size]);
                }
            }
            TensorData::from_bytes_vec(turned, into.clone(), dtype)
        })
    }

    fn clone_box(&self) -> Box<dyn ModuleAdapter> {
        Box::new(self.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_rewrites_each_number() {
        let (ours, published) = ("stages.#.function.norm.#.gamma", "layers.#.norm.#.weight");
        let name = rewrite("stages.3.function.norm.12.gamma", ours, published);
        assert_eq!(name.as_deref(), Some("layers.3.norm.12.weight"));
        assert_eq!(
            rewrite("stages.3.function.norm.gamma", ours, published),
            None
        );
        assert_eq!(
            rewrite("stages.3.function.norm.1.gamma.x", ours, published),
            None
        );
        let rest = rewrite("conv.weight.a", "conv.*", "c.*");
        assert_eq!(rest.as_deref(), Some("c.weight.a"));
    }
}
