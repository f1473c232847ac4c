//! The tiny classifier as a differential equation: d state / dt is what the nodes gather, from 0 to 1.

use std::sync::Arc;

use burn::tensor::{Device, Tensor};
use dnw_circuit::{CircuitError, ValueId};
use dnw_core::graph::{CyclicGraph, Field};
use dnw_ode::{Control, Gradient, Integrator, OdeError, solvers};
use serde::{Deserialize, Serialize};

use super::{Time, TinyCyclic, cyclic};
use crate::circuit::CircuitWriter;
use crate::{ModelError, NoCircuit};

/// Configuration of a [`TinyCyclic`] in continuous time; the default is as published.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct TinyContinuousConfig {
    /// Input nodes: the stem's channels.
    pub stem: usize,
    /// All nodes.
    pub nodes: usize,
    /// Output nodes, the last of all.
    pub outputs: usize,
    /// How a step is made.
    pub solver: SolverName,
    /// So many steps of the same length; without it steps are as long as the tolerances allow, which `euler`, `heun` and `rk4`
    /// cannot do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<usize>,
    /// Tolerated error of a step as a share of the state.
    pub rtol: f64,
    /// Tolerated error of a step besides.
    pub atol: f64,
    /// How the gradient comes back.
    pub gradient: GradientName,
    /// The most evaluations of the graph that one solution may take.
    pub limit: usize,
}

/// How a step is made: the solvers of [`dnw_ode::solvers`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum SolverName {
    Euler,
    Heun,
    Rk4,
    Tsit5,
    Dopri5,
}

/// How the gradient comes back: see [`dnw_ode::Gradient`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GradientName {
    /// Through the solver: the memory of every step is kept.
    Through,
    /// Through the solver, making each step a second time.
    Checkpointed,
    /// By the adjoint equation: memory does not grow with the steps.
    Adjoint,
}

impl Default for TinyContinuousConfig {
    fn default() -> Self {
        Self {
            stem: 32,
            nodes: 800,
            outputs: 100,
            solver: SolverName::Dopri5,
            steps: None,
            rtol: 1e-3,
            atol: 1e-3,
            gradient: GradientName::Through,
            limit: 10_000,
        }
    }
}

impl TinyContinuousConfig {
    /// Makes the model for images `[channels, height, width]`, 32 pixels or more a side.
    ///
    /// # Errors
    /// [`ModelError`] if the image is too small, a size is zero, inputs and outputs do not fit, or the solver cannot work with these
    /// settings.
    pub fn init(
        &self,
        image: [usize; 3],
        classes: usize,
        device: &Device,
    ) -> Result<TinyCyclic, ModelError> {
        let integrator = self.integrator();
        integrator.check()?;
        let sizes = [self.stem, self.nodes, self.outputs];
        cyclic(sizes, Time::Continuous(integrator), image, classes, device)
    }

    fn integrator(&self) -> Integrator {
        let solver = match self.solver {
            SolverName::Euler => solvers::EULER,
            SolverName::Heun => solvers::HEUN,
            SolverName::Rk4 => solvers::RK4,
            SolverName::Tsit5 => solvers::TSIT5,
            SolverName::Dopri5 => solvers::DOPRI5,
        };
        let control = match self.steps {
            Some(steps) => Control::Constant { steps },
            None => Control::adaptive(self.rtol, self.atol),
        };
        let gradient = match self.gradient {
            GradientName::Through => Gradient::Through,
            GradientName::Checkpointed => Gradient::Checkpointed,
            GradientName::Adjoint => Gradient::Adjoint,
        };
        Integrator::new(solver, control)
            .with_gradient(gradient)
            .with_limit(self.limit)
    }
}

/// The state at time 1 of a graph that is in `start` at time 0.
pub(super) fn solve(
    graph: &CyclicGraph,
    start: Tensor<4>,
    integrator: &Integrator,
) -> Result<Tensor<4>, OdeError> {
    let field = graph.field();
    let parameters = field.parameters();
    let field = Arc::new(Parts(field));
    let solution = integrator.solve_field(field, start, &parameters, 0.0, 1.0)?;
    Ok(solution.state)
}

/// The same in a circuit, for a solver that makes steps of one length.
pub(super) fn write(
    writer: &mut CircuitWriter,
    field: impl Fn(&mut CircuitWriter, ValueId) -> Result<ValueId, CircuitError>,
    start: ValueId,
    integrator: &Integrator,
) -> Result<ValueId, NoCircuit> {
    let Control::Constant { steps } = integrator.control else {
        return Err(NoCircuit::StepsFollowImage);
    };
    let solver = integrator.solver;
    let length = 1.0 / steps as f64;
    let mut state = start;
    for _ in 0..steps {
        let mut slopes = Vec::new();
        // The state moved along the slopes found so far, which have these weights.
        let moved = |writer: &mut CircuitWriter, slopes: &[ValueId], weights: &[f64]| {
            let slopes = weights
                .iter()
                .zip(slopes)
                .filter(|(weight, _)| **weight != 0.0);
            let terms = slopes.map(|(weight, &slope)| (length * weight, slope));
            let terms: Vec<_> = std::iter::once((1.0, state)).chain(terms).collect();
            writer.steps.sum(&terms)
        };
        for (stage, weights) in solver.stages.iter().enumerate() {
            // A last slope without weight serves the error estimate, and the next step, which finds it again.
            if stage + 1 < solver.stages.len() || solver.weights[stage] != 0.0 {
                let at = moved(writer, &slopes, weights)?;
                slopes.push(field(writer, at)?);
            }
        }
        state = moved(writer, &slopes, solver.weights)?;
    }
    Ok(state)
}

/// A graph's field whose learned numbers the integrator hands in.
struct Parts(Field);

impl dnw_ode::VectorField<4> for Parts {
    fn slope(&self, _: f64, state: Tensor<4>, parameters: &[Tensor<1>]) -> Tensor<4> {
        self.0.with_parameters(parameters).at(state)
    }
}
