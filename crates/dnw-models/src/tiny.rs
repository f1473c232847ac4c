//! The published tiny CIFAR-10 classifiers (Wortsman et al. 2019, section 4.1), about 41k active parameters.
//!
//! Stem: conv 3x3/2, batch norm, ReLU, depthwise 3x3/2, conv 1x1, batch norm. Graph: 800 nodes, of which the first 32
//! are inputs for the stem's channels and the last 100 are outputs. Head: the mean of the top-left 2 x 2 pixels of the 3 x 3 centre of
//! the output feature maps, and a linear layer.
//!
//! The three models differ only in how the nodes are evaluated: level by level ([`TinyStatic`]), all together for a number of steps,
//! or as an ordinary differential equation (both [`TinyCyclic`]).

mod config;
mod continuous;

pub use config::{
    GradientName, SolverName, TinyContinuousConfig, TinyDiscreteConfig, TinyStaticConfig,
};

use burn::module::{Module, ModuleDisplay};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, Linear, PaddingConfig2d};
use burn::tensor::module::avg_pool2d;
use burn::tensor::ops::AvgPoolOptions;
use burn::tensor::{Device, Tensor};
use dnw_circuit::{Circuit, CircuitError, ValueId};
use dnw_core::graph::{CyclicGraph, ImageNodes, NeuralGraph, batch_norm, batch_norm_rectified};
use dnw_core::layers::{apply, convolve};
use dnw_ode::{Integrator, OdeError};

use crate::circuit::CircuitWriter;
use crate::{Classifier, Drawing, ModelError, NoCircuit};

/// Nodes that run level by level, edges that lead to later levels.
pub type TinyStatic = Tiny<NeuralGraph<ImageNodes>>;

/// The cyclic classifier: nodes are evaluated together, edges may form cycles.
pub type TinyCyclic = Tiny<CyclicGraph>;

/// A tiny classifier.
#[derive(Module, Debug)]
pub struct Tiny<G: TinyGraph> {
    /// The layers from the pixels to the input nodes.
    pub stem: Stem,
    /// The graph.
    pub graph: G,
    /// The linear layer from the pooled output nodes to the logits.
    pub fc: Linear,
    #[module(skip)]
    time: G::Time,
    outputs: usize,
}

/// How the nodes of a cyclic graph are evaluated.
#[derive(Clone, Debug)]
pub enum Time {
    /// In this many steps.
    Steps(usize),
    /// As an ordinary differential equation from time 0 to 1.
    Continuous(Integrator),
}

/// The graph of a tiny classifier, between stem and head.
pub trait TinyGraph: Module + ModuleDisplay {
    /// How its nodes are evaluated.
    type Time: Clone + std::fmt::Debug + Send + Sync;

    /// The final state of the last `outputs` nodes, `[batch, outputs, height, width]`.
    ///
    /// # Errors
    /// [`OdeError`] if time is continuous and the ODE cannot be solved.
    fn hold(
        &self,
        stem: Tensor<4>,
        outputs: usize,
        time: &Self::Time,
    ) -> Result<Tensor<4>, OdeError>;

    /// The output of every node, `[batch, nodes, height, width]`, in parts.
    ///
    /// # Errors
    /// [`OdeError`] if time is continuous and the ODE cannot be solved.
    fn activations(&self, stem: Tensor<4>, time: &Self::Time) -> Result<Vec<Tensor<4>>, OdeError>;

    /// Adds the graph to a circuit. The last `outputs` channels of the returned value, or all if there are no more, are the output nodes.
    ///
    /// # Errors
    /// [`NoCircuit`] if the steps do not fit, or depend on the image.
    fn write(
        &self,
        writer: &mut CircuitWriter,
        stem: ValueId,
        time: &Self::Time,
    ) -> Result<ValueId, NoCircuit>;

    /// The drawing of the graph, with the last `outputs` nodes as outputs.
    fn drawing(&self, inputs: usize, outputs: usize) -> Drawing;
}

impl TinyGraph for NeuralGraph<ImageNodes> {
    type Time = ();

