//! Evaluation on the test images.

use burn::tensor::{Device, Tensor};
use dnw_core::cross_entropy;
use dnw_models::Classifier;

use super::TrainingError;
use super::batch_tensors::images_on;
use crate::data::{Batch, DataSet, Loader};

/// Images per batch of an evaluation, unless fewer are requested.
pub(super) const EVALUATION_BATCH: usize = 250;

/// The result of an evaluation.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// Mean loss, without label smoothing.
    pub loss: f64,
    /// Share of correctly classified images, 0 to 1.
    pub accuracy: f64,
    /// Images per true class and predicted class, row-major.
    pub confusion: Vec<u32>,
}

/// Evaluates a model on the test images. The wiring stays as it is.
///
/// # Errors
/// [`TrainingError::Data`] if the data cannot be read.
pub fn evaluate<M: Classifier>(
    model: &M,
    data: &DataSet,
    device: &Device,
) -> Result<Evaluation, TrainingError> {
    evaluate_in_batches(model, data, device, EVALUATION_BATCH)
}

/// Evaluates with this many images per batch.
pub(super) fn evaluate_in_batches<M: Classifier>(
    model: &M,
    data: &DataSet,
    device: &Device,
    at_once: usize,
) -> Result<Evaluation, TrainingError> {
    let model = model.valid();
    let classes = data.classes.len();
    let mut confusion = vec![0; classes * classes];
    let (mut sum, mut images) = (0.0, 0);
    visit(&model, data, device, at_once, |batch, logits| {
        let mean = cross_entropy(logits.clone(), &batch.labels, 0.0).into_scalar::<f32>();
        sum += f64::from(mean) * batch.len() as f64;
        images += batch.len();
        for (predicted, &label) in predictions(logits).into_iter().zip(&batch.labels) {
            confusion[label as usize * classes + predicted as usize] += 1;
        }
        Ok::<(), TrainingError>(())
    })?;
    let right: u32 = (0..classes)
        .map(|class| confusion[class * (classes + 1)])
        .sum();
    let images = images.max(1) as f64;
    Ok(Evaluation {
        loss: sum / images,
        accuracy: f64::from(right) / images,
        confusion,
    })
}

/// Calls `each` with the logits of each batch of test images, `[images, classes]`, as computed by [`evaluate`].
///
/// # Errors
/// [`TrainingError::Data`] if the data cannot be had, and those of `each`.
pub fn for_each_batch<M: Classifier, E: From<TrainingError>>(
    model: &M,
    data: &DataSet,
    device: &Device,
    each: impl FnMut(&Batch, Tensor<2>) -> Result<(), E>,
) -> Result<(), E> {
    let model = model.valid();
    visit(&model, data, device, EVALUATION_BATCH, each)
}

/// Computes the logits of all test images, and visits each batch.
fn visit<M: Classifier, E: From<TrainingError>>(
    model: &M,
    data: &DataSet,
    device: &Device,
    at_once: usize,
    mut visit: impl FnMut(&Batch, Tensor<2>) -> Result<(), E>,
) -> Result<(), E> {
    let data_error = |error| E::from(TrainingError::Data(error));
    let loader = Loader::test(data, at_once).map_err(data_error)?;
    for batch in loader.in_order().map_err(data_error)? {
        let batch = batch.map_err(data_error)?;
        let x = images_on(device, &batch, 0..batch.len(), data.shape());
        visit(&batch, model.forward(x))?;
    }
    Ok(())
}

/// The class of the highest score; of equals the last.
pub fn best_class(scores: &[f32]) -> usize {
    let best = scores.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
    best.map_or(0, |(class, _)| class)
}

/// The class of the largest logit, per image.
pub(super) fn predictions(logits: Tensor<2>) -> Vec<i32> {
    let [_, classes] = logits.dims();
    let scores: Vec<f32> = logits.to_data().iter().collect();
    scores
        .chunks_exact(classes)
        .map(|scores| best_class(scores) as i32)
        .collect()
}
