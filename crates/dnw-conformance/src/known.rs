//! What backends are known not to do.

use dnw_device::Backend;

/// A difference that nobody here can mend.
#[derive(Clone, Copy, Debug)]
pub struct Difference {
    /// The backends that have it.
    pub backends: &'static [Backend],
    /// How the names of the cases begin that it keeps from passing; none where tolerances cover it.
    pub cases: &'static [&'static str],
    /// What it is, and what was seen.
    pub what: &'static str,
}

/// All of them.
pub const DIFFERENCES: &[Difference] = &[];

/// Why a case is not to be run on a backend, if it is not.
pub fn keeps_from_passing(backend: Option<Backend>, case: &str) -> Option<&'static str> {
    let concerns = |difference: &&Difference| {
        backend.is_some_and(|backend| difference.backends.contains(&backend))
            && difference.cases.iter().any(|name| case.starts_with(name))
    };
    DIFFERENCES.iter().find(concerns).map(|found| found.what)
}
