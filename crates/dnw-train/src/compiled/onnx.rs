//! From an ONNX model to the file of a compiled model, and from a run to an ONNX model.

use std::path::Path;

use burn::tensor::Device;
use dnw_onnx::{Description, ExportOptions, Exported, export};
use dnw_runtime::file::Precision;
use dnw_runtime::plan::Input;

use super::{Compile, CompileError, Compiled};
use crate::run::RunFolder;

/// An ONNX model that is to be compiled. What is not given is as the model says.
#[derive(Clone, Debug)]
pub struct CompileOnnx<'a> {
    /// The file.
    pub file: &'a Path,
    /// `[channels, height, width]` of an image, for models that leave it open or read its pixels as a vector.
    pub image: Option<[usize; 3]>,
    /// The mean of each channel's pixels.
    pub mean: Option<&'a [f32]>,
    /// What each channel is divided by.
    pub deviation: Option<&'a [f32]>,
    /// The pixels of the shorter side before the centre is cropped.
    pub resize: Option<usize>,
    /// What weights are stored as.
    pub precision: Precision,
}

impl CompileOnnx<'_> {
    /// Compiles the model.
    ///
    /// # Errors
    /// [`CompileError`] if the file cannot be read, or has something that is not supported.
    pub fn run(self) -> Result<Compiled, CompileError> {
        let imported = dnw_onnx::open(self.file, self.image)?;
        let shape = imported.circuit.image();
        let said = imported.description;
        let list = |what, given: Option<&[f32]>, said: Vec<f32>| match given {
            None => Ok(said),
            Some(given) if given.len() == shape[0] => Ok(given.to_vec()),
            Some(given) => Err(CompileError::Channels {
                what,
                found: given.len(),
                channels: shape[0],
            }),
        };
        let stem = self.file.file_stem().unwrap_or_default();
        let input = Input {
            name: match said.name.as_str() {
                "" => stem.to_string_lossy().into_owned(),
                name => name.to_owned(),
            },
            shape,
            mean: list("mean", self.mean, said.mean)?,
            deviation: list("deviation", self.deviation, said.deviation)?,
            resize: self.resize.unwrap_or(said.resize),
            classes: said.classes,
        };
        Ok(Compiled {
            channels_last: imported.channels_last,
            quantised: imported.quantised,
            ..Compiled::new(&imported.circuit, input, self.precision)?
        })
    }
}

/// A run that is to be written as an ONNX model.
#[derive(Clone, Debug)]
pub struct ExportOnnx<'a> {
    /// The run.
    pub folder: &'a RunFolder,
    /// Which weights: `best` or `last`.
    pub which: &'a str,
    /// How the model is written.
    pub options: ExportOptions,
    /// Where the network is built, without autodiff.
    pub device: &'a Device,
}

impl ExportOnnx<'_> {
    /// Writes the run's network, without dead nodes and with its norms folded.
    ///
    /// # Errors
    /// [`CompileError`] if the run cannot be read, or its network has no fixed circuit.
    pub fn run(self) -> Result<Exported, CompileError> {
        let compile = Compile {
            folder: self.folder,
            which: self.which,
            precision: Precision::F32,
            device: self.device,
        };
        let (circuit, input) = compile.network()?;
        let description = Description {
            name: input.name,
            mean: input.mean,
            deviation: input.deviation,
            resize: input.resize,
            classes: input.classes,
        };
        Ok(export(&circuit, &description, self.options))
    }
}
