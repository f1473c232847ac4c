//! MobileNetV1 as chained neural graphs (Wortsman et al. 2019, section 4.2).
//!
//! After a 3 x 3 convolution follow stages, each a static graph. Its inputs are the output channels of the previous layer; its levels
//! and its output level have the same width. A node corresponds to a channel of MobileNetV1 (batch norm, ReLU, depthwise 3 x 3), the
//! edges replace its 1 x 1 convolutions and may skip levels. Batch norm, ReLU, global average pooling and a classifier follow.

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::{Device, Tensor};
use dnw_circuit::Circuit;
use dnw_core::graph::{
    BatchNodes, GraphConfig, GraphSpec, NeuralGraph, Outputs, batch_norm_rectified,
};
use dnw_core::layers::{apply, convolve, global_average};
use dnw_core::{Budget, DnwLinearConfig, WiringError};
use serde::{Deserialize, Serialize};

use crate::circuit::CircuitWriter;
use crate::{Classifier, ModelError, NoCircuit};

/// Configuration of a [`MobileNet`]; the default is as published.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct MobileNetConfig {
    /// Channels of the first convolution, which are the inputs of the first stage.
    pub first: usize,
    /// The stages.
    pub stages: Vec<StageConfig>,
    /// The classifier.
    pub head: Head,
}

/// A stage of a [`MobileNet`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct StageConfig {
    /// Nodes of each level after the inputs, including the output level.
    pub nodes: usize,
    /// The stride of the input nodes' depthwise convolution.
    pub stride: usize,
    /// Levels after the inputs.
    pub levels: usize,
}

/// The classifier after the global average pooling.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Head {
    /// A linear layer with bias.
    #[default]
    Dense,
    /// A wired linear layer without bias, as in the published *small* models.
    Wired,
}

impl Default for MobileNetConfig {
    fn default() -> Self {
        let stages = [
            (64, 1, 1),
            (128, 2, 2),
            (256, 2, 2),
            (512, 2, 6),
            (1024, 2, 2),
        ];
        Self {
            first: 32,
            stages: stages
                .map(|(nodes, stride, levels)| StageConfig {
                    nodes,
                    stride,
                    levels,
                })
                .to_vec(),
            head: Head::Dense,
        }
    }
}

/// MobileNetV1 as chained graphs.
#[derive(Module, Debug)]
pub struct MobileNet {
    /// 3x3, without bias.
    pub conv1: Conv2d,
    /// The graphs.
    pub stages: Vec<NeuralGraph<BatchNodes>>,
    /// The norm of the last graph's outputs.
    pub bn: BatchNorm,
    /// The classifier.
    pub fc: Linear,
}

impl StageConfig {
    /// The graph of a stage with this many inputs.
    fn spec(&self, inputs: usize) -> Result<GraphSpec, ModelError> {
        for (field, size) in [
            ("stages.levels", self.levels),
            ("stages.stride", self.stride),
        ] {
            if size == 0 {
                return Err(ModelError::Zero { field });
            }
        }
        let mut levels = vec![inputs];
        levels.extend(std::iter::repeat_n(self.nodes, self.levels - 1));
        Ok(GraphSpec::levels(levels, Outputs::OwnLevel(self.nodes))?)
    }

    /// Targets and sources of the stage's edges.
    pub(crate) fn edges(&self, inputs: usize) -> [usize; 2] {
        let inner = self.nodes.saturating_mul(self.levels.saturating_sub(1));
        [
            self.nodes.saturating_add(inner),
            inputs.saturating_add(inner),
        ]
    }
}

impl MobileNetConfig {
    /// Builds the model for images `[channels, height, width]`. The stride of the first convolution is 1 for images of at most 64 pixels a
    /// side and 2 for larger images.
    ///
    /// # Errors
    /// [`ModelError`] if a size is zero.
    pub fn init(
        &self,
        image: [usize; 3],
        classes: usize,
        device: &Device,
    ) -> Result<MobileNet, ModelError> {
        let [channels, height, width] = image;
        if self.first == 0 {
            return Err(ModelError::Zero { field: "first" });
        }
        let stride = if height.max(width) <= 64 { 1 } else { 2 };
        let mut stages = Vec::new();
        for (inputs, stage) in self.stages_with_inputs() {
            let spec = stage.spec(inputs)?;
            let nodes = BatchNodes::new(&spec, stage.stride, device);
            stages.push(GraphConfig::new(spec).init(nodes, device));
        }
        let outputs = self.outputs();
        let fc = match self.head {
            Head::Dense => LinearConfig::new(outputs, classes).init(device),
            Head::Wired => {
                let layer = DnwLinearConfig::new(outputs, classes).with_bias(false);
                let layer = layer.init(device);
                Linear {
                    weight: layer.weight,
                    bias: layer.bias,
                }
            }
        };
        Ok(MobileNet {
            conv1: Conv2dConfig::new([channels, self.first], [3, 3])
                .with_stride([stride, stride])
                .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
                .with_bias(false)
                .init(device),
            stages,
            bn: BatchNormConfig::new(outputs).init(device),
            fc,
        })
    }

