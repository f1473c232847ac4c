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
            "Swish" => {
                let inner = self.scaled(node, x, float("alpha", 1.0) as f32, 0.0)?;
                match inner == x {
                    true => self
                        .circuit
                        .activation(x, Activation::gated(Function::Sigmoid)),
                    false => {
                        let gate = self.function(node, inner, Function::Sigmoid)?;
                        self.circuit.product(x, gate)
                    }
                }
            }
            "Sigmoid" => self
                .circuit
                .activation(x, Activation::plain(Function::Sigmoid)),
            "Softplus" => self
                .circuit
                .activation(x, Activation::plain(Function::Softplus)),
            "Exp" => self.circuit.activation(x, Activation::plain(Function::Exp)),
            "Log" => self.circuit.activation(x, Activation::plain(Function::Ln)),
            "Sqrt" => self
                .circuit
                .activation(x, Activation::plain(Function::Sqrt)),
            "Reciprocal" => self
                .circuit
                .activation(x, Activation::plain(Function::Reciprocal)),
            "Abs" => self.circuit.activation(x, Activation::plain(Function::Abs)),
            // tanh(x) = 2 sigmoid(2 x) - 1.
            "Tanh" => self.tanh(x),
            // erf(x) = 2 normal(sqrt(2) x) - 1.
            "Erf" => {
                let inner = self.scaled(node, x, std::f32::consts::SQRT_2, 0.0)?;
                let normal = self.function(node, inner, Function::Normal)?;
                return Ok(Maps::new(self.scaled(node, normal, 2.0, -1.0)?, maps.dims));
            }
            "Gelu" if node.text("approximate").unwrap_or("none") == "none" => self
                .circuit
                .activation(x, Activation::gated(Function::Normal)),
            "Gelu" => self.approximate_gelu(x),
            "Mish" => {
                let softplus = self.function(node, x, Function::Softplus)?;
                let tanh = self.tanh(softplus);
                let tanh = node.circuit(tanh)?;
                self.circuit.product(x, tanh)
            }
            "Softsign" => {
                let magnitude = self.function(node, x, Function::Abs)?;
                let more = self.scaled(node, magnitude, 1.0, 1.0)?;
                let inverse = self.function(node, more, Function::Reciprocal)?;
                self.circuit.product(x, inverse)
            }
            "Celu" => {
                let alpha = float("alpha", 1.0);
                self.exponential(x, alpha, 1.0, 1.0 / alpha)
            }
            "Selu" => {
                let (alpha, gamma) = (float("alpha", 1.673_263_2), float("gamma", 1.050_701));
                self.exponential(x, alpha, gamma, 1.0)
            }
            _ => self.exponential(x, float("alpha", 1.0), 1.0, 1.0),
        };
        Ok(Maps::new(node.circuit(result)?, maps.dims))
    }

    /// `x sigmoid(2 sqrt(2 / pi) (x + 0.044715 x^3))`.
    fn approximate_gelu(&mut self, x: ValueId) -> Result<ValueId, CircuitError> {
        const SLOPE: f32 = 1.595_769;
        let channels = self.circuit.shape(x)[0];
        let square = self.circuit.product(x, x)?;
        let (scale, shift) = (vec![0.044_715 * SLOPE; channels], vec![SLOPE; channels]);
        let factor = self.affine(square, scale, shift)?;
        let inner = self.circuit.product(x, factor)?;
        let sigmoid = Activation::plain(Function::Sigmoid);
        let gate = self.circuit.activation(inner, sigmoid)?;
        self.circuit.product(x, gate)
    }

    /// `gamma x` if it is positive, else `gamma alpha (exp(slope x) - 1)`.
    fn exponential(
        &mut self,
        x: ValueId,
        alpha: f64,
        gamma: f64,
        slope: f64,
    ) -> Result<ValueId, CircuitError> {
        let channels = self.circuit.shape(x)[0];
        let constant = |x: f64| vec![x as f32; channels];
        let clip = Function::Clip {
            low: f64::from(f32::MIN),
            high: 0.0,
        };
        let positive = self.circuit.relu(x)?;
        let negative = self.circuit.activation(x, Activation::plain(clip))?;
        let scaled = self.affine(negative, constant(slope), constant(0.0))?;
        let exp = self
            .circuit
            .activation(scaled, Activation::plain(Function::Exp))?;
        let valley = self.affine(exp, constant(gamma * alpha), constant(-gamma * alpha))?;
        self.circuit.sum(&[(gamma, positive), (1.0, valley)])
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
        let given = node.int("axis").unwrap_or(default);
        let axis = super::shapes::axis(given, rank)
            .ok_or_else(|| node.invalid(format!("`axis` is {given}")))?;
        // Over all that follows, before version 13.
        let end = if self.opset < 13 { rank } else { axis + 1 };
        let sizes = [&maps.dims[..axis], &maps.dims[axis..end], &maps.dims[end..]];
        let [outer, run, inner] = sizes.map(|sizes| sizes.iter().product::<usize>());
        let plain = self.plain(&maps);
        let x = Maps::new(node.circuit(plain)?, maps.dims.clone());
        // What the softmax is over must be the circuit's channels.
        let x = if outer == 1 && self.circuit.shape(x.value)[0] == run {
            x.value
        } else if outer == 1 {
            self.as_shape(node, &x, [run, 1, inner])?
        } else {
            let split = Maps::new(x.value, vec![outer, run, inner]);
            let moved = self.permuted(node, &split, &[1, 0, 2])?;
            self.as_shape(node, &moved, [run, 1, outer * inner])?
        };
        let softmax = self.circuit.softmax(x);
        let mut result = node.circuit(softmax)?;
        if node.operator == "LogSoftmax" {
            result = self.function(node, result, Function::Ln)?;
        }
        if outer == 1 {
            return Ok(Maps::new(result, maps.dims));
        }
        let moved = Maps::new(result, vec![run, outer, inner]);
        let back = self.permuted(node, &moved, &[1, 0, 2])?;
        Ok(Maps {
            dims: maps.dims,
            ..back
        })
    }
}
