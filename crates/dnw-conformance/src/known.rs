//! Known differences of backends.

use dnw_device::Backend;

/// A difference that cannot be mended in this repository.
#[derive(Clone, Copy, Debug)]
pub struct Difference {
    /// The backends that have it.
    pub backends: &'static [Backend],
    /// Prefixes of the names of cases that fail because of it; none where tolerances cover it.
    pub cases: &'static [&'static str],
    /// What the backend lacks or does differently.
    pub what: &'static str,
}

/// All known differences.
pub const DIFFERENCES: &[Difference] = &[Difference {
    backends: &[Backend::LibTorch],
    cases: &[
        "graphs::continuous_time::checkpointed",
        "graphs::continuous_time::adjoint",
        "equations::dopri5::checkpointed",
        "equations::dopri5::adjoint",
        "equations::tsit5::checkpointed",
        "equations::tsit5::adjoint",
        "models::tiny_continuous::gradients",
        "parity::tiny_continuous_with_a_constant_first_step::checkpointed",
    ],
    what: "solutions have the gradient through the solver only: the operation with a gradient of its own is written for flex, \
               ndarray, CubeCL and servers",
}];

/// Why a case is skipped on a backend; `None` if it runs.
pub fn keeps_from_passing(backend: Option<Backend>, case: &str) -> Option<&'static str> {
    let concerns = |difference: &&Difference| {
        backend.is_some_and(|backend| difference.backends.contains(&backend))
            && difference.cases.iter().any(|name| case.starts_with(name))
    };
    DIFFERENCES.iter().find(concerns).map(|found| found.what)
}
