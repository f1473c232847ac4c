//! The model section of a recipe.

use burn::module::ModuleDisplay;
use burn::tensor::Device;
use dnw_core::{Budget, WiringError};
use serde::{Deserialize, Serialize};

use crate::{
    Classifier, GraphClassifierConfig, LeNetConfig, MobileNetConfig, MobileNetDenseConfig,
    ModelError, ResNetConfig, TinyContinuousConfig, TinyDiscreteConfig, TinyStaticConfig,
};

/// A model and its sizes. In a recipe it is the table `[model]`, with the variant's name as `kind`, such as `"tiny-static"`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum ModelConfig {
    /// [`crate::GraphClassifier`].
    Graph(GraphClassifierConfig),
    /// [`crate::LeNet`].
    Lenet(LeNetConfig),
    /// [`crate::TinyStatic`].
    TinyStatic(TinyStaticConfig),
    /// [`crate::TinyCyclic`] in discrete time.
    TinyDiscrete(TinyDiscreteConfig),
    /// [`crate::TinyCyclic`] in continuous time.
    TinyContinuous(TinyContinuousConfig),
    /// [`crate::MobileNet`].
    Mobilenet(MobileNetConfig),
    /// [`crate::MobileNetDense`].
    MobilenetDense(MobileNetDenseConfig),
    /// [`crate::ResNet`].
    Resnet(ResNetConfig),
}

/// Something to do with a model whose type the configuration decides.
pub trait UseModel {
    /// The result.
    type Output;

    /// Calls the function.
    fn with<M: Classifier + ModuleDisplay + 'static>(self, model: M) -> Self::Output;
}

impl ModelConfig {
    /// The budgets by tensor path that differ from the configuration's prune rate in the published program: see
    /// [`MobileNetConfig::budgets`].
    ///
    /// # Errors
    /// [`WiringError::Budget`] if a budget is zero or larger than its tensor.
    pub fn budgets(
        &self,
        prune_rate: f64,
        classes: usize,
    ) -> Result<Vec<(String, Budget)>, WiringError> {
        match self {
            Self::Mobilenet(mobilenet) => mobilenet.budgets(prune_rate, classes),
            _ => Ok(Vec::new()),
        }
    }

    /// An estimate of the number of possible edges for any image size, so that a mistyped size is an error before any allocation. Returns
    /// `usize::MAX` on overflow.
    pub fn most_edges(&self) -> usize {
        let sum = |sizes: &[usize]| sizes.iter().fold(0usize, |sum, &n| sum.saturating_add(n));
        let square = |nodes: usize| nodes.saturating_mul(nodes);
        match self {
            Self::Graph(graph) => square(sum(&graph.levels).saturating_add(graph.outputs)),
            Self::Lenet(lenet) => square(sum(&lenet.hidden)),
            Self::TinyStatic(tiny) => {
                let later = tiny.level.saturating_mul(tiny.levels);
                square(later.saturating_add(tiny.stem))
            }
            Self::TinyDiscrete(tiny) => square(tiny.nodes).saturating_add(tiny.stem),
            Self::TinyContinuous(tiny) => square(tiny.nodes).saturating_add(tiny.stem),
            Self::Mobilenet(mobilenet) => {
                let edges = mobilenet.stages_with_inputs().map(|(inputs, stage)| {
                    let [targets, sources] = stage.edges(inputs);
                    targets.saturating_mul(sources)
                });
                edges.fold(0, usize::saturating_add)
            }
            Self::MobilenetDense(mobilenet) => mobilenet.most_edges(),
            Self::Resnet(resnet) => resnet.most_edges(),
        }
    }

    /// The path of the weight that computes the logits, with one target per class.
    pub fn classifier(&self) -> &'static str {
        match self {
            Self::Lenet(_) => "fc3.weight",
            _ => "fc.weight",
        }
    }

    /// Builds the model for images `[channels, height, width]` and calls `with` with it.
    ///
    /// # Errors
    /// [`ModelError`] if the model cannot be built for such images.
    pub fn build<U: UseModel>(
        &self,
        image: [usize; 3],
        classes: usize,
        device: &Device,
        user: U,
    ) -> Result<U::Output, ModelError> {
        Ok(match self {
            Self::Graph(config) => user.with(config.init(image, classes, device)?),
            Self::Lenet(config) => user.with(config.init(image, classes, device)?),
            Self::TinyStatic(config) => user.with(config.init(image, classes, device)?),
            Self::TinyDiscrete(config) => user.with(config.init(image, classes, device)?),
            Self::TinyContinuous(config) => user.with(config.init(image, classes, device)?),
            Self::Mobilenet(config) => user.with(config.init(image, classes, device)?),
            Self::MobilenetDense(config) => user.with(config.init(image, classes, device)?),
            Self::Resnet(config) => user.with(config.init(image, classes, device)?),
        })
    }
}
