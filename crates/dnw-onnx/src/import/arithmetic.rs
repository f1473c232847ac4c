//! Arithmetic of feature maps with each other and with constants.

use std::rc::Rc;

use dnw_circuit::{Function, Taps, ValueId};

use super::importer::Importer;
use super::shapes::{MOST_PLACES, broadcast, places, strides};
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
                    Some(maps) if node.operator == "Mean" => {
                        let share = 1.0 / node.inputs.len() as f32;
                        self.with_scalar(node, &maps, share, 0.0)
                    }
                    Some(maps) => Ok(maps),
                    None => self.maps(node, 0),
                }
            }
        }
    }

    pub(super) fn operand(&self, node: &Node, at: usize) -> Result<Operand, ImportError> {
        match self.constant(node, at) {
            Some(constant) => Ok(Operand::Constant(constant)),
            None => self.maps(node, at).map(Operand::Maps),
        }
    }

    pub(super) fn binary(
        &mut self,
        node: &Node,
        a: Operand,
        b: Operand,
    ) -> Result<Maps, ImportError> {
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
                    "Min" | "Max" => self.bounded(node, &maps, &constant),
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
                "Min" | "Max" => self.bounded(node, &maps, &constant),
                "Div" => {
                    let plain = self.plain(&maps);
                    let x = node.circuit(plain)?;
                    let inverse = self.function(node, x, Function::Reciprocal)?;
                    let inverse = Maps::new(inverse, maps.dims);
                    self.with_constant(node, &inverse, &constant, true)
                }
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

    /// The minimum or maximum with a constant.
    fn bounded(
        &mut self,
        node: &Node,
        maps: &Maps,
        constant: &Rc<Constant>,
    ) -> Result<Maps, ImportError> {
        let is_max = node.operator == "Max";
        if let [bound] = constant.to_floats()[..] {
            let plain = self.plain(maps);
            let x = node.circuit(plain)?;
            let clipped = match is_max {
                true => self.clip(x, bound, f32::MAX),
                false => self.clip(x, f32::MIN, bound),
            };
            return Ok(Maps::new(node.circuit(clipped)?, maps.dims.clone()));
        }
        // max(x, c) = c + max(x - c, 0), min(x, c) = c - max(c - x, 0).
        let sign = if is_max { 1.0 } else { -1.0 };
        let values = constant.to_floats();
        let negated = values.iter().map(|x| -x).collect();
        let negated = Constant::floats(constant.dims.clone(), negated);
        let apart = self.with_constant(node, maps, &negated, false)?;
        let apart = self.with_scalar(node, &apart, sign, 0.0)?;
        let relu = self.circuit.relu(apart.value);
        let relu = Maps::new(node.circuit(relu)?, apart.dims);
        let signed = self.with_scalar(node, &relu, sign, 0.0)?;
        self.with_constant(node, &signed, constant, false)
    }

    /// The product with a constant, or the sum.
    pub(super) fn with_constant(
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
        let dims = broadcast(&constant.dims, &maps.dims).filter(|dims| count(dims).is_some());
        let Some(dims) = dims else {
            return Err(node.unsupported(
                format!(
                    "feature maps of the shape {:?} are combined with a constant of the shape {:?}",
                    maps.dims, constant.dims
                ),
                "constants that fit the feature maps are supported",
            ));
        };
        let expanded = super::elements::expand(constant, &dims).to_floats();
        if dims != maps.dims {
            let shape = self.shape_for(node, &dims)?;
            x = self.spread(node, &Maps::new(x, maps.dims.clone()), &dims, shape, false)?;
        }
        let shape = self.circuit.shape(x);
        let expanded = expanded.into_iter().map(f64::from).collect();
        let combine = || {
            let constant = self.circuit.constant(shape, expanded)?;
            match is_product {
                true => self.circuit.product(x, constant),
                false => self.circuit.add(&[x, constant]),
            }
        };
        let result = combine();
        Ok(Maps::new(node.circuit(result)?, dims))
    }

    fn two_maps(&mut self, node: &Node, a: &Maps, b: &Maps) -> Result<Maps, ImportError> {
        let dims = broadcast(&a.dims, &b.dims).ok_or_else(|| {
            node.invalid(format!(
                "its inputs have the shapes {:?} and {:?}",
                a.dims, b.dims
            ))
        })?;
        let mut values = Vec::new();
        for maps in [a, b] {
            let plain = self.plain(maps);
            values.push(node.circuit(plain)?);
        }
        let operator = node.operator.as_str();
        let is_product = matches!(operator, "Mul" | "Div");
        if a.dims != b.dims {
            let full = [a, b].into_iter().position(|maps| maps.dims == dims);
            // The circuit may hold the numbers of the larger one in a shape of other channels.
            let shape = full.map(|at| self.circuit.shape(values[at]));
            let is_divided = |shape: &[usize; 3]| {
                let mut both = [a, b].into_iter();
                both.all(|maps| divide(&padded_to(&maps.dims, &dims), &dims, *shape).is_some())
            };
            let shape = match shape.filter(is_divided) {
                Some(shape) => shape,
                None => self.shape_for(node, &dims)?,
            };
            for (at, maps) in [a, b].into_iter().enumerate() {
                // A factor for each channel needs no repetition.
                let factor = is_product && full.is_some();
                let maps = Maps::new(values[at], maps.dims.clone());
                values[at] = self.spread(node, &maps, &dims, shape, factor)?;
            }
        } else if self.circuit.shape(values[0]) != self.circuit.shape(values[1]) {
            let shape = self.circuit.shape(values[0]);
            values[1] = self.as_shape(node, &Maps::new(values[1], dims.clone()), shape)?;
        }
        let [x, y] = [values[0], values[1]];
        let y = match operator {
            "Div" => self.function(node, y, Function::Reciprocal)?,
            _ => y,
        };
        let result = match operator {
            "Sub" => self.circuit.sum(&[(1.0, x), (-1.0, y)]),
            "Mul" | "Div" if self.circuit.shape(x)[1..] == [1, 1] => self.circuit.product(y, x),
            "Mul" | "Div" => self.circuit.product(x, y),
            // max(x, y) = y + max(x - y, 0), min(x, y) = x - max(x - y, 0).
            "Min" | "Max" => {
                let apart = self.circuit.sum(&[(1.0, x), (-1.0, y)]);
                let apart = node.circuit(apart)?;
                let relu = self.circuit.relu(apart);
                let relu = node.circuit(relu)?;
                match operator {
                    "Max" => self.circuit.add(&[y, relu]),
                    _ => self.circuit.sum(&[(1.0, x), (-1.0, relu)]),
                }
            }
            _ => self.circuit.add(&[x, y]),
        };
        Ok(Maps::new(node.circuit(result)?, dims))
    }

    /// The circuit's shape for a value of these dimensions: the second are channels.
    fn shape_for(&self, node: &Node, dims: &[usize]) -> Result<[usize; 3], ImportError> {
        match *dims {
            [1, channels] => Ok([channels, 1, 1]),
            [1, channels, height, width] => Ok([channels, height, width]),
            [1, channels, ref pixels @ ..] => Ok([channels, 1, pixels.iter().product()]),
            _ => Err(node.unsupported(
                format!("it combines feature maps to the shape {dims:?}"),
                "feature maps of one image are supported",
            )),
        }
    }

    /// Repeats feature maps to these dimensions, which the circuit has as `shape`. A factor may keep one pixel for each channel.
    pub(super) fn spread(
        &mut self,
        node: &Node,
        maps: &Maps,
        dims: &[usize],
        shape: [usize; 3],
        is_factor: bool,
    ) -> Result<ValueId, ImportError> {
        let own = padded_to(&maps.dims, dims);
        let Some((axes, size)) = divide(&own, dims, shape) else {
            return Err(node.unsupported(
                format!("it repeats the shape {:?} to {dims:?}", maps.dims),
                "combinations with one number for each channel, row, column or pixel are supported",
            ));
        };
        let channels: usize = own[..axes].iter().product();
        if shape.iter().any(|&size| size > MOST_PLACES) && own != dims {
            return Err(node.invalid(format!(
                "its result has the shape {dims:?}, which is too large"
            )));
        }
        let mut x = self.as_shape(node, maps, [channels, size[0], size[1]])?;
        if channels != shape[0] {
            let strides = strides(&own[..axes]);
            let strides = own[..axes].iter().zip(strides);
            let strides: Vec<usize> = strides
                .map(|(&size, stride)| if size == 1 { 0 } else { stride })
                .collect();
            let repeated = self.circuit.select(x, places(&dims[..axes], &strides));
            x = node.circuit(repeated)?;
        }
        if size == [shape[1], shape[2]] || (is_factor && size == [1, 1]) {
            return Ok(x);
        }
        if count(&shape).is_none() {
            return Err(node.invalid("its result is too large"));
        }
        let taps = |side: usize| {
            let repeated = |output: usize| if size[side] == 1 { 0 } else { output };
            Taps::of((0..shape[side + 1]).map(repeated))
        };
        let repeated = self.circuit.resample(x, taps(0), taps(1));
        node.circuit(repeated)
    }

    pub fn expanded(&mut self, node: &Node) -> Result<Maps, ImportError> {
        let maps = self.maps(node, 0)?;
        let shape = self.known(node, 1, "its shape")?;
        let sizes = super::elements::sizes(node, Some(&shape))?;
        let dims = broadcast(&maps.dims, &sizes)
            .ok_or_else(|| node.invalid("its shapes do not fit each other"))?;
        if dims == maps.dims {
            return Ok(maps);
        }
        let shape = self.shape_for(node, &dims)?;
        let spread = self.spread(node, &maps, &dims, shape, false)?;
        Ok(Maps::new(spread, dims))
    }

    pub fn power(&mut self, node: &Node) -> Result<Maps, ImportError> {
        let maps = self.maps(node, 0)?;
        let exponents = self.known(node, 1, "its exponent")?.to_floats();
        let &[exponent] = &exponents[..] else {
            return Err(node.unsupported(
                "it has several exponents",
                "powers with one constant exponent are supported",
            ));
        };
        finite(node, "its exponent", &exponents)?;
        let plain = self.plain(&maps);
        let x = node.circuit(plain)?;
        let result = if exponent == 1.0 {
            x
        } else if exponent == 2.0 || exponent == 3.0 {
            let square = self.circuit.product(x, x);
            let square = node.circuit(square)?;
            match exponent == 2.0 {
                true => square,
                false => {
                    let cube = self.circuit.product(square, x);
                    node.circuit(cube)?
                }
            }
        } else if exponent.abs() == 0.5 || exponent == -1.0 {
            let root = match exponent == -1.0 {
                true => x,
                false => self.function(node, x, Function::Sqrt)?,
            };
            match exponent < 0.0 {
                true => self.function(node, root, Function::Reciprocal)?,
                false => root,
            }
        } else {
            // Of positive numbers; others have no real power.
            self.raised(node, x, exponent)?
        };
        Ok(Maps::new(result, maps.dims))
    }
}

pub enum Operand {
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

/// Dimensions with leading ones, so that there are as many as in `dims`.
fn padded_to(own: &[usize], dims: &[usize]) -> Vec<usize> {
    let missing = dims.len().saturating_sub(own.len());
    let mut padded = vec![1; missing];
    padded.extend(own);
    padded
}

/// How feature maps with dimensions `own` are repeated to `dims`, which the circuit has in this shape: the number of leading axes that are
/// channels, and the height and width before the repetition. `None` if pixels are repeated in another way than whole, by row or by column.
fn divide(own: &[usize], dims: &[usize], shape: [usize; 3]) -> Option<(usize, [usize; 2])> {
    // The most axes that are channels, so that dimensions of one are.
    let mut axes = (0..=dims.len()).rev();
    let axes = axes.find(|&axes| dims[..axes].iter().product::<usize>() == shape[0])?;
    let (pixels, all) = (&own[axes..], &dims[axes..]);
    let size = [shape[1], shape[2]];
    match (pixels, all) {
        _ if pixels == all => Some((axes, size)),
        _ if pixels.iter().all(|&size| size == 1) => Some((axes, [1, 1])),
        (&[height, width], _) if all == size => Some((axes, [height, width])),
        _ => None,
    }
}
