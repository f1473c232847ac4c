//! The explicit Runge-Kutta methods, one tableau per file.
//!
//! A [`Solver`] defines how one step is computed from slopes. [`Control`](crate::Control) determines the step size and
//! [`Gradient`](crate::Gradient) the gradient.

mod dopri5;
mod euler;
mod heun;
mod rk4;
mod tsit5;

pub use dopri5::DOPRI5;
pub use euler::EULER;
pub use heun::HEUN;
pub use rk4::RK4;
pub use tsit5::TSIT5;

/// Every solver of the crate.
pub const ALL: [Solver; 5] = [EULER, HEUN, RK4, TSIT5, DOPRI5];

/// An explicit Runge-Kutta method: its Butcher tableau and interpolant.
///
/// One step of length `h` from `(t, y)` computes the slopes
/// `k_i = f(t + c_i h, y + h sum_j a_ij k_j)` and ends at `y + h sum_i b_i k_i`.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Solver {
    /// The usual name, in lower case.
    pub name: &'static str,
    /// The global error is of the order `h` to this power.
    pub order: u32,
    /// `c`: the time of each slope, as a fraction of the step. The first is 0.
    pub times: &'static [f64],
    /// `a`: row i holds the weights of the slopes before slope i (row 0 is empty).
    pub stages: &'static [&'static [f64]],
    /// `b`: the weight of each slope in the step.
    pub weights: &'static [f64],
    /// `b` minus the weights of the embedded method: the weights of the error estimate. Without them a solver only supports
    /// constant steps.
    pub error: Option<&'static [f64]>,
    /// The weights of the slopes for the state at the middle of the step, accurate to fourth order. With them the interpolant is a
    /// quartic, without them the cubic through both ends and their slopes.
    pub middle: Option<&'static [f64]>,
    /// Whether the last slope is that at the end of the step, and so the first slope of the next step (FSAL).
    pub first_same_as_last: bool,
}

