//! Networks with learned wirings.
//!
//! | model | what it is |
//! | --- | --- |
//! | [`GraphClassifier`] | about a hundred nodes in a static graph over the folded pixels of a small image |
//! | [`LeNet`] | LeNet-300-100 of wired linear layers, the classic of pruning papers |
//! | [`TinyStatic`], [`TinyCyclic`] | the published CIFAR-10 classifiers with about 41k active parameters |
//! | [`MobileNet`] | MobileNetV1 as chained neural graphs |
//! | [`MobileNetDense`] | MobileNetV1 as it was, the former's baseline |
//! | [`ResNet`] | residual networks of plain layers, wired from outside |
//!
//! A model knows images and logits, and how it is drawn ([`Drawing`]). It knows no training loop, no rule, no
//! file: the wiring is attached from outside with [`dnw_core::Wire`].

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
    /// The classes' scores.
    ///
    /// # Shapes
    /// - `images`: `[batch, channels, height, width]`
    /// - result: `[batch, classes]`
    fn forward(&self, images: Tensor<4>) -> Tensor<2>;

    /// The network as it evaluates, as a circuit for images `[channels, height, width]` without Burn.
    ///
    /// # Errors
    /// [`NoCircuit`] if the images are not those that the model was made for, or its steps depend on the image.
    fn circuit(&self, image: [usize; 3]) -> Result<Circuit, NoCircuit>;

    /// How the network is drawn as nodes and edges, where it can be.
    fn drawing(&self) -> Option<Drawing> {
        None
    }

    /// What every node gave, in the order of the drawing's nodes: `[batch, nodes, height, width]`, where nodes hold maps.
    fn node_maps(&self, images: Tensor<4>) -> Option<Tensor<4>> {
        let _ = images;
        None
    }
}
