//! Weighted sums along one axis of feature maps.

/// For each output of an axis the inputs that it is a weighted sum of.
///
/// One axis of a bilinear enlargement has two inputs for each output, of the nearest neighbour one. An output without inputs is zero.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Taps {
    outputs: Vec<Vec<(usize, f64)>>,
}

impl Taps {
    /// Sums of inputs, each with its weight.
    pub fn new(outputs: Vec<Vec<(usize, f64)>>) -> Self {
        Self { outputs }
    }

    /// One input for each output.
    pub fn of(inputs: impl IntoIterator<Item = usize>) -> Self {
        let outputs = inputs.into_iter().map(|input| vec![(input, 1.0)]);
        Self::new(outputs.collect())
    }

    /// The inputs of each output with their weights.
    pub fn outputs(&self) -> &[Vec<(usize, f64)>] {
        &self.outputs
    }

    /// Whether the inputs exist in an axis of this size and their weights are finite.
    pub(crate) fn fits(&self, size: usize) -> bool {
        let mut all = self.outputs.iter().flatten();
        all.all(|&(input, weight)| input < size && weight.is_finite())
    }
}
