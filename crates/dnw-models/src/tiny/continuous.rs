//! The tiny classifier as an ordinary differential equation: d state / dt is the sum over the edges, from time 0 to 1.

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
    /// Output nodes, the last ones.
    pub outputs: usize,
    /// The solver.
    pub solver: SolverName,
    /// The number of steps of constant length. `None` selects adaptive steps, which `euler`, `heun` and `rk4` do not support.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<usize>,
    /// Relative tolerance of the step error.
    pub rtol: f64,
    /// Absolute tolerance of the step error.
    pub atol: f64,
    /// How the gradient is computed.
    pub gradient: GradientName,
    /// The maximum number of evaluations of the graph per solution.
    pub limit: usize,
}

/// The solvers of [`dnw_ode::solvers`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the names are those of the solvers")]
pub enum SolverName {
    Euler,
    Heun,
    Rk4,
    Tsit5,
    Dopri5,
}

/// How the gradient is computed: see [`dnw_ode::Gradient`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GradientName {
    /// Through the solver: the intermediate values of every step are kept.
    Through,
    /// Through the solver, with each step recomputed in the backward pass.
    Checkpointed,
    /// By the adjoint ODE: memory does not grow with the number of steps.
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
    /// Builds the model for images `[channels, height, width]`, 32 pixels or more a side.
    ///
    /// # Errors
    /// [`ModelError`] if the image is too small, a size is zero, inputs and outputs do not fit, or the solver does not support these
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

/// Adds the solution to a circuit, for solvers with constant steps.
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
        // The state plus the weighted sum of the previous slopes.
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
            // A last slope with weight zero is only for the error estimate; the next step computes it again.
            if stage + 1 < solver.stages.len() || solver.weights[stage] != 0.0 {
                let at = moved(writer, &slopes, weights)?;
                slopes.push(field(writer, at)?);
            }
        }
        state = moved(writer, &slopes, solver.weights)?;
    }
    Ok(state)
}

/// The vector field of a graph, with the parameters that the integrator passes.
struct Parts(Field);

impl dnw_ode::VectorField<4> for Parts {
    fn slope(&self, _: f64, state: Tensor<4>, parameters: &[Tensor<1>]) -> Tensor<4> {
        self.0.with_parameters(parameters).at(state)
    }
}
