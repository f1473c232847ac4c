//! The tensors of a model: reading, comparing and replacing all of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::{Bool, Int, Tensor, TensorData};

use super::error::RecordError;
use crate::real_edges::path;
use crate::wired::facts::TensorFacts;

/// A tensor of a record.
#[derive(Clone, Debug)]
pub struct RecordedTensor {
    /// The id of its parameter, by which optimizers know it.
    pub id: u64,
    /// Its values. Masks have one byte per entry.
    pub data: TensorData,
}

/// The tensors of a model by their paths.
pub(super) fn recorded<M: Module>(model: &M) -> BTreeMap<String, RecordedTensor> {
    // Running averages take over the updates of all threads.
    drop(model.valid());
    let mut read = ReadAll::default();
    model.visit(&mut read);
    read.found
}

/// The model with the recorded values, which fit.
pub(super) fn restored<M: Module>(model: M, recorded: BTreeMap<String, RecordedTensor>) -> M {
    // An update of a running average that is not handed over yet would replace the recorded one.
    drop(model.valid());
    model.map(&mut PutAll {
        recorded,
        path: Vec::new(),
    })
}

/// Checks that a record has exactly the tensors of a model.
pub(super) fn check<M: Module>(
    model: &M,
    facts: &BTreeMap<String, Arc<TensorFacts>>,
    recorded: &BTreeMap<String, RecordedTensor>,
) -> Result<(), RecordError> {
    let mut check = Check {
        facts,
        recorded,
        path: Vec::new(),
        known: BTreeSet::new(),
        error: None,
    };
    model.visit(&mut check);
    if let Some(error) = check.error {
        return Err(error);
    }
    match recorded.keys().find(|path| !check.known.contains(*path)) {
        Some(path) => Err(RecordError::Unknown(path.clone())),
        None => Ok(()),
    }
}

pub(super) fn described(dtype: impl std::fmt::Debug, shape: &[usize]) -> String {
    format!("{dtype:?} {shape:?}")
}

/// Reads every tensor.
#[derive(Default)]
struct ReadAll {
    path: Vec<String>,
    found: BTreeMap<String, RecordedTensor>,
}

impl ReadAll {
    fn add(&mut self, id: ParamId, data: TensorData) {
        let id = id.val();
        self.found
            .insert(self.path.join("."), RecordedTensor { id, data });
    }
}

impl ModuleVisitor for ReadAll {
    path::track!();

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.add(param.id, param.base().to_data());
    }

    fn visit_int<const D: usize>(&mut self, param: &Param<Tensor<D, Int>>) {
        self.add(param.id, param.base().to_data());
    }

    fn visit_bool<const D: usize>(&mut self, param: &Param<Tensor<D, Bool>>) {
        let mask = param.base();
        let shape = mask.dims();
        // Backends store booleans in different sizes.
        let values: Vec<bool> = mask.to_data().iter().collect();
        self.add(param.id, TensorData::new(values, shape));
    }
}

/// Compares the tensors of a model with those of a record.
struct Check<'a> {
    facts: &'a BTreeMap<String, Arc<TensorFacts>>,
    recorded: &'a BTreeMap<String, RecordedTensor>,
    path: Vec<String>,
    known: BTreeSet<String>,
    error: Option<RecordError>,
}

impl Check<'_> {
    /// `is_type`: whether the type of the recorded values fits.
    fn tensor(&mut self, shape: &[usize], expected: &str, is_type: impl Fn(&TensorData) -> bool) {
        let path = self.path.join(".");
        let error = match self.recorded.get(&path) {
            None => Some(RecordError::Missing(path.clone())),
            Some(RecordedTensor { data, .. })
                if !is_type(data) || !self.is_shape(shape, data.shape().as_slice()) =>
            {
                Some(RecordError::Differs {
                    path: path.clone(),
                    found: described(data.dtype(), data.shape().as_slice()),
                    expected: described(format_args!("{expected}"), shape),
                })
            }
            Some(_) => None,
        };
        self.known.insert(path);
        self.error = self.error.take().or(error);
    }

    /// Whether a recorded shape fits. Two parts of a wiring change their length during a run.
    fn is_shape(&self, own: &[usize], found: &[usize]) -> bool {
        match path::part(&self.path) {
            Some((weight, path::JOINED)) => {
                let entries = self.facts.get(&weight).map(|facts| facts.shape.entries());
                found == [1] || entries.is_some_and(|entries| found == [entries])
            }
            Some((_, path::THRESHOLD)) => matches!(found, [1..=4]),
            _ => own == found,
        }
    }
}

impl ModuleVisitor for Check<'_> {
    path::track!();

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let own = param.base();
        let dtype = own.dtype();
        self.tensor(&own.dims(), &format!("{dtype:?}"), |data| {
            data.dtype() == dtype
        });
    }

    fn visit_int<const D: usize>(&mut self, param: &Param<Tensor<D, Int>>) {
        self.tensor(&param.base().dims(), "integers", |data| {
            data.dtype().is_int() || data.dtype().is_uint()
        });
    }

    fn visit_bool<const D: usize>(&mut self, param: &Param<Tensor<D, Bool>>) {
        self.tensor(&param.base().dims(), "a mask", |data| {
            data.dtype().is_bool()
        });
    }
}

/// Replaces every tensor, and the id of its parameter.
struct PutAll {
    recorded: BTreeMap<String, RecordedTensor>,
    path: Vec<String>,
}

impl PutAll {
    fn take(&mut self) -> Option<RecordedTensor> {
        self.recorded.remove(&self.path.join("."))
    }
}

impl ModuleMapper for PutAll {
    path::track!();

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(RecordedTensor { id, data }) = self.take() else {
            return param;
        };
        let (_, old, mapper) = param.consume();
        let (device, dtype) = (old.device(), data.dtype());
        let new = Tensor::from_data(data, (&device, dtype));
        let new = new.set_require_grad(old.is_require_grad());
        Param::from_mapped_value(ParamId::from(id), new, mapper)
    }

    fn map_int<const D: usize>(&mut self, param: Param<Tensor<D, Int>>) -> Param<Tensor<D, Int>> {
        let Some(RecordedTensor { id, data }) = self.take() else {
            return param;
        };
        let (_, old, mapper) = param.consume();
        let (device, dtype) = (old.device(), data.dtype());
        let new = Tensor::from_data(data, (&device, dtype));
        Param::from_mapped_value(ParamId::from(id), new, mapper)
    }

    fn map_bool<const D: usize>(
        &mut self,
        param: Param<Tensor<D, Bool>>,
    ) -> Param<Tensor<D, Bool>> {
        let Some(RecordedTensor { id, data }) = self.take() else {
            return param;
        };
        let (_, old, mapper) = param.consume();
        let new = Tensor::from_data(data, &old.device());
        Param::from_mapped_value(ParamId::from(id), new, mapper)
    }
}
