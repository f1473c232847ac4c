//! A compiled model in Python.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use dnw_compiler::{StepFacts, timing};
use dnw_runtime::Session;
use dnw_runtime::file::{self, Precision};
use dnw_runtime::plan::Plan;
use numpy::{PyArray1, PyArrayDyn, PyArrayMethods, PyReadonlyArrayDyn, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::error::refused;

/// A compiled network. Any number of threads can call one model.
#[pyclass(frozen, module = "dnw")]
pub struct Model {
    /// Its file.
    bytes: Vec<u8>,
    model: dnw_runtime::Model,
    /// The shape of an image's result, `[channels, height, width]`.
    output: [usize; 3],
    steps: Vec<Step>,
    /// Sessions that nobody uses, with their threads.
    idle: Mutex<Vec<(usize, Session)>>,
}

struct Step {
    reason: String,
    facts: StepFacts,
}

impl Model {
    /// A plan's model, its weights stored in this precision.
    pub fn new(plan: Plan, precision: Precision) -> PyResult<Self> {
        Self::of(file::write(&plan, precision))
    }

    /// Loads a file.
    pub fn load(path: &Path) -> PyResult<Self> {
        // The runtime's own way, for its errors: a file of another kind is not read as a whole.
        let _checked = dnw_runtime::Model::load(path).map_err(refused)?;
        let bytes = fs::read(path).map_err(|error| {
            refused(format!(
                "cannot read the model `{}`: {error}",
                path.display()
            ))
        })?;
        Self::of(bytes)
    }

    fn of(bytes: Vec<u8>) -> PyResult<Self> {
        let plan = file::read(&bytes).map_err(refused)?;
        let steps = plan.steps.iter().map(|step| Step {
            reason: step.reason.clone(),
            facts: StepFacts::of(step),
        });
        let (steps, output) = (steps.collect(), plan.output.shape);
        Ok(Self {
            bytes,
            model: dnw_runtime::Model::new(plan).map_err(refused)?,
            output,
            steps,
            idle: Mutex::new(Vec::new()),
        })
    }

    /// Runs `work` with a session that nobody else uses.
    fn with_session<T>(&self, threads: usize, work: impl FnOnce(&mut Session) -> T) -> T {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let found = {
            let mut idle = idle();
            let at = idle.iter().position(|(own, _)| *own == threads);
            at.map(|at| idle.swap_remove(at).1)
        };
        let mut session = found.unwrap_or_else(|| Session::new(&self.model, threads));
        let result = work(&mut session);
        idle().push((threads, session));
        result
    }
}

fn at_least_one(threads: usize) -> PyResult<usize> {
    match threads {
        0 => Err(refused("`threads` is 0: give 1 or more")),
        threads => Ok(threads),
    }
}

#[pymethods]
impl Model {
    /// The results of a batch `[images, channels, height, width]`, or of one image without the first dimension.
    #[pyo3(signature = (images, threads = 1))]
    fn predict<'py>(
        &self,
        py: Python<'py>,
        images: PyReadonlyArrayDyn<'py, f32>,
        threads: usize,
    ) -> PyResult<Bound<'py, PyArrayDyn<f32>>> {
        let threads = at_least_one(threads)?;
        let (shape, expected) = (images.shape(), self.model.input().shape);
        let [channels, height, width] = expected;
        // Signals and vectors may lack the sizes that are one.
        let image: &[usize] = match expected {
            [_, 1, 1] if shape.len() <= 2 => &[channels],
            [_, 1, _] if shape.len() <= 3 && *shape != expected => &[channels, width],
            _ => &expected,
        };
        let count = match shape {
            [count, own @ ..] if own == image => Some(*count),
            own if own == image => None,
            _ => {
                return Err(refused(format!(
                    "the images have the shape {shape:?}: give [images, {channels}, {height}, {width}]"
                )));
            }
        };
        let pixels = images.as_slice().map_err(|_| {
            refused("the images do not lie in memory one after the other: give `numpy.ascontiguousarray(images)`")
        })?;
        let mut output = vec![0.0; count.unwrap_or(1) * self.model.output_len()];
        if !output.is_empty() {
            let run = || self.with_session(threads, |session| session.run(pixels, &mut output));
            py.detach(run).map_err(refused)?;
        }
        let maps: &[usize] = match &self.output {
            [channels, 1, 1] => &[*channels],
            maps => maps,
        };
        let dimensions: Vec<usize> = count.into_iter().chain(maps.iter().copied()).collect();
        PyArray1::from_vec(py, output).reshape(dimensions)
    }

    /// Writes the model to a file, whole or not at all.
    fn save(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        py.detach(|| {
            let mut beside = path.clone().into_os_string();
            beside.push(format!(".{}.part", std::process::id()));
            let write = || {
                let mut file = fs::File::create(&beside)?;
                file.write_all(&self.bytes)?;
                file.sync_all()?;
                fs::rename(&beside, &path)
            };
            write().map_err(|error| {
                let _ = fs::remove_file(&beside);
                refused(format!("cannot write `{}`: {error}", path.display()))
            })
        })
    }

    /// `[channels, height, width]` of an image.
    #[getter]
    fn input_shape(&self) -> (usize, usize, usize) {
        self.model.input().shape.into()
    }

    /// The mean and deviation of each channel.
    #[getter]
    fn normalisation(&self) -> Vec<(f32, f32)> {
        let channels = self.model.input().shape[0];
        (0..channels)
            .map(|channel| self.model.normalisation(channel).into())
            .collect()
    }

    /// The names of the classes.
    #[getter]
    fn classes(&self) -> Vec<String> {
        self.model.input().classes.clone()
    }

    /// Bytes of the file.
    #[getter]
    fn file_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The steps with their times, as a list of dictionaries.
    fn steps<'py>(
        &self,
        py: Python<'py>,
        threads: usize,
        seconds: f64,
    ) -> PyResult<Bound<'py, PyList>> {
        let (threads, how_long) = (at_least_one(threads)?, how_long(seconds)?);
        let times = py.detach(|| timing::step_times(&self.model, threads, how_long));
        let total: f64 = times.iter().sum();
        let rows = PyList::empty(py);
        for (((layer, operation), step), time) in self.model.steps().zip(&self.steps).zip(times) {
            let row = PyDict::new(py);
            row.set_item("layer", layer)?;
            row.set_item("operation", operation)?;
            row.set_item("output", step.facts.shape.to_vec())?;
            row.set_item("edges", step.facts.edges)?;
            row.set_item("density", step.facts.density())?;
            row.set_item("multiply_adds", step.facts.multiply_adds)?;
            row.set_item("bytes", step.facts.bytes)?;
            row.set_item("microseconds", 1e6 * time)?;
            row.set_item("share", time / total)?;
            row.set_item("why", &step.reason)?;
            rows.append(row)?;
        }
        Ok(rows)
    }

    /// Milliseconds of a batch: median, 90th and 99th percentile; and images per second.
    #[pyo3(signature = (threads = 1, batch = 1, seconds = 1.0))]
    fn bench<'py>(
        &self,
        py: Python<'py>,
        threads: usize,
        batch: usize,
        seconds: f64,
    ) -> PyResult<Bound<'py, PyDict>> {
        let (threads, how_long) = (at_least_one(threads)?, how_long(seconds)?);
        if batch == 0 {
            return Err(refused("`batch` is 0: give 1 or more"));
        }
        let latency = py.detach(|| timing::latency(&self.model, threads, batch, how_long));
        let result = PyDict::new(py);
        result.set_item("median_ms", 1e3 * latency.median)?;
        result.set_item("p90_ms", 1e3 * latency.p90)?;
        result.set_item("p99_ms", 1e3 * latency.p99)?;
        result.set_item("images_per_second", batch as f64 / latency.median)?;
        result.set_item("runs", latency.runs)?;
        Ok(result)
    }

    fn __repr__(&self) -> String {
        let [channels, height, width] = self.model.input().shape;
        let (outputs, bytes) = (self.model.output_len(), self.bytes.len());
        format!("<dnw.Model: {channels} x {height} x {width} -> {outputs}, {bytes} bytes>")
    }
}

fn how_long(seconds: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(seconds)
        .map_err(|_| refused(format!("`seconds` is {seconds}: give a number from 0 on")))
}
