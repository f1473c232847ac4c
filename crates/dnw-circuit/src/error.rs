//! What can be wrong with a circuit.

/// Why steps and tensors make no circuit, or an image does not fit one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CircuitError {
    /// A tensor's shape and its values disagree.
    #[error("`{tensor}` has {found} {what}, its shape {shape:?} asks for another number")]
    Entries {
        /// The tensor.
        tensor: String,
        /// Values, or flags of real edges.
        what: &'static str,
        /// Its shape.
        shape: [usize; 4],
        /// How many there are.
        found: usize,
    },
    /// Two tensors of one name.
    #[error("there are two tensors named `{name}`: a tensor that is used twice is added once")]
    TensorTwice {
        /// The name.
        name: String,
    },
    /// A value that no step of this circuit gives.
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
    /// A tensor of another kind than the step needs.
    #[error("`{layer}` takes `{tensor}` for {expected}, which it was not made as")]
    Kind {
        /// The layer.
        layer: String,
        /// The tensor.
        tensor: String,
        /// What the step needs.
        expected: &'static str,
    },
    /// A block leaves its tensor.
    #[error("`{layer}` reads {axis} {index} of `{tensor}`, which has {size}")]
    Outside {
        /// The layer.
        layer: String,
        /// Row or column.
        axis: &'static str,
        /// The first that does not exist.
        index: usize,
        /// The tensor.
        tensor: String,
        /// How many there are.
        size: usize,
    },
    /// A number of channels, rows or columns that does not fit.
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
    /// Inputs that must be alike are not.
    #[error("`{layer}` joins values of shapes {first:?} and {other:?}")]
    Shapes {
        /// The layer.
        layer: String,
        /// Of the first input.
        first: [usize; 3],
        /// Of the first that differs.
        other: [usize; 3],
    },
    /// Nothing is read, or of size zero.
    #[error("`{layer}` has no {what}")]
    Nothing {
        /// The layer.
        layer: String,
        /// What is missing.
        what: &'static str,
    },
    /// Kernels, windows or blocks do not fit the maps.
    #[error("`{layer}` does not fit maps of {height} x {width}: {what}")]
    Window {
        /// The layer.
        layer: String,
        /// Height of the maps.
        height: usize,
        /// Width of the maps.
        width: usize,
        /// What does not fit.
        what: &'static str,
    },
    /// Sizes whose product is no number that the machine has.
    #[error("`{layer}` is too large: its sizes multiply beyond 64 bits")]
    TooLarge {
        /// The layer.
        layer: String,
    },
    /// An image of another size.
    #[error("an image of {found} numbers was given to a circuit for images of {expected:?}")]
    Image {
        /// The shape of images.
        expected: [usize; 3],
        /// Numbers given.
        found: usize,
    },
}
