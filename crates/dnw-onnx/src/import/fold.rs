//! Nodes whose result does not depend on the image: what exporters write to compute shapes, and weights that are computed.

use std::rc::Rc;

use super::elements::{cast, choose, expand, joined, pick, sizes, take, unary};
use super::importer::Importer;
use super::reshapes::permutation;
use super::shapes::{axis, broadcast, places, slice, strides};
use super::values::Value;
use crate::ImportError;
use crate::constant::{Constant, Data, count};
use crate::node::Node;

impl Importer {
    /// The result of a node whose inputs are all constants, or of which only the shape is asked.
    pub fn folded(&mut self, node: &Node) -> Result<Option<Rc<Constant>>, ImportError> {
        match node.operator.as_str() {
            "Constant" => return self.constant_node(node).map(Some),
            "Shape" | "Size" => return self.shape_of(node).map(Some),
            _ => {}
        }
        let mut inputs = Vec::new();
        for (at, name) in node.inputs.iter().enumerate() {
            match self.constant(node, at) {
                Some(constant) => inputs.push(constant),
                None if name.is_empty() => {}
                None => return Ok(None),
            }
        }
        let Some(x) = inputs.first().cloned() else {
            return Ok(None);
        };
        let rank = x.dims.len();
        let result = match node.operator.as_str() {
            "Identity" | "Dropout" => x,
            "Cast" => cast(node, &x),
            "Flatten" | "Reshape" | "Squeeze" | "Unsqueeze" => {
                let dims = self.new_dims(node, &x.dims)?;
                if count(&dims) != Some(x.len()) {
                    return Err(node.invalid(format!(
                        "a constant of the shape {:?} cannot have the shape {dims:?}",
                        x.dims
                    )));
                }
                Rc::new(Constant::new(dims, x.data.clone()))
            }
            "Transpose" => {
                self.tensors.reserve(&node.name, &x.dims)?;
                let order = permutation(node, rank)?;
                let own = strides(&x.dims);
                let dims: Vec<usize> = order.iter().map(|&axis| x.dims[axis]).collect();
                let moved: Vec<usize> = order.iter().map(|&axis| own[axis]).collect();
                pick(&x, dims.clone(), &places(&dims, &moved))
            }
            "Gather" => {
                let given = node.int("axis").unwrap_or(0);
                let axis =
                    axis(given, rank).ok_or_else(|| node.invalid(format!("`axis` is {given}")))?;
                let size = x.dims[axis];
                let indices = inputs.get(1).and_then(|indices| {
                    let ints = indices.as_ints()?.iter();
                    ints.map(|&i| super::shapes::axis(i, size))
                        .collect::<Option<Vec<_>>>()
                });
                let Some(indices) = indices else {
                    return Err(node.invalid(format!("its indices do not fit an axis of {size}")));
                };
                let mut reserved = x.dims.clone();
                reserved[axis] = indices.len();
                self.tensors.reserve(&node.name, &reserved)?;
                let taken = take(&x, axis, &indices);
                let mut dims = taken.dims.clone();
                dims.splice(axis..=axis, inputs[1].dims.iter().copied());
                Rc::new(Constant::new(dims, taken.data.clone()))
            }
            "Slice" => self.slice_constant(node, x)?,
            "Concat" => {
                let given = node.int("axis").unwrap_or(0);
                let axis =
                    axis(given, rank).ok_or_else(|| node.invalid(format!("`axis` is {given}")))?;
                self.concat_constants(node, &inputs, axis)?
            }
            "Expand" => {
                let shape = sizes(node, inputs.get(1))?;
                let dims = broadcast(&x.dims, &shape)
                    .ok_or_else(|| node.invalid("its shapes do not fit each other"))?;
                self.tensors.reserve(&node.name, &dims)?;
                expand(&x, &dims)
            }
            "ConstantOfShape" => {
                let dims = sizes(node, Some(&x))?;
                let count = self.tensors.reserve(&node.name, &dims)?;
                let value = match node.tensor("value") {
                    Some(bytes) => self.tensors.read(bytes)?.1.data,
                    None => Data::Floats(vec![0.0]),
                };
                let data = match value {
                    Data::Floats(v) => Data::Floats(vec![v.first().copied().unwrap_or(0.0); count]),
                    Data::Ints(v) => Data::Ints(vec![v.first().copied().unwrap_or(0); count]),
                };
                Rc::new(Constant::new(dims, data))
            }
            "Add" | "Sub" | "Mul" | "Div" | "Min" | "Max" | "Pow" | "Equal" | "Mod" | "Greater"
            | "GreaterOrEqual" | "Less" | "LessOrEqual" | "And" | "Or" => {
                let Some(y) = inputs.get(1).filter(|_| inputs.len() == 2) else {
                    return Ok(None);
                };
                self.arithmetic_of_constants(node, &x, y)?
            }
            "Clip" => {
                self.tensors.reserve(&node.name, &x.dims)?;
                let bound = |at: usize, name: &str, otherwise: f32| {
                    let given = self.constant(node, at).map(|c| c.to_floats());
                    let given = given.and_then(|values| values.first().copied());
                    given.or(node.float(name)).unwrap_or(otherwise)
                };
                let (low, high) = (bound(1, "min", f32::MIN), bound(2, "max", f32::MAX));
                let values = x.to_floats().into_iter().map(|x| x.max(low).min(high));
                match &x.data {
                    Data::Ints(_) => {
                        Constant::ints(x.dims.clone(), values.map(|x| x as i64).collect())
                    }
                    Data::Floats(_) => Constant::floats(x.dims.clone(), values.collect()),
                }
            }
            "ReduceMean" | "ReduceSum" | "ReduceMax" | "ReduceMin" => {
                let axes = self.axes(node, rank)?;
                self.tensors.reserve(&node.name, &x.dims)?;
                super::elements::reduce(node, &x, &axes)
            }
            "Not" => {
                let values = x.as_ints().unwrap_or_default();
                Constant::ints(
                    x.dims.clone(),
                    values.iter().map(|&x| i64::from(x == 0)).collect(),
                )
            }
            "QuantizeLinear" | "DequantizeLinear" => self.quantise_constant(node, &x)?,
            // Weights that are standardised whenever they are used.
            "BatchNormalization" => {
                self.tensors.reserve(&node.name, &x.dims)?;
                let is_own = node.int("training_mode").unwrap_or(0) != 0;
                let given =
                    [inputs.get(3), inputs.get(4)].map(|values| values.map(|v| v.to_floats()));
                let statistics = match given {
                    [Some(mean), Some(variance)] if !is_own => Some([mean, variance]),
                    _ => None,
                };
                match (inputs.get(1), inputs.get(2)) {
                    (Some(scale), Some(shift)) => super::elements::standardised(
                        &x,
                        [scale, shift],
                        statistics,
                        node.float("epsilon").unwrap_or(1e-5),
                    )
                    .ok_or_else(|| {
                        node.invalid("its scale, shift, mean or variance has another length")
                    })?,
                    _ => return Ok(None),
                }
            }
            "Neg" | "Sqrt" | "Reciprocal" | "Floor" | "Ceil" | "Exp" | "Abs" | "Relu"
            | "Sigmoid" => {
                self.tensors.reserve(&node.name, &x.dims)?;
                unary(node, &x)
            }
            "Where" => {
                let [condition, a, b] = &inputs[..] else {
                    return Ok(None);
                };
                let dims = broadcast(&a.dims, &b.dims)
                    .and_then(|dims| broadcast(&dims, &condition.dims))
                    .ok_or_else(|| node.invalid("its shapes do not fit each other"))?;
                self.tensors.reserve(&node.name, &dims)?;
                let condition = expand(condition, &dims).to_floats();
                let (a, b) = (expand(a, &dims), expand(b, &dims));
                let data = match (&a.data, &b.data) {
                    (Data::Ints(a), Data::Ints(b)) => Data::Ints(choose(&condition, a, b)),
                    _ => Data::Floats(choose(&condition, &a.to_floats(), &b.to_floats())),
                };
                Rc::new(Constant::new(dims, data))
            }
            "ReduceProd" => match x.as_ints() {
                Some(ints) if node.ints("axes").is_none() && inputs.len() == 1 => {
                    let product = ints.iter().fold(1i64, |a, &b| a.saturating_mul(b));
                    let keeps = node.int("keepdims").unwrap_or(1) != 0;
                    Constant::ints(vec![1; if keeps { rank } else { 0 }], vec![product])
                }
                _ => return Ok(None),
            },
            "Range" => match [
                x.as_ints(),
                inputs.get(1).and_then(|c| c.as_ints()),
                inputs.get(2).and_then(|c| c.as_ints()),
            ] {
                [Some(&[start]), Some(&[end]), Some(&[step])] if step != 0 => {
                    let span = end.saturating_sub(start).max(0) / step.max(1);
                    if step < 0 || span > 1 << 20 {
                        return Ok(None);
                    }
                    let values: Vec<i64> = (start..end).step_by(step as usize).collect();
                    Constant::ints(vec![values.len()], values)
                }
                _ => return Ok(None),
            },
            _ => return Ok(None),
        };
        Ok(Some(result))
    }