impl Solver {
    /// The weight of each slope in the state at the fraction `x` of a step: `y(t + x h) = y + h sum_i w_i(x) k_i`.
    ///
    /// The last slope must be that at the end of the step: if the solver does not compute it, one more weight than its number of slopes is
    /// returned.
    ///
    /// The quartic is the one through both ends, their slopes and the middle (Shampine 1986, *Some practical
    /// Runge-Kutta formulas*); the cubic is Hermite's. Both are linear in the slopes.
    pub(crate) fn weights_at(&self, x: f64) -> Vec<f64> {
        let (x2, x3, x4) = (x * x, x * x * x, x * x * x * x);
        // The coefficients of the state at the end, at the middle, the first slope and the last slope.
        let (end, middle, first, last) = match self.middle {
            Some(_) => (
                -5.0 * x2 + 14.0 * x3 - 8.0 * x4,
                16.0 * x2 - 32.0 * x3 + 16.0 * x4,
                x - 4.0 * x2 + 5.0 * x3 - 2.0 * x4,
                x2 - 3.0 * x3 + 2.0 * x4,
            ),
            None => (3.0 * x2 - 2.0 * x3, 0.0, x - 2.0 * x2 + x3, x3 - x2),
        };
        let mut weights: Vec<f64> = self.weights.iter().map(|b| end * b).collect();
        for (weight, m) in weights.iter_mut().zip(self.middle.unwrap_or_default()) {
            *weight += middle * m;
        }
        if !self.first_same_as_last {
            weights.push(0.0);
        }
        weights[0] += first;
        *weights.last_mut().expect("a solver has slopes") += last;
        weights
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(found: f64, expected: f64) -> bool {
        (found - expected).abs() < 1e-8
    }

    /// The conditions on weights `w` for `sum w_i k_i` to approximate the fraction `x` of a step with order 1 to 5
    /// (Hairer, Norsett and Wanner I, table II.2.1), as the largest order that all hold for.
    fn order_at(solver: &Solver, weights: &[f64], x: f64) -> u32 {
        let c = solver.times;
        let a = |f: &dyn Fn(usize) -> f64| -> Vec<f64> {
            let row = |row: &&[f64]| row.iter().enumerate().map(|(j, a)| a * f(j)).sum();
            solver.stages.iter().map(row).collect()
        };
        let sum = |f: &dyn Fn(usize) -> f64| -> f64 {
            weights.iter().enumerate().map(|(i, w)| w * f(i)).sum()
        };
        let ac = a(&|j| c[j]);
        let ac2 = a(&|j| c[j].powi(2));
        let ac3 = a(&|j| c[j].powi(3));
        let aac = a(&|j| ac[j]);
        let aac2 = a(&|j| ac2[j]);
        let acac = a(&|j| c[j] * ac[j]);
        let aaac = a(&|j| aac[j]);
        let conditions: [(u32, f64, f64); 17] = [
            (1, sum(&|_| 1.0), 1.0),
            (2, sum(&|i| c[i]), 1.0 / 2.0),
            (3, sum(&|i| c[i].powi(2)), 1.0 / 3.0),
            (3, sum(&|i| ac[i]), 1.0 / 6.0),
            (4, sum(&|i| c[i].powi(3)), 1.0 / 4.0),
            (4, sum(&|i| c[i] * ac[i]), 1.0 / 8.0),
            (4, sum(&|i| ac2[i]), 1.0 / 12.0),
            (4, sum(&|i| aac[i]), 1.0 / 24.0),
            (5, sum(&|i| c[i].powi(4)), 1.0 / 5.0),
            (5, sum(&|i| c[i].powi(2) * ac[i]), 1.0 / 10.0),
            (5, sum(&|i| ac[i].powi(2)), 1.0 / 20.0),
            (5, sum(&|i| c[i] * ac2[i]), 1.0 / 15.0),
            (5, sum(&|i| ac3[i]), 1.0 / 20.0),
            (5, sum(&|i| c[i] * aac[i]), 1.0 / 30.0),
            (5, sum(&|i| acac[i]), 1.0 / 40.0),
            (5, sum(&|i| aac2[i]), 1.0 / 60.0),
            (5, sum(&|i| aaac[i]), 1.0 / 120.0),
        ];
        let failed = conditions
            .iter()
            .find(|(order, found, expected)| !near(*found, expected * x.powi(*order as i32)));
        failed.map_or(5, |(order, ..)| order - 1)
    }

    #[test]
    fn each_tableau_has_its_order() {
        for solver in ALL {
            assert_eq!(
                order_at(&solver, solver.weights, 1.0),
                solver.order,
                "{}",
                solver.name
            );
        }
    }

    #[test]
    fn the_weights_of_each_slope_sum_to_its_time() {
        for solver in ALL {
            assert_eq!(solver.times.len(), solver.stages.len(), "{}", solver.name);
            assert_eq!(solver.times.len(), solver.weights.len(), "{}", solver.name);
            for (i, (time, row)) in solver.times.iter().zip(solver.stages).enumerate() {
                assert_eq!(row.len(), i, "{}, row {i}", solver.name);
                assert!(near(row.iter().sum(), *time), "{}, row {i}", solver.name);
            }
        }
    }

    #[test]
    fn the_embedded_methods_are_one_order_lower() {
        for solver in [HEUN, TSIT5, DOPRI5] {
            let error = solver.error.unwrap();
            let embedded: Vec<f64> = solver
                .weights
                .iter()
                .zip(error)
                .map(|(b, e)| b - e)
                .collect();
            assert_eq!(
                order_at(&solver, &embedded, 1.0),
                solver.order - 1,
                "{}",
                solver.name
            );
        }
    }

    #[test]
    fn fsal_solvers_share_the_last_slope() {
        for solver in ALL {
            let last = *solver.stages.last().unwrap();
            let (head, tail) = solver.weights.split_at(last.len());
            let shared = head == last && tail == [0.0];
            assert_eq!(
                shared && solver.times.len() > 1,
                solver.first_same_as_last,
                "{}",
                solver.name
            );
        }
    }

    #[test]
    fn the_quartic_is_of_fourth_order_and_interpolates_both_ends() {
        for solver in [TSIT5, DOPRI5] {
            assert_eq!(
                order_at(&solver, solver.middle.unwrap(), 0.5),
                4,
                "{}",
                solver.name
            );
            for x in [0.1, 0.25, 0.5, 0.8, 0.99] {
                assert_eq!(
                    order_at(&solver, &solver.weights_at(x), x),
                    4,
                    "{} at {x}",
                    solver.name
                );
            }
            for (found, expected) in solver.weights_at(1.0).iter().zip(solver.weights) {
                assert!(near(*found, *expected), "{}", solver.name);
            }
            assert!(
                solver.weights_at(0.0).iter().all(|&w| near(w, 0.0)),
                "{}",
                solver.name
            );
        }
    }
}
