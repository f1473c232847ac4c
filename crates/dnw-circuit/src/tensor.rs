//! The numbers that steps read.

/// A tensor of a circuit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TensorId(pub(crate) usize);

impl TensorId {
    /// Its place in [`Circuit::tensors`](crate::Circuit::tensors).
    pub fn index(self) -> usize {
        self.0
    }
}

/// What the numbers of a tensor are, which decides where they are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Weights that are wired: each is an edge, real or hallucinated.
    Edges,
    /// Weights that are all there.
    Weight,
    /// Added to what a convolution gives, one a target.
    Bias,
    /// Scales and shifts of a norm.
    Norm,
    /// Means and variances that a batch norm has gathered. They are no parameters.
    Statistic,
}

/// Named numbers, held once however many steps read them.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) shape: [usize; 4],
    pub(crate) values: Vec<f32>,
    pub(crate) real: Option<Vec<bool>>,
}

impl Tensor {
    /// A wired weight `[targets, sources, kernel_h, kernel_w]`; `real` says of every entry whether it takes part.
    ///
    /// Values of hallucinated entries are never read.
    pub fn edges(
        name: impl Into<String>,
        shape: [usize; 4],
        values: Vec<f32>,
        real: Vec<bool>,
    ) -> Self {
        Self {
            real: Some(real),
            ..Self::new(name, Kind::Edges, shape, values)
        }
    }

    /// An ordinary weight `[targets, sources per group, kernel_h, kernel_w]`.
    pub fn weight(name: impl Into<String>, shape: [usize; 4], values: Vec<f32>) -> Self {
        Self::new(name, Kind::Weight, shape, values)
    }

    /// The biases of a convolution, one a target.
    pub fn bias(name: impl Into<String>, values: Vec<f32>) -> Self {
        Self::vector(name, Kind::Bias, values)
    }

    /// Scales or shifts of a norm, one a channel.
    pub fn norm(name: impl Into<String>, values: Vec<f32>) -> Self {
        Self::vector(name, Kind::Norm, values)
    }

    /// Means or variances of a batch norm, one a channel.
    pub fn statistic(name: impl Into<String>, values: Vec<f32>) -> Self {
        Self::vector(name, Kind::Statistic, values)
    }

    fn vector(name: impl Into<String>, kind: Kind, values: Vec<f32>) -> Self {
        Self::new(name, kind, [values.len(), 1, 1, 1], values)
    }

    fn new(name: impl Into<String>, kind: Kind, shape: [usize; 4], values: Vec<f32>) -> Self {
        Self {
            name: name.into(),
            kind,
            shape,
            values,
            real: None,
        }
    }

    /// Its path in the model.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What its numbers are.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// `[rows, columns, kernel_h, kernel_w]`; vectors are `[n, 1, 1, 1]`.
    pub fn shape(&self) -> [usize; 4] {
        self.shape
    }

    /// Its numbers, row-major.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// Whether the entry takes part: always, unless it is a hallucinated edge.
    ///
    /// # Panics
    /// If the entry lies outside the tensor.
    pub fn is_real(&self, entry: usize) -> bool {
        self.real.as_ref().is_none_or(|real| real[entry])
    }

    /// Entries of one row and one column: those of a kernel.
    pub(crate) fn kernel(&self, row: usize, column: usize) -> std::ops::Range<usize> {
        let area = self.shape[2] * self.shape[3];
        let start = (row * self.shape[1] + column) * area;
        start..start + area
    }

    /// Whether any entry between a column and a row is real.
    pub(crate) fn joins(&self, row: usize, column: usize) -> bool {
        self.kernel(row, column).any(|entry| self.is_real(entry))
    }
}
