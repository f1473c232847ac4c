//! A batch as a tensor.

use std::ops::Range;

use burn::tensor::{Device, Tensor, TensorData};

use crate::data::Batch;

/// Copies some images of a batch to a device.
pub(super) fn images_on(
    device: &Device,
    batch: &Batch,
    images: Range<usize>,
    shape: [usize; 3],
) -> Tensor<4> {
    let [c, h, w] = shape;
    let (n, size) = (images.len(), c * h * w);
    let pixels = batch.images[images.start * size..images.end * size].to_vec();
    Tensor::from_data(TensorData::new(pixels, [n, c, h, w]), device)
}
