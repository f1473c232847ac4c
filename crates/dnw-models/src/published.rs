//! The published checkpoints' names for a model's tensors.
//!
//! Published files call the tiny classifier's parts `downsample.{0,1,3,4,5}`, `conv`, `graph`, `norm.{i}` and `fc`, use PyTorch's names
//! inside norms and its `[outputs, inputs]` layout of linear weights. Burn's store translates the latter two
//! with `PyTorchToBurnAdapter`; the names are here.

use std::path::Path;

use burn::store::{PyTorchToBurnAdapter, SafetensorsStore};

/// A safetensors file of a published [`crate::TinyStatic`], to be loaded with `load_from`.
///
/// Published files hold no wiring (a discovered one follows from the weights), so the store allows tensors that a file
/// lacks: the caller looks at the result's `missing` for any that is not part of a wiring.
pub fn tiny_static(path: &Path) -> SafetensorsStore {
    let store = SafetensorsStore::from_file(path)
        .with_from_adapter(PyTorchToBurnAdapter)
        .allow_partial(true);
    TINY_STATIC
        .iter()
        .fold(store, |store, (pattern, replacement)| {
            store.with_key_remapping(pattern, *replacement)
        })
}

/// Rewrites of published names into the paths of the model: regular expression and replacement, to be tried in this order.
const TINY_STATIC: &[(&str, &str)] = &[
    (r"^downsample\.0\.", "stem.conv1."),
    (r"^downsample\.1\.", "stem.norm1."),
    (r"^downsample\.3\.", "stem.conv2."),
    (r"^downsample\.4\.", "stem.conv3."),
    (r"^downsample\.5\.", "stem.norm2."),
    (r"^conv\.weight$", "graph.function.kernel"),
    // Burn's adapter renames the fields of batch norms, not those of instance norms.
    (r"^norm\.(\d+)\.weight$", "graph.function.norm.$1.gamma"),
    (r"^norm\.(\d+)\.bias$", "graph.function.norm.$1.beta"),
];

/// The published name of a fixed wiring's mask, 32-bit floats in the shape of the weight it belongs to.
pub const GRAPH_MASK: &str = "graph.mask";
