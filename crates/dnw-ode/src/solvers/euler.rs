use super::Solver;

/// Euler's method, of order 1: one slope per step.
pub const EULER: Solver = Solver {
    name: "euler",
    order: 1,
    times: &[0.0],
    stages: &[&[]],
    weights: &[1.0],
    error: None,
    middle: None,
    first_same_as_last: false,
};
