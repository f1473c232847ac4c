//! Arithmetic of feature maps with each other and with constants.

use std::rc::Rc;

use dnw_circuit::ValueId;

use super::importer::Importer;
use super::shapes::broadcast;
use super::values::{Maps, finite};
use crate::ImportError;
use crate::constant::{Constant, count};
use crate::node::Node;

impl Importer {
    pub fn arithmetic(&mut self, node: &Node) -> Result<Maps, ImportError> {
        match node.operator.as_str() {
            "Neg" => {
                let maps = self.maps(node, 0)?;
                self.with_scalar(node, &maps, -1.0, 0.0)
            }
            "Min" | "Max" => {
                let maps = self.maps(node, 0)?;
                let bound = match node.inputs.len() {
                    2 => self.known(node, 1, "its second input")?.to_floats(),
                    _ => Vec::new(),
                };
                let &[bound] = &bound[..] else {
                    return Err(node.unsupported(
                        "it compares feature maps",
                        "minima and maxima with one number are supported",
                    ));
                };
                let plain = self.plain(&maps);
                let x = node.circuit(plain)?;
                let clipped = match node.operator.as_str() {
                    "Min" => self.clip(x, f32::MIN, bound),
                    _ => self.clip(x, bound, f32::MAX),
                };
                Ok(Maps::new(node.circuit(clipped)?, maps.dims))
            }
            _ => {
                let mut result = None;
                // `Sum` has any number of inputs.
                for at in 1..node.inputs.len() {
                    let first = match result {
                        Some(maps) => Operand::Maps(maps),
                        None => self.operand(node, 0)?,
                    };
                    let second = self.operand(node, at)?;
                    result = Some(self.binary(node, first, second)?);
                }
                match result {
                    Some(maps) => Ok(maps),
                    None => self.maps(node, 0),
                }
            }
        }
    }

    fn operand(&self, node: &Node, at: usize) -> Result<Operand, ImportError> {
        match self.constant(node, at) {
            Some(constant) => Ok(Operand::Constant(constant)),
            None => self.maps(node, at).map(Operand::Maps),
        }
    }

    fn binary(&mut self, node: &Node, a: Operand, b: Operand) -> Result<Maps, ImportError> {
        let operator = node.operator.as_str();
        match (a, b) {
            (Operand::Maps(a), Operand::Maps(b)) => self.two_maps(node, &a, &b),
            (Operand::Maps(maps), Operand::Constant(constant)) => {
                let values = constant.to_floats();
                finite(node, "its constant", &values)?;
                let with = |of: &dyn Fn(f32) -> f32| {
                    Constant::floats(
                        constant.dims.clone(),
                        values.iter().map(|&x| of(x)).collect(),
                    )
                };
                match operator {
                    "Sub" => self.with_constant(node, &maps, &with(&|x| -x), false),
                    "Div" => self.with_constant(node, &maps, &with(&|x| 1.0 / x), true),
                    "Mul" => self.with_constant(node, &maps, &constant, true),
                    _ => self.with_constant(node, &maps, &constant, false),
                }
            }
            (Operand::Constant(constant), Operand::Maps(maps)) => match operator {
                "Mul" => self.with_constant(node, &maps, &constant, true),
                "Sub" => {
                    let negated = self.with_scalar(node, &maps, -1.0, 0.0)?;
                    self.with_constant(node, &negated, &constant, false)
                }
                "Div" => Err(node.unsupported(
                    "a constant is divided by feature maps",
                    "divisions by constants are supported",
                )),
                _ => self.with_constant(node, &maps, &constant, false),
            },
            (Operand::Constant(_), Operand::Constant(_)) => self.maps(node, 0),
        }
    }

    fn with_scalar(
        &mut self,
        node: &Node,
        maps: &Maps,
        scale: f32,
        shift: f32,
    ) -> Result<Maps, ImportError> {
        let plain = self.plain(maps);
        let x = node.circuit(plain)?;
        let channels = self.circuit.shape(x)[0];
        let result = self.affine(x, vec![scale; channels], vec![shift; channels]);
        Ok(Maps::new(node.circuit(result)?, maps.dims.clone()))
    }

