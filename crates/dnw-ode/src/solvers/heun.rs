use super::Solver;

/// Heun's method (the explicit trapezoid rule), of order 2, with Euler's method embedded.
pub const HEUN: Solver = Solver {
    name: "heun",
    order: 2,
    times: &[0.0, 1.0],
    stages: &[&[], &[1.0]],
    weights: &[0.5, 0.5],
    error: Some(&[-0.5, 0.5]),
    middle: None,
    first_same_as_last: false,
};