    fn hold(&self, stem: Tensor<4>, _: usize, (): &()) -> Result<Tensor<4>, OdeError> {
        Ok(self.forward(stem))
    }

    fn activations(&self, stem: Tensor<4>, (): &()) -> Result<Vec<Tensor<4>>, OdeError> {
        Ok(self.pass(stem).activations)
    }

    fn write(
        &self,
        writer: &mut CircuitWriter,
        stem: ValueId,
        (): &(),
    ) -> Result<ValueId, NoCircuit> {
        Ok(writer.graph("graph", stem, self)?)
    }

    fn drawing(&self, _: usize, _: usize) -> Drawing {
        let kernels: Vec<f32> = self.function.kernel.val().to_data().iter().collect();
        Drawing::of_graph(self.spec(), "graph.weight", &kernels, 9)
    }
}

impl TinyGraph for CyclicGraph {
    type Time = Time;

    fn hold(&self, stem: Tensor<4>, outputs: usize, time: &Time) -> Result<Tensor<4>, OdeError> {
        let (nodes, batch) = (self.nodes(), stem.dims()[0]);
        let outputs = nodes - outputs..nodes;
        match time {
            Time::Steps(steps) => Ok(self.field().after(stem, *steps, outputs)),
            Time::Continuous(integrator) => {
                let state = continuous::solve(self, self.start(stem), integrator)?;
                Ok(state.slice([0..batch, outputs]))
            }
        }
    }

    fn activations(&self, stem: Tensor<4>, time: &Time) -> Result<Vec<Tensor<4>>, OdeError> {
        let start = self.start(stem);
        let activations = match time {
            Time::Steps(steps) => self.field().steps(start, *steps).output,
            Time::Continuous(integrator) => {
                let state = continuous::solve(self, start, integrator)?;
                self.field().output(state)
            }
        };
        Ok(vec![activations])
    }

    fn write(
        &self,
        writer: &mut CircuitWriter,
        stem: ValueId,
        time: &Time,
    ) -> Result<ValueId, NoCircuit> {
        let [inputs, height, width] = writer.steps.shape(stem);
        let mut state = stem;
        if inputs < self.nodes() {
            let others = writer.steps.zeros([self.nodes() - inputs, height, width])?;
            state = writer.steps.concat(&[stem, others])?;
        }
        let field = writer.field("graph", self)?;
        match time {
            Time::Steps(steps) => {
                for _ in 0..*steps {
                    state = field(writer, state)?;
                }
                Ok(state)
            }
            Time::Continuous(integrator) => continuous::write(writer, field, state, integrator),
        }
    }

    fn drawing(&self, inputs: usize, outputs: usize) -> Drawing {
        let kernels: Vec<f32> = self.function.kernel.val().to_data().iter().collect();
        Drawing::of_cyclic_graph(self.nodes(), inputs, outputs, "graph.weight", &kernels, 9)
    }
}

/// The layers before the graph.
#[derive(Module, Debug)]
pub struct Stem {
    /// 3x3, stride 2.
    pub conv1: Conv2d,
    /// Its batch norm.
    pub norm1: BatchNorm,
    /// Depthwise 3x3, stride 2.
    pub conv2: Conv2d,
    /// 1x1.
    pub conv3: Conv2d,
    /// Its batch norm.
    pub norm2: BatchNorm,
}

impl Stem {
    fn new(image: [usize; 3], to: usize, device: &Device) -> Result<Self, ModelError> {
        let [channels, height, width] = image;
        if height < 32 || width < 32 {
            return Err(ModelError::Image {
                expected: "at least 32 x 32 pixels",
                found: image,
            });
        }
        let half = to / 2;
        if half == 0 {
            return Err(ModelError::Zero { field: "stem" });
        }
        let conv = |from, to, size| Conv2dConfig::new([from, to], [size, size]);
        let halving = |config: Conv2dConfig| {
            config
                .with_stride([2, 2])
                .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
        };
        Ok(Self {
            conv1: halving(conv(channels, half, 3)).init(device),
            norm1: BatchNormConfig::new(half).init(device),
            conv2: halving(conv(half, half, 3)).with_groups(half).init(device),
            conv3: conv(half, to, 1).init(device),
            norm2: BatchNormConfig::new(to).init(device),
        })
    }

