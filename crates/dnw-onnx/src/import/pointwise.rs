//! Functions of single pixels, and softmax.

use dnw_circuit::{Activation, CircuitError, Function, ValueId};

use super::arithmetic::per_channel;
use super::importer::Importer;
use super::values::{Maps, finite};
use crate::ImportError;
use crate::node::Node;

impl Importer {
    pub fn identity(&mut self, node: &Node) -> Result<Maps, ImportError> {
        if node.operator == "Dropout" {
            let training = self.constant(node, 2).map(|flag| flag.to_floats());
            if training.is_some_and(|flag| flag != [0.0]) {
                return Err(node.unsupported(
                    "it is in training mode",
                    "call `model.eval()` before the export",
                ));
            }
        }
        if node.operator == "Cast" && node.int("to") != Some(1) {
            return Err(node.unsupported(
                "feature maps are converted to another type",
                "export the model with 32-bit floats",
            ));
        }
        self.maps(node, 0)
    }

    pub fn activation(&mut self, node: &Node) -> Result<Maps, ImportError> {
        let maps = self.maps(node, 0)?;
        let plain = self.plain(&maps);
        let x = node.circuit(plain)?;
        let float = |name: &str, default: f64| node.float(name).map_or(default, f64::from);
        let hard = |slope, shift| Function::HardSigmoid { slope, shift };
        let result = match node.operator.as_str() {
            "Relu" => self.circuit.relu(x),
            "Clip" => {
                let (low, high) = self.bounds(node)?;
                self.clip(x, low, high)
            }
            "LeakyRelu" => {
                let slope = float("alpha", 0.01);
                let leaky = Activation::plain(Function::LeakyRelu { slope });
                self.circuit.activation(x, leaky)
            }
            "PRelu" => return self.prelu(node, &maps, x),
            "HardSigmoid" => {
                let function = hard(float("alpha", 0.2), float("beta", 0.5));
                self.circuit.activation(x, Activation::plain(function))
            }
            "HardSwish" => {
                let function = hard(1.0 / 6.0, 0.5);
                self.circuit.activation(x, Activation::gated(function))
            }
            "Swish" if float("alpha", 1.0) == 1.0 => self
                .circuit
                .activation(x, Activation::gated(Function::Sigmoid)),
            "Sigmoid" => self
                .circuit
                .activation(x, Activation::plain(Function::Sigmoid)),
            // tanh(x) = 2 sigmoid(2 x) - 1.
            "Tanh" => self.tanh(x),
            _ => {
                return Err(node.unsupported(
                    "its `alpha` is not 1",
                    "SiLU, which is Swish with an `alpha` of 1, is supported",
                ));
            }
        };
        Ok(Maps::new(node.circuit(result)?, maps.dims))
    }

    fn tanh(&mut self, x: ValueId) -> Result<ValueId, CircuitError> {
        let channels = self.circuit.shape(x)[0];
        let twice = self.affine(x, vec![2.0; channels], vec![0.0; channels])?;
        let sigmoid = Activation::plain(Function::Sigmoid);
        let half = self.circuit.activation(twice, sigmoid)?;
        self.affine(half, vec![2.0; channels], vec![-1.0; channels])
    }

    /// The bounds of a clip: attributes at first, inputs since version 11.
    fn bounds(&self, node: &Node) -> Result<(f32, f32), ImportError> {
        let bound = |at: usize, name: &str, otherwise: f32| match node.input(at) {
            None => Ok(node.float(name).unwrap_or(otherwise)),
            Some(_) => match self.known(node, at, "a bound")?.to_floats()[..] {
                [bound] => Ok(bound),
                _ => Err(node.invalid("a bound is not one number")),
            },
        };
        let (low, high) = (bound(1, "min", f32::MIN)?, bound(2, "max", f32::MAX)?);
        if low.is_nan() || high.is_nan() || low > high {
            return Err(node.invalid(format!("its bounds are {low} and {high}")));
        }
        Ok((low, high))
    }

    pub(super) fn clip(
        &mut self,
        x: ValueId,
        low: f32,
        high: f32,
    ) -> Result<ValueId, CircuitError> {
        if low == 0.0 && high >= f32::MAX {
            return self.circuit.relu(x);
        }
        let finite = |bound: f32| f64::from(bound.clamp(f32::MIN, f32::MAX));
        let clip = Function::Clip {
            low: finite(low),
            high: finite(high),
        };
        self.circuit.activation(x, Activation::plain(clip))
    }

    /// `max(x, 0) - slope max(-x, 0)`.
    fn prelu(&mut self, node: &Node, maps: &Maps, x: ValueId) -> Result<Maps, ImportError> {
        let slopes = self.known(node, 1, "its slope")?;
        let values = slopes.to_floats();
        finite(node, "its slope", &values)?;
        if let [slope] = values[..] {
            let slope = f64::from(slope);
            let leaky = Activation::plain(Function::LeakyRelu { slope });
            let result = self.circuit.activation(x, leaky);
            return Ok(Maps::new(node.circuit(result)?, maps.dims.clone()));
        }
        let channels = self.circuit.shape(x)[0];
        let Some(slopes) = per_channel(&slopes, &maps.dims).filter(|s| s.len() == channels) else {
            return Err(node.unsupported(
                format!("its slopes have the shape {:?}", slopes.dims),
                "one slope, or one for each channel, is supported",
            ));
        };
        let mut sum = || {
            let positive = self.circuit.relu(x)?;
            let negated = self.affine(x, vec![-1.0; channels], vec![0.0; channels])?;
            let negative = self.circuit.relu(negated)?;
            let slopes = slopes.iter().map(|slope| -slope).collect();
            let scaled = self.affine(negative, slopes, vec![0.0; channels])?;
            self.circuit.add(&[positive, scaled])
        };
        let sum = sum();
        Ok(Maps::new(node.circuit(sum)?, maps.dims.clone()))
    }

    pub fn softmax(&mut self, node: &Node) -> Result<Maps, ImportError> {
        let maps = self.maps(node, 0)?;
        let rank = maps.dims.len();
        let default = if self.opset < 13 { 1 } else { -1 };
        let axis = super::shapes::axis(node.int("axis").unwrap_or(default), rank);
        let plain = self.plain(&maps);
        let mut x = node.circuit(plain)?;
        let whole = |dims: &[usize]| dims.iter().product::<usize>() == 1;
        let fits = match axis {
            // Over all that follows.
            Some(axis) if self.opset < 13 => whole(&maps.dims[..axis]),
            Some(axis) => {
                let [channels, ..] = self.circuit.shape(x);
                let over_channels = axis == 1 && maps.dims[1] == channels && maps.dims[0] == 1;
                if over_channels {
                    let softmax = self.circuit.softmax(x);
                    return Ok(Maps::new(node.circuit(softmax)?, maps.dims));
                }
                whole(&maps.dims[..axis]) && whole(&maps.dims[axis + 1..])
            }
            None => false,
        };
        if !fits {
            return Err(node.unsupported(
                format!("it is over axis {axis:?} of the shape {:?}", maps.dims),
                "a softmax over the channels or over one vector is supported",
            ));
        }
        let numbers = self.circuit.shape(x).iter().product();
        x = self.as_shape(node, &Maps::new(x, maps.dims.clone()), [numbers, 1, 1])?;
        let softmax = self.circuit.softmax(x);
        Ok(Maps::new(node.circuit(softmax)?, maps.dims))
    }
}
