//! Ordinary differential equations over Burn tensors, with gradients.
//!
//! A solution is made of three choices that do not know each other: the [`Solver`] makes a step, the
//! [`Control`] says how long it is, the [`Gradient`] says how the loss' gradient comes back. An [`Integrator`] holds one of each.
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
//! A slope with parameters of its own is a [`VectorField`], solved by [`Integrator::solve_field`], and may then have any gradient.
//!
//! The crate knows Burn's tensors and nothing else: no model, no file.

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
