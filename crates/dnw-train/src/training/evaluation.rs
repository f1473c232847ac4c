//! How well a model does on the test part of the data.

use burn::nn::loss::CrossEntropyLossConfig;
use burn::tensor::{Device, Tensor};
use dnw_models::Classifier;

use super::TrainingError;
use super::batch_tensors::tensors;
use crate::data::{DataSet, Loader};

/// Images that are evaluated at once, unless fewer are asked for.
pub(super) const MOST_AT_ONCE: usize = 250;

/// What an evaluation found.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// Mean loss, without label smoothing.
    pub loss: f64,
    /// Share of images classified right, 0 to 1.
    pub accuracy: f64,
    /// Images per true class and predicted class, row-major.
    pub confusion: Vec<u32>,
}

/// Evaluates a model on the test part of the data. Selects nothing: the wiring is as it is.
///
/// # Errors
/// [`TrainingError::Data`] if the data cannot be had.
pub fn evaluate<M: Classifier>(
    model: &M,
    data: &DataSet,
    device: &Device,
) -> Result<Evaluation, TrainingError> {
    evaluate_by(model, data, device, MOST_AT_ONCE)
}

/// The same with so many images at once.
pub(super) fn evaluate_by<M: Classifier>(
    model: &M,
    data: &DataSet,
    device: &Device,
    at_once: usize,
) -> Result<Evaluation, TrainingError> {
    let model = model.valid();
    let classes = data.classes.len();
    let loss = CrossEntropyLossConfig::new().init(device);
    let mut confusion = vec![0; classes * classes];
    let (mut sum, mut images) = (0.0, 0);
    for batch in Loader::test(data, at_once)?.in_order()? {
        let batch = batch?;
        let (x, y) = tensors(&batch, 0..batch.len(), data.shape(), device);
        let logits = model.forward(x);
        sum += f64::from(loss.forward(logits.clone(), y).into_scalar::<f32>()) * batch.len() as f64;
        images += batch.len();
        for (predicted, &label) in predictions(logits).into_iter().zip(&batch.labels) {
            confusion[label as usize * classes + predicted as usize] += 1;
        }
    }
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

/// The class of the highest score, per image.
pub(super) fn predictions(logits: Tensor<2>) -> Vec<i32> {
    let [_, classes] = logits.dims();
    let scores: Vec<f32> = logits.to_data().iter().collect();
    scores
        .chunks_exact(classes)
        .map(|scores| {
            let best = scores.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
            best.map_or(0, |(class, _)| class as i32)
        })
        .collect()
}
