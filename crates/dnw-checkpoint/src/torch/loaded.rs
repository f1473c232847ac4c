//! The storages of a file, and tensors whose descriptions fit them.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::element::Layout;
use crate::error::quoted;
use crate::pickle::{Storage, StridedTensor};
use crate::{CheckpointError, ElementType};

/// The storages of a file, by key.
pub trait Storages<'s> {
    /// The bytes of the storage `key`.
    fn bytes(&mut self, key: &str) -> Result<Cow<'s, [u8]>, CheckpointError>;
}

/// A tensor whose description fits its storage.
pub(super) struct Part<'p> {
    key: &'p str,
    pub(super) element: ElementType,
    pub(super) layout: Layout,
}

impl Part<'_> {
    pub(super) fn elements(&self) -> u64 {
        self.layout.elements().unwrap_or(0) as u64
    }
}

/// The storages that were read.
#[derive(Default)]
pub(super) struct Loaded<'p, 's> {
    storages: HashMap<&'p str, Cow<'s, [u8]>>,
    /// Their size in bytes, together.
    pub(super) bytes: u64,
}

impl<'p, 's> Loaded<'p, 's> {
    /// Loads a tensor's storage and checks its description against it. The inner error continues a sentence about the tensor.
    pub(super) fn fit(
        &mut self,
        tensor: &'p StridedTensor<'_>,
        storages: &mut impl Storages<'s>,
    ) -> Result<Result<Part<'p>, String>, CheckpointError> {
        let key = tensor.storage.key;
        if !self.storages.contains_key(key) {
            let bytes = storages.bytes(key)?;
            self.bytes += bytes.len() as u64;
            self.storages.insert(key, bytes);
        }
        let layout = fit(tensor, self.storages[key].len());
        Ok(layout.map(|layout| Part {
            key,
            element: tensor.element,
            layout,
        }))
    }

    pub(super) fn gather(&self, part: &Part<'_>) -> Vec<f32> {
        part.layout.gather(part.element, &self.storages[part.key])
    }

    pub(super) fn gather_indices(&self, part: &Part<'_>) -> Option<Vec<i64>> {
        let storage = &self.storages[part.key];
        part.layout.gather_indices(part.element, storage)
    }
}

/// Checks the description of a tensor against its storage. The error text continues a sentence about the tensor.
fn fit(tensor: &StridedTensor<'_>, bytes: usize) -> Result<Layout, String> {
    let Storage {
        key,
        element,
        elements,
    } = tensor.storage;
    let key = quoted(key);
    let size = element.size() as u64;
    if elements.checked_mul(size) != Some(bytes as u64) {
        let kind = element.name();
        return Err(format!(
            "needs {elements} elements of {kind} in the storage `{key}`, which has {bytes} bytes"
        ));
    }
    // A storage without a type counts bytes.
    let elements = bytes as u64 / tensor.element.size() as u64;
    // The storage is in memory, so sizes up to its length fit in `usize`; larger ones are an error.
    let whole = |numbers: &[u64]| -> Option<Vec<usize>> {
        let numbers = numbers.iter().map(|&number| usize::try_from(number).ok());
        numbers.collect()
    };
    let layout = usize::try_from(tensor.offset)
        .ok()
        .zip(whole(&tensor.shape))
        .zip(whole(&tensor.stride))
        .map(|((offset, shape), stride)| Layout {
            offset,
            shape,
            stride,
        });
    let fits = |layout: &Layout| {
        let extent = layout.extent()?;
        layout.elements()?;
        Some(extent as u64 <= elements)
    };
    match layout {
        Some(layout) if fits(&layout) == Some(true) => Ok(layout),
        _ => Err(format!(
            "of shape {:?}, strides {:?} and offset {} reaches past its storage `{key}` of {elements} elements",
            tensor.shape, tensor.stride, tensor.offset
        )),
    }
}
