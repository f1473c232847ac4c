//! Which backends reach which devices here.

use crate::probe::Find;
use crate::{Adapter, Backend};

/// A backend and what is found of it.
#[derive(Clone, Debug)]
pub struct Present {
    /// Which.
    pub backend: Backend,
    /// Whether this program was built with it.
    pub built: bool,
    /// The devices that it reaches, in the order of their indices, or why that is not known; empty where it was not built.
    pub adapters: Result<Vec<Adapter>, String>,
}

/// Every backend with the devices that it reaches here.
pub fn backends(find: Find<'_>) -> Vec<Present> {
    let present = |backend: Backend| Present {
        backend,
        built: backend.is_built(),
        adapters: find(backend),
    };
    Backend::ALL.map(present).into()
}
