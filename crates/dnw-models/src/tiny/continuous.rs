//! The tiny classifier as an ordinary differential equation: d state / dt is the sum over the edges, from time 0 to 1.

use std::sync::Arc;

use burn::tensor::Tensor;
use dnw_circuit::{CircuitError, ValueId};
use dnw_core::graph::{CyclicGraph, Field};
use dnw_ode::{Control, Integrator, OdeError};

use crate::NoCircuit;
use crate::circuit::CircuitWriter;

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
