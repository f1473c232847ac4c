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
    // The length is a 64-bit integer, whose upper bytes are zero; those of a text are not.
    bytes.get(8) == Some(&b'{') && bytes[6..8] == [0, 0]
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

/// The element types that are read; integers of more than 16 bits and floats of fewer than 8 are not.
fn element(dtype: Dtype) -> Option<ElementType> {
    Some(match dtype {
        Dtype::F8_E4M3 => ElementType::Float8E4M3,
        Dtype::F8_E5M2 => ElementType::Float8E5M2,
        Dtype::F8_E4M3FNUZ => ElementType::Float8E4M3Fnuz,
        Dtype::F8_E5M2FNUZ => ElementType::Float8E5M2Fnuz,
        Dtype::F8_E8M0 => ElementType::Float8E8M0,
        Dtype::U16 => ElementType::UInt16,
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
/// The metadata has `format: pt`, which Hugging Face libraries require, and these notes in this order: the same content is the same bytes.
///
/// # Errors
/// [`CheckpointError::Duplicate`] if two tensors have the same name, [`CheckpointError::Tensor`] if the number of a tensor's elements
/// does not fit its shape.
pub fn write_safetensors<'t>(
    tensors: impl IntoIterator<Item = &'t Tensor>,
    notes: &[(&str, String)],
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
    let file = safetensors::serialize(views, Some(about))?;
    Ok(with_notes(file, notes))
}

/// Adds notes to the metadata of a file that was just written. The library keeps metadata in a hash map, whose order differs each time.
fn with_notes(file: Vec<u8>, notes: &[(&str, String)]) -> Vec<u8> {
    const METADATA: &[u8] = br#"{"__metadata__":{"format":"pt""#;
    let (length, rest) = file.split_at(8);
    let length = u64::from_le_bytes(length.try_into().unwrap_or_default()) as usize;
    let Some(header) = rest[..length].strip_prefix(METADATA) else {
        return file;
    };
    if notes.is_empty() {
        return file;
    }
    let mut written = METADATA.to_vec();
    for (key, value) in notes {
        let text = |text: &str| serde_json::Value::from(text).to_string();
        written.extend_from_slice(format!(",{}:{}", text(key), text(value)).as_bytes());
    }
    written.extend_from_slice(header.trim_ascii_end());
    // The data begin at a multiple of eight bytes.
    written.resize(written.len().next_multiple_of(8), b' ');
    let prefix = (written.len() as u64).to_le_bytes();
    [&prefix[..], &written, &rest[length..]].concat()
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
