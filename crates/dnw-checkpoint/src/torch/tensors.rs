//! Reads the elements of the listed tensors.

use super::listing::{Listed, list};
use super::loaded::{Loaded, Part, Storages};
use super::sparse;
use crate::checkpoint::{join, refuse_duplicates};
use crate::error::quoted;
use crate::limits;
use crate::pickle::{Pickle, SparseTensor};
use crate::{Checkpoint, CheckpointError, ElementType, Reason, Section, Skipped, Tensor};

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
                Listed::Sparse(tensor) => fit_sparse(&mut loaded, tensor, storages)?,
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

/// Loads the storages of a sparse tensor and checks its parts against them. The inner error continues a sentence about the tensor.
fn fit_sparse<'p, 's>(
    loaded: &mut Loaded<'p, 's>,
    tensor: &'p SparseTensor<'_>,
    storages: &mut impl Storages<'s>,
) -> Result<Result<Fitted<'p>, String>, CheckpointError> {
    let mut indices = Vec::with_capacity(tensor.indices.len());
    for part in &tensor.indices {
        match loaded.fit(part, storages)? {
            Ok(part) => indices.push(part),
            Err(what) => return Ok(Err(what)),
        }
    }
    let values = loaded.fit(&tensor.values, storages)?;
    Ok(values.and_then(|values| sparse::Parts::new(tensor, indices, values).map(Fitted::Sparse)))
}
