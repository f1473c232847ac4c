//! Weights that an optimizer's step looks at while it moves them.
//!
//! The choice of edges that follows a step needs to see every weight once more, unless whoever moved them looked for it. An optimizer is
//! given a weight without its name or its mask; so what to look for is said beforehand, for as long as a step takes, on the thread that
//! makes it, by where the weights lie.

use std::cell::RefCell;
use std::collections::BTreeMap;

use burn::backend::Dispatch;
use burn::backend::tensor::{BoolTensor, FloatTensor};
use burn::tensor::{Bool, Tensor};
use dnw_kernels::selection::Survey;

use super::Wanted;

/// Where the numbers of a tensor begin in this process's memory. It names them for as long as somebody holds a handle on them: nobody
/// changes numbers that others hold where they lie, or gets their memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place(usize);

impl Place {
    /// Where a slice begins.
    pub(crate) fn of<T>(numbers: &[T]) -> Self {
        Self(numbers.as_ptr() as usize)
    }
}

/// A wired tensor whose choice comes next.
pub(crate) struct Watch {
    /// Of the tensor.
    pub(crate) name: String,
    /// Where its weights lie. They are not held, because the step is to move them where they lie.
    pub(crate) place: Place,
    /// Its mask, `[entries]`.
    pub(crate) real: Tensor<1, Bool>,
    /// What will be kept.
    pub(crate) wanted: Wanted,
}

/// The survey of a tensor, made while its weights were updated.
#[derive(Debug)]
pub struct Seen {
    pub(crate) survey: Survey,
    /// Where its weights lay.
    pub(crate) weights: Place,
    /// Where its mask lay.
    pub(crate) real: Place,
}

/// What was seen, and handles on the weights and the mask, without which their places would say nothing: whoever changes either after that
/// changes a copy, which lies elsewhere.
pub(crate) struct Surveyed {
    pub(crate) seen: Seen,
    pub(crate) held: (FloatTensor<Dispatch>, BoolTensor<Dispatch>),
}

/// By the tensors' names.
pub(crate) type Surveys = BTreeMap<String, Surveyed>;

#[derive(Default)]
struct Watched {
    watches: Vec<Watch>,
    surveys: Surveys,
}

thread_local! {
    static WATCHED: RefCell<Option<Watched>> = const { RefCell::new(None) };
}

/// Puts back what was watched before, even if the step panics.
struct Before(Option<Watched>);

impl Drop for Before {
    fn drop(&mut self) {
        WATCHED.set(self.0.take());
    }
}

/// Makes a step; besides what it gives, what it saw.
pub(crate) fn during<T>(watches: Vec<Watch>, step: impl FnOnce() -> T) -> (T, Surveys) {
    let watched = Watched {
        watches,
        surveys: Surveys::default(),
    };
    let _before = Before(WATCHED.replace(Some(watched)));
    let made = step();
    let surveys = WATCHED.take().map(|watched| watched.surveys);
    (made, surveys.unwrap_or_default())
}

/// Whether anything is watched.
pub(crate) fn is_watching() -> bool {
    WATCHED.with_borrow(Option::is_some)
}

/// The watch of so many weights that lie here, which there is once.
pub(crate) fn take(place: Place, entries: usize) -> Option<Watch> {
    WATCHED.with_borrow_mut(|watched| {
        let watches = &mut watched.as_mut()?.watches;
        let is_it = |watch: &Watch| watch.place == place && watch.real.dims() == [entries];
        let found = watches.iter().position(is_it)?;
        Some(watches.remove(found))
    })
}

/// Records a survey.
pub(crate) fn record(name: String, surveyed: Surveyed) {
    WATCHED.with_borrow_mut(|watched| {
        if let Some(watched) = watched {
            watched.surveys.insert(name, surveyed);
        }
    });
}
