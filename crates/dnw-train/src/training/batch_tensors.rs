//! A batch as tensors.

use std::ops::Range;

use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::data::Batch;

/// Copies some images of a batch and their labels to a device.
pub(super) fn tensors(
    batch: &Batch,
    images: Range<usize>,
    shape: [usize; 3],
    device: &Device,
) -> (Tensor<4>, Tensor<1, Int>) {
    let [c, h, w] = shape;
    let (n, size) = (images.len(), c * h * w);
    let labels = TensorData::new(batch.labels[images.clone()].to_vec(), [n]);
    let pixels = batch.images[images.start * size..images.end * size].to_vec();
    (
        Tensor::from_data(TensorData::new(pixels, [n, c, h, w]), device),
        Tensor::from_data(labels, device),
    )
}
