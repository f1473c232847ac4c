//! Reads the elements of the listed tensors.

use std::borrow::Cow;
use std::collections::HashMap;

use super::listing::{Listed, list};
use super::sparse;
use crate::checkpoint::{join, refuse_duplicates};
use crate::element::Layout;
use crate::error::quoted;
use crate::limits;
use crate::pickle::{Pickle, SparseTensor, Storage, StridedTensor};
use crate::{Checkpoint, CheckpointError, ElementType, Reason, Section, Skipped, Tensor};

/// The storages of a file, by key.
pub trait Storages<'s> {
    /// The bytes of the storage `key`.
    fn bytes(&mut self, key: &str) -> Result<Cow<'s, [u8]>, CheckpointError>;
}

/// Reads the tensors in the dictionaries of `pickle`.
///
/// All tensors and their total number of elements are checked before the first is copied.
pub fn collect<'s>(
    pickle: &Pickle<'_>,
    storages: &mut impl Storages<'s>,
) -> Result<Checkpoint, CheckpointError> {
    let listing = list(pickle)?;
    let mut loaded = Loaded::default();
    let mut skipped = listing.skipped;
    let mut elements = 0u64;
    let mut checked = Vec::with_capacity(listing.sections.len());
    for (path, tensors) in &listing.sections {
        let mut parts = Vec::with_capacity(tensors.len());
        for (name, listed) in tensors {
            let fitted = match listed {
                Listed::Strided(tensor) => loaded.fit(tensor, storages)?.map(Fitted::Strided),
                Listed::Sparse(tensor) => loaded.fit_sparse(tensor, storages)?,
            };
            let fitted = fitted.map_err(|what| CheckpointError::Tensor {
                name: quoted(&join(path, name)),
                what,
            })?;
            let element = fitted.element();
            if element.is_read() {
                elements = elements.saturating_add(fitted.elements());
                parts.push((name, fitted));
            } else {
                skipped.push(Skipped {
                    name: join(path, name),
                    reason: Reason::Elements(element.name().into()),
                });
            }
        }
        checked.push((path, parts));
    }
    let limit = limits::total_elements(loaded.bytes);
    limits::check("elements of tensors", elements, limit)?;

    let mut sections = Vec::with_capacity(checked.len());
    let mut filled = 0;
    for (path, parts) in checked {
        let mut tensors = Vec::with_capacity(parts.len());
        for (name, fitted) in parts {
            match fitted {
                Fitted::Strided(part) => tensors.push(Tensor {
                    name: name.clone(),
                    data: loaded.gather(&part),
                    shape: part.layout.shape,
                }),
                Fitted::Sparse(parts) => {
                    let dense = sparse::to_dense(&parts, &loaded, &mut filled);
                    let (data, mask) = dense.map_err(|what| CheckpointError::Tensor {
                        name: quoted(&join(path, name)),
                        what,
                    })?;
                    let named = |name: String, data| Tensor {
                        name,
                        shape: parts.shape.clone(),
                        data,
                    };
                    tensors.push(named(name.clone(), data));
                    tensors.push(named([name, sparse::MASK].concat(), mask));
                }
            }
        }
        refuse_duplicates(path, tensors.iter().map(|tensor| tensor.name.as_str()))?;
        if !tensors.is_empty() {
            sections.push(Section {
                path: path.clone(),
                tensors,
            });
        }
    }
    Ok(Checkpoint { sections, skipped })
}

/// A tensor whose description fits its storage.
pub(super) struct Part<'p> {
    key: &'p str,
    pub(super) element: ElementType,
    pub(super) layout: Layout,
}

impl Part<'_> {
    fn elements(&self) -> u64 {
        self.layout.elements().unwrap_or(0) as u64
    }
}

enum Fitted<'p> {
    Strided(Part<'p>),
    Sparse(sparse::Parts<'p>),
}

impl Fitted<'_> {
    fn element(&self) -> ElementType {
        match self {
            Self::Strided(part) => part.element,
            Self::Sparse(parts) => parts.values.element,
        }
    }

    /// How many elements are gathered from storages.
    fn elements(&self) -> u64 {
        match self {
            Self::Strided(part) => part.elements(),
            Self::Sparse(parts) => {
                let indices = parts.indices.iter().map(Part::elements);
                parts.values.elements() + 2 * indices.sum::<u64>()
            }
        }
    }
}

/// The storages that were read.
#[derive(Default)]
pub(super) struct Loaded<'p, 's> {
    storages: HashMap<&'p str, Cow<'s, [u8]>>,
    /// Their size in bytes, together.
    bytes: u64,
}

impl<'p, 's> Loaded<'p, 's> {
    /// Loads a tensor's storage and checks its description against it. The inner error continues a sentence about the tensor.
    fn fit(
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

    fn fit_sparse(
        &mut self,
        tensor: &'p SparseTensor<'_>,
        storages: &mut impl Storages<'s>,
    ) -> Result<Result<Fitted<'p>, String>, CheckpointError> {
        let mut indices = Vec::with_capacity(tensor.indices.len());
        for part in &tensor.indices {
            match self.fit(part, storages)? {
                Ok(part) => indices.push(part),
                Err(what) => return Ok(Err(what)),
            }
        }
        let values = self.fit(&tensor.values, storages)?;
        Ok(values
            .and_then(|values| sparse::Parts::new(tensor, indices, values).map(Fitted::Sparse)))
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
