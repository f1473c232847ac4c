//! Neural graphs as circuit steps.

use std::ops::Range;

use dnw_circuit::{Block, CircuitError, Tensor as Numbers, TensorId, ValueId, Window};
use dnw_core::Wiring;
use dnw_core::graph::{
    BatchNodes, CyclicGraph, GraphSpec, ImageNodes, NeuralGraph, NodeFunction, Outputs,
};

use super::{CircuitWriter, floats};

/// A node function that can be written as circuit steps.
pub trait NodeSteps: NodeFunction {
    /// Adds the tensors of all levels.
    ///
    /// # Errors
    /// [`CircuitError`] if a name is already used.
    fn tensors(
        &self,
        writer: &mut CircuitWriter,
        path: &str,
    ) -> Result<Vec<TensorId>, CircuitError>;

    /// Adds the steps of [`NodeFunction::forward`] on `x`.
    ///
    /// # Errors
    /// [`CircuitError`] if the steps do not fit.
    fn steps(
        &self,
        writer: &mut CircuitWriter,
        path: &str,
        tensors: &[TensorId],
        level: (usize, Range<usize>),
        x: ValueId,
    ) -> Result<ValueId, CircuitError>;
}

impl NodeSteps for ImageNodes {
    fn tensors(
        &self,
        writer: &mut CircuitWriter,
        path: &str,
    ) -> Result<Vec<TensorId>, CircuitError> {
        let kernels = writer.weight(&format!("{path}.kernel"), &self.kernel)?;
        Ok(vec![kernels])
    }

    fn steps(
        &self,
        writer: &mut CircuitWriter,
        path: &str,
        tensors: &[TensorId],
        (level, nodes): (usize, Range<usize>),
        x: ValueId,
    ) -> Result<ValueId, CircuitError> {
        let norm = &self.norm[level];
        let affine = writer.instance_norm(&format!("{path}.norm.{level}"), norm)?;
        let x = writer.steps.instance_norm(x, affine, norm.epsilon)?;
        let x = writer.steps.relu(x)?;
        let kernels = Block::rows(tensors[0], nodes);
        writer
            .steps
            .depthwise(x, kernels, None, Window::square(1, 1))
    }
}

impl NodeSteps for BatchNodes {
    fn tensors(
        &self,
        writer: &mut CircuitWriter,
        path: &str,
    ) -> Result<Vec<TensorId>, CircuitError> {
        let inputs = writer.weight(&format!("{path}.input_kernel"), &self.input_kernel)?;
        let later = self.kernel.iter();
        let later = later.map(|kernel| writer.weight(&format!("{path}.kernel"), kernel));
        std::iter::once(Ok(inputs)).chain(later).collect()
    }

    fn steps(
        &self,
        writer: &mut CircuitWriter,
        path: &str,
        tensors: &[TensorId],
        (level, nodes): (usize, Range<usize>),
        x: ValueId,
    ) -> Result<ValueId, CircuitError> {
        let x = writer.batch_norm(&format!("{path}.norm.{level}"), x, &self.norm[level])?;
        let x = writer.steps.relu(x)?;
        let (kernels, window) = if level == 0 {
            (
                Block::rows(tensors[0], nodes),
                Window::square(self.stride, 1),
            )
        } else {
            let inputs = self.input_kernel.lazy_shape()[0];
            let own = nodes.start - inputs..nodes.end - inputs;
            (Block::rows(tensors[1], own), Window::square(1, 1))
        };
        writer.steps.depthwise(x, kernels, None, window)
    }
}

impl CircuitWriter {
    /// Adds a static graph; returns its output nodes.
    ///
    /// # Errors
    /// [`CircuitError`] if it does not fit.
    pub fn graph<F: NodeSteps>(
        &mut self,
        path: &str,
        input: ValueId,
        graph: &NeuralGraph<F>,
    ) -> Result<ValueId, CircuitError> {
        let spec = graph.spec();
        let (shape, values) = (graph.weight.base().dims(), floats(&graph.weight.val()));
        let real = readable(spec, &graph.wiring()).to_mask();
        let weight = format!("{path}.weight");
        let edges = self
            .steps
            .tensor(Numbers::edges(weight, shape, values, real))?;
        let function = format!("{path}.function");
        let tensors = graph.function.tensors(self, &function)?;
        let first = spec.first_target();
        let block = |targets: Range<usize>, sources: Range<usize>| {
            Block::new(edges, targets.start - first..targets.end - first, sources)
        };
        let (mut activations, mut gathered) = (Vec::new(), input);
        for level in 0..spec.function_levels().len() {
            let nodes = spec.level(level);
            if level > 0 {
                let edges = block(nodes.clone(), 0..nodes.start);
                gathered = self.gather(&activations, edges)?;
            }
            let level = (level, nodes);
            let output = graph
                .function
                .steps(self, &function, &tensors, level, gathered)?;
            activations.push(output);
        }
        let outputs = spec.output_nodes();
        match spec.outputs() {
            Outputs::OwnLevel(_) => {
                self.gather(&activations, block(outputs, 0..spec.function_nodes()))
            }
            Outputs::InLastLevel(n) => {
                let last = spec.level(spec.function_levels().len() - 1);
                let held = self.steps.select(gathered, last.len() - n..last.len())?;
                let again =
                    self.gather(&activations[activations.len() - 1..], block(outputs, last))?;
                self.steps.add(&[held, again])
            }
        }
    }

    /// Adds the tensors of a cyclic graph. Returns a function that adds one evaluation of its vector field to a state.
    ///
    /// # Errors
    /// [`CircuitError`] if a name is already used.
    pub fn field(
        &mut self,
        path: &str,
        graph: &CyclicGraph,
    ) -> Result<impl Fn(&mut Self, ValueId) -> Result<ValueId, CircuitError> + use<>, CircuitError>
    {
        let edges = self.weight(&format!("{path}.weight"), &graph.weight)?;
        let edges = self.steps.whole(edges);
        let function = &graph.function;
        let kernels = self.weight(&format!("{path}.function.kernel"), &function.kernel)?;
        let kernels = self.steps.whole(kernels);
        let affine = self.instance_norm(&format!("{path}.function.norm"), &function.norm)?;
        let epsilon = function.norm.epsilon;
        Ok(move |writer: &mut Self, state| {
            let steps = &mut writer.steps;
            let x = steps.relu(state)?;
            let x = steps.depthwise(x, kernels.clone(), None, Window::square(1, 1))?;
            let x = steps.conv(x, edges.clone(), None, Window::default())?;
            steps.instance_norm(x, affine.clone(), epsilon)
        })
    }

    fn gather(&mut self, activations: &[ValueId], edges: Block) -> Result<ValueId, CircuitError> {
        let x = self.steps.concat(activations)?;
        self.steps.conv(x, edges, None, Window::default())
    }
}

/// Removes real edges that are illegal although the graph's levels would allow them, because the forward pass masks them. Real edges that the
/// forward pass never reads are kept, because they use budget and are counted.
fn readable(spec: &GraphSpec, wiring: &Wiring) -> Wiring {
    let levels = spec.function_levels().to_vec();
    let of_levels = GraphSpec::levels(levels, spec.outputs());
    let of_levels = of_levels.expect("the levels of a graph make one");
    wiring.difference(&of_levels.legal().difference(spec.legal()))
}
