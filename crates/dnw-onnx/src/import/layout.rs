//! Feature maps whose channels come last in the model, as between the transpositions of ConvNeXt.
//!
//! The circuit's value keeps its channels first. A node that handles each number alone, or one axis, is imported with its inputs' dimensions
//! in the circuit's order, and its output has the channels last again. Other nodes get the numbers in the model's order.

use std::rc::Rc;

use dnw_circuit::{CircuitError, ValueId};

use super::elements::pick;
use super::importer::Importer;
use super::shapes::{axis, places, strides};
use super::values::{Maps, Value};
use crate::ImportError;
use crate::constant::Constant;
use crate::node::Node;

/// Numbers of an image that are moved one by one, where channels and pixels change places.
const MOST_MOVED: usize = 1 << 20;

/// Which of the circuit's axes each of the model's axes is: the last is the second.
fn order(rank: usize) -> Vec<usize> {
    let pixels = (1..rank.saturating_sub(1)).map(|axis| axis + 1);
    let order = (0..rank.min(1)).chain(pixels);
    order.chain((rank > 1).then_some(1)).collect()
}

/// Dimensions with the last as the second.
pub(super) fn channels_first(dims: &[usize]) -> Vec<usize> {
    let rank = dims.len();
    let mut first = vec![1; rank];
    for (axis, &place) in order(rank).iter().enumerate() {
        first[place] = dims[axis];
    }
    first
}

/// Dimensions with the second as the last.
pub(super) fn channels_last(dims: &[usize]) -> Vec<usize> {
    order(dims.len()).iter().map(|&place| dims[place]).collect()
}

impl Maps {
    /// The same with the circuit's order of dimensions.
    pub(super) fn first(&self) -> Self {
        match self.last {
            false => self.clone(),
            true => Self {
                dims: channels_first(&self.dims),
                last: false,
                ..self.clone()
            },
        }
    }

    /// Maps in the circuit's order as maps whose channels come last in the model. One channel or pixel is the same in both.
    pub(super) fn to_last(&self) -> Self {
        let dims = channels_last(&self.dims);
        let all: usize = dims.iter().product();
        let channels = dims.last().copied().unwrap_or(1);
        Self {
            last: channels > 1 && channels < all,
            dims,
            ..self.clone()
        }
    }
}

impl Importer {
    /// The circuit's axis of an axis of these maps.
    pub(super) fn first_axis(&self, maps: &Maps, axis: usize) -> usize {
        match maps.last {
            true => order(maps.dims.len())[axis],
            false => axis,
        }
    }

    /// The output of a node with an input whose channels come last; `None` if there is none or the node handles it.
    pub(super) fn with_channels_last(&mut self, node: &Node) -> Result<Option<Maps>, ImportError> {
        let is_last = |value: Option<&Value>| matches!(value, Some(Value::Maps(maps)) if maps.last);
        let rank = node
            .inputs
            .iter()
            .find_map(|name| match self.values.get(name) {
                Some(Value::Maps(maps)) if maps.last => Some(maps.dims.len()),
                _ => None,
            });
        let Some(rank) = rank else { return Ok(None) };
        match node.operator.as_str() {
            // They ask which order the input has.
            "Transpose" | "Slice" | "Gather" | "MatMul" | "LayerNormalization" | "Reshape"
            | "Flatten" | "Squeeze" | "Unsqueeze" | "QuantizeLinear" | "DequantizeLinear" => {
                Ok(None)
            }
            "Relu" | "Clip" | "LeakyRelu" | "PRelu" | "HardSwish" | "HardSigmoid" | "Sigmoid"
            | "Swish" | "Tanh" | "Erf" | "Gelu" | "Elu" | "Selu" | "Celu" | "Softplus"
            | "Softsign" | "Mish" | "Exp" | "Log" | "Sqrt" | "Reciprocal" | "Abs" | "Neg"
            | "Identity" | "Dropout" | "Cast" | "Add" | "Sum" | "Sub" | "Mul" | "Div" | "Min"
            | "Max" | "Mean" | "Pow" | "Greater" | "GreaterOrEqual" | "Less" | "LessOrEqual"
            | "Not" | "And" | "Or" | "Where" | "Concat" | "Softmax" | "LogSoftmax"
            | "ReduceMean" | "ReduceSum" | "ReduceMax" | "ReduceMin" | "ReduceL1" | "ReduceL2"
            | "ReduceSumSquare" => self.in_circuit_order(node, rank).map(Some),
            _ => {
                for name in &node.inputs {
                    if is_last(self.values.get(name))
                        && let Some(Value::Maps(maps)) = self.values.get(name).cloned()
                    {
                        let moved = self.in_memory_order(&maps);
                        let moved = node.circuit(moved)?;
                        self.values.insert(name.clone(), Value::Maps(moved));
                    }
                }
                Ok(None)
            }
        }
    }

