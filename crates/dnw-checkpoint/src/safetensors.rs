//! safetensors files, with the `safetensors` crate, which checks the header against the file.

use std::borrow::Cow;
use std::collections::HashMap;

use safetensors::{Dtype, SafeTensors, View};

use crate::checkpoint::refuse_duplicates;
use crate::element::{ElementType, Layout};
use crate::error::quoted;
use crate::limits;
use crate::{Checkpoint, CheckpointError, Reason, Section, Skipped, Tensor};

/// Whether the bytes begin like a safetensors file: the length of the header, then the header, a JSON object.
pub fn recognizes(bytes: &[u8]) -> bool {
    bytes.get(8) == Some(&b'{')
}

/// Reads a safetensors file: one section, the tensors in the order of their data.
pub fn read(bytes: &[u8]) -> Result<Checkpoint, CheckpointError> {
    let file = SafeTensors::deserialize(bytes)?;
    limits::check("tensors", file.len() as u64, limits::TENSORS as u64)?;
    let mut views: Vec<_> = file.iter().collect();
    // A tensor without elements has the offset of the next one.
    views.sort_by_key(|(name, view)| (view.data().as_ptr() as usize, view.data().len(), *name));
    let mut checkpoint = Checkpoint::default();
    let mut tensors = Vec::with_capacity(views.len());
    for (name, view) in views {
        let Some(element) = element(view.dtype()) else {
            checkpoint.skipped.push(Skipped {
                name: name.to_owned(),
                reason: Reason::Elements(view.dtype().to_string().to_lowercase()),
            });
            continue;
        };
        let shape = view.shape();
        limits::check("axes of a tensor", shape.len() as u64, limits::RANK as u64)?;
        let layout = Layout::row_major(shape.to_vec());
        // The library checked the length of the data against the shape.
        let data = layout.gather(element, view.data());
        tensors.push(Tensor {
            name: name.to_owned(),
            shape: layout.shape,
            data,
        });
    }
    if !tensors.is_empty() {
        checkpoint.sections.push(Section {
            path: String::new(),
            tensors,
        });
    }
    Ok(checkpoint)
}

/// The element types that are read; integers of more than 16 bits are not.
fn element(dtype: Dtype) -> Option<ElementType> {
    Some(match dtype {
        Dtype::F64 => ElementType::Float64,
        Dtype::F32 => ElementType::Float32,
        Dtype::F16 => ElementType::Float16,
        Dtype::BF16 => ElementType::BFloat16,
        Dtype::I16 => ElementType::Int16,
        Dtype::I8 => ElementType::Int8,
        Dtype::U8 => ElementType::UInt8,
        Dtype::BOOL => ElementType::Bool,
        _ => return None,
    })
}

/// Encodes tensors as a safetensors file of 32-bit floats.
///
/// The metadata has `format: pt`, which Hugging Face libraries require.
///
/// # Errors
/// [`CheckpointError::Duplicate`] if two tensors have the same name, [`CheckpointError::Tensor`] if the number of a tensor's elements
/// does not fit its shape.
pub fn write_safetensors<'t>(
    tensors: impl IntoIterator<Item = &'t Tensor>,
) -> Result<Vec<u8>, CheckpointError> {
    let tensors: Vec<_> = tensors.into_iter().collect();
    refuse_duplicates("", tensors.iter().map(|tensor| tensor.name.as_str()))?;
    for tensor in &tensors {
        let elements = Layout::row_major(tensor.shape.clone()).elements();
        if elements != Some(tensor.data.len()) {
            return Err(CheckpointError::Tensor {
                name: quoted(&tensor.name),
                what: format!(
                    "of shape {:?} has {} elements",
                    tensor.shape,
                    tensor.data.len()
                ),
            });
        }
    }
    let views = tensors.iter().map(|tensor| (&tensor.name, Floats(tensor)));
    let about = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    Ok(safetensors::serialize(views, Some(about))?)
}

struct Floats<'t>(&'t Tensor);

impl View for Floats<'_> {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.0.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Owned(self.0.data.iter().flat_map(|x| x.to_le_bytes()).collect())
    }

    fn data_len(&self) -> usize {
        size_of_val(self.0.data.as_slice())
    }
}
