//! Reading a record.

use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor, TensorData};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use crate::case::Failure;

/// A recorded run.
pub(crate) struct Record {
    folder: PathBuf,
    bytes: Vec<u8>,
    /// A record of the same run under other conditions, whose tensors and files replace those of this one.
    overrides: Option<(PathBuf, Vec<u8>)>,
}

impl Record {
    /// Opens the record of this name. Small ones are in the repository, the others in the folder that `DNW_PARITY` names, or in
    /// `shared/parity` beside the checkout.
    ///
    /// # Errors
    /// [`Failure::Unsupported`] if there is none.
    pub(crate) fn open(name: &str) -> Result<Self, Failure> {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
        let folders = [
            Some(manifest.join("records")),
            std::env::var_os("DNW_PARITY").map(PathBuf::from),
            Some(manifest.join("../../../shared/parity")),
        ];
        let found = folders.into_iter().flatten().find_map(|folder| {
            let folder = folder.join(name);
            let bytes = std::fs::read(folder.join("record.safetensors")).ok()?;
            let overrides = None;
            Some(Self {
                folder,
                bytes,
                overrides,
            })
        });
        found.ok_or_else(|| {
            Failure::Unsupported(format!(
                "the record `{name}` is too large for the repository; set DNW_PARITY to the folder that holds it"
            ))
        })
    }

    /// The record with the tensors and files of a folder inside it in place of its own.
    pub(crate) fn with_overrides(self, folder: &str) -> Self {
        let folder = self.folder.join(folder);
        let bytes = std::fs::read(folder.join("record.safetensors")).unwrap();
        let overrides = Some((folder, bytes));
        Self { overrides, ..self }
    }

    /// A recorded tensor.
    pub(crate) fn data(&self, name: &str) -> TensorData {
        let overrides = self.overrides.iter().map(|(_, bytes)| bytes);
        let found = overrides.chain([&self.bytes]).find_map(|bytes| {
            let tensors = SafeTensors::deserialize(bytes).unwrap();
            tensors.tensor(name).ok().map(|tensor| data(&tensor))
        });
        found.unwrap_or_else(|| panic!("no `{name}` in the record"))
    }

    /// The names of the parameters whose first gradients were recorded, sorted.
    pub(crate) fn parameters(&self) -> Vec<String> {
        let tensors = SafeTensors::deserialize(&self.bytes).unwrap();
        let names = tensors.names().into_iter();
        let mut names: Vec<String> = names
            .filter_map(|name| name.strip_prefix("grad_0.").map(str::to_owned))
            .collect();
        names.sort();
        names
    }

    /// The loss of each step.
    pub(crate) fn losses(&self) -> Vec<f32> {
        self.data("losses").iter().collect()
    }

    /// The images and labels of a step.
    pub(crate) fn batch(&self, step: usize, device: &Device) -> (Tensor<4>, Vec<i32>) {
        let images = Tensor::<5>::from_data(self.data("images"), device);
        let [_, batch, c, h, w] = images.dims();
        let labels: Vec<i32> = self.data("labels").iter().collect();
        (
            images.narrow(0, step, 1).reshape([batch, c, h, w]),
            labels[step * batch..][..batch].to_vec(),
        )
    }

    /// The tensors of one of its checkpoints, under their published names.
    pub(crate) fn checkpoint(&self, file: &str) -> Vec<(String, TensorData)> {
        let overrides = self.overrides.iter().map(|(folder, _)| folder);
        let mut folders = overrides.chain([&self.folder]);
        let path = folders.find_map(|folder| Some(folder.join(file)).filter(|path| path.exists()));
        let bytes = std::fs::read(path.unwrap()).unwrap();
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        let tensors = tensors.iter();
        tensors
            .map(|(name, tensor)| (name.to_owned(), data(&tensor)))
            .collect()
    }
}

fn data(tensor: &TensorView<'_>) -> TensorData {
    let words = tensor
        .data()
        .chunks_exact(4)
        .map(|b| [b[0], b[1], b[2], b[3]]);
    match tensor.dtype() {
        Dtype::F32 => TensorData::new(words.map(f32::from_le_bytes).collect(), tensor.shape()),
        Dtype::I32 => TensorData::new(words.map(i32::from_le_bytes).collect(), tensor.shape()),
        other => panic!("a tensor of {other:?}"),
    }
}
