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

/// Why a case is not to be run on a backend, if it is not.
pub fn keeps_from_passing(backend: Option<Backend>, case: &str) -> Option<&'static str> {
    let concerns = |difference: &&Difference| {
        backend.is_some_and(|backend| difference.backends.contains(&backend))
            && difference.cases.iter().any(|name| case.starts_with(name))
    };
    DIFFERENCES.iter().find(concerns).map(|found| found.what)
}
