//! The checks of steps and their errors.

use super::CircuitBuilder;
use crate::{Block, CircuitError, Kind, Tensor, ValueId};

impl CircuitBuilder {
    /// The product of the sizes.
    pub(super) fn size(&self, shape: [usize; 3]) -> Result<usize, CircuitError> {
        if shape.contains(&0) {
            return Err(self.nothing("channels or pixels"));
        }
        let size = shape
            .iter()
            .try_fold(1usize, |product, &size| product.checked_mul(size));
        // The limit of a vector's length, so that the feature maps can be allocated.
        size.filter(|&size| size <= isize::MAX as usize / size_of::<f64>())
            .ok_or_else(|| self.too_large())
    }

    /// The shape of a value, if it is of this circuit.
    pub(super) fn known(&self, x: ValueId) -> Result<[usize; 3], CircuitError> {
        let step = self.circuit.steps.get(x.0);
        step.map(|step| step.shape)
            .ok_or_else(|| CircuitError::NoSuchValue {
                layer: self.layer.clone(),
            })
    }

    /// The shape of the first value, if `key` is the same for all shapes.
    pub(super) fn common_shape(
        &self,
        values: &[ValueId],
        key: impl Fn([usize; 3]) -> [usize; 3],
    ) -> Result<[usize; 3], CircuitError> {
        let first = values.first().ok_or_else(|| self.nothing("inputs"))?;
        let first = self.known(*first)?;
        for &value in values {
            let other = self.known(value)?;
            if key(other) != key(first) {
                let layer = self.layer.clone();
                return Err(CircuitError::Shapes {
                    layer,
                    first,
                    other,
                });
            }
        }
        Ok(first)
    }

    /// The tensor of a block, if the block is inside it.
    pub(super) fn block(&self, block: &Block) -> Result<&Tensor, CircuitError> {
        let tensor = self.circuit.tensors.get(block.tensor.0);
        let tensor = tensor.ok_or_else(|| CircuitError::NoSuchTensor {
            layer: self.layer.clone(),
        })?;
        let axes = [("row", &block.rows), ("column", &block.columns)];
        for ((axis, indices), size) in axes.into_iter().zip(tensor.shape) {
            if let Some(&index) = indices.iter().find(|&&index| index >= size) {
                return Err(CircuitError::Outside {
                    layer: self.layer.clone(),
                    axis,
                    index,
                    tensor: tensor.name.clone(),
                    size,
                });
            }
        }
        Ok(tensor)
    }

    /// Checks that a block is a vector with one value per channel.
    pub(super) fn vector(
        &self,
        block: &Block,
        kind: Kind,
        expected: &'static str,
        channels: usize,
    ) -> Result<(), CircuitError> {
        let tensor = self.block(block)?;
        if tensor.kind != kind || block.columns != [0] {
            return Err(self.kind(tensor, expected));
        }
        self.number("rows", channels, block.rows.len())
    }

    pub(super) fn number(
        &self,
        what: &'static str,
        expected: usize,
        found: usize,
    ) -> Result<(), CircuitError> {
        if expected == found {
            return Ok(());
        }
        Err(CircuitError::Number {
            layer: self.layer.clone(),
            what,
            expected,
            found,
        })
    }

    pub(super) fn kind(&self, tensor: &Tensor, expected: &'static str) -> CircuitError {
        CircuitError::Kind {
            layer: self.layer.clone(),
            tensor: tensor.name.clone(),
            expected,
        }
    }

    pub(super) fn unfit(&self, x: ValueId, what: &'static str) -> CircuitError {
        let [_, height, width] = self.shape(x);
        CircuitError::Window {
            layer: self.layer.clone(),
            height,
            width,
            what,
        }
    }

    pub(super) fn nothing(&self, what: &'static str) -> CircuitError {
        CircuitError::Nothing {
            layer: self.layer.clone(),
            what,
        }
    }

    pub(super) fn too_large(&self) -> CircuitError {
        CircuitError::TooLarge {
            layer: self.layer.clone(),
        }
    }
}
