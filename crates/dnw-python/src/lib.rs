//! The extension module `dnw._dnw`. The package `dnw` in `python/` is what users import.

mod error;
mod model;

use std::path::PathBuf;

use dnw_compiler::{Passes, compile};
use dnw_onnx::{ImportError, Imported};
use dnw_runtime::file::Precision;
use dnw_runtime::plan::{Input, Plan};
use pyo3::prelude::*;

use error::{DnwError, refused};
use model::Model;

fn not_imported(error: ImportError) -> PyErr {
    refused(format!("{error}\nhelp: {}", error.help()))
}

/// An ONNX model, as a file or as bytes.
#[derive(FromPyObject)]
enum Onnx {
    Bytes(Vec<u8>),
    File(PathBuf),
}

/// What an image must look like, where the caller says it.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct Description {
    mean: Option<Vec<f32>>,
    deviation: Option<Vec<f32>>,
    classes: Option<Vec<String>>,
}

/// Compiles an ONNX model.
#[pyfunction]
fn compile_onnx(
    py: Python<'_>,
    model: Onnx,
    image: Option<[usize; 3]>,
    description: Description,
    weights: &str,
) -> PyResult<Model> {
    let precision = match weights {
        "f32" => Precision::F32,
        "f16" => Precision::F16,
        "int8" => Precision::Int8,
        other => {
            return Err(refused(format!(
                "weights cannot be stored as `{other}`: give f32, f16 or int8"
            )));
        }
    };
    let compiled = py.detach(|| {
        let imported = match &model {
            Onnx::Bytes(bytes) => dnw_onnx::import(bytes.as_slice(), None, image),
            Onnx::File(path) => dnw_onnx::open(path, image),
        };
        imported.map(|imported| plan(imported, description))
    });
    Model::new(compiled.map_err(not_imported)??, precision)
}

fn plan(imported: Imported, given: Description) -> PyResult<Plan> {
    let (shape, said) = (imported.circuit.image(), imported.description);
    let per_channel = |what: &str, given: Option<Vec<f32>>, said: Vec<f32>| match given {
        Some(list) if list.len() != shape[0] => Err(refused(format!(
            "`{what}` has {} numbers, an image has {} channels: give one for each",
            list.len(),
            shape[0]
        ))),
        given => Ok(given.unwrap_or(said)),
    };
    let input = Input {
        name: said.name,
        shape,
        mean: per_channel("mean", given.mean, said.mean)?,
        deviation: per_channel("deviation", given.deviation, said.deviation)?,
        resize: said.resize,
        classes: given.classes.unwrap_or(said.classes),
    };
    Ok(compile(&imported.circuit, input, Passes::default()))
}

/// Loads a compiled model.
#[pyfunction]
fn load(py: Python<'_>, path: PathBuf) -> PyResult<Model> {
    py.detach(|| Model::load(&path))
}

/// The functions and classes that the package uses.
#[pymodule]
fn _dnw(module: &Bound<'_, PyModule>) -> PyResult<()> {
    // A value of DNW_SIMD that this machine lacks is an error now, not a panic later.
    dnw_kernels::settings::check().map_err(refused)?;
    module.add_class::<Model>()?;
    module.add_function(wrap_pyfunction!(compile_onnx, module)?)?;
    module.add_function(wrap_pyfunction!(load, module)?)?;
    module.add("DnwError", module.py().get_type::<DnwError>())?;
    module.add("__version__", env!("CARGO_PKG_VERSION"))
}
