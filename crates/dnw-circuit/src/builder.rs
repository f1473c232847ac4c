//! Building valid circuits.

mod checks;
mod convolutions;
mod pixels;
mod pools;

use std::collections::HashSet;

use crate::{
    Activation, Block, Circuit, CircuitError, Kind, Op, Statistics, Step, Tensor, TensorId, ValueId,
};

/// Builds a circuit step by step and checks the shapes of each step.
#[derive(Clone, Debug)]
pub struct CircuitBuilder {
    circuit: Circuit,
    layer: String,
    names: HashSet<String>,
    /// An upper bound of all multiply-add counts, so that counting cannot overflow.
    multiply_adds: u64,
}

impl CircuitBuilder {
    /// A circuit for images `[channels, height, width]`.
    ///
    /// # Errors
    /// [`CircuitError`] if the image is empty or too large.
    pub fn new(image: [usize; 3]) -> Result<Self, CircuitError> {
        let mut builder = Self {
            circuit: Circuit {
                tensors: Vec::new(),
                steps: Vec::new(),
                output: ValueId(0),
            },
            layer: "input".to_owned(),
            names: HashSet::new(),
            multiply_adds: 0,
        };
        builder.push(Op::Input, vec![], image)?;
        Ok(builder)
    }

    /// The image.
    pub fn input(&self) -> ValueId {
        ValueId(0)
    }

    /// Sets the name of the layer of the following steps.
    pub fn layer(&mut self, name: impl Into<String>) {
        self.layer = name.into();
    }

    /// The shape of a value, `[channels, height, width]`.
    ///
    /// # Panics
    /// If the value is not of this circuit.
    pub fn shape(&self, value: ValueId) -> [usize; 3] {
        self.circuit.step(value).shape
    }

    /// All rows and columns of a tensor.
    ///
    /// # Panics
    /// If the tensor is not of this circuit.
    pub fn whole(&self, tensor: TensorId) -> Block {
        let [rows, columns, ..] = self.circuit.tensor(tensor).shape;
        Block::new(tensor, 0..rows, 0..columns)
    }

    /// Adds a tensor that steps can read.
    ///
    /// # Errors
    /// [`CircuitError`] if its number of values does not fit its shape, or its name is already used.
    pub fn tensor(&mut self, tensor: Tensor) -> Result<TensorId, CircuitError> {
        let entries = tensor
            .shape
            .iter()
            .try_fold(1, |n: usize, &size| n.checked_mul(size));
        let wrong = |what, found| CircuitError::Entries {
            tensor: tensor.name.clone(),
            what,
            shape: tensor.shape,
            found,
        };
        if entries != Some(tensor.values.len()) {
            return Err(wrong("values", tensor.values.len()));
        }
        if let Some(real) = tensor
            .real
            .as_ref()
            .filter(|r| r.len() != tensor.values.len())
        {
            return Err(wrong("flags of real edges", real.len()));
        }
        if !self.names.insert(tensor.name.clone()) {
            return Err(CircuitError::TensorTwice { name: tensor.name });
        }
        self.circuit.tensors.push(tensor);
        Ok(TensorId(self.circuit.tensors.len() - 1))
    }

    /// Finishes the circuit with this value as the result.
    ///
    /// # Errors
    /// [`CircuitError::NoSuchValue`] if it is not of this circuit.
    pub fn finish(self, output: ValueId) -> Result<Circuit, CircuitError> {
        self.circuit.with_output(output)
    }

    /// Adds feature maps that are the same for every image.
    ///
    /// # Errors
    /// [`CircuitError`] if the shape is empty, or the length of `maps` does not fit it.
    pub fn constant(&mut self, shape: [usize; 3], maps: Vec<f64>) -> Result<ValueId, CircuitError> {
        self.number("values", self.size(shape)?, maps.len())?;
        self.push(Op::Constant(maps), vec![], shape)
    }

    /// Adds feature maps of zeros.
    ///
    /// # Errors
    /// [`CircuitError`] if the shape is empty or too large.
    pub fn zeros(&mut self, shape: [usize; 3]) -> Result<ValueId, CircuitError> {
        let maps = vec![0.0; self.size(shape)?];
        self.constant(shape, maps)
    }

    /// Adds a batch norm in evaluation mode.
    ///
    /// # Errors
    /// [`CircuitError`] if a block does not have a row for each channel.
    pub fn batch_norm(
        &mut self,
        x: ValueId,
        [mean, variance]: [Block; 2],
        [gamma, beta]: [Block; 2],
        epsilon: f64,
    ) -> Result<ValueId, CircuitError> {
        self.norm(
            x,
            Statistics::Batch { mean, variance },
            [gamma, beta],
            epsilon,
        )
    }

    /// Adds an instance norm.
    ///
    /// # Errors
    /// [`CircuitError`] if a block does not have a row for each channel.
    pub fn instance_norm(
        &mut self,
        x: ValueId,
        affine: [Block; 2],
        epsilon: f64,
    ) -> Result<ValueId, CircuitError> {
        self.norm(x, Statistics::Instance, affine, epsilon)
    }

    /// Adds a layer norm over the channels of each pixel.
    ///
    /// # Errors
    /// [`CircuitError`] if a block does not have a row for each channel.
    pub fn pixel_norm(
        &mut self,
        x: ValueId,
        affine: [Block; 2],
        epsilon: f64,
    ) -> Result<ValueId, CircuitError> {
        self.norm(x, Statistics::Pixel, affine, epsilon)
    }

