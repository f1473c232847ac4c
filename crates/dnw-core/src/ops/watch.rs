//! Weights that an optimizer's step looks at while it moves them.
//!
//! The choice of edges that follows a step needs to see every weight once more, unless whoever moved them looked for it. An optimizer is
//! given a weight without its name or its mask; so what to look for is said beforehand, for as long as a step takes, on the thread that
//! makes it, by where the weights lie.

use std::cell::RefCell;
use std::collections::BTreeMap;

use burn::tensor::{Bool, Tensor};
use dnw_kernels::selection::Survey;

use super::Wanted;

/// A wired tensor whose choice comes next.
pub(crate) struct Watch {
    /// Of the tensor.
    pub(crate) name: String,
    /// Where its weights lie; see [`super::place`].
    pub(crate) place: usize,
    /// Its mask, `[entries]`.
    pub(crate) real: Tensor<1, Bool>,
    /// What will be kept.
    pub(crate) wanted: Wanted,
}

/// What was seen of a tensor.
#[derive(Debug)]
pub(crate) struct Sighting {
    /// Where its weights lay when they had been moved: it says nothing of others.
    pub(crate) place: usize,
    pub(crate) survey: Survey,
}

/// By the tensors' names.
pub(crate) type Sightings = BTreeMap<String, Sighting>;

#[derive(Default)]
struct Watched {
    watches: Vec<Watch>,
    sightings: Sightings,
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
pub(crate) fn during<T>(watches: Vec<Watch>, step: impl FnOnce() -> T) -> (T, Sightings) {
    let watched = Watched {
        watches,
        sightings: Sightings::default(),
    };
    let _before = Before(WATCHED.replace(Some(watched)));
    let made = step();
    let sightings = WATCHED.take().map(|watched| watched.sightings);
    (made, sightings.unwrap_or_default())
}

/// Whether anything is watched.
pub(crate) fn is_watching() -> bool {
    WATCHED.with_borrow(Option::is_some)
}

/// The watch of the weights that lie here, which there is once.
pub(crate) fn take(place: usize) -> Option<Watch> {
    WATCHED.with_borrow_mut(|watched| {
        let watches = &mut watched.as_mut()?.watches;
        let found = watches.iter().position(|watch| watch.place == place)?;
        Some(watches.swap_remove(found))
    })
}

/// Notes what was seen.
pub(crate) fn saw(name: String, sighting: Sighting) {
    WATCHED.with_borrow_mut(|watched| {
        if let Some(watched) = watched {
            watched.sightings.insert(name, sighting);
        }
    });
}
