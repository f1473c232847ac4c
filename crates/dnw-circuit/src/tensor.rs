//! The tensors of a circuit.

/// The identifier of a tensor of a circuit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TensorId(pub(crate) usize);

impl TensorId {
    /// The index in [`Circuit::tensors`](crate::Circuit::tensors).
    pub fn index(self) -> usize {
        self.0
    }
}

/// The kind of a tensor, which decides how its entries are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// Wired weights: each entry is an edge, real or hallucinated.
    Edges,
    /// Dense weights.
    Weight,
    /// Biases of a convolution, one per target.
    Bias,
    /// Scales or shifts of a norm.
    Norm,
    /// Running means or variances of a batch norm. They are not parameters.
    Statistic,
}

/// A named tensor, stored once even if several steps read it.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) shape: [usize; 4],
    pub(crate) values: Vec<f32>,
    pub(crate) real: Option<Vec<bool>>,
}

impl Tensor {
    /// A wired weight `[targets, sources, kernel_h, kernel_w]`; `real` has one flag per entry, true for real edges.
    ///
    /// The values of hallucinated edges are never read.
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

    /// A dense weight `[targets, sources per group, kernel_h, kernel_w]`.
    pub fn weight(name: impl Into<String>, shape: [usize; 4], values: Vec<f32>) -> Self {
        Self::new(name, Kind::Weight, shape, values)
    }

    /// The biases of a convolution, one per target.
    pub fn bias(name: impl Into<String>, values: Vec<f32>) -> Self {
        Self::vector(name, Kind::Bias, values)
    }

    /// Scales or shifts of a norm, one per channel.
    pub fn norm(name: impl Into<String>, values: Vec<f32>) -> Self {
        Self::vector(name, Kind::Norm, values)
    }

    /// Means or variances of a batch norm, one per channel.
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

    /// Its kind.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// `[rows, columns, kernel_h, kernel_w]`; vectors are `[n, 1, 1, 1]`.
    pub fn shape(&self) -> [usize; 4] {
        self.shape
    }

    /// Its values, row-major.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// Whether an entry is real: false for hallucinated edges only.
    ///
    /// # Panics
    /// If the entry is outside the tensor.
    pub fn is_real(&self, entry: usize) -> bool {
        self.real.as_ref().is_none_or(|real| real[entry])
    }

    /// The entries of the kernel at a row and a column.
    pub(crate) fn kernel(&self, row: usize, column: usize) -> std::ops::Range<usize> {
        let area = self.shape[2] * self.shape[3];
        let start = (row * self.shape[1] + column) * area;
        start..start + area
    }

    /// Whether any entry of the kernel at a row and a column is real.
    pub(crate) fn joins(&self, row: usize, column: usize) -> bool {
        self.kernel(row, column).any(|entry| self.is_real(entry))
    }
}