    fn forward(&self, images: Tensor<4>) -> Tensor<4> {
        let x = batch_norm_rectified(&self.norm1, convolve(&self.conv1, images));
        batch_norm(&self.norm2, convolve(&self.conv3, convolve(&self.conv2, x)))
    }

    fn write(&self, writer: &mut CircuitWriter, x: ValueId) -> Result<ValueId, CircuitError> {
        let x = writer.conv("stem.conv1", x, &self.conv1)?;
        let x = writer.batch_norm("stem.norm1", x, &self.norm1)?;
        let x = writer.steps.relu(x)?;
        let x = writer.conv("stem.conv2", x, &self.conv2)?;
        let x = writer.conv("stem.conv3", x, &self.conv3)?;
        writer.batch_norm("stem.norm2", x, &self.norm2)
    }
}

impl<G: TinyGraph> Tiny<G> {
    /// Computes the logits. The ODE of a model in continuous time may have no solution: its state can diverge or need more evaluations than
    /// the limit.
    ///
    /// # Shapes
    /// - `images`: `[batch, channels, height, width]`
    /// - result: `[batch, classes]`
    ///
    /// # Errors
    /// [`OdeError`] if time is continuous and the ODE cannot be solved.
    pub fn try_forward(&self, images: Tensor<4>) -> Result<Tensor<2>, OdeError> {
        let stem = self.stem.forward(images);
        Ok(self.head(self.graph.hold(stem, self.outputs, &self.time)?))
    }

    fn head(&self, state: Tensor<4>) -> Tensor<2> {
        let [batch, _, height, width] = state.dims();
        // The published crop and pooling use the top-left 2 x 2 pixels of the 3 x 3 centre.
        let (top, left) = (height / 2 - 2, width / 2 - 2);
        let outputs = 0..self.outputs;
        let centre = state.slice([0..batch, outputs, top..top + 3, left..left + 3]);
        let pooled = avg_pool2d(centre, AvgPoolOptions::new([2, 2]));
        apply(&self.fc, pooled.reshape([batch, self.outputs]))
    }
}

impl<G: TinyGraph> Classifier for Tiny<G> {
    /// Computes the logits. They are NaN if [`Tiny::try_forward`] returns an error, as for any other model that diverges.
    fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let batch = images.dims()[0];
        self.try_forward(images).unwrap_or_else(|_| {
            let bias = self.fc.bias.as_ref().expect("the head has a bias").val();
            (bias * f32::NAN).unsqueeze::<2>().repeat_dim(0, batch)
        })
    }

    fn circuit(&self, image: [usize; 3]) -> Result<Circuit, NoCircuit> {
        let mut writer = CircuitWriter::new(image)?;
        writer.steps.layer("stem");
        let image = writer.steps.input();
        let stem = self.stem.write(&mut writer, image)?;
        writer.steps.layer("graph");
        let state = self.graph.write(&mut writer, stem, &self.time)?;
        writer.steps.layer("fc");
        let [nodes, height, width] = writer.steps.shape(state);
        let outputs = writer.steps.select(state, nodes - self.outputs..nodes)?;
        let corner = [height, width].map(|side| (side / 2).saturating_sub(2));
        let centre = writer.steps.crop(outputs, corner, [3, 3])?;
        let pooled = writer.steps.average_pool(centre, [2, 2], [2, 2])?;
        let logits = writer.linear("fc", pooled, &self.fc)?;
        writer.finish(logits)
    }

    fn drawing(&self) -> Option<Drawing> {
        let inputs = self.stem.norm2.gamma.lazy_shape()[0];
        Some(self.graph.drawing(inputs, self.outputs))
    }

    fn node_maps(&self, images: Tensor<4>) -> Option<Tensor<4>> {
        let activations = self
            .graph
            .activations(self.stem.forward(images), &self.time);
        Some(Tensor::cat(activations.ok()?, 1))
    }
}