    fn constant_node(&mut self, node: &Node) -> Result<Rc<Constant>, ImportError> {
        if let Some(bytes) = node.tensor("value") {
            return Ok(Rc::new(self.tensors.read(bytes)?.1));
        }
        if let Some(bytes) = node.sparse_tensor("sparse_value") {
            return Ok(Rc::new(self.tensors.read_sparse(bytes)?.1));
        }
        if let Some(value) = node.float("value_float") {
            return Ok(Constant::floats(vec![], vec![value]));
        }
        if let Some(value) = node.int("value_int") {
            return Ok(Constant::ints(vec![], vec![value]));
        }
        if let Some(values) = node.floats("value_floats") {
            return Ok(Constant::floats(vec![values.len()], values.to_vec()));
        }
        if let Some(values) = node.ints("value_ints") {
            return Ok(Constant::ints(vec![values.len()], values.to_vec()));
        }
        Err(node.unsupported(
            "it has no number or tensor",
            "constants of numbers are supported",
        ))
    }

    fn shape_of(&self, node: &Node) -> Result<Rc<Constant>, ImportError> {
        let dims = match node.input(0).and_then(|name| self.values.get(name)) {
            Some(Value::Constant(constant)) => constant.dims.clone(),
            Some(Value::Maps(maps)) => maps.dims.clone(),
            None => return Err(node.invalid("it has no input")),
        };
        let sizes: Vec<i64> = dims.iter().map(|&size| size as i64).collect();
        if node.operator == "Size" {
            return Ok(Constant::ints(vec![], vec![sizes.iter().product()]));
        }
        let rank = sizes.len() as i64;
        let bound = |name: &str, default: i64| {
            let at = node.int(name).unwrap_or(default);
            let at = if at < 0 { at.saturating_add(rank) } else { at };
            at.clamp(0, rank) as usize
        };
        let (start, end) = (bound("start", 0), bound("end", rank));
        let own = sizes.get(start..end).unwrap_or_default().to_vec();
        Ok(Constant::ints(vec![own.len()], own))
    }

