//! Residual networks (He et al. 2016) of Burn layers. [`dnw_core::Wire`] wires every convolution and the classifier.
//!
//! ResNet-50 is version 1.5, with the stride in the 3 x 3 convolution, as the paper's sparse networks are. Fields have the names of
//! torchvision's implementation, so that published checkpoints have the same paths.

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, Initializer, Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::{Device, Tensor};
use dnw_circuit::{Circuit, CircuitError, ValueId};
use dnw_core::graph::{add_rectified, batch_norm, batch_norm_rectified};
use dnw_core::layers::{apply, convolve, global_average};
use serde::{Deserialize, Serialize};

use crate::circuit::CircuitWriter;
use crate::{Classifier, ModelError, NoCircuit};

/// Configuration of a [`ResNet`]; the default is ResNet-50 for large images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct ResNetConfig {
    /// Layers: 18 and 34 of basic blocks, 50, 101 and 152 of bottlenecks.
    pub depth: usize,
    /// Channels of the first convolution, to which all others are proportional: 64 in the original.
    pub width: usize,
    /// The layers before the blocks.
    pub stem: ResNetStem,
}

/// The layers before the blocks of a [`ResNet`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ResNetStem {
    /// 7x7 convolution with stride 2 and 3x3 max pooling with stride 2.
    Large,
    /// 3x3 convolution with stride 1, for images of 32 or 64 pixels a side.
    Small,
}

impl Default for ResNetConfig {
    fn default() -> Self {
        Self {
            depth: 50,
            width: 64,
            stem: ResNetStem::Large,
        }
    }
}

/// A residual network.
#[derive(Module, Debug)]
pub struct ResNet {
    /// The first convolution.
    pub conv1: Conv2d,
    /// Its batch norm.
    pub bn1: BatchNorm,
    /// 3x3 max pooling with stride 2, in the stem for large images.
    pub pool: Option<MaxPool2d>,
    /// The blocks at full size.
    pub layer1: Vec<Block>,
    /// The blocks at half size.
    pub layer2: Vec<Block>,
    /// The blocks at a quarter.
    pub layer3: Vec<Block>,
    /// The blocks at an eighth.
    pub layer4: Vec<Block>,
    /// The classifier.
    pub fc: Linear,
}

/// A residual block: two 3x3 convolutions (basic), or 1x1, 3x3 and 1x1 (bottleneck), added to the input.
#[derive(Module, Debug)]
pub struct Block {
    /// 3x3 with the stride, or 1x1.
    pub conv1: Conv2d,
    /// Its batch norm.
    pub bn1: BatchNorm,
    /// 3x3, with the stride in a bottleneck.
    pub conv2: Conv2d,
    /// Its batch norm.
    pub bn2: BatchNorm,
    /// 1x1 to four times the channels, in a bottleneck.
    pub conv3: Option<Conv2d>,
    /// Its batch norm.
    pub bn3: Option<BatchNorm>,
    /// 1x1 convolution and batch norm of the shortcut, if size or channels change.
    pub downsample: Option<(Conv2d, BatchNorm)>,
}

impl ResNetConfig {
    /// Builds the model for images `[channels, height, width]`.
    ///
    /// # Errors
    /// [`ModelError`] if the depth is not supported or the width is zero.
    pub fn init(
        &self,
        image: [usize; 3],
        classes: usize,
        device: &Device,
    ) -> Result<ResNet, ModelError> {
        let (blocks, is_bottleneck) = self.blocks()?;
        let width = self.width;
        if width == 0 {
            return Err(ModelError::Zero { field: "width" });
        }
        let (conv1, pool) = match self.stem {
            ResNetStem::Large => {
                let pool = MaxPool2dConfig::new([3, 3])
                    .with_strides([2, 2])
                    .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1));
                (
                    convolution([image[0], width], 7, 2, device),
                    Some(pool.init()),
                )
            }
            ResNetStem::Small => (convolution([image[0], width], 3, 1, device), None),
        };
        let mut channels = width;
        let layers = [0, 1, 2, 3].map(|layer| {
            let inner = width << layer;
            let outer = if is_bottleneck { 4 * inner } else { inner };
            let make = |i: usize| {
                let stride = if layer > 0 && i == 0 { 2 } else { 1 };
                let from = std::mem::replace(&mut channels, outer);
                Block::new(from, inner, is_bottleneck, stride, device)
            };
            (0..blocks[layer]).map(make).collect::<Vec<_>>()
        });
        let [layer1, layer2, layer3, layer4] = layers;
        Ok(ResNet {
            conv1,
            bn1: BatchNormConfig::new(width).init(device),
            pool,
            layer1,
            layer2,
            layer3,
            layer4,
            fc: LinearConfig::new(channels, classes).init(device),
        })
    }

    /// Blocks of each size, and whether they are bottlenecks.
    fn blocks(&self) -> Result<([usize; 4], bool), ModelError> {
        match self.depth {
            18 => Ok(([2, 2, 2, 2], false)),
            34 => Ok(([3, 4, 6, 3], false)),
            50 => Ok(([3, 4, 6, 3], true)),
            101 => Ok(([3, 4, 23, 3], true)),
            152 => Ok(([3, 8, 36, 3], true)),
            depth => Err(ModelError::Depth { depth }),
        }
    }

    /// An estimate of the number of weights: at width 64, no model has more than 650,000 per layer.
    pub(crate) fn most_edges(&self) -> usize {
        let share = self.width.div_ceil(64);
        share
            .saturating_mul(share)
            .saturating_mul(self.depth)
            .saturating_mul(650_000)
    }
}

