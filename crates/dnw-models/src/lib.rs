//! Networks with learned wirings.
//!
//! | model | what it is |
//! | --- | --- |
//! | [`GraphClassifier`] | about a hundred nodes in a static graph over the folded pixels of a small image |
//! | [`LeNet`] | LeNet-300-100 of wired linear layers, the classic of pruning papers |
//! | [`TinyStatic`], [`TinyCyclic`] | the published CIFAR-10 classifiers with about 41k parameters in the forward pass |
//! | [`MobileNet`] | MobileNetV1 as chained neural graphs |
//! | [`MobileNetDense`] | the original MobileNetV1, the baseline of `MobileNet` |
//! | [`ResNet`] | residual networks of Burn layers, to be wired with `dnw_core::Wire` |
//!
//! A model maps images to logits and describes how it is drawn ([`Drawing`]). It is independent of the training loop, the rule and
//! file formats: the wiring is attached with [`dnw_core::Wire`].

#![deny(missing_docs)]
#![recursion_limit = "256"]

pub mod circuit;
mod config;
mod drawing;
mod error;
mod graph_classifier;
mod lenet;
mod mobilenet;
mod mobilenet_dense;
mod published;
mod resnet;
mod tiny;

pub use circuit::NoCircuit;
pub use config::{ModelConfig, UseModel};
pub use drawing::{Drawing, DrawnNode, DrawnTensor};
pub use error::ModelError;
pub use graph_classifier::{GraphClassifier, GraphClassifierConfig, Wires};
pub use lenet::{LeNet, LeNetConfig};
pub use mobilenet::{Head, MobileNet, MobileNetConfig, StageConfig};
pub use mobilenet_dense::{MobileNetDense, MobileNetDenseConfig, Separable};
pub use published::{Place, Published, PublishedError};
pub use resnet::{Block, ResNet, ResNetConfig, ResNetStem};
pub use tiny::{
    GradientName, SolverName, Stem, Time, Tiny, TinyContinuousConfig, TinyCyclic,
    TinyDiscreteConfig, TinyGraph, TinyStatic, TinyStaticConfig,
};

use burn::module::Module;
use burn::tensor::Tensor;
use dnw_circuit::Circuit;

/// A network that classifies images.
pub trait Classifier: Module {
    /// Computes the logits.
    ///
    /// # Shapes
    /// - `images`: `[batch, channels, height, width]`
    /// - result: `[batch, classes]`
    fn forward(&self, images: Tensor<4>) -> Tensor<2>;

    /// The circuit of the network in evaluation mode, for images `[channels, height, width]`.
    ///
    /// # Errors
    /// [`NoCircuit`] if the images do not fit the model, or its steps depend on the image.
    fn circuit(&self, image: [usize; 3]) -> Result<Circuit, NoCircuit>;

    /// The drawing of the network as nodes and edges, if it has one.
    fn drawing(&self) -> Option<Drawing> {
        None
    }

    /// The output of every node, in the order of the drawing's nodes: `[batch, nodes, height, width]`, if nodes have feature maps.
    fn node_maps(&self, images: Tensor<4>) -> Option<Tensor<4>> {
        let _ = images;
        None
    }
}
