//! Surveys of weights, made while an optimizer updates them, for the selection that follows.
//!
//! The selection must read every weight, unless the update has surveyed them. But Burn's optimizers pass a weight to
//! [`Optimizer::step`](burn::optim::Optimizer) without its name or its mask, and take nothing back but the weight. So a model registers,
//! for the duration of a step and on its thread, which survey it asks for, by the address of the weights; and collects the results
//! afterwards. `docs/decisions/one-operation-one-file.md` says why nothing else was found.

use std::cell::RefCell;
use std::collections::BTreeMap;

use burn::tensor::{Bool, Tensor};

use crate::ops::{self, Address, Surveyed, TopK};

/// A survey that a wired tensor asks for.
pub(crate) struct Request {
    /// The tensor's name.
    pub(crate) name: String,
    /// The address of its weights. The weights themselves are not held, because the update changes them in
    /// place.
    pub(crate) weights: Address,
    /// Its mask, `[entries]`.
    pub(crate) real: Tensor<1, Bool>,
    /// What will be selected.
    pub(crate) top_k: TopK,
}

/// Surveys by tensor name.
pub(crate) type Surveys = BTreeMap<String, Surveyed>;

#[derive(Default)]
struct Pending {
    requests: Vec<Request>,
    surveys: Surveys,
}

thread_local! {
    static PENDING: RefCell<Option<Pending>> = const { RefCell::new(None) };
}

/// Restores the outer requests, even if the step panics.
struct Outer(Option<Pending>);

impl Drop for Outer {
    fn drop(&mut self) {
        PENDING.set(self.0.take());
    }
}

/// The result of a step, and the surveys that it made.
pub(crate) fn during<T>(requests: Vec<Request>, step: impl FnOnce() -> T) -> (T, Surveys) {
    let surveys = Surveys::default();
    let _outer = Outer(PENDING.replace(Some(Pending { requests, surveys })));
    let result = step();
    let surveys = PENDING.take().map(|pending| pending.surveys);
    (result, surveys.unwrap_or_default())
}

/// Takes the request for these weights.
pub(crate) fn take<const D: usize>(weights: &Tensor<D>) -> Option<Request> {
    PENDING.with_borrow_mut(|pending| {
        let requests = &mut pending.as_mut()?.requests;
        if requests.is_empty() {
            return None;
        }
        let (address, entries) = (ops::address(weights)?, weights.shape().num_elements());
        let is_it = |of: &Request| of.weights == address && of.real.dims() == [entries];
        let found = requests.iter().position(is_it)?;
        Some(requests.remove(found))
    })
}

/// Stores the survey that a tensor asked for.
pub(crate) fn store(name: String, surveyed: Surveyed) {
    PENDING.with_borrow_mut(|pending| {
        if let Some(pending) = pending {
            pending.surveys.insert(name, surveyed);
        }
    });
}