/// A convolution without bias and with the padding that preserves the size at stride 1.
fn convolution(channels: [usize; 2], size: usize, stride: usize, device: &Device) -> Conv2d {
    let around = size / 2;
    // Variance 2 / (outputs * area): He et al. 2015, fan-out.
    let begin = Initializer::KaimingNormal {
        gain: std::f64::consts::SQRT_2,
        fan_out_only: true,
    };
    Conv2dConfig::new(channels, [size, size])
        .with_stride([stride, stride])
        .with_padding(PaddingConfig2d::Explicit(around, around, around, around))
        .with_bias(false)
        .with_initializer(begin)
        .init(device)
}

impl Block {
    fn new(from: usize, inner: usize, is_bottleneck: bool, stride: usize, device: &Device) -> Self {
        let norm = |channels| BatchNormConfig::new(channels).init(device);
        let conv = |channels, size, stride| convolution(channels, size, stride, device);
        let outer = if is_bottleneck { 4 * inner } else { inner };
        let (conv1, conv2) = if is_bottleneck {
            (conv([from, inner], 1, 1), conv([inner, inner], 3, stride))
        } else {
            (conv([from, inner], 3, stride), conv([inner, inner], 3, 1))
        };
        let changes = stride != 1 || from != outer;
        Self {
            conv1,
            bn1: norm(inner),
            conv2,
            bn2: norm(inner),
            conv3: is_bottleneck.then(|| conv([inner, outer], 1, 1)),
            bn3: is_bottleneck.then(|| norm(outer)),
            downsample: changes.then(|| (conv([from, outer], 1, stride), norm(outer))),
        }
    }

    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let x = batch_norm_rectified(&self.bn1, convolve(&self.conv1, input.clone()));
        let x = convolve(&self.conv2, x);
        let x = match (&self.conv3, &self.bn3) {
            (Some(conv3), Some(bn3)) => {
                let x = batch_norm_rectified(&self.bn2, x);
                batch_norm(bn3, convolve(conv3, x))
            }
            _ => batch_norm(&self.bn2, x),
        };
        let skip = match &self.downsample {
            Some((conv, norm)) => batch_norm(norm, convolve(conv, input)),
            None => input,
        };
        add_rectified(x, skip)
    }

    fn write(
        &self,
        writer: &mut CircuitWriter,
        path: &str,
        input: ValueId,
    ) -> Result<ValueId, CircuitError> {
        let of = |field: &str| format!("{path}.{field}");
        let x = writer.conv(&of("conv1"), input, &self.conv1)?;
        let x = writer.batch_norm(&of("bn1"), x, &self.bn1)?;
        let x = writer.steps.relu(x)?;
        let x = writer.conv(&of("conv2"), x, &self.conv2)?;
        let mut x = writer.batch_norm(&of("bn2"), x, &self.bn2)?;
        if let (Some(conv3), Some(bn3)) = (&self.conv3, &self.bn3) {
            x = writer.steps.relu(x)?;
            x = writer.conv(&of("conv3"), x, conv3)?;
            x = writer.batch_norm(&of("bn3"), x, bn3)?;
        }
        let skip = match &self.downsample {
            Some((conv, norm)) => {
                let skip = writer.conv(&of("downsample.0"), input, conv)?;
                writer.batch_norm(&of("downsample.1"), skip, norm)?
            }
            None => input,
        };
        let sum = writer.steps.add(&[x, skip])?;
        writer.steps.relu(sum)
    }
}

impl ResNet {
    /// Every block with its path.
    fn blocks(&self) -> impl Iterator<Item = (String, &Block)> {
        let layers = [&self.layer1, &self.layer2, &self.layer3, &self.layer4];
        layers.into_iter().zip(1..).flat_map(|(blocks, layer)| {
            let named = blocks.iter().enumerate();
            named.map(move |(i, block)| (format!("layer{layer}.{i}"), block))
        })
    }
}

impl Classifier for ResNet {
    fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let x = batch_norm_rectified(&self.bn1, convolve(&self.conv1, images));
        let x = match &self.pool {
            Some(pool) => pool.forward(x),
            None => x,
        };
        let x = self.blocks().fold(x, |x, (_, block)| block.forward(x));
        apply(&self.fc, global_average(x))
    }

    fn circuit(&self, image: [usize; 3]) -> Result<Circuit, NoCircuit> {
        let mut writer = CircuitWriter::new(image)?;
        writer.steps.layer("conv1");
        let x = writer.conv("conv1", writer.steps.input(), &self.conv1)?;
        let x = writer.batch_norm("bn1", x, &self.bn1)?;
        let mut x = writer.steps.relu(x)?;
        if self.pool.is_some() {
            x = writer.steps.max_pool(x, [3, 3], [2, 2], [1, 1])?;
        }
        for (path, block) in self.blocks() {
            writer.steps.layer(&path);
            x = block.write(&mut writer, &path, x)?;
        }
        writer.steps.layer("fc");
        let x = writer.steps.global_average(x)?;
        let logits = writer.linear("fc", x, &self.fc)?;
        writer.finish(logits)
    }
}
