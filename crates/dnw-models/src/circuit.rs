//! Models as circuits: the same networks without Burn, for counts, pruning and compilation.
//!
//! A model writes its forward pass as steps of a [`Circuit`] with a [`CircuitWriter`], which supports Burn's layers and the graphs of
//! `dnw-core` in evaluation mode. Tests compare the circuit's output with the module's.

mod graphs;

pub use graphs::NodeSteps;

use burn::module::Param;
use burn::nn::conv::Conv2d;
use burn::nn::{BatchNorm, InstanceNorm, Linear, PaddingConfig2d};
use burn::tensor::Tensor;
use dnw_circuit::{
    Block, Circuit, CircuitBuilder, CircuitError, Tensor as Numbers, TensorId, ValueId, Window,
};
use dnw_core::{RealEdges, Wiring};

/// A model has no circuit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoCircuit {
    /// The number of solver steps depends on the image.
    #[error(
        "the solver's steps depend on the image, so the model has no fixed circuit: set a number of `steps`"
    )]
    StepsFollowImage,
    /// The steps do not fit each other: the image has the wrong size for the model.
    #[error(transparent)]
    Circuit(#[from] CircuitError),
}

/// Builds the circuit of a model. Tensors are named by their paths in the model and have the layout `[targets, sources, kernel]`.
///
/// All methods return [`CircuitError`] if the new step does not fit its inputs.
#[derive(Clone, Debug)]
pub struct CircuitWriter {
    /// The builder, for steps without Burn modules.
    pub steps: CircuitBuilder,
}

impl CircuitWriter {
    /// A circuit for images `[channels, height, width]`.
    ///
    /// # Errors
    /// [`CircuitError`] if the image has no pixels.
    pub fn new(image: [usize; 3]) -> Result<Self, CircuitError> {
        let steps = CircuitBuilder::new(image)?;
        Ok(Self { steps })
    }

    /// Finishes the circuit with this value as the result.
    ///
    /// # Errors
    /// [`CircuitError`] if the value is not of this circuit.
    pub fn finish(self, result: ValueId) -> Result<Circuit, NoCircuit> {
        Ok(self.steps.finish(result)?)
    }

    /// Adds a convolution, whose weight may be wired. Its padding must be explicit.
    ///
    /// # Errors
    /// [`CircuitError`] if it does not fit.
    pub fn conv(&mut self, path: &str, x: ValueId, conv: &Conv2d) -> Result<ValueId, CircuitError> {
        let weight = self.weight(&format!("{path}.weight"), &conv.weight)?;
        let weight = self.steps.whole(weight);
        let bias = self.bias(path, conv.bias.as_ref())?;
        let padding = match conv.padding {
            PaddingConfig2d::Explicit(top, left, ..) => [top, left],
            _ => [0, 0],
        };
        let window = Window {
            stride: conv.stride,
            padding,
            dilation: conv.dilation,
        };
        self.steps
            .grouped_conv(x, weight, bias, window, conv.groups)
    }

    /// Adds a linear layer on feature maps of one pixel, whose weight may be wired.
    ///
    /// # Errors
    /// [`CircuitError`] if it does not fit.
    pub fn linear(
        &mut self,
        path: &str,
        x: ValueId,
        layer: &Linear,
    ) -> Result<ValueId, CircuitError> {
        // Burn's weight is `[inputs, outputs]`.
        let [inputs, outputs] = layer.weight.base().dims();
        let stored = floats(&layer.weight.val());
        let turned: Vec<usize> = (0..stored.len())
            .map(|at| (at % inputs) * outputs + at / inputs)
            .collect();
        let values = turned.iter().map(|&at| stored[at]).collect();
        let (name, shape) = (format!("{path}.weight"), [outputs, inputs, 1, 1]);
        let weight = self.steps.tensor(match wiring_of(&layer.weight) {
            None => Numbers::weight(name, shape, values),
            Some(wiring) => {
                let real = turned.iter().map(|&at| wiring.contains(at));
                Numbers::edges(name, shape, values, real.collect())
            }
        })?;
        let weight = self.steps.whole(weight);
        let bias = self.bias(path, layer.bias.as_ref())?;
        self.steps.linear(x, weight, bias)
    }

