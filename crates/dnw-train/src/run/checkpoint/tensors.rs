//! The tensors of a checkpoint as a safetensors file.

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::{BoolStore, DType, TensorData};
use dnw_core::{RecordedTensor, WiredProgress, WiredRecord};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use crate::run::RunError;

/// Before the path of a tensor of the model.
const MODEL: &str = "model/";
/// Before the path of a tensor of the model to rewind to.
const INITIAL: &str = "initial/";
/// Before the path of the weight that a gradient belongs to.
const GRADIENT: &str = "gradient/";

/// A record with all tensors in one list.
pub(super) struct Named {
    pub(super) tensors: BTreeMap<String, TensorData>,
    /// The ids of parameters.
    pub(super) ids: BTreeMap<String, u64>,
    /// Whether there is a model to rewind to.
    pub(super) rewinds: bool,
    pub(super) progress: WiredProgress,
}

impl Named {
    pub(super) fn of(record: WiredRecord) -> Self {
        let mut named = Self {
            tensors: BTreeMap::new(),
            ids: BTreeMap::new(),
            rewinds: record.initial.is_some(),
            progress: record.progress,
        };
        let models = [
            (MODEL, record.model),
            (INITIAL, record.initial.unwrap_or_default()),
        ];
        for (before, tensors) in models {
            for (path, RecordedTensor { id, data }) in tensors {
                let name = format!("{before}{path}");
                named.ids.insert(name.clone(), id);
                named.tensors.insert(name, data);
            }
        }
        for (path, data) in record.gradients {
            named.tensors.insert(format!("{GRADIENT}{path}"), data);
        }
        named
    }

    /// The record; `path` is the file, for errors.
    pub(super) fn into_record(self, path: &Path) -> Result<WiredRecord, RunError> {
        let Self {
            tensors,
            mut ids,
            rewinds,
            progress,
        } = self;
        let mut record = WiredRecord {
            model: BTreeMap::new(),
            initial: rewinds.then(BTreeMap::new),
            gradients: BTreeMap::new(),
            progress,
        };
        for (name, data) in tensors {
            if let Some(path) = name.strip_prefix(GRADIENT) {
                record.gradients.insert(path.to_owned(), data);
                continue;
            }
            let Some(id) = ids.remove(&name) else {
                return Err(RunError::damaged(path, format!("`{name}` has no id")));
            };
            let tensor = RecordedTensor { id, data };
            if let Some(path) = name.strip_prefix(MODEL) {
                record.model.insert(path.to_owned(), tensor);
            } else if let Some((initial, path)) =
                record.initial.as_mut().zip(name.strip_prefix(INITIAL))
            {
                initial.insert(path.to_owned(), tensor);
            } else {
                let reason = format!("`{name}` is no tensor of a checkpoint");
                return Err(RunError::damaged(path, reason));
            }
        }
        Ok(record)
    }

    /// The safetensors file; `path` is for errors.
    pub(super) fn to_bytes(&self, path: &Path) -> Result<Vec<u8>, RunError> {
        let mut views = Vec::with_capacity(self.tensors.len());
        for (name, data) in &self.tensors {
            let dtype = TYPES.iter().find(|(own, _)| *own == data.dtype());
            let Some((_, dtype)) = dtype else {
                let reason = format!("`{name}` holds numbers of a type that cannot be stored");
                return Err(RunError::damaged(path, reason));
            };
            let shape = data.shape().as_slice().to_vec();
            let view = TensorView::new(*dtype, shape, data.as_bytes());
            views.push((name, view.map_err(|error| RunError::damaged(path, error))?));
        }
        safetensors::serialize(views, None).map_err(|error| RunError::damaged(path, error))
    }
}

/// The types of numbers, in Burn and in the file.
const TYPES: [(DType, Dtype); 13] = [
    (DType::F32, Dtype::F32),
    (DType::F64, Dtype::F64),
    (DType::F16, Dtype::F16),
    (DType::BF16, Dtype::BF16),
    (DType::Bool(BoolStore::Native), Dtype::BOOL),
    (DType::I64, Dtype::I64),
    (DType::I32, Dtype::I32),
    (DType::I16, Dtype::I16),
    (DType::I8, Dtype::I8),
    (DType::U64, Dtype::U64),
    (DType::U32, Dtype::U32),
    (DType::U16, Dtype::U16),
    (DType::U8, Dtype::U8),
];

/// The tensors of a file; `path` is for errors.
pub(super) fn from_bytes(
    bytes: &[u8],
    path: &Path,
) -> Result<BTreeMap<String, TensorData>, RunError> {
    let file = SafeTensors::deserialize(bytes).map_err(|error| RunError::damaged(path, error))?;
    let mut tensors = BTreeMap::new();
    for (name, view) in file.tensors() {
        let dtype = TYPES.iter().find(|(_, own)| *own == view.dtype());
        let Some((dtype, _)) = dtype else {
            let reason = format!("`{name}` holds numbers of the type {}", view.dtype());
            return Err(RunError::damaged(path, reason));
        };
        if view.dtype() == Dtype::BOOL && view.data().iter().any(|&byte| byte > 1) {
            let reason = format!("`{name}` holds something other than yes and no");
            return Err(RunError::damaged(path, reason));
        }
        let data = TensorData::from_bytes_vec(view.data().to_vec(), view.shape().to_vec(), *dtype);
        tensors.insert(name, data);
    }
    Ok(tensors)
}