    pub(crate) fn norm(
        &mut self,
        x: ValueId,
        statistics: Statistics,
        [gamma, beta]: [Block; 2],
        epsilon: f64,
    ) -> Result<ValueId, CircuitError> {
        let shape = self.known(x)?;
        if let Statistics::Batch { mean, variance } = &statistics {
            for block in [mean, variance] {
                self.vector(block, Kind::Statistic, "a mean or variance", shape[0])?;
            }
        }
        for block in [&gamma, &beta] {
            self.vector(block, Kind::Norm, "a norm's scale or shift", shape[0])?;
        }
        let norm = Op::Norm {
            statistics,
            gamma,
            beta,
            epsilon,
        };
        self.push(norm, vec![x], shape)
    }

    /// Adds a ReLU.
    ///
    /// # Errors
    /// [`CircuitError::NoSuchValue`].
    pub fn relu(&mut self, x: ValueId) -> Result<ValueId, CircuitError> {
        let shape = self.known(x)?;
        self.push(Op::Relu, vec![x], shape)
    }

    /// Adds another function of each pixel.
    ///
    /// # Errors
    /// [`CircuitError`] if a constant of the function is not finite, or a clip's bounds are not in order.
    pub fn activation(
        &mut self,
        x: ValueId,
        activation: Activation,
    ) -> Result<ValueId, CircuitError> {
        let shape = self.known(x)?;
        if !activation.is_valid() {
            return Err(CircuitError::Activation {
                layer: self.layer.clone(),
            });
        }
        self.push(Op::Activation(activation), vec![x], shape)
    }

    /// Adds the product of two values. `by` has the shape of `x`, or one pixel for each channel.
    ///
    /// # Errors
    /// [`CircuitError::Shapes`] if it has another shape.
    pub fn product(&mut self, x: ValueId, by: ValueId) -> Result<ValueId, CircuitError> {
        let (first, other) = (self.known(x)?, self.known(by)?);
        if other != first && other != [first[0], 1, 1] {
            let layer = self.layer.clone();
            return Err(CircuitError::Shapes {
                layer,
                first,
                other,
            });
        }
        self.push(Op::Product, vec![x, by], first)
    }

    /// Adds a softmax over the channels of each pixel.
    ///
    /// # Errors
    /// [`CircuitError::NoSuchValue`].
    pub fn softmax(&mut self, x: ValueId) -> Result<ValueId, CircuitError> {
        let shape = self.known(x)?;
        self.push(Op::Softmax, vec![x], shape)
    }

    /// Adds the sum of values of the same shape.
    ///
    /// # Errors
    /// [`CircuitError`] if there are none or their shapes differ.
    pub fn add(&mut self, terms: &[ValueId]) -> Result<ValueId, CircuitError> {
        let terms: Vec<(f64, ValueId)> = terms.iter().map(|&x| (1.0, x)).collect();
        self.sum(&terms)
    }

    /// Adds `sum of a x` over the terms `(a, x)`, as in a step of an ODE solver.
    ///
    /// # Errors
    /// [`CircuitError`] if there are none or their shapes differ.
    pub fn sum(&mut self, terms: &[(f64, ValueId)]) -> Result<ValueId, CircuitError> {
        let (coefficients, inputs): (Vec<f64>, Vec<ValueId>) = terms.iter().copied().unzip();
        let shape = self.common_shape(&inputs, |shape| shape)?;
        self.push(Op::Sum(coefficients), inputs, shape)
    }

    /// Adds a concatenation of the channels.
    ///
    /// # Errors
    /// [`CircuitError`] if there are no values or their feature maps differ in size.
    pub fn concat(&mut self, parts: &[ValueId]) -> Result<ValueId, CircuitError> {
        let [_, height, width] =
            self.common_shape(parts, |[_, height, width]| [0, height, width])?;
        let mut channels: usize = 0;
        for &part in parts {
            let sum = channels.checked_add(self.shape(part)[0]);
            channels = sum.ok_or_else(|| self.too_large())?;
        }
        self.push(Op::Concat, parts.to_vec(), [channels, height, width])
    }

    /// Adds a selection of these channels, in this order.
    ///
    /// # Errors
    /// [`CircuitError`] if there are none or one does not exist.
    pub fn select(
        &mut self,
        x: ValueId,
        channels: impl IntoIterator<Item = usize>,
    ) -> Result<ValueId, CircuitError> {
        let [available, height, width] = self.known(x)?;
        let channels: Vec<usize> = channels.into_iter().collect();
        if let Some(&index) = channels.iter().find(|&&channel| channel >= available) {
            return Err(CircuitError::Outside {
                layer: self.layer.clone(),
                axis: "channel",
                index,
                tensor: self.circuit.step(x).layer.clone(),
                size: available,
            });
        }
        let shape = [channels.len(), height, width];
        self.push(Op::Select(channels), vec![x], shape)
    }

    fn push(
        &mut self,
        op: Op,
        inputs: Vec<ValueId>,
        shape: [usize; 3],
    ) -> Result<ValueId, CircuitError> {
        self.size(shape)?;
        self.circuit.steps.push(Step {
            layer: self.layer.clone(),
            op,
            inputs,
            shape,
        });
        Ok(ValueId(self.circuit.steps.len() - 1))
    }
}
