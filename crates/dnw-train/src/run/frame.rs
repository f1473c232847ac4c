//! A frame of a run: the wired weights, and the network's output for a few images.

use std::collections::BTreeMap;
use std::path::Path;

use dnw_core::WiredTensor;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use super::{RunError, write_whole};

/// The largest file of named tensors in bytes.
const MAX_BYTES: u64 = 4 << 30;

/// Named tensors with shapes, in a safetensors file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Frame(BTreeMap<String, Entry>);

#[derive(Clone, Debug, PartialEq)]
struct Entry {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl Frame {
    /// Adds 32-bit floats.
    pub fn put_f32(&mut self, name: &str, shape: &[usize], values: &[f32]) {
        let bytes = values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        self.put(name, Dtype::F32, shape, bytes);
    }

    /// Adds the weights of a wired tensor, ordered by target.
    pub(crate) fn put_weights(&mut self, tensor: &WiredTensor) {
        let mut weights = vec![0.0; tensor.weights.len()];
        for (entry, &weight) in tensor.weights.iter().enumerate() {
            weights[tensor.shape.by_target(entry)] = weight;
        }
        let name = format!("weight:{}", tensor.name);
        self.put_f32(&name, &[weights.len()], &weights);
    }

    /// Adds bytes.
    pub fn put_u8(&mut self, name: &str, shape: &[usize], values: Vec<u8>) {
        self.put(name, Dtype::U8, shape, values);
    }

    /// Adds signed bytes.
    pub fn put_i8(&mut self, name: &str, shape: &[usize], values: &[i8]) {
        self.put(
            name,
            Dtype::I8,
            shape,
            values.iter().map(|&value| value as u8).collect(),
        );
    }

    fn put(&mut self, name: &str, dtype: Dtype, shape: &[usize], bytes: Vec<u8>) {
        self.0.insert(
            name.to_owned(),
            Entry {
                dtype,
                shape: shape.to_vec(),
                bytes,
            },
        );
    }

    /// The shape of a tensor.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.0.get(name).map(|entry| entry.shape.as_slice())
    }

    /// The 32-bit floats of a tensor.
    pub fn f32(&self, name: &str) -> Option<Vec<f32>> {
        let entry = self.0.get(name).filter(|entry| entry.dtype == Dtype::F32)?;
        let words = entry.bytes.chunks_exact(4);
        Some(
            words
                .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
                .collect(),
        )
    }

    /// The bytes of a tensor of signed or unsigned bytes.
    pub fn bytes(&self, name: &str) -> Option<&[u8]> {
        let is_bytes = |entry: &&Entry| matches!(entry.dtype, Dtype::U8 | Dtype::I8);
        self.0
            .get(name)
            .filter(is_bytes)
            .map(|entry| entry.bytes.as_slice())
    }

    /// Writes the frame as a safetensors file.
    ///
    /// # Errors
    /// [`RunError::Write`].
    pub fn write(&self, path: &Path) -> Result<(), RunError> {
        let views = self.0.iter().map(|(name, entry)| {
            let view = TensorView::new(entry.dtype, entry.shape.clone(), &entry.bytes);
            view.map(|view| (name.clone(), view))
        });
        let views: Result<Vec<_>, _> = views.collect();
        let bytes = views.and_then(|views| safetensors::serialize(views, None));
        write_whole(
            path,
            &bytes.map_err(|error| RunError::damaged(path, error))?,
        )
    }

    /// Reads a safetensors file.
    ///
    /// # Errors
    /// [`RunError::Read`], or [`RunError::Damaged`] if it is invalid.
    pub fn read(path: &Path) -> Result<Self, RunError> {
        let bytes = read_bounded(path)?;
        let tensors =
            SafeTensors::deserialize(&bytes).map_err(|error| RunError::damaged(path, error))?;
        let entry = |view: TensorView<'_>| Entry {
            dtype: view.dtype(),
            shape: view.shape().to_vec(),
            bytes: view.data().to_vec(),
        };
        Ok(Self(
            tensors
                .tensors()
                .into_iter()
                .map(|(name, view)| (name, entry(view)))
                .collect(),
        ))
    }
}

/// Reads a file up to the largest size.
pub(crate) fn read_bounded(path: &Path) -> Result<Vec<u8>, RunError> {
    let failed = |source| RunError::Read {
        path: path.to_owned(),
        source,
    };
    let size = std::fs::metadata(path).map_err(failed)?.len();
    if size > MAX_BYTES {
        return Err(RunError::damaged(
            path,
            format!("it has {size} bytes, more than {MAX_BYTES}"),
        ));
    }
    std::fs::read(path).map_err(failed)
}
