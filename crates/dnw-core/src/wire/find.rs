//! Finds the wired tensors of a model.

use burn::module::{ModuleVisitor, Param};
use burn::tensor::{Bool, Tensor};

use crate::real_edges::{path, wiring_of};
use crate::{Layout, WeightShape, Wiring};

/// A wired tensor that a traversal found.
pub(super) struct Found {
    pub(super) name: String,
    pub(super) shape: WeightShape,
    /// What the layer does not show of the layout of its weight.
    pub(super) missing: &'static str,
    pub(super) real: Wiring,
    pub(super) legal: Wiring,
}

const OUTPUTS: &str = "which dimension is its layer's output";
const GROUPS: &str = "in how many groups its layer's channels are";
const LOOKED_UP: &str = "an output, because it is the table of an embedding";

/// The layout of a weight by the type of its layer, or what that type does not show. Burn reports types by
/// their name alone, so a layer of the same name in another crate is taken for Burn's.
fn layout(container: &str, field: &str) -> Result<Layout, &'static str> {
    match (container.strip_prefix("Struct:").unwrap_or(""), field) {
        ("Conv1d" | "Conv2d" | "Conv3d" | "DeformConv2d" | "MaskedConv2d", "weight")
        | ("NeuralGraph" | "CyclicGraph", "weight")
        | ("ImageNodes" | "BatchNodes" | "StateNodes", _) => Ok(Layout::TargetsFirst),
        ("Linear" | "DnwLinear", "weight") => Ok(Layout::SourcesFirst { groups: 1 }),
        ("ConvTranspose1d" | "ConvTranspose2d" | "ConvTranspose3d", "weight") => Err(GROUPS),
        ("Embedding", "weight") => Err(LOOKED_UP),
        _ => Err(OUTPUTS),
    }
}

/// Collects the wired tensors of a model, in the order of its fields.
#[derive(Default)]
pub(super) struct Find {
    path: Vec<String>,
    containers: Vec<String>,
    /// The last float parameter visited: a wiring follows its weight.
    weight: Option<Found>,
    pub(super) found: Vec<Found>,
}

impl Find {
    /// Learns the number of groups of a transposed convolution `[inputs, outputs / groups, kernel..]` from its
    /// bias, `[outputs]`.
    fn count_groups(&mut self, bias: &str, outputs: usize) {
        let Some((layer, found)) = bias.strip_suffix("bias").zip(self.found.last_mut()) else {
            return;
        };
        let dims = &found.shape.dims;
        if found.missing == GROUPS
            && found.name.strip_suffix("weight") == Some(layer)
            && dims[1] > 0
        {
            let groups = outputs / dims[1];
            found.shape = WeightShape::with_layout(dims, Some(Layout::SourcesFirst { groups }));
        }
    }
}

impl ModuleVisitor for Find {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.push(path::step(name, container));
        self.containers.push(container.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
        self.containers.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if self.path.iter().any(|part| part == path::WIRING) {
            return;
        }
        let (name, dims) = (self.path.join("."), param.lazy_shape().to_vec());
        if let [outputs] = dims[..] {
            self.count_groups(&name, outputs);
        }
        let container = self.containers.last().map_or("", String::as_str);
        let field = self.path.last().map_or("", String::as_str);
        let layout = layout(container, field);
        self.weight = Some(Found {
            name,
            shape: WeightShape::with_layout(&dims, layout.ok()),
            missing: layout.err().unwrap_or(OUTPUTS),
            real: Wiring::empty(0),
            legal: Wiring::empty(0),
        });
    }

    fn visit_bool<const D: usize>(&mut self, param: &Param<Tensor<D, Bool>>) {
        let Some((_, part)) = path::part(&self.path) else {
            return;
        };
        let wiring = || wiring_of(&param.val().flatten::<1>(0, D - 1));
        match part {
            path::REAL => {
                if let Some(mut found) = self.weight.take() {
                    found.real = wiring();
                    found.legal = Wiring::full(found.real.entries());
                    self.found.push(found);
                }
            }
            path::LEGAL => {
                if let Some(found) = self.found.last_mut() {
                    found.legal = wiring();
                }
            }
            _ => {}
        }
    }
}
