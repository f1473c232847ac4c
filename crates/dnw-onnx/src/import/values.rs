//! Values of the model.

use std::rc::Rc;

use dnw_circuit::{Tensor, ValueId};

use crate::ImportError;
use crate::constant::Constant;
use crate::node::Node;

#[derive(Clone, Debug)]
pub enum Value {
    Constant(Rc<Constant>),
    Maps(Maps),
}

/// Feature maps of one image.
#[derive(Clone, Debug)]
pub struct Maps {
    pub value: ValueId,
    /// The dimensions in the model, those of a padding included.
    pub dims: Vec<usize>,
    /// A padding that the next node may take over.
    pub padding: Option<Padding>,
    /// Whether the model has the channels last: dimensions `[1, .., channels]`, where the circuit has `[channels, height, width]`.
    pub last: bool,
}

/// Pixels around feature maps.
#[derive(Clone, Copy, Debug)]
pub struct Padding {
    /// Above and below, left and right.
    pub sides: [[usize; 2]; 2],
    /// The padding's value.
    pub value: f32,
}

/// What the integers of quantised feature maps stand for: `scale (integer - zero)`, with one of each or one for each channel.
#[derive(Clone, Debug, PartialEq)]
pub struct Quantisation {
    pub scales: Vec<f32>,
    pub zeros: Vec<i64>,
}

impl Maps {
    pub fn new(value: ValueId, dims: Vec<usize>) -> Self {
        Self {
            value,
            dims,
            padding: None,
            last: false,
        }
    }
}

/// Refuses numbers that are infinite or none.
pub fn finite(node: &Node, what: &str, values: &[f32]) -> Result<(), ImportError> {
    match values.iter().find(|value| !value.is_finite()) {
        Some(value) => Err(node.invalid(format!("{what} has the value {value}"))),
        None => Ok(()),
    }
}

/// A weight with an edge for each entry that is not zero.
pub fn weight(name: String, shape: [usize; 4], values: Vec<f32>) -> Tensor {
    let real: Vec<bool> = values.iter().map(|&value| value != 0.0).collect();
    if real.iter().all(|&real| real) {
        return Tensor::weight(name, shape, values);
    }
    Tensor::edges(name, shape, values, real)
}
