//! A compiled model against the network that it was compiled from.

use std::path::Path;

use burn::module::ModuleDisplay;
use burn::tensor::Device;
use dnw_core::WiringError;
use dnw_data::{DataSet, ImageError, Preparation};
use dnw_models::{Classifier, ModelError, UseModel};
use dnw_runtime::Model;

use super::prediction::logits_of;
use crate::recipe::{Recipe, RecipeError};
use crate::run::{RunError, load_weights};
use crate::training::{TrainingError, best_class, for_each_batch};

/// What is compared.
#[derive(Debug)]
pub struct Verify<'a> {
    /// The compiled model.
    pub model: &'a Model,
    /// How it sees pictures.
    pub preparation: &'a Preparation,
    /// The recipe of the run.
    pub recipe: &'a Recipe,
    /// The weights of the run.
    pub weights: &'a Path,
    /// The images.
    pub data: &'a DataSet,
    /// Where the network of the run is computed.
    pub device: &'a Device,
}

/// What a comparison found.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Verification {
    /// Images compared.
    pub images: usize,
    /// Images that both put into the same class.
    pub same_class: usize,
    /// Images that the run's network classifies correctly.
    pub right_of_run: usize,
    /// Images that the compiled model classifies correctly.
    pub right_of_model: usize,
    /// The largest difference of two logits.
    pub difference: f64,
    /// The same, each relative to the largest logit of its image in the run's network.
    pub relative_difference: f64,
}

/// Why nothing can be compared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The model is of another run.
    #[error(
        "the compiled model maps images of {} to {} classes, the run maps {} to {}: it was compiled from another run",
        sides(model.0), model.1, sides(run.0), run.1
    )]
    OtherRun {
        /// Shape and classes of the model.
        model: ([usize; 3], usize),
        /// Shape and classes of the run.
        run: ([usize; 3], usize),
    },
    /// The run cannot be read.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The run's network cannot be made.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The run's recipe does not fit.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// The run's network cannot be wired.
    #[error(transparent)]
    Wiring(#[from] WiringError),
    /// The images cannot be read.
    #[error(transparent)]
    Training(#[from] TrainingError),
    /// An image cannot be read.
    #[error(transparent)]
    Image(#[from] ImageError),
}

fn sides([channels, height, width]: [usize; 3]) -> String {
    format!("{channels} x {height} x {width}")
}

impl Verify<'_> {
    /// Compares them on all test images.
    ///
    /// # Errors
    /// [`VerifyError`] if one of them cannot be computed, or they are not of one run.
    pub fn run(self) -> Result<Verification, VerifyError> {
        let model = (self.model.input().shape, self.model.output_len());
        let (shape, classes) = (self.data.shape(), self.data.classes.len());
        if model != (shape, classes) {
            return Err(VerifyError::OtherRun {
                model,
                run: (shape, classes),
            });
        }
        let (recipe, device) = (self.recipe, self.device);
        recipe.model.build(shape, classes, device, self)?
    }
}

impl UseModel for Verify<'_> {
    type Output = Result<Verification, VerifyError>;

    fn with<M: Classifier + ModuleDisplay + 'static>(self, network: M) -> Self::Output {
        let data = self.data;
        // Wired only so that the model has places for the stored wirings; which edges it begins with does not matter.
        let mut network = self.recipe.wire(1, data.classes.len())?.attach(network)?;
        load_weights(&mut *network, self.weights)?;
        let mut found = Verification::default();
        for_each_batch(&*network, data, self.device, |batch, logits| {
            let expected: Vec<f32> = logits.to_data().iter().collect();
            let compiled = logits_of(self.model, self.preparation, batch.len(), |index| {
                data.test.picture(batch.indices[index] as usize)
            });
            let expected = expected.chunks_exact(data.classes.len());
            for ((compiled, expected), &label) in
                compiled.into_iter().zip(expected).zip(&batch.labels)
            {
                found.add(expected, &compiled?, label as usize);
            }
            Ok::<(), VerifyError>(())
        })?;
        Ok(found)
    }
}

impl Verification {
    fn add(&mut self, expected: &[f32], compiled: &[f32], label: usize) {
        let difference = expected
            .iter()
            .zip(compiled)
            .map(|(a, b)| f64::from(a - b).abs())
            // Not a number is no small difference.
            .fold(
                0.0,
                |most: f64, d| if d > most || d.is_nan() { d } else { most },
            );
        let largest = expected.iter().map(|x| f64::from(x.abs()));
        let largest = largest.fold(f64::MIN_POSITIVE, f64::max);
        let (run, model) = (best_class(expected), best_class(compiled));
        self.images += 1;
        self.same_class += usize::from(run == model);
        self.right_of_run += usize::from(run == label);
        self.right_of_model += usize::from(model == label);
        self.difference = larger(self.difference, difference);
        self.relative_difference = larger(self.relative_difference, difference / largest);
    }
}

/// The larger one; not a number if one is.
fn larger(a: f64, b: f64) -> f64 {
    if a.is_nan() || a > b { a } else { b }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_the_largest_and_relative_to_their_image() {
        let mut found = Verification::default();
        found.add(&[1.0, -4.0], &[1.0, -3.0], 0);
        found.add(&[0.5, 0.25], &[0.25, 0.25], 0);
        assert_eq!(found.difference, 1.0);
        assert_eq!(found.relative_difference, 0.5);
        // Of equal logits the later class counts, in both.
        assert_eq!((found.same_class, found.right_of_run), (1, 2));
        assert_eq!(found.right_of_model, 1);
        found.add(&[1.0, 0.0], &[f32::NAN, 0.0], 0);
        found.add(&[1.0, 0.0], &[1.0, 0.0], 0);
        assert!(found.difference.is_nan() && found.relative_difference.is_nan());
    }
}
