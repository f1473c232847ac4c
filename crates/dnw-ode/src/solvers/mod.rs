//! The explicit Runge-Kutta methods, one tableau per file.
//!
//! A [`Solver`] defines how one step is computed from slopes. [`Control`](crate::Control) determines the step size and
//! [`Gradient`](crate::Gradient) the gradient.

mod dopri5;
mod euler;
mod heun;
mod rk4;
mod solver;
mod tsit5;

pub use dopri5::DOPRI5;
pub use euler::EULER;
pub use heun::HEUN;
pub use rk4::RK4;
pub use solver::Solver;
pub use tsit5::TSIT5;

/// Every solver of the crate.
pub const ALL: [Solver; 5] = [EULER, HEUN, RK4, TSIT5, DOPRI5];

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