    fn slice_constant(
        &mut self,
        node: &Node,
        x: Rc<Constant>,
    ) -> Result<Rc<Constant>, ImportError> {
        let list = |at: usize, name: &str| match node.ints(name) {
            Some(ints) => Some(ints.to_vec()),
            None => self.constant(node, at)?.as_ints().map(<[i64]>::to_vec),
        };
        let starts = list(1, "starts").unwrap_or_default();
        let ends = list(2, "ends").unwrap_or_default();
        let count = starts.len();
        let axes = list(3, "axes").unwrap_or_else(|| (0..count as i64).collect());
        let steps = list(4, "steps").unwrap_or_else(|| vec![1; count]);
        if [ends.len(), axes.len(), steps.len()] != [count; 3] {
            return Err(node.invalid("its lists have different lengths"));
        }
        let mut x = x;
        for i in 0..count {
            let axis = axis(axes[i], x.dims.len())
                .ok_or_else(|| node.invalid(format!("axis {} does not exist", axes[i])))?;
            let indices = slice(starts[i], ends[i], steps[i], x.dims[axis])
                .ok_or_else(|| node.invalid("a step is zero"))?;
            self.tensors.reserve(&node.name, &x.dims)?;
            x = take(&x, axis, &indices);
        }
        Ok(x)
    }

