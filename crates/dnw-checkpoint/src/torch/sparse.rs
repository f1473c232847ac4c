//! Sparse tensors, read as a dense tensor and a mask of the entries that are present.
//!
//! An entry that is present may hold a zero, so the values alone do not say which entries are present.

use super::loaded::{Loaded, Part};
use crate::limits;
use crate::pickle::{SparseLayout, SparseTensor};

/// What follows a sparse tensor's name in the name of its mask, as in PyTorch's pruning.
pub const MASK: &str = "_mask";

/// The parts of a sparse tensor, checked against their storages but not against each other.
pub struct Parts<'p> {
    layout: SparseLayout,
    pub(super) indices: Vec<Part<'p>>,
    pub(super) values: Part<'p>,
    pub(super) shape: Vec<usize>,
}

impl<'p> Parts<'p> {
    /// Checks how the shapes of the parts belong together. The error continues a sentence about the tensor.
    pub(super) fn new(
        tensor: &SparseTensor<'_>,
        indices: Vec<Part<'p>>,
        values: Part<'p>,
    ) -> Result<Self, String> {
        let shape = tensor.shape.iter().map(|&axis| usize::try_from(axis).ok());
        let shape: Option<Vec<usize>> = shape.collect();
        let shape = shape.ok_or("has an axis of more than the memory's size")?;
        let shapes = indices.iter().map(|part| part.layout.shape.as_slice());
        let shapes: Vec<&[usize]> = shapes.collect();
        let values_shape = values.layout.shape.as_slice();
        let fits = match (tensor.layout, &shapes[..], values_shape) {
            (SparseLayout::Coordinates, [[sparse, n]], [m, dense @ ..]) => {
                n == m && sparse + dense.len() == shape.len() && shape[*sparse..] == *dense
            }
            (SparseLayout::Rows | SparseLayout::Columns, [[ends], [n]], [m, block @ ..]) => {
                let [rows, columns] = *shape else {
                    return Err("is a batch of sparse matrices, which is not read".into());
                };
                let (height, width) = match *block {
                    [] => (1, 1),
                    [height, width] => (height.max(1), width.max(1)),
                    _ => (0, 0),
                };
                let along = match tensor.layout {
                    SparseLayout::Rows => rows.checked_div(height),
                    _ => columns.checked_div(width),
                };
                n == m
                    && height > 0
                    && rows % height == 0
                    && columns % width == 0
                    && along == Some(ends.wrapping_sub(1))
            }
            _ => false,
        };
        if !fits {
            return Err(format!(
                "of shape {shape:?} has indices of {shapes:?} and values of {values_shape:?}, which do not belong together"
            ));
        }
        Ok(Self {
            layout: tensor.layout,
            indices,
            values,
            shape,
        })
    }
}

/// The dense tensor, row-major, and its mask. `filled` counts the elements of all dense tensors of the file.
pub fn to_dense(
    parts: &Parts<'_>,
    loaded: &Loaded<'_, '_>,
    filled: &mut u64,
) -> Result<(Vec<f32>, Vec<f32>), String> {
    let values = loaded.gather(&parts.values);
    let elements = parts
        .shape
        .iter()
        .try_fold(1usize, |n, &axis| n.checked_mul(axis));
    let elements = elements.ok_or("has more elements than the memory")?;
    *filled = filled.saturating_add(elements as u64);
    let limit = limits::sparse_elements(values.len());
    if elements as u64 > limit || *filled > limits::DENSE_ELEMENTS {
        let present = values.len();
        return Err(format!(
            "of shape {:?} has {present} entries, at most {limit} elements are filled from them",
            parts.shape
        ));
    }
    let mut indices = Vec::with_capacity(parts.indices.len());
    for part in &parts.indices {
        indices.push(
            loaded
                .gather_indices(part)
                .ok_or("has indices that are no integers of 32 or 64 bits")?,
        );
    }
    let (mut dense, mut mask) = (vec![0.0; elements], vec![0.0; elements]);
    // Entries that are present twice are added, as PyTorch does.
    let mut put = |at: usize, value: f32| {
        dense[at] += value;
        mask[at] = 1.0;
    };
    match (parts.layout, &indices[..]) {
        (SparseLayout::Coordinates, [coordinates]) => {
            let axes = parts.indices[0].layout.shape[0];
            let present = parts.values.layout.shape[0];
            let block: usize = parts.shape[axes..].iter().product();
            for entry in 0..present {
                let mut at = 0;
                for (axis, &size) in parts.shape[..axes].iter().enumerate() {
                    at = at * size + index(coordinates[axis * present + entry], size)?;
                }
                for inner in 0..block {
                    put(at * block + inner, values[entry * block + inner]);
                }
            }
        }
        (layout, [ends, plain]) => {
            let columns = parts.shape[1];
            let (height, width) = match parts.values.layout.shape[1..] {
                [height, width] => (height, width),
                _ => (1, 1),
            };
            let across = match layout {
                SparseLayout::Rows => columns / width.max(1),
                _ => parts.shape[0] / height.max(1),
            };
            for (compressed, pair) in ends.windows(2).enumerate() {
                let (from, to) = (
                    index(pair[0], plain.len() + 1)?,
                    index(pair[1], plain.len() + 1)?,
                );
                if from > to {
                    return Err(format!(
                        "has compressed indices that fall from {from} to {to}"
                    ));
                }
                for entry in from..to {
                    let other = index(plain[entry], across)?;
                    let (row, column) = match layout {
                        SparseLayout::Rows => (compressed, other),
                        _ => (other, compressed),
                    };
                    for inner in 0..height * width {
                        let (y, x) = (inner / width, inner % width);
                        let at = (row * height + y) * columns + column * width + x;
                        put(at, values[entry * height * width + inner]);
                    }
                }
            }
        }
        _ => return Err("has indices of another layout".into()),
    }
    Ok((dense, mask))
}

/// An index below `size`.
fn index(index: i64, size: usize) -> Result<usize, String> {
    let found = usize::try_from(index).ok().filter(|&index| index < size);
    found.ok_or_else(|| format!("has the index {index}, which must be at least 0 and below {size}"))
}
