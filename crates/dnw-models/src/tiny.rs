//! The published tiny CIFAR-10 classifiers (Wortsman et al. 2019, section 4.1), about 41k active parameters.
//!
//! Stem: conv 3x3/2, batch norm, ReLU, depthwise 3x3/2, conv 1x1, batch norm. Graph: 800 nodes, of which the first 32
//! take the stem's channels and the last 100 are outputs. Head: the 3 x 3 centre of the output maps, its top-left 2 x 2
//! averaged, and a linear layer.
//!
//! The three differ in how the nodes run, and in nothing else: level by level ([`TinyStatic`]), all at once in so many steps, or
//! as a differential equation (both [`TinyCyclic`]).

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
use dnw_ode::{Integrator, OdeError};

use crate::circuit::CircuitWriter;
use crate::{Classifier, Drawing, ModelError, NoCircuit};

/// Nodes that run level by level, edges that lead to later levels.
pub type TinyStatic = Tiny<NeuralGraph<ImageNodes>>;

/// Nodes that run together, edges that may close cycles.
pub type TinyCyclic = Tiny<CyclicGraph>;

/// A tiny classifier.
#[derive(Module, Debug)]
pub struct Tiny<G: TinyGraph> {
    /// From pixels to the input nodes.
    pub stem: Stem,
    /// The graph.
    pub graph: G,
    /// The classes, from the pooled output nodes.
    pub fc: Linear,
    #[module(skip)]
    time: G::Time,
    outputs: usize,
}

/// How nodes run that do so all at once.
#[derive(Clone, Debug)]
pub enum Time {
    /// So often.
    Steps(usize),
    /// At every moment between 0 and 1.
    Continuous(Integrator),
}

/// What stands between the stem and the head.
pub trait TinyGraph: Module + ModuleDisplay {
    /// How its nodes run.
    type Time: Clone + std::fmt::Debug + Send + Sync;

    /// What the last `outputs` nodes hold in the end, `[batch, outputs, height, width]`.
    ///
    /// # Errors
    /// [`OdeError`] if time is continuous and the equation cannot be solved.
    fn hold(
        &self,
        stem: Tensor<4>,
        outputs: usize,
        time: &Self::Time,
    ) -> Result<Tensor<4>, OdeError>;

    /// What every node gave on the way there, `[batch, nodes, height, width]`, in parts.
    ///
    /// # Errors
    /// [`OdeError`] if time is continuous and the equation cannot be solved.
    fn given(&self, stem: Tensor<4>, time: &Self::Time) -> Result<Vec<Tensor<4>>, OdeError>;

    /// Writes the graph over the stem's maps; the value's last `outputs` channels, or all where there are no more, are what the
    /// output nodes hold.
    ///
    /// # Errors
    /// [`NoCircuit`] if it does not fit, or its steps depend on the image.
    fn write(
        &self,
        writer: &mut CircuitWriter,
        stem: ValueId,
        time: &Self::Time,
    ) -> Result<ValueId, NoCircuit>;

    /// How the graph is drawn, the last `outputs` nodes being its result.
    fn drawing(&self, inputs: usize, outputs: usize) -> Drawing;
}

impl TinyGraph for NeuralGraph<ImageNodes> {
    type Time = ();

    fn hold(&self, stem: Tensor<4>, _: usize, (): &()) -> Result<Tensor<4>, OdeError> {
        Ok(self.forward(stem))
    }

    fn given(&self, stem: Tensor<4>, (): &()) -> Result<Vec<Tensor<4>>, OdeError> {
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

    fn given(&self, stem: Tensor<4>, time: &Time) -> Result<Vec<Tensor<4>>, OdeError> {
        let start = self.start(stem);
        let given = match time {
            Time::Steps(steps) => self.field().steps(start, *steps).output,
            Time::Continuous(integrator) => {
                let state = continuous::solve(self, start, integrator)?;
                self.field().output(state)
            }
        };
        Ok(vec![given])
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

/// What precedes the graph.
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
        let x = batch_norm_rectified(&self.norm1, self.conv1.forward(images));
        batch_norm(&self.norm2, self.conv3.forward(self.conv2.forward(x)))
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
    /// The classes' scores, or why the equation of a model in continuous time has no solution: its state grew without bound, or
    /// too fast for the limit on evaluations.
    ///
    /// # Shapes
    /// - `images`: `[batch, channels, height, width]`
    /// - result: `[batch, classes]`
    ///
    /// # Errors
    /// [`OdeError`] if time is continuous and the equation cannot be solved.
    pub fn try_forward(&self, images: Tensor<4>) -> Result<Tensor<2>, OdeError> {
        let stem = self.stem.forward(images);
        Ok(self.head(self.graph.hold(stem, self.outputs, &self.time)?))
    }

    fn head(&self, state: Tensor<4>) -> Tensor<2> {
        let [batch, _, height, width] = state.dims();
        // The published crop and pool keep the top-left 2 x 2 of the 3 x 3 centre.
        let (top, left) = (height / 2 - 2, width / 2 - 2);
        let outputs = 0..self.outputs;
        let centre = state.slice([0..batch, outputs, top..top + 3, left..left + 3]);
        let pooled = avg_pool2d(centre, AvgPoolOptions::new([2, 2]));
        self.fc.forward(pooled.reshape([batch, self.outputs]))
    }
}

impl<G: TinyGraph> Classifier for Tiny<G> {
    /// Scores that are not numbers where [`Tiny::try_forward`] gives an error: a model that diverges, as any other may.
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
        let given = self.graph.given(self.stem.forward(images), &self.time);
        Some(Tensor::cat(given.ok()?, 1))
    }
}