    /// The published budgets of the wired tensors, by path. Each stage has as many edges as MobileNetV1 with its width multiplied by
    /// `1 - prune_rate` has between the same channels; a wired head has the prune rate itself.
    ///
    /// As counts they are independent of whether all entries or only the legal edges are ranked ([`Ranking`](dnw_core::Ranking)). They are
    /// the counts of the published program, which prunes `1 - k / entries` of a stage's entries in 64-bit floats.
    ///
    /// # Errors
    /// [`WiringError::Budget`] if a budget is zero or larger than its tensor.
    pub fn budgets(
        &self,
        prune_rate: f64,
        classes: usize,
    ) -> Result<Vec<(String, Budget)>, WiringError> {
        let mut budgets = Vec::new();
        for (i, (inputs, stage)) in self.stages_with_inputs().enumerate() {
            let [targets, sources] = stage.edges(inputs);
            let (inp, oup) = (inputs as f64, stage.nodes as f64);
            let dense = inp * oup + (stage.levels as f64 - 1.0) * oup * oup;
            let width = 1.0 - prune_rate;
            let entries = targets.saturating_mul(sources);
            let rate = 1.0 - width * width * dense / entries as f64;
            let name = format!("stages.{i}.weight");
            let edges = Budget::PruneRate(rate).resolve(&name, entries)?;
            budgets.push((name, Budget::Edges(edges)));
        }
        if self.head == Head::Wired {
            let name = "fc.weight";
            let entries = self.outputs().saturating_mul(classes);
            let edges = Budget::PruneRate(prune_rate).resolve(name, entries)?;
            budgets.push((name.to_owned(), Budget::Edges(edges)));
        }
        Ok(budgets)
    }

    /// The stages with their numbers of inputs.
    pub(crate) fn stages_with_inputs(&self) -> impl Iterator<Item = (usize, &StageConfig)> {
        let inputs = std::iter::once(self.first).chain(self.stages.iter().map(|stage| stage.nodes));
        inputs.zip(&self.stages)
    }

    /// Channels of the last stage.
    fn outputs(&self) -> usize {
        self.stages.last().map_or(self.first, |stage| stage.nodes)
    }
}

impl Classifier for MobileNet {
    fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let first = convolve(&self.conv1, images);
        let x = self.stages.iter().fold(first, |x, stage| stage.forward(x));
        let x = batch_norm_rectified(&self.bn, x);
        apply(&self.fc, global_average(x))
    }

    fn circuit(&self, image: [usize; 3]) -> Result<Circuit, NoCircuit> {
        let mut writer = CircuitWriter::new(image)?;
        writer.steps.layer("conv1");
        let mut x = writer.conv("conv1", writer.steps.input(), &self.conv1)?;
        for (i, stage) in self.stages.iter().enumerate() {
            let name = format!("stages.{i}");
            writer.steps.layer(&name);
            x = writer.graph(&name, x, stage)?;
        }
        writer.steps.layer("bn");
        let x = writer.batch_norm("bn", x, &self.bn)?;
        let x = writer.steps.relu(x)?;
        writer.steps.layer("fc");
        let x = writer.steps.global_average(x)?;
        let logits = writer.linear("fc", x, &self.fc)?;
        writer.finish(logits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn published(prune_rate: f64, head: Head) -> Vec<Budget> {
        let config = MobileNetConfig {
            head,
            ..MobileNetConfig::default()
        };
        let budgets = config.budgets(prune_rate, 1000).unwrap();
        budgets.into_iter().map(|(_, budget)| budget).collect()
    }

    #[test]
    fn the_budgets_equal_the_published_ones() {
        let edges = |counts: [usize; 5]| counts.map(Budget::Edges).to_vec();
        assert_eq!(
            published(0.775, Head::Dense),
            edges([104, 1245, 4977, 72991, 79627])
        );
        assert_eq!(
            published(0.85, Head::Dense),
            edges([47, 553, 2212, 32441, 35390])
        );
        // The small models prune the classifier's 1,024,000 weights at the same rate.
        assert_eq!(
            published(0.85, Head::Wired).last(),
            Some(&Budget::Edges(153_600))
        );
    }

    #[test]
    fn the_published_stages_have_the_published_numbers_of_entries() {
        let config = MobileNetConfig::default();
        let stages = config.stages_with_inputs();
        let entries: Vec<usize> = stages
            .map(|(inputs, stage)| {
                let spec = stage.spec(inputs).unwrap();
                assert_eq!([spec.targets(), spec.sources()], stage.edges(inputs));
                spec.legal().entries()
            })
            .collect();
        assert_eq!(entries, [2048, 49152, 196_608, 8_650_752, 3_145_728]);
    }
}
