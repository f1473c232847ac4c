//! What has been imported so far, and the shapes in which nodes read it.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use dnw_circuit::{Block, CircuitBuilder, CircuitError, Tensor, ValueId, Window};

use super::values::{Maps, Padding, Quantisation, Value, finite};
use crate::ImportError;
use crate::constant::{Constant, Tensors, count};
use crate::node::Node;

/// Taps of a convolution that only pads: one for each channel if both sides get as much, and more the more they differ.
const MOST_PADDING: usize = 1 << 24;
/// Columns of its kernel times pixels of a map: so many numbers a depthwise convolution with a large kernel keeps.
const MOST_MASKS: usize = 1 << 26;

/// What has been imported so far.
pub struct Importer {
    pub circuit: CircuitBuilder,
    pub values: HashMap<String, Value>,
    pub tensors: Tensors,
    /// Of the feature maps that are integers in the model.
    pub quantised: HashMap<String, Rc<Quantisation>>,
    /// Names of the circuit's tensors.
    pub names: HashSet<String>,
    pub opset: i64,
    /// The batch for which the model was written. One image of it is imported.
    pub batch: usize,
    /// Pixels of all values so far.
    pub pixels: u64,
}

impl Importer {
    pub fn constant(&self, node: &Node, at: usize) -> Option<Rc<Constant>> {
        match self.values.get(node.input(at)?) {
            Some(Value::Constant(constant)) => Some(constant.clone()),
            _ => None,
        }
    }

    /// An input that must be known.
    pub fn known(&self, node: &Node, at: usize, what: &str) -> Result<Rc<Constant>, ImportError> {
        self.constant(node, at).ok_or_else(|| {
            node.unsupported(
                format!("{what} is not a constant"),
                "export the model with fixed weights and shapes",
            )
        })
    }

    /// An input of feature maps.
    pub fn maps(&self, node: &Node, at: usize) -> Result<Maps, ImportError> {
        match node.input(at).and_then(|name| self.values.get(name)) {
            Some(Value::Maps(maps)) => Ok(maps.clone()),
            Some(Value::Constant(_)) => Err(node.unsupported(
                "its input is a constant",
                "simplify the model, such as by `onnxsim`, so that constants are folded",
            )),
            None => Err(node.invalid(format!("it has no input {at}"))),
        }
    }
}

impl Importer {
    /// The circuit's value, with its padding. Vectors have a channel for each number.
    pub fn plain(&mut self, maps: &Maps) -> Result<ValueId, CircuitError> {
        let value = self.padded(maps)?;
        let is_vector = maps.dims.iter().skip(2).all(|&size| size == 1);
        match self.circuit.shape(value) {
            [_, 1, 1] => Ok(value),
            _ if is_vector => self.circuit.flatten(value),
            _ => Ok(value),
        }
    }

    /// The circuit's value, with its padding, in whatever shape it has.
    pub fn padded(&mut self, maps: &Maps) -> Result<ValueId, CircuitError> {
        let Some(Padding { sides, value }) = maps.padding else {
            return Ok(maps.value);
        };
        // A depthwise convolution by one tap pads with zeros.
        let [channels, ..] = self.circuit.shape(maps.value);
        let x = self.affine(maps.value, vec![1.0; channels], vec![-value; channels])?;
        let most = sides.map(|[before, after]| before.max(after));
        let kernel: [usize; 2] =
            std::array::from_fn(|i| 2 * most[i] + 1 - sides[i][0] - sides[i][1]);
        let entries = count(&[channels, kernel[0], kernel[1]]);
        let [_, height, width] = self.circuit.shape(maps.value);
        let pixels =
            (height + sides[0][0] + sides[0][1]).saturating_mul(width + sides[1][0] + sides[1][1]);
        let masks = pixels.saturating_mul(kernel[1]);
        if entries.is_none_or(|entries| entries > MOST_PADDING) || masks > MOST_MASKS {
            let layer = "padding".to_owned();
            return Err(CircuitError::TooLarge { layer });
        }
        let at = (most[0] - sides[0][0]) * kernel[1] + most[1] - sides[1][0];
        let area = kernel[0] * kernel[1];
        let taps = (0..channels * area).map(|entry| f32::from(entry % area == at));
        let real = (0..channels * area).map(|entry| entry % area == at);
        let name = self.name("padding");
        let shape = [channels, 1, kernel[0], kernel[1]];
        let taps = Tensor::edges(name, shape, taps.collect(), real.collect());
        let weight = self.whole(taps)?;
        let window = Window {
            padding: most,
            ..Window::default()
        };
        let padded = self.circuit.depthwise(x, weight, None, window)?;
        self.affine(padded, vec![1.0; channels], vec![value; channels])
    }

