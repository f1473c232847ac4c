//! Ordinary differential equations over Burn tensors, with gradients.
//!
//! A solution combines three independent parts: the [`Solver`] computes a step, the [`Control`] determines its length, and the
//! [`Gradient`] determines how the gradient of the solution is computed. An [`Integrator`] has one of each.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use dnw_ode::{Control, Integrator, solvers};
//!
//! # fn main() -> Result<(), dnw_ode::OdeError> {
//! # #[cfg(feature = "flex")] {
//! let device = Device::flex().autodiff();
//! let start = Tensor::<1>::from_floats([1.0], &device).require_grad();
//! let integrator = Integrator::new(solvers::DOPRI5, Control::adaptive(1e-6, 1e-6));
//!
//! let solution = integrator.solve(|_t, state| -state, start.clone(), 0.0, 1.0)?;
//! let gradients = solution.state.clone().sum().backward();
//!
//! let decayed = (-1.0f32).exp();
//! assert!((solution.state.into_scalar::<f32>() - decayed).abs() < 1e-5);
//! assert!((start.grad(&gradients).unwrap().into_scalar::<f32>() - decayed).abs() < 1e-5);
//! # } Ok(()) }
//! ```
//!
//! A slope with parameters is a [`VectorField`]. [`Integrator::solve_field`] solves it and supports every [`Gradient`].
//!
//! The crate only depends on Burn's tensors, not on models or file formats.

#![deny(missing_docs)]
#![recursion_limit = "256"]

mod control;
mod error;
mod field;
mod gradient;
mod integration;
mod integrator;
pub mod solvers;
mod state;

pub use control::{Adaptive, Control};
pub use error::OdeError;
pub use field::VectorField;
pub use gradient::{Gradient, MOST_EVALUATIONS_BACK};
pub use integrator::{Integrator, Solution};
pub use solvers::Solver;
