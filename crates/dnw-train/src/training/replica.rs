//! One device's part of an update: the forward and backward pass over its images of a batch.

use std::ops::Range;

use burn::module::Module;
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::{Device, FloatDType};
use dnw_core::{carry_masks, cross_entropy};
use dnw_models::Classifier;
use tracing::trace_span;

use super::arithmetic::Arithmetic;
use super::batch_tensors::images_on;
use super::evaluation::predictions;
use crate::data::Batch;
use crate::profile;

/// The part of a batch that one device computes.
pub(super) struct DevicePart<'a> {
    pub(super) batch: &'a Batch,
    /// The images of the batch that the device computes.
    pub(super) images: Range<usize>,
    /// The most images that it computes at once.
    pub(super) at_once: usize,
    /// Channels, height, width.
    pub(super) shape: [usize; 3],
    pub(super) device: Device,
    pub(super) arithmetic: Arithmetic,
    pub(super) label_smoothing: f32,
    /// The factor of the loss.
    pub(super) scale: f32,
}

/// The results of a device.
pub(super) struct DeviceResult {
    /// Its part of the batch's mean loss: its own mean loss times its share of the batch.
    pub(super) loss: f32,
    /// Images classified correctly.
    pub(super) right: usize,
    /// Its part of the gradients of the batch's mean loss, in 32 bits; empty if the loss is not finite.
    pub(super) gradients: GradientsParams,
}

/// A copy of the model to compute gradients with: the same parameter ids, in the type of `arithmetic`, with its own running averages, on
/// `device`.
///
/// `plain` is [`Module::valid`] of the model, whose running averages are separate from the model's.
pub(super) fn replica<M: Module>(plain: M, arithmetic: Arithmetic, device: &Device) -> M {
    let copy = arithmetic.cast_model(plain);
    Module::train(carry_masks(copy, device)).fork(device)
}

impl DevicePart<'_> {
    /// Computes the images, `at_once` at a time.
    pub(super) fn compute<M: Classifier>(&self, model: &M) -> DeviceResult {
        let mut result = DeviceResult {
            loss: 0.0,
            right: 0,
            gradients: GradientsParams::new(),
        };
        let mut sum = GradientsAccumulator::new();
        let mut begin = self.images.start;
        while begin < self.images.end {
            let part = begin..self.images.end.min(begin + self.at_once);
            begin = part.end;
            let gradients = self.part(model, part, &mut result);
            match gradients {
                Some(gradients) => sum.accumulate(model, gradients),
                None => return result,
            }
        }
        result.gradients = sum.grads();
        result
    }

    /// The gradients of the images' part of the batch's mean loss; `None` if the loss is not finite.
    fn part<M: Classifier>(
        &self,
        model: &M,
        images: Range<usize>,
        result: &mut DeviceResult,
    ) -> Option<GradientsParams> {
        let labels = &self.batch.labels[images.clone()];
        let weight = images.len() as f32 / self.batch.len() as f32;
        let forward = trace_span!("forward").entered();
        let x = images_on(&self.device, self.batch, images, self.shape);
        let logits = model.forward(self.arithmetic.cast(x)).cast(FloatDType::F32);
        let loss = cross_entropy(logits.clone(), labels, self.label_smoothing);
        // Multiplying by one is exact, so a whole batch keeps its result to the bit.
        result.loss += loss.clone().into_scalar::<f32>() * weight;
        drop(forward);
        if !result.loss.is_finite() {
            return None;
        }
        let right = predictions(logits);
        result.right += right.iter().zip(labels).filter(|(a, b)| a == b).count();
        let factor = weight * self.scale;
        let loss = if factor == 1.0 { loss } else { loss * factor };
        let _backward = trace_span!("backward").entered();
        let gradients = GradientsParams::from_grads(loss.backward(), model);
        profile::finish(&self.device);
        Some(self.arithmetic.restore(gradients, model, self.scale))
    }
}