    /// The product with a constant, or the sum.
    fn with_constant(
        &mut self,
        node: &Node,
        maps: &Maps,
        constant: &Rc<Constant>,
        is_product: bool,
    ) -> Result<Maps, ImportError> {
        let values = constant.to_floats();
        finite(node, "its constant", &values)?;
        if let ([one], true) = (&values[..], constant.dims.len() <= maps.dims.len()) {
            let (scale, shift) = if is_product { (*one, 0.0) } else { (1.0, *one) };
            return self.with_scalar(node, maps, scale, shift);
        }
        let plain = self.plain(maps);
        let mut x = node.circuit(plain)?;
        if let Some(values) = per_channel(constant, &maps.dims) {
            // Vectors have a channel for each number.
            if maps.dims.len() == 2 {
                x = self.as_image(node, maps)?;
            }
            if self.circuit.shape(x)[0] == values.len() {
                let other = vec![if is_product { 0.0 } else { 1.0 }; values.len()];
                let result = match is_product {
                    true => self.affine(x, values, other),
                    false => self.affine(x, other, values),
                };
                return Ok(Maps::new(node.circuit(result)?, maps.dims.clone()));
            }
        }
        let shape = self.circuit.shape(x);
        let expanded = broadcast(&constant.dims, &maps.dims)
            .filter(|dims| *dims == maps.dims && count(dims).is_some())
            .map(|dims| super::elements::expand(constant, &dims).to_floats());
        let Some(expanded) = expanded else {
            return Err(node.unsupported(
                format!(
                    "feature maps of the shape {:?} are combined with a constant of the shape {:?}",
                    maps.dims, constant.dims
                ),
                "constants that fit the feature maps are supported",
            ));
        };
        let expanded = expanded.into_iter().map(f64::from).collect();
        let combine = || {
            let constant = self.circuit.constant(shape, expanded)?;
            match is_product {
                true => self.circuit.product(x, constant),
                false => self.circuit.add(&[x, constant]),
            }
        };
        let result = combine();
        Ok(Maps::new(node.circuit(result)?, maps.dims.clone()))
    }

    fn two_maps(&mut self, node: &Node, a: &Maps, b: &Maps) -> Result<Maps, ImportError> {
        let dims = broadcast(&a.dims, &b.dims).ok_or_else(|| {
            node.invalid(format!(
                "its inputs have the shapes {:?} and {:?}",
                a.dims, b.dims
            ))
        })?;
        let pair = [self.plain(a), self.plain(b)];
        let [x, y] = pair;
        let (mut x, mut y) = (node.circuit(x)?, node.circuit(y)?);
        let is_product = node.operator == "Mul";
        if a.dims != b.dims {
            let (_, height, width) = match dims[..] {
                [1, channels, height, width] => (channels, height, width),
                [1, channels] => (channels, 1, 1),
                _ => return Err(self.uneven(node, a, b)),
            };
            let shape = [dims[1], height, width];
            if a.dims == dims {
                y = self.spread(node, y, shape, is_product)?;
            } else if b.dims == dims {
                x = self.spread(node, x, shape, is_product)?;
            } else {
                return Err(self.uneven(node, a, b));
            }
        } else if self.circuit.shape(x) != self.circuit.shape(y) {
            let numbers = dims.iter().product();
            x = self.as_shape(node, &Maps::new(x, dims.clone()), [numbers, 1, 1])?;
            y = self.as_shape(node, &Maps::new(y, dims.clone()), [numbers, 1, 1])?;
        }
        let result = match node.operator.as_str() {
            "Add" | "Sum" => self.circuit.add(&[x, y]),
            "Sub" => self.circuit.sum(&[(1.0, x), (-1.0, y)]),
            "Mul" if self.circuit.shape(x)[1..] == [1, 1] => self.circuit.product(y, x),
            "Mul" => self.circuit.product(x, y),
            _ => {
                return Err(node.unsupported(
                    "feature maps are divided by feature maps",
                    "sums, differences and products of feature maps are supported",
                ));
            }
        };
        Ok(Maps::new(node.circuit(result)?, dims))
    }

    fn uneven(&self, node: &Node, a: &Maps, b: &Maps) -> ImportError {
        node.unsupported(
            format!("it combines the shapes {:?} and {:?}", a.dims, b.dims),
            "combinations with one number for each channel or for each pixel are supported",
        )
    }

    /// Repeats feature maps with one channel or one pixel. A product needs no repetition of pixels.
    fn spread(
        &mut self,
        node: &Node,
        x: ValueId,
        shape: [usize; 3],
        is_product: bool,
    ) -> Result<ValueId, ImportError> {
        let mut x = x;
        if self.circuit.shape(x)[0] == 1 && shape[0] > 1 {
            let repeated = self.circuit.select(x, std::iter::repeat_n(0, shape[0]));
            x = node.circuit(repeated)?;
        }
        let own = self.circuit.shape(x);
        if own == shape || (is_product && own == [shape[0], 1, 1]) {
            return Ok(x);
        }
        if own != [shape[0], 1, 1] || count(&shape).is_none() {
            return Err(node.unsupported(
                format!("feature maps of the shape {own:?} are used in the shape {shape:?}"),
                "combinations with one number for each channel or for each pixel are supported",
            ));
        }
        let ones = self
            .circuit
            .constant(shape, vec![1.0; shape.iter().product()]);
        let ones = node.circuit(ones)?;
        let spread = self.circuit.product(ones, x);
        node.circuit(spread)
    }
}

enum Operand {
    Constant(Rc<Constant>),
    Maps(Maps),
}

/// A constant's values for each channel of feature maps, if that is what it has.
pub fn per_channel(constant: &Constant, dims: &[usize]) -> Option<Vec<f32>> {
    let missing = dims.len().checked_sub(constant.dims.len())?;
    let own = |axis: usize| match axis.checked_sub(missing) {
        Some(at) => constant.dims[at],
        None => 1,
    };
    let alone = (0..dims.len()).all(|axis| axis == 1 || own(axis) == 1);
    (alone && dims.len() >= 2 && own(1) == dims[1]).then(|| constant.to_floats())
}
