//! A static graph over the folded pixels of a small image.
//!
//! There is no stem: every `fold` x `fold` block of pixels becomes `fold²` channels, one input node each, so that all learning
//! happens in the displayed nodes and edges. The output nodes pass a norm and a ReLU and are averaged over a grid; a small
//! dense layer computes the logits.

use burn::module::Module;
use burn::nn::{Initializer, InstanceNorm, InstanceNormConfig, Linear, LinearConfig};
use burn::tensor::module::avg_pool2d;
use burn::tensor::ops::AvgPoolOptions;
use burn::tensor::{Device, Tensor, activation};
use dnw_circuit::Circuit;
use dnw_core::graph::{
    GraphConfig, GraphError, GraphSpec, ImageNodes, NeuralGraph, Outputs, instance_norm, random,
};
use dnw_core::layers::apply;
use serde::{Deserialize, Serialize};

use crate::circuit::CircuitWriter;
use crate::{Classifier, Drawing, ModelError, NoCircuit};

/// Configuration of a [`GraphClassifier`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct GraphClassifierConfig {
    /// Side of the pixel blocks that become input nodes.
    pub fold: usize,
    /// Nodes of each hidden level. With random `wires` only their sum is used: the edges determine the levels.
    pub levels: Vec<usize>,
    /// The possible edges. The default is from each level to every later one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wires: Option<Wires>,
    /// Output nodes.
    pub outputs: usize,
    /// Cells per side of the grid over which output nodes are averaged.
    pub grid: usize,
    /// Standard deviation of the initial edge weights. The forward pass is independent of it, because norms follow; with smaller weights more
    /// edges swap.
    pub edge_std: f64,
}

/// Random possible edges between the hidden nodes, from a random graph model ([`dnw_core::graph::random`]). Nodes without an edge in are
/// connected to every input, nodes without an edge out to every output.
///
/// With the rule `complete` this is a randomly wired network (Xie et al. 2019); with other rules the wiring is discovered among
/// these edges.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", deny_unknown_fields, rename_all = "kebab-case")]
pub enum Wires {
    /// Erdos-Renyi: each edge with the same probability.
    ErdosRenyi {
        /// The probability.
        probability: f64,
        /// The seed of the graph.
        seed: u64,
    },
    /// Barabasi-Albert: each node connects to earlier nodes, preferably to those with many edges.
    BarabasiAlbert {
        /// Edges per new node.
        edges: usize,
        /// The seed of the graph.
        seed: u64,
    },
    /// Watts-Strogatz: a ring in which some edges are rewired.
    WattsStrogatz {
        /// Neighbours of each node in the ring.
        neighbours: usize,
        /// The fraction of rewired edges.
        rewired: f64,
        /// The seed of the graph.
        seed: u64,
    },
}

impl Wires {
    fn edges(&self, nodes: usize) -> Result<Vec<random::Edge>, GraphError> {
        match *self {
            Self::ErdosRenyi { probability, seed } => random::erdos_renyi(nodes, probability, seed),
            Self::BarabasiAlbert { edges, seed } => random::barabasi_albert(nodes, edges, seed),
            Self::WattsStrogatz {
                neighbours,
                rewired,
                seed,
            } => random::watts_strogatz(nodes, neighbours, rewired, seed),
        }
    }
}

/// A graph classifier.
#[derive(Module, Debug)]
pub struct GraphClassifier {
    /// The graph.
    pub graph: NeuralGraph<ImageNodes>,
    /// The norm of the output nodes.
    pub norm: InstanceNorm,
    /// The linear layer from the averaged output nodes to the logits.
    pub fc: Linear,
    fold: usize,
    grid: usize,
}