    /// A node's output, computed with the circuit's order of dimensions.
    fn in_circuit_order(&mut self, node: &Node, rank: usize) -> Result<Maps, ImportError> {
        let mut own = node.clone();
        let is_reduction = node.operator.starts_with("Reduce");
        let keeps = node.int("keepdims").unwrap_or(1) != 0;
        let mut reduced = Vec::new();
        if is_reduction {
            reduced = self.axes(node, rank)?;
            let axes = reduced.iter().map(|&axis| order(rank)[axis] as i64);
            own = own
                .with_ints("axes", axes.collect())
                .with_int("keepdims", 1);
            own.inputs.truncate(1);
        }
        if let "Concat" | "Softmax" | "LogSoftmax" = node.operator.as_str() {
            let given = node.int("axis").unwrap_or(-1);
            let axis =
                axis(given, rank).ok_or_else(|| node.invalid(format!("`axis` is {given}")))?;
            own = own.with_int("axis", order(rank)[axis] as i64);
        }
        let mut names = Vec::new();
        for at in 0..own.inputs.len() {
            let value = match node
                .input(at)
                .and_then(|name| self.values.get(name))
                .cloned()
            {
                None => continue,
                Some(Value::Constant(constant)) => Value::Constant(transposed(&constant, rank)),
                Some(Value::Maps(maps)) => Value::Maps(self.like_last(node, &maps, rank)?),
            };
            // No name of the model has this character.
            let name = format!("{at}\0");
            self.values.insert(name.clone(), value);
            own.inputs[at] = name.clone();
            names.push(name);
        }
        let result = self.operation(&own);
        for name in names {
            self.values.remove(&name);
        }
        let mut maps = result?.to_last();
        if is_reduction && !keeps {
            let kept = (0..rank).filter(|axis| !reduced.contains(axis));
            maps.dims = kept.map(|axis| maps.dims[axis]).collect();
            // The channels are still last, or gone.
            maps.last &= !reduced.contains(&(rank - 1));
        }
        Ok(maps)
    }

    /// Maps that are combined with maps of this rank whose channels are last, in the circuit's order of dimensions.
    fn like_last(&mut self, node: &Node, maps: &Maps, rank: usize) -> Result<Maps, ImportError> {
        if maps.last && maps.dims.len() == rank {
            return Ok(maps.first());
        }
        let mut dims = vec![1; rank.saturating_sub(maps.dims.len())];
        dims.extend(&maps.dims);
        if dims.len() != rank || maps.last {
            return Err(node.unsupported(
                format!(
                    "it combines the shape {:?} with {rank} dimensions",
                    maps.dims
                ),
                "combinations of as many dimensions are supported",
            ));
        }
        let padded = self.padded(maps);
        let maps = Maps::new(node.circuit(padded)?, dims);
        // The circuit's order is another, unless all numbers are along one axis.
        let own = order(rank);
        let mut back = vec![0; rank];
        own.iter()
            .enumerate()
            .for_each(|(axis, &place)| back[place] = axis);
        self.permuted(node, &maps, &back)
    }

    /// The numbers one after the other in the order of the model.
    pub(super) fn in_memory_order(&mut self, maps: &Maps) -> Result<Maps, CircuitError> {
        let first = maps.first();
        let value = self.moved(&first, &order(first.dims.len()))?;
        Ok(Maps::new(value, maps.dims.clone()))
    }

    /// Maps whose axis `i` is axis `order[i]` of these, in the circuit's order.
    pub(super) fn permuted(
        &mut self,
        node: &Node,
        maps: &Maps,
        order: &[usize],
    ) -> Result<Maps, ImportError> {
        let dims: Vec<usize> = order.iter().map(|&axis| maps.dims[axis]).collect();
        // Dimensions of one do not matter.
        let long = order.iter().copied().filter(|&a| maps.dims[a] > 1);
        if long.is_sorted() {
            return Ok(Maps {
                dims,
                ..maps.clone()
            });
        }
        let value = self.moved(maps, order);
        Ok(Maps::new(node.circuit(value)?, dims))
    }

    /// Moves numbers one by one.
    fn moved(&mut self, maps: &Maps, order: &[usize]) -> Result<ValueId, CircuitError> {
        let value = self.padded(maps)?;
        let dims: Vec<usize> = order.iter().map(|&axis| maps.dims[axis]).collect();
        if dims.iter().product::<usize>() > MOST_MOVED {
            let layer = format!("a transposition of the shape {:?}", maps.dims);
            return Err(CircuitError::TooLarge { layer });
        }
        let own = strides(&maps.dims);
        let strides: Vec<usize> = order.iter().map(|&axis| own[axis]).collect();
        let flat = self.circuit.flatten(value)?;
        self.circuit.select(flat, places(&dims, &strides))
    }
}

/// A constant for maps of this rank whose channels are last, in the circuit's order of dimensions.
fn transposed(constant: &Rc<Constant>, rank: usize) -> Rc<Constant> {
    if constant.len() == 1 || constant.dims.len() > rank {
        return constant.clone();
    }
    let mut dims = vec![1; rank - constant.dims.len()];
    dims.extend(&constant.dims);
    let first = channels_first(&dims);
    let own = strides(&dims);
    let mut by = vec![0; rank];
    order(rank)
        .iter()
        .enumerate()
        .for_each(|(axis, &place)| by[place] = own[axis]);
    pick(constant, first.clone(), &places(&first, &by))
}
