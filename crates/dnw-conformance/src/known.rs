//! Known differences of backends.

use dnw_device::Backend;

/// A difference that this repository cannot fix.
#[derive(Clone, Copy, Debug)]
pub struct Difference {
    /// The backends that have it.
    pub backends: &'static [Backend],
    /// Prefixes of the names of the cases that fail because of it; none if tolerances cover it.
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
    what: "only `GradientName::Through` works: the solver's operation with its own gradient is implemented for flex, ndarray, CubeCL \
               and servers",
}];

/// Why a case is skipped on a backend; `None` if it runs.
pub fn skip_reason(backend: Option<Backend>, case: &str) -> Option<&'static str> {
    let applies = |difference: &&Difference| {
        backend.is_some_and(|backend| difference.backends.contains(&backend))
            && difference.cases.iter().any(|name| case.starts_with(name))
    };
    DIFFERENCES.iter().find(applies).map(|known| known.what)
}
