//! The wired convolution.

use burn::config::Config;
use burn::module::{Module, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Initializer, PaddingConfig2d};
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor};

use super::{edges_of, trainable_weight, wire_weight};
use crate::ops::{self, Kernels};
use crate::real_edges::RealEdges;
use crate::{Budget, Wiring, WiringError};

/// Configuration of a [`MaskedConv2d`]: all options of Burn's [`Conv2dConfig`], and a budget.
#[derive(Config, Debug)]
pub struct MaskedConv2dConfig {
    /// Input and output channels.
    pub channels: [usize; 2],
    /// Height and width of the kernel.
    pub kernel_size: [usize; 2],
    /// Stride.
    #[config(default = "[1, 1]")]
    pub stride: [usize; 2],
    /// Spacing between kernel elements.
    #[config(default = "[1, 1]")]
    pub dilation: [usize; 2],
    /// Groups of channels.
    #[config(default = "1")]
    pub groups: usize,
    /// Padding.
    #[config(default = "PaddingConfig2d::Valid")]
    pub padding: PaddingConfig2d,
    /// Whether a bias is added.
    #[config(default = true)]
    pub bias: bool,
    /// The initializer of the weights.
    #[config(default = "Initializer::KaimingUniform{gain:1.0/3.0f64.sqrt(),fan_out_only:false}")]
    pub initializer: Initializer,
    /// How many entries of the weight are real; if `None`, all until the model is wired.
    pub budget: Option<Budget>,
}

impl MaskedConv2dConfig {
    /// Creates the layer.
    ///
    /// # Panics
    /// If the budget does not fit the weight, or the groups do not divide the channels.
    /// [`try_init`](Self::try_init) returns the former as an error.
    pub fn init(&self, device: &Device) -> MaskedConv2d {
        match self.try_init(device) {
            Ok(layer) => layer,
            Err(error) => panic!("{error}"),
        }
    }

    /// Creates the layer.
    ///
    /// # Errors
    /// [`WiringError::Budget`] if the budget does not fit the weight.
    pub fn try_init(&self, device: &Device) -> Result<MaskedConv2d, WiringError> {
        let conv = Conv2dConfig::new(self.channels, self.kernel_size)
            .with_stride(self.stride)
            .with_dilation(self.dilation)
            .with_groups(self.groups)
            .with_padding(self.padding.clone())
            .with_bias(self.bias)
            .with_initializer(self.initializer.clone())
            .init(device);
        MaskedConv2d::from_conv(conv, self.budget)
    }
}

/// A 2D convolution in which every weight is an edge, and only the real ones take part.
///
/// The gradient of every entry is that of the masked weight; the input's gradient passes through real edges only.
#[derive(Module, Debug)]
pub struct MaskedConv2d {
    /// `[channels_out, channels_in / groups, kernel_height, kernel_width]`, with its wiring.
    pub weight: Param<Tensor<4>>,
    /// `[channels_out]`.
    pub bias: Option<Param<Tensor<1>>>,
    /// Stride.
    pub stride: [usize; 2],
    /// Height and width of the kernel.
    pub kernel_size: [usize; 2],
    /// Spacing between kernel elements.
    pub dilation: [usize; 2],
    /// Groups of channels.
    pub groups: usize,
    /// Padding.
    #[module(skip)]
    pub padding: PaddingConfig2d,
}

impl MaskedConv2d {
    /// Wires an existing layer, which keeps its weights.
    ///
    /// # Errors
    /// [`WiringError::Budget`] if the budget does not fit the weight.
    pub fn from_conv(conv: Conv2d, budget: Option<Budget>) -> Result<Self, WiringError> {
        Ok(Self {
            weight: wire_weight(conv.weight, budget)?,
            bias: conv.bias,
            stride: conv.stride,
            kernel_size: conv.kernel_size,
            dilation: conv.dilation,
            groups: conv.groups,
            padding: conv.padding,
        })
    }

    /// Burn's own layer, whose weight still carries its wiring.
    fn as_conv(&self) -> Conv2d {
        Conv2d {
            weight: self.weight.clone(),
            bias: self.bias.clone(),
            stride: self.stride,
            kernel_size: self.kernel_size,
            dilation: self.dilation,
            groups: self.groups,
            padding: self.padding.clone(),
        }
    }

    /// Burn's own layer with hallucinated edges set to zero.
    pub fn into_dense(self) -> Conv2d {
        self.as_conv().materialize()
    }

    /// The real edges.
    pub fn wiring(&self) -> Wiring {
        edges_of(&self.weight).wiring()
    }

    /// Applies the layer.
    ///
    /// # Shapes
    /// - `input`: `[batch, channels_in, height_in, width_in]`
    /// - result: `[batch, channels_out, height_out, width_out]`
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        convolve(&self.as_conv(), input)
    }
}

/// Applies a Burn convolution, wired or not. If it is wired and the device has kernels, only real edges are
/// computed.
///
/// The result is that of the layer's own `forward`, which computes every entry.
///
/// # Shapes
/// - `input`: `[batch, channels in, height, width]`
/// - result: `[batch, channels out, height out, width out]`
pub fn convolve(conv: &Conv2d, input: Tensor<4>) -> Tensor<4> {
    let kernels = Kernels::default();
    let edges = conv.weight.reparameterization::<RealEdges>();
    let on_gpu = kernels.on_gpu(&input);
    let has_kernel = kernels.on_cpu(&input) || (on_gpu && edges.is_some());
    let padding = match conv.padding {
        PaddingConfig2d::Valid => [(0, 0); 2],
        PaddingConfig2d::Explicit(top, left, bottom, right) => [(top, bottom), (left, right)],
        PaddingConfig2d::Same => return conv.forward(input),
    };
    if !has_kernel {
        return conv.forward(input);
    }
    let options = ConvOptions::new_with_padding(conv.stride, padding, conv.dilation, conv.groups);
    let is_product = conv.kernel_size == [1, 1]
        && conv.stride == [1, 1]
        && conv.groups == 1
        && padding == [(0, 0); 2];
    let output = match edges {
        None => ops::convolution(input, conv.weight.val(), options, kernels),
        Some(edges) => {
            let weight = trainable_weight(&conv.weight, edges);
            let real = edges.mask(weight.dims());
            // A GPU has a kernel for products only; a CPU computes products as convolutions.
            if is_product && on_gpu {
                ops::wired_product(input, weight, real, edges.index(), kernels)
            } else {
                ops::wired_convolution(input, weight, real, options, edges.index(), kernels)
            }
        }
    };
    match &conv.bias {
        Some(bias) => ops::add_bias(output, bias.val(), kernels),
        None => output,
    }
}
