//! The published checkpoints' names for a model's tensors.
//!
//! Published files call the tiny classifier's parts `downsample.{0,1,3,4,5}`, `conv`, `graph`, `norm.{i}` and `fc`, use PyTorch's names
//! inside norms and its `[outputs, inputs]` layout of linear weights. Burn's store translates the latter two
//! with `PyTorchToBurnAdapter`; the names are here.

/// Rewrites of published names into the paths of a [`crate::TinyStatic`]: regular expression and replacement, to be tried
/// in this order.
pub const TINY_STATIC: &[(&str, &str)] = &[
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
