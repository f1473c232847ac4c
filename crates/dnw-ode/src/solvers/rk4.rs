use super::Solver;

/// The classical method of order 4 (Kutta 1901).
pub const RK4: Solver = Solver {
    name: "rk4",
    order: 4,
    times: &[0.0, 0.5, 0.5, 1.0],
    stages: &[&[], &[0.5], &[0.0, 0.5], &[0.0, 0.0, 1.0]],
    weights: &[1.0 / 6.0, 1.0 / 3.0, 1.0 / 3.0, 1.0 / 6.0],
    error: None,
    middle: None,
    first_same_as_last: false,
};