impl GraphClassifierConfig {
    /// Builds the model for images `[channels, height, width]`.
    ///
    /// # Errors
    /// [`ModelError`] if the image's size is not a multiple of the fold, a size is zero, or the graph is invalid.
    pub fn init(
        &self,
        image: [usize; 3],
        classes: usize,
        device: &Device,
    ) -> Result<GraphClassifier, ModelError> {
        let [channels, height, width] = image;
        if self.fold == 0 {
            return Err(ModelError::Zero { field: "fold" });
        }
        if self.grid == 0 {
            return Err(ModelError::Zero { field: "grid" });
        }
        if height % self.fold != 0 || width % self.fold != 0 {
            return Err(ModelError::Fold {
                height,
                width,
                fold: self.fold,
            });
        }
        let side = height.min(width) / self.fold;
        if self.grid > side {
            return Err(ModelError::Grid {
                grid: self.grid,
                side,
            });
        }
        let spec = self.spec(channels * self.fold * self.fold)?;
        let nodes = ImageNodes::new(&spec, device);
        let begin = Initializer::Normal {
            mean: 0.0,
            std: self.edge_std,
        };
        Ok(GraphClassifier {
            graph: GraphConfig::new(spec)
                .with_initializer(begin)
                .init(nodes, device),
            norm: InstanceNormConfig::new(self.outputs).init(device),
            fc: LinearConfig::new(self.outputs * self.grid * self.grid, classes).init(device),
            fold: self.fold,
            grid: self.grid,
        })
    }
}

impl GraphClassifierConfig {
    /// The graph with this many inputs.
    fn spec(&self, inputs: usize) -> Result<GraphSpec, GraphError> {
        let Some(wires) = &self.wires else {
            let levels = [&[inputs], self.levels.as_slice()].concat();
            return GraphSpec::levels(levels, Outputs::OwnLevel(self.outputs));
        };
        let nodes = self.levels.iter().sum();
        let (spec, _) = random::around(inputs, nodes, self.outputs, &wires.edges(nodes)?)?;
        Ok(spec)
    }
}

impl GraphClassifier {
    /// `[batch, channels, h, w]` to `[batch, channels * fold², h / fold, w / fold]`.
    fn fold(&self, images: Tensor<4>) -> Tensor<4> {
        let [batch, channels, height, width] = images.dims();
        let (f, h, w) = (self.fold, height / self.fold, width / self.fold);
        images
            .reshape([batch, channels, h, f, w, f])
            .permute([0, 1, 3, 5, 2, 4])
            .reshape([batch, channels * f * f, h, w])
    }
}

/// Averages feature maps over a grid of `cells` x `cells` cells of about equal size: `[batch, channels, cells, cells]`.
fn average_over_grid(maps: Tensor<4>, cells: usize) -> Tensor<4> {
    let [_, _, height, width] = maps.dims();
    let [kernel, stride] = cells_of([height, width], cells);
    avg_pool2d(maps, AvgPoolOptions::new(kernel).with_stride(stride))
}

/// Size and stride of the cells of a grid over feature maps of this size.
fn cells_of(sides: [usize; 2], cells: usize) -> [[usize; 2]; 2] {
    let stride = sides.map(|side| (side / cells).max(1));
    let kernel = [0, 1].map(|i| sides[i].saturating_sub((cells - 1) * stride[i]));
    [kernel, stride]
}

impl Classifier for GraphClassifier {
    fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let gathered = self.graph.forward(self.fold(images));
        let active = activation::relu(instance_norm(&self.norm, gathered));
        let cells = average_over_grid(active, self.grid);
        apply(&self.fc, cells.flatten::<2>(1, 3))
    }

    fn circuit(&self, image: [usize; 3]) -> Result<Circuit, NoCircuit> {
        let mut writer = CircuitWriter::new(image)?;
        let folded = writer.steps.fold(writer.steps.input(), self.fold)?;
        writer.steps.layer("graph");
        let gathered = writer.graph("graph", folded, &self.graph)?;
        writer.steps.layer("fc");
        let affine = writer.instance_norm("norm", &self.norm)?;
        let epsilon = self.norm.epsilon;
        let normed = writer.steps.instance_norm(gathered, affine, epsilon)?;
        let active = writer.steps.relu(normed)?;
        let [_, height, width] = writer.steps.shape(active);
        let [kernel, stride] = cells_of([height, width], self.grid);
        let cells = writer.steps.average_pool(active, kernel, stride)?;
        let cells = writer.steps.flatten(cells)?;
        let logits = writer.linear("fc", cells, &self.fc)?;
        writer.finish(logits)
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
        let pass = self.graph.pass(self.fold(images));
        let outputs = activation::relu(instance_norm(&self.norm, pass.outputs));
        Some(Tensor::cat(
            pass.activations.into_iter().chain([outputs]).collect(),
            1,
        ))
    }
}
