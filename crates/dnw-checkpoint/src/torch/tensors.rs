//! Reads the elements of the listed tensors.

use std::borrow::Cow;
use std::collections::HashMap;

use super::listing::list;
use crate::checkpoint::join;
use crate::element::Layout;
use crate::error::quoted;
use crate::limits;
use crate::pickle::{Pickle, Storage, StridedTensor};
use crate::{Checkpoint, CheckpointError, Reason, Section, Skipped, Tensor};

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
    let mut loaded: HashMap<&str, Cow<'s, [u8]>> = HashMap::new();
    let mut storage_bytes = 0;
    let mut elements = 0u64;
    let mut checked = Vec::with_capacity(listing.sections.len());
    let mut skipped = listing.skipped;
    for (path, tensors) in &listing.sections {
        let mut layouts = Vec::with_capacity(tensors.len());
        for (name, tensor) in tensors {
            let Storage { key, element, .. } = tensor.storage;
            if !loaded.contains_key(key) {
                let bytes = storages.bytes(key)?;
                storage_bytes += bytes.len() as u64;
                loaded.insert(key, bytes);
            }
            let layout =
                fit(tensor, loaded[key].len()).map_err(|what| CheckpointError::Tensor {
                    name: quoted(&join(path, name)),
                    what,
                })?;
            if element.is_read() {
                elements = elements.saturating_add(layout.elements().unwrap_or(0) as u64);
                layouts.push((name, tensor, layout));
            } else {
                skipped.push(Skipped {
                    name: join(path, name),
                    reason: Reason::Elements(element.name().into()),
                });
            }
        }
        checked.push((path, layouts));
    }
    let limit = limits::total_elements(storage_bytes);
    limits::check("elements of tensors", elements, limit)?;

    let mut sections = Vec::with_capacity(checked.len());
    for (path, layouts) in checked {
        let tensors: Vec<_> = layouts
            .into_iter()
            .map(|(name, tensor, layout)| Tensor {
                name: name.clone(),
                data: layout.gather(tensor.storage.element, &loaded[tensor.storage.key]),
                shape: layout.shape,
            })
            .collect();
        if !tensors.is_empty() {
            sections.push(Section {
                path: path.clone(),
                tensors,
            });
        }
    }
    Ok(Checkpoint { sections, skipped })
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
