//! The wired linear layer.

use burn::config::Config;
use burn::module::{Module, Param};
use burn::nn::{Initializer, Linear, LinearConfig};
use burn::tensor::{Device, Tensor};

use super::{edges_of, trainable_weight, wire_weight};
use crate::ops::{self, Kernels};
use crate::real_edges::RealEdges;
use crate::{Budget, Wiring, WiringError};

/// Configuration of a [`DnwLinear`]: all options of Burn's [`LinearConfig`] save the layout, and a budget.
#[derive(Config, Debug)]
pub struct DnwLinearConfig {
    /// Input features.
    pub d_input: usize,
    /// Output features.
    pub d_output: usize,
    /// Whether a bias is added.
    #[config(default = true)]
    pub bias: bool,
    /// The initializer of the weights.
    #[config(default = "Initializer::KaimingUniform{gain:1.0/3.0f64.sqrt(),fan_out_only:false}")]
    pub initializer: Initializer,
    /// How many entries of the weight are real; if `None`, all until the model is wired.
    pub budget: Option<Budget>,
}

impl DnwLinearConfig {
    /// Creates the layer.
    ///
    /// # Panics
    /// If the budget does not fit the weight; [`try_init`](Self::try_init) returns that as an error.
    pub fn init(&self, device: &Device) -> DnwLinear {
        match self.try_init(device) {
            Ok(layer) => layer,
            Err(error) => panic!("{error}"),
        }
    }

    /// Creates the layer.
    ///
    /// # Errors
    /// [`WiringError::Budget`] if the budget does not fit the weight.
    pub fn try_init(&self, device: &Device) -> Result<DnwLinear, WiringError> {
        let linear = LinearConfig::new(self.d_input, self.d_output)
            .with_bias(self.bias)
            .with_initializer(self.initializer.clone())
            .init(device);
        DnwLinear::from_linear(linear, self.budget)
    }
}

/// A linear layer in which every weight is an edge, and only the real ones take part.
#[derive(Module, Debug)]
pub struct DnwLinear {
    /// `[d_input, d_output]`, with its wiring.
    pub weight: Param<Tensor<2>>,
    /// `[d_output]`.
    pub bias: Option<Param<Tensor<1>>>,
}

impl DnwLinear {
    /// Wires an existing layer, which keeps its weights.
    ///
    /// # Errors
    /// [`WiringError::Budget`] if the budget does not fit the weight.
    pub fn from_linear(linear: Linear, budget: Option<Budget>) -> Result<Self, WiringError> {
        Ok(Self {
            weight: wire_weight(linear.weight, budget)?,
            bias: linear.bias,
        })
    }

    /// Burn's own layer with hallucinated edges set to zero.
    pub fn into_dense(self) -> Linear {
        Linear {
            weight: self.weight,
            bias: self.bias,
        }
        .materialize()
    }

    /// The real edges.
    pub fn wiring(&self) -> Wiring {
        edges_of(&self.weight).wiring()
    }

    /// Applies the layer.
    ///
    /// # Shapes
    /// - `input`: `[.., d_input]`
    /// - result: `[.., d_output]`
    pub fn forward<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        let linear = Linear {
            weight: self.weight.clone(),
            bias: self.bias.clone(),
        };
        apply(&linear, input)
    }
}

/// Applies a Burn linear layer, wired or not. If it is wired and the device has kernels, only real edges are
/// computed.
///
/// The result is that of the layer's own `forward`, which computes every entry.
///
/// # Shapes
/// - `input`: `[.., inputs]`
/// - result: `[.., outputs]`
pub fn apply<const D: usize>(linear: &Linear, input: Tensor<D>) -> Tensor<D> {
    let kernels = Kernels::default();
    if !kernels.on_cpu(&input) {
        return linear.forward(input);
    }
    let mut shape = input.dims();
    let rows = shape[..D - 1].iter().product::<usize>();
    let input = input.reshape([rows, shape[D - 1]]);
    let output = match linear.weight.reparameterization::<RealEdges>() {
        Some(edges) => {
            let weight = trainable_weight(&linear.weight, edges);
            let real = edges.mask(weight.dims());
            ops::wired_linear(input, weight, real, edges.index(), kernels)
        }
        None => ops::linear(input, linear.weight.val(), kernels),
    };
    let outputs = output.dims()[1];
    shape[D - 1] = outputs;
    let output = match &linear.bias {
        Some(bias) => output + bias.val().reshape([1, outputs]),
        None => output,
    };
    output.reshape(shape)
}