    /// Adds a batch norm with its running statistics.
    ///
    /// # Errors
    /// [`CircuitError`] if it does not fit.
    pub fn batch_norm(
        &mut self,
        path: &str,
        x: ValueId,
        norm: &BatchNorm,
    ) -> Result<ValueId, CircuitError> {
        let (mean, variance) = (norm.running_mean.value(), norm.running_var.value());
        let mean = Numbers::statistic(format!("{path}.running_mean"), floats(&mean));
        let variance = Numbers::statistic(format!("{path}.running_var"), floats(&variance));
        let statistics = [self.rows_of(mean)?, self.rows_of(variance)?];
        let affine = self.affine(path, &norm.gamma, &norm.beta)?;
        self.steps.batch_norm(x, statistics, affine, norm.epsilon)
    }

    /// Adds the scales and shifts of an affine instance norm.
    ///
    /// # Errors
    /// [`CircuitError`] if the path is already used.
    ///
    /// # Panics
    /// If the norm is not affine.
    pub fn instance_norm(
        &mut self,
        path: &str,
        norm: &InstanceNorm,
    ) -> Result<[Block; 2], CircuitError> {
        let (Some(gamma), Some(beta)) = (&norm.gamma, &norm.beta) else {
            panic!("the instance norm `{path}` is not affine");
        };
        self.affine(path, gamma, beta)
    }

    /// Adds the weight of a convolution or of a graph, or the kernels of nodes.
    ///
    /// # Errors
    /// [`CircuitError`] if the name is already used.
    pub fn weight(
        &mut self,
        name: &str,
        weight: &Param<Tensor<4>>,
    ) -> Result<TensorId, CircuitError> {
        // What a real edge contributes, which some rules shrink by a threshold.
        let (shape, values) = (weight.base().dims(), floats(&weight.val()));
        self.steps.tensor(match wiring_of(weight) {
            None => Numbers::weight(name, shape, values),
            Some(wiring) => Numbers::edges(name, shape, values, wiring.to_mask()),
        })
    }

    fn affine(
        &mut self,
        path: &str,
        gamma: &Param<Tensor<1>>,
        beta: &Param<Tensor<1>>,
    ) -> Result<[Block; 2], CircuitError> {
        let gamma = Numbers::norm(format!("{path}.gamma"), floats(&gamma.val()));
        let beta = Numbers::norm(format!("{path}.beta"), floats(&beta.val()));
        Ok([self.rows_of(gamma)?, self.rows_of(beta)?])
    }

    fn bias(
        &mut self,
        path: &str,
        bias: Option<&Param<Tensor<1>>>,
    ) -> Result<Option<Block>, CircuitError> {
        let numbers = bias.map(|bias| Numbers::bias(format!("{path}.bias"), floats(&bias.val())));
        numbers.map(|numbers| self.rows_of(numbers)).transpose()
    }

    /// Adds a tensor with one column and selects all of it.
    fn rows_of(&mut self, numbers: Numbers) -> Result<Block, CircuitError> {
        let tensor = self.steps.tensor(numbers)?;
        Ok(self.steps.whole(tensor))
    }
}

/// The wiring of a weight, if it is wired.
fn wiring_of<const D: usize>(weight: &Param<Tensor<D>>) -> Option<Wiring> {
    let edges: Option<&RealEdges> = weight.reparameterization();
    edges.map(RealEdges::wiring)
}

/// A tensor's values on the host, row-major.
fn floats<const D: usize>(tensor: &Tensor<D>) -> Vec<f32> {
    tensor.to_data().iter().collect()
}
