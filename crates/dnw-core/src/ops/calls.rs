//! What operations are told besides their tensors.

use std::sync::{Mutex, PoisonError};

use dnw_kernels::convolution::ConvolutionShape;
use dnw_kernels::levels::{GraphNorm, LevelsShape};
use dnw_kernels::product::ProductShape;
use dnw_kernels::sgd::SgdStep;
use dnw_kernels::steps::StepsShape;

use super::watch::{Place, Seen};
use super::{Chosen, IndexCache, Wanted};

/// A wired product.
#[derive(Clone, Debug)]
pub struct ProductCall {
    pub(crate) shape: ProductShape,
    /// The shape of what comes out.
    pub(crate) given: Vec<usize>,
    pub(crate) index: IndexCache,
}

/// A wired convolution.
#[derive(Clone, Debug)]
pub struct ConvolutionCall {
    pub(crate) shape: ConvolutionShape,
    pub(crate) given: [usize; 2],
    pub(crate) index: IndexCache,
}

/// A whole graph of levels.
#[derive(Debug)]
pub struct LevelsCall {
    pub(crate) shape: LevelsShape,
    pub(crate) norm: CallNorm,
    pub(crate) epsilon: f32,
    pub(crate) index: IndexCache,
    pub(crate) statistics: Observed,
}

/// What an operation says besides the tensors that it gives, once it is known.
#[derive(Debug)]
pub struct ResultSlot<T>(Mutex<Option<T>>);

impl<T> Default for ResultSlot<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T> ResultSlot<T> {
    pub(crate) fn put(&self, said: T) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(said);
    }

    pub(crate) fn take(&self) -> Option<T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Mean and biased variance of what each node gathered in a batch.
pub type Observed = ResultSlot<[Vec<f32>; 2]>;

/// How the norms of a graph are computed.
#[derive(Clone, Debug)]
pub(crate) enum CallNorm {
    /// By each map's statistics.
    Instance,
    /// By the batch's.
    Batch,
    /// By statistics known before.
    Running([Vec<f32>; 2]),
}

impl CallNorm {
    pub(crate) fn graph_norm(&self) -> GraphNorm<'_> {
        match self {
            Self::Instance => GraphNorm::Instance,
            Self::Batch => GraphNorm::Batch,
            Self::Running([mean, variance]) => GraphNorm::Running { mean, variance },
        }
    }
}

/// Steps of a cyclic graph.
#[derive(Clone, Debug)]
pub struct StepsCall {
    pub(crate) shape: StepsShape,
    pub(crate) epsilon: f32,
    pub(crate) index: IndexCache,
}

/// A batch norm, with or without the ReLU behind it.
#[derive(Debug)]
pub struct NormCall {
    pub(crate) epsilon: f32,
    pub(crate) rectified: bool,
    pub(crate) statistics: Observed,
}

/// A choice of the largest weights.
#[derive(Debug)]
pub struct ChoiceCall {
    pub(crate) wanted: Wanted,
    /// What an update saw of the weights.
    pub(crate) seen: ResultSlot<Seen>,
    pub(crate) made: ResultSlot<Result<Chosen, usize>>,
}

impl ChoiceCall {
    pub(crate) fn new(wanted: Wanted, seen: Option<Seen>) -> Self {
        Self {
            wanted,
            seen: ResultSlot(Mutex::new(seen)),
            made: ResultSlot::default(),
        }
    }

    /// Takes what was seen, if it was of the weights and the mask that lie here.
    pub(crate) fn take_seen(&self, weights: Place, real: Place) -> Option<Seen> {
        let is_of_these = |seen: &Seen| seen.weights == weights && seen.real == real;
        self.seen.take().filter(is_of_these)
    }
}

/// An update that looks at the weights which it moves.
#[derive(Debug)]
pub struct LookCall {
    pub(crate) sgd: SgdStep,
    pub(crate) wanted: Wanted,
    pub(crate) seen: ResultSlot<Seen>,
}

/// A question where the numbers of a tensor lie.
#[derive(Debug, Default)]
pub struct PlaceCall {
    pub(crate) place: ResultSlot<Place>,
}
