//! The errors of this crate.

/// An invalid circuit, or an image whose size does not fit the circuit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CircuitError {
    /// The number of a tensor's values does not fit its shape.
    #[error("`{tensor}` has {found} {what}, which does not fit its shape {shape:?}")]
    Entries {
        /// The tensor.
        tensor: String,
        /// Values, or flags of real edges.
        what: &'static str,
        /// Its shape.
        shape: [usize; 4],
        /// The number found.
        found: usize,
    },
    /// Two tensors with the same name.
    #[error(
        "there are two tensors named `{name}`: add a tensor once, even if several steps use it"
    )]
    TensorTwice {
        /// The name.
        name: String,
    },
    /// A value that is not the output of a step of this circuit.
    #[error("`{layer}` reads a value that is not of this circuit")]
    NoSuchValue {
        /// The layer.
        layer: String,
    },
    /// A tensor that is not of this circuit.
    #[error("`{layer}` reads a tensor that is not of this circuit")]
    NoSuchTensor {
        /// The layer.
        layer: String,
    },
    /// A tensor whose kind is not what the step needs.
    #[error("`{layer}` uses `{tensor}` as {expected}, but the tensor is of another kind")]
    Kind {
        /// The layer.
        layer: String,
        /// The tensor.
        tensor: String,
        /// What the step needs.
        expected: &'static str,
    },
    /// An index that is outside its tensor.
    #[error("`{layer}` reads {axis} {index} of `{tensor}`, which has {size}")]
    Outside {
        /// The layer.
        layer: String,
        /// Row or column.
        axis: &'static str,
        /// The first index outside the tensor.
        index: usize,
        /// The tensor.
        tensor: String,
        /// How many there are.
        size: usize,
    },
    /// A wrong number of channels, rows or columns.
    #[error("`{layer}` needs {expected} {what}, but has {found}")]
    Number {
        /// The layer.
        layer: String,
        /// What is counted.
        what: &'static str,
        /// How many the step needs.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// Inputs whose shapes do not fit each other.
    #[error("`{layer}` has inputs of shapes {first:?} and {other:?}, which do not fit each other")]
    Shapes {
        /// The layer.
        layer: String,
        /// The shape of the first input.
        first: [usize; 3],
        /// The shape of the first input that differs.
        other: [usize; 3],
    },
    /// Missing inputs, or a size of zero.
    #[error("`{layer}` has no {what}")]
    Nothing {
        /// The layer.
        layer: String,
        /// What is missing.
        what: &'static str,
    },
    /// A kernel, window or block that does not fit the feature maps.
    #[error("`{layer}` does not fit feature maps of {height} x {width}: {what}")]
    Window {
        /// The layer.
        layer: String,
        /// Height of the feature maps.
        height: usize,
        /// Width of the feature maps.
        width: usize,
        /// What does not fit.
        what: &'static str,
    },
    /// An activation whose constants are not finite, or whose bounds are not in order.
    #[error(
        "`{layer}` has an activation with a constant that is not finite, or with a lower bound above its upper bound"
    )]
    Activation {
        /// The layer.
        layer: String,
    },
    /// Sizes whose product overflows.
    #[error("`{layer}` is too large: the product of its sizes overflows 64 bits")]
    TooLarge {
        /// The layer.
        layer: String,
    },
    /// An image of the wrong size.
    #[error("the image has {found} values, but the circuit expects images of shape {expected:?}")]
    Image {
        /// The shape of the circuit's images.
        expected: [usize; 3],
        /// The number of values of the image.
        found: usize,
    },
}