    /// The circuit's value as `[channels, height, width]`: the dimensions without the batch.
    pub fn as_image(&mut self, node: &Node, maps: &Maps) -> Result<ValueId, ImportError> {
        let shape = match maps.dims[..] {
            [1, channels] => [channels, 1, 1],
            [1, channels, width] => [channels, 1, width],
            [1, channels, height, width] => [channels, height, width],
            ref dims => {
                return Err(node.unsupported(
                    format!("its input has the shape {dims:?}"),
                    "inputs of the shape [1, channels, height, width], [1, channels, width] or [1, channels] are supported",
                ));
            }
        };
        self.as_shape(node, maps, shape)
    }

    /// The circuit's value in this shape.
    pub fn as_shape(
        &mut self,
        node: &Node,
        maps: &Maps,
        shape: [usize; 3],
    ) -> Result<ValueId, ImportError> {
        let padded = self.padded(maps);
        let value = node.circuit(padded)?;
        let own = self.circuit.shape(value);
        if own == shape {
            return Ok(value);
        }
        let reshaped = match shape {
            [_, 1, 1] if own.iter().product::<usize>() == shape[0] => self.circuit.flatten(value),
            _ => self.circuit.reshape(value, shape),
        };
        node.circuit(reshaped)
    }

    /// `scale x + shift`, channel by channel.
    pub fn affine(
        &mut self,
        x: ValueId,
        scale: Vec<f32>,
        shift: Vec<f32>,
    ) -> Result<ValueId, CircuitError> {
        if scale.iter().all(|&a| a == 1.0) && shift.iter().all(|&b| b == 0.0) {
            return Ok(x);
        }
        let channels = scale.len();
        let scale = Tensor::norm(self.name("scale"), scale);
        let shift = Tensor::norm(self.name("shift"), shift);
        let mean = Tensor::statistic(self.name("mean"), vec![0.0; channels]);
        let variance = Tensor::statistic(self.name("variance"), vec![1.0; channels]);
        let affine = [self.whole(scale)?, self.whole(shift)?];
        let statistics = [self.whole(mean)?, self.whole(variance)?];
        self.circuit.batch_norm(x, statistics, affine, 0.0)
    }

    /// Adds a tensor and selects all of it.
    pub fn whole(&mut self, tensor: Tensor) -> Result<Block, CircuitError> {
        let tensor = self.circuit.tensor(tensor)?;
        Ok(self.circuit.whole(tensor))
    }

    /// A name that no tensor of the circuit has.
    pub fn name(&mut self, base: &str) -> String {
        let mut name = base.to_owned();
        let mut count = self.names.len();
        while !self.names.insert(name.clone()) {
            name = format!("{base} ({count})");
            count += 1;
        }
        name
    }

    /// The finite numbers of a constant vector of this length.
    pub fn vector(
        &self,
        node: &Node,
        at: usize,
        what: &str,
        length: usize,
    ) -> Result<Vec<f32>, ImportError> {
        let values = self.known(node, at, what)?.to_floats();
        if values.len() != length {
            return Err(node.invalid(format!(
                "{what} has {} values, and {length} are needed",
                values.len()
            )));
        }
        finite(node, what, &values)?;
        Ok(values)
    }
}
