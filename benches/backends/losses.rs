//! The losses of the first training steps, which two devices compute from the same weights and images.

use burn::module::ModuleDisplay;
use dnw_models::Classifier;
use dnw_train::data::Batch;
use dnw_train::training::Training;
use serde::Serialize;

use crate::failure::Failure;
use crate::measure::{Bench, Plan, Use, prepare};

/// The loss before each step.
#[derive(Serialize)]
pub struct Losses {
    device: String,
    adapter: String,
    model: String,
    batch: usize,
    precision: String,
    losses: Vec<f32>,
    /// Edges that swapped in, by step.
    swapped: Vec<usize>,
}

/// Makes so many training steps of a network on a device.
///
/// # Errors
/// [`Failure`] if the device cannot be opened or the network cannot be trained.
pub fn losses(plan: &Plan<'_>, steps: usize) -> Result<Losses, Failure> {
    prepare(plan, Steps(steps))
}

struct Steps(usize);

impl Use for Steps {
    type Found = Losses;

    fn with<M: Classifier + ModuleDisplay + 'static>(
        self,
        bench: Bench<'_>,
        mut training: Training<M>,
        batch: &Batch,
    ) -> Result<Losses, Failure> {
        let (mut losses, mut swapped) = (Vec::new(), Vec::new());
        for _ in 0..self.0 {
            let update = training.step(batch)?;
            losses.push(update.loss);
            swapped.push(update.rewiring.added());
        }
        Ok(Losses {
            device: bench.opened.name.to_string(),
            adapter: bench.opened.model.clone(),
            model: bench.plan.workload.name().to_owned(),
            batch: batch.len(),
            precision: bench.plan.precision.to_string(),
            losses,
            swapped,
        })
    }
}