    fn concat_constants(
        &mut self,
        node: &Node,
        inputs: &[Rc<Constant>],
        axis: usize,
    ) -> Result<Rc<Constant>, ImportError> {
        let first = &inputs[0].dims;
        let fits = |dims: &[usize]| {
            dims.len() == first.len()
                && (0..first.len()).all(|other| other == axis || dims[other] == first[other])
        };
        if !inputs.iter().all(|input| fits(&input.dims)) {
            return Err(node.invalid("its inputs have different shapes"));
        }
        let mut dims = first.clone();
        dims[axis] = inputs.iter().map(|input| input.dims[axis]).sum();
        self.tensors.reserve(&node.name, &dims)?;
        let outer: usize = dims[..axis].iter().product();
        let all_ints = inputs.iter().all(|input| input.as_ints().is_some());
        let data = if all_ints {
            Data::Ints(joined(outer, inputs, |c| {
                c.as_ints().unwrap_or_default().to_vec()
            }))
        } else {
            Data::Floats(joined(outer, inputs, Constant::to_floats))
        };
        Ok(Rc::new(Constant::new(dims, data)))
    }

    fn arithmetic_of_constants(
        &mut self,
        node: &Node,
        x: &Rc<Constant>,
        y: &Rc<Constant>,
    ) -> Result<Rc<Constant>, ImportError> {
        let dims = broadcast(&x.dims, &y.dims)
            .ok_or_else(|| node.invalid("its shapes do not fit each other"))?;
        self.tensors.reserve(&node.name, &dims)?;
        let (x, y) = (expand(x, &dims), expand(y, &dims));
        let operator = node.operator.as_str();
        if let (Some(a), Some(b)) = (x.as_ints(), y.as_ints()) {
            let of = |a: i64, b: i64| match operator {
                "Add" => a.checked_add(b),
                "Sub" => a.checked_sub(b),
                "Mul" => a.checked_mul(b),
                "Div" => a.checked_div(b),
                "Mod" => a.checked_rem(b),
                "Min" => Some(a.min(b)),
                "Max" => Some(a.max(b)),
                "Greater" => Some(i64::from(a > b)),
                "GreaterOrEqual" => Some(i64::from(a >= b)),
                "Less" => Some(i64::from(a < b)),
                "LessOrEqual" => Some(i64::from(a <= b)),
                "And" => Some(i64::from(a != 0 && b != 0)),
                "Or" => Some(i64::from(a != 0 || b != 0)),
                "Pow" => u32::try_from(b).ok().and_then(|b| a.checked_pow(b)),
                _ => Some(i64::from(a == b)),
            };
            let values: Option<Vec<i64>> = a.iter().zip(b).map(|(&a, &b)| of(a, b)).collect();
            let values =
                values.ok_or_else(|| node.invalid("it divides by zero, or a result overflows"))?;
            return Ok(Constant::ints(dims, values));
        }
        let (a, b) = (x.to_floats(), y.to_floats());
        let of = |a: f32, b: f32| match operator {
            "Add" => a + b,
            "Sub" => a - b,
            "Mul" => a * b,
            "Div" => a / b,
            "Mod" => a % b,
            "Min" => a.min(b),
            "Max" => a.max(b),
            "Pow" => a.powf(b),
            "Greater" => f32::from(a > b),
            "GreaterOrEqual" => f32::from(a >= b),
            "Less" => f32::from(a < b),
            "LessOrEqual" => f32::from(a <= b),
            _ => f32::from(a == b),
        };
        let values = a.iter().zip(&b).map(|(&a, &b)| of(a, b)).collect();
        Ok(Constant::floats(dims, values))
    }
}
