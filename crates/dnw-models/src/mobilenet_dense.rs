//! The original MobileNetV1 (Howard et al. 2017), the dense baseline of the graphs.
//!
//! A 3 x 3 convolution and thirteen depthwise separable blocks, each a depthwise 3 x 3 and a 1 x 1 convolution, both followed by
//! batch norm and ReLU; then global average pooling and a linear layer.

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::{Device, Tensor};
use dnw_circuit::{Circuit, CircuitError, ValueId};
use dnw_core::graph::batch_norm_rectified;
use dnw_core::layers::{apply, convolve, global_average};
use serde::{Deserialize, Serialize};

use crate::circuit::CircuitWriter;
use crate::{Classifier, ModelError, NoCircuit};

/// Configuration of a [`MobileNetDense`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct MobileNetDenseConfig {
    /// The width multiplier: 0.25 to 1 in the paper.
    pub width: f64,
}

impl Default for MobileNetDenseConfig {
    fn default() -> Self {
        Self { width: 1.0 }
    }
}

/// Channels and stride of each block at width 1.
const BLOCKS: [(usize, usize); 13] = [
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    (512, 1),
    (512, 1),
    (512, 1),
    (512, 1),
    (512, 1),
    (1024, 2),
    (1024, 1),
];

/// MobileNetV1 of Burn layers.
#[derive(Module, Debug)]
pub struct MobileNetDense {
    /// 3x3.
    pub conv1: Conv2d,
    /// Its batch norm.
    pub bn1: BatchNorm,
    /// The separable blocks.
    pub blocks: Vec<Separable>,
    /// The classifier.
    pub fc: Linear,
}

/// A depthwise separable convolution.
#[derive(Module, Debug)]
pub struct Separable {
    /// Depthwise 3x3.
    pub depthwise: Conv2d,
    /// Its batch norm.
    pub bn1: BatchNorm,
    /// 1x1.
    pub pointwise: Conv2d,
    /// Its batch norm.
    pub bn2: BatchNorm,
}

impl MobileNetDenseConfig {
    /// Builds the model for images `[channels, height, width]`. The stride of the first convolution is 1 for images of at most 64 pixels a
    /// side and 2 for larger images.
    ///
    /// # Errors
    /// [`ModelError::Width`] if the width is not positive or results in a layer without channels.
    pub fn init(
        &self,
        image: [usize; 3],
        classes: usize,
        device: &Device,
    ) -> Result<MobileNetDense, ModelError> {
        let [channels, height, width] = image;
        let scaled = |channels: usize| match (channels as f64 * self.width) as usize {
            0 => Err(ModelError::Width { width: self.width }),
            channels => Ok(channels),
        };
        let stride = if height.max(width) <= 64 { 1 } else { 2 };
        let norm = |channels| BatchNormConfig::new(channels).init(device);
        let around = |config: Conv2dConfig, stride| {
            config
                .with_stride([stride, stride])
                .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
                .with_bias(false)
                .init(device)
        };
        let first = scaled(32)?;
        let (mut blocks, mut from) = (Vec::new(), first);
        for (channels, stride) in BLOCKS {
            let to = scaled(channels)?;
            let depthwise = Conv2dConfig::new([from, from], [3, 3]).with_groups(from);
            let pointwise = Conv2dConfig::new([from, to], [1, 1]).with_bias(false);
            blocks.push(Separable {
                depthwise: around(depthwise, stride),
                bn1: norm(from),
                pointwise: pointwise.init(device),
                bn2: norm(to),
            });
            from = to;
        }
        Ok(MobileNetDense {
            conv1: around(Conv2dConfig::new([channels, first], [3, 3]), stride),
            bn1: norm(first),
            blocks,
            fc: LinearConfig::new(from, classes).init(device),
        })
    }

    /// An estimate of the number of weights of the 1 x 1 convolutions.
    pub(crate) fn most_edges(&self) -> usize {
        (3.2e6 * self.width * self.width) as usize
    }
}

impl Separable {
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let x = batch_norm_rectified(&self.bn1, convolve(&self.depthwise, x));
        batch_norm_rectified(&self.bn2, convolve(&self.pointwise, x))
    }

    fn write(
        &self,
        writer: &mut CircuitWriter,
        path: &str,
        x: ValueId,
    ) -> Result<ValueId, CircuitError> {
        let x = writer.conv(&format!("{path}.depthwise"), x, &self.depthwise)?;
        let x = writer.batch_norm(&format!("{path}.bn1"), x, &self.bn1)?;
        let x = writer.steps.relu(x)?;
        let x = writer.conv(&format!("{path}.pointwise"), x, &self.pointwise)?;
        let x = writer.batch_norm(&format!("{path}.bn2"), x, &self.bn2)?;
        writer.steps.relu(x)
    }
}

impl Classifier for MobileNetDense {
    fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let x = batch_norm_rectified(&self.bn1, convolve(&self.conv1, images));
        let x = self.blocks.iter().fold(x, |x, block| block.forward(x));
        apply(&self.fc, global_average(x))
    }

    fn circuit(&self, image: [usize; 3]) -> Result<Circuit, NoCircuit> {
        let mut writer = CircuitWriter::new(image)?;
        writer.steps.layer("conv1");
        let x = writer.conv("conv1", writer.steps.input(), &self.conv1)?;
        let x = writer.batch_norm("bn1", x, &self.bn1)?;
        let mut x = writer.steps.relu(x)?;
        for (i, block) in self.blocks.iter().enumerate() {
            let name = format!("blocks.{i}");
            writer.steps.layer(&name);
            x = block.write(&mut writer, &name, x)?;
        }
        writer.steps.layer("fc");
        let x = writer.steps.global_average(x)?;
        let logits = writer.linear("fc", x, &self.fc)?;
        writer.finish(logits)
    }
}
