//! What a training step has to compute and to move, whatever computes it.

use burn::module::{Module, ModuleDisplay};
use dnw_circuit::{Circuit, Op};
use dnw_models::Classifier;
use dnw_train::data::Batch;
use dnw_train::training::Training;
use serde::Serialize;

use crate::failure::Failure;
use crate::measure::{Bench, Plan, Use, prepare};
use crate::multiply_adds::MultiplyAdds;

/// Bytes of a number.
const NUMBER: u64 = 4;

/// The least work of a training step.
#[derive(Serialize)]
pub struct Bounds {
    model: String,
    batch: usize,
    image: usize,
    /// Of the whole batch.
    multiply_adds: MultiplyAdds,
    /// Trained parameters, possible edges included.
    parameters: u64,
    /// Outputs of convolutions in the whole batch.
    outputs: u64,
    /// Bytes to read or write.
    bytes: u64,
}

/// The least work of a step of this network.
///
/// # Errors
/// [`Failure`] if the network cannot be built.
pub fn bounds(plan: &Plan<'_>) -> Result<Bounds, Failure> {
    prepare(plan, Counted)
}

struct Counted;

impl Use for Counted {
    type Found = Bounds;

    fn with<M: Classifier + ModuleDisplay + 'static>(
        self,
        bench: Bench<'_>,
        training: Training<M>,
        batch: &Batch,
    ) -> Result<Bounds, Failure> {
        let image = bench.plan.image;
        let circuit = training.model.valid().circuit(image);
        let circuit = circuit.map_err(|error| Failure(error.to_string()))?;
        let edges = training.model.tensors().into_iter();
        let edges: usize = edges.map(|tensor| tensor.weights.len()).sum();
        let parameters = (edges + training.model.other_parameters()) as u64;
        let outputs = outputs(&circuit) * batch.len() as u64;
        Ok(Bounds {
            model: bench.plan.workload.name().to_owned(),
            batch: batch.len(),
            image: image[1],
            multiply_adds: MultiplyAdds::of_an_image(&circuit).times(batch.len()),
            parameters,
            outputs,
            bytes: bytes(parameters, outputs),
        })
    }
}

/// The numbers that the convolutions of an image write.
fn outputs(circuit: &Circuit) -> u64 {
    let convolutions = circuit
        .steps()
        .iter()
        .filter(|step| matches!(step.op, Op::Conv { .. } | Op::Depthwise { .. }));
    convolutions
        .map(|step| step.shape.iter().product::<usize>() as u64)
        .sum()
}

/// The least bytes of a step whose norms, ReLUs and sums are part of the convolutions before or after them, and whose selection is part of the
/// update. An output is written and read forward; it is read again backward, and its gradient is written and read. The gradient of a parameter
/// is written; the update reads it, the parameter and its momentum, and writes the latter two. Real edges are a small part of all edges, so
/// that reading their weights in the forward and backward pass is left out.
fn bytes(parameters: u64, outputs: u64) -> u64 {
    NUMBER * (5 * outputs + 6 * parameters)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_and_parameters_are_moved_as_often_as_is_said() {
        assert_eq!(bytes(0, 10), 200);
        assert_eq!(bytes(10, 0), 240);
    }
}
