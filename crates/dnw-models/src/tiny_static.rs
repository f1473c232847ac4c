//! The published static CIFAR-10 classifier (Wortsman et al. 2019, section 4.1), about 41k active parameters.
//!
//! Stem: conv 3x3/2, batch norm, ReLU, depthwise 3x3/2, conv 1x1, batch norm. Graph: levels of 32, 192, 192, 192 and 192
//! nodes, the last 100 of which are outputs. Head: the 3 x 3 centre of the output maps, its top-left 2 x 2
//! averaged, and a linear layer.

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::module::avg_pool2d;
use burn::tensor::ops::AvgPoolOptions;
use burn::tensor::{Device, Tensor, activation};
use dnw_core::graph::{GraphConfig, GraphSpec, ImageNodes, NeuralGraph, Outputs};
use serde::{Deserialize, Serialize};

use crate::{Classifier, Drawing, ModelError};

/// Configuration of a [`TinyStatic`]; the default is as published.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct TinyStaticConfig {
    /// Input nodes: the stem's channels.
    pub stem: usize,
    /// Nodes of each later level.
    pub level: usize,
    /// Later levels.
    pub levels: usize,
    /// Output nodes, the last of the last level.
    pub outputs: usize,
}

impl Default for TinyStaticConfig {
    fn default() -> Self {
        Self {
            stem: 32,
            level: 192,
            levels: 4,
            outputs: 100,
        }
    }
}

/// The stem.
#[derive(Module, Debug)]
pub struct Stem {
    /// 3x3, stride 2.
    pub conv1: Conv2d,
    /// Over half the stem's channels.
    pub norm1: BatchNorm,
    /// Depthwise 3x3, stride 2.
    pub conv2: Conv2d,
    /// 1x1.
    pub conv3: Conv2d,
    /// Over the stem's channels.
    pub norm2: BatchNorm,
}

/// The static tiny classifier.
#[derive(Module, Debug)]
pub struct TinyStatic {
    /// The stem.
    pub stem: Stem,
    /// The graph.
    pub graph: NeuralGraph<ImageNodes>,
    /// The classes, from the pooled output nodes.
    pub fc: Linear,
}

impl TinyStaticConfig {
    /// Makes the model for images `[channels, height, width]`, 32 pixels or more a side.
    ///
    /// # Errors
    /// [`ModelError`] if the image is too small, a size is zero, or the outputs do not fit.
    pub fn init(
        &self,
        image: [usize; 3],
        classes: usize,
        device: &Device,
    ) -> Result<TinyStatic, ModelError> {
        let [channels, height, width] = image;
        if height < 32 || width < 32 {
            return Err(ModelError::Image {
                expected: "at least 32 x 32 pixels",
                found: image,
            });
        }
        let half = self.stem / 2;
        if half == 0 {
            return Err(ModelError::Zero { field: "stem" });
        }
        let mut levels = vec![self.stem];
        levels.extend(std::iter::repeat_n(self.level, self.levels));
        let spec = GraphSpec::levels(levels, Outputs::InLastLevel(self.outputs))?;
        let nodes = ImageNodes::new(&spec, device);
        let conv = |from, to, size| Conv2dConfig::new([from, to], [size, size]);
        let halving = |config: Conv2dConfig| {
            config
                .with_stride([2, 2])
                .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
        };
        Ok(TinyStatic {
            stem: Stem {
                conv1: halving(conv(channels, half, 3)).init(device),
                norm1: BatchNormConfig::new(half).init(device),
                conv2: halving(conv(half, half, 3)).with_groups(half).init(device),
                conv3: conv(half, self.stem, 1).init(device),
                norm2: BatchNormConfig::new(self.stem).init(device),
            },
            graph: GraphConfig::new(spec).init(nodes, device),
            fc: LinearConfig::new(self.outputs, classes).init(device),
        })
    }
}

impl Stem {
    fn forward(&self, images: Tensor<4>) -> Tensor<4> {
        let x = activation::relu(self.norm1.forward(self.conv1.forward(images)));
        self.norm2
            .forward(self.conv3.forward(self.conv2.forward(x)))
    }
}

impl Classifier for TinyStatic {
    fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let outputs = self.graph.forward(self.stem.forward(images));
        let [batch, nodes, height, width] = outputs.dims();
        // The published crop and pool keep the top-left 2 x 2 of the 3 x 3 centre.
        let (top, left) = (height / 2 - 2, width / 2 - 2);
        let centre = outputs.slice([0..batch, 0..nodes, top..top + 3, left..left + 3]);
        self.fc
            .forward(avg_pool2d(centre, AvgPoolOptions::new([2, 2])).reshape([batch, nodes]))
    }

    fn drawing(&self) -> Option<Drawing> {
        let kernels: Vec<f32> = self.graph.function.kernel.val().to_data().iter().collect();
        Some(Drawing::of_graph(
            self.graph.spec(),
            "graph.weight",
            &kernels,
            9,
        ))
    }

    fn node_maps(&self, images: Tensor<4>) -> Option<Tensor<4>> {
        Some(Tensor::cat(
            self.graph.pass(self.stem.forward(images)).fired,
            1,
        ))
    }
}
