//! A few test images, whose predictions a run records.

use burn::tensor::{Device, Tensor, TensorData};

use crate::data::DataSet;
use crate::run::RunFolder;
use crate::run::frame::Frame;
use crate::runner::RunnerError;

/// Sample images per class.
const SAMPLES_PER_CLASS: usize = 1;
/// The most classes with sample images; more would not fit on a page.
const MAX_SAMPLED_CLASSES: usize = 20;

/// A few test images.
pub(super) struct Samples {
    images: TensorData,
    count: usize,
}

impl Samples {
    /// Selects the first images of each class, and writes them to the folder.
    pub(super) fn choose(folder: &RunFolder, data: &DataSet) -> Result<Self, RunnerError> {
        let labels = data.test.labels();
        let chosen: Vec<usize> = (0..data.classes.len().min(MAX_SAMPLED_CLASSES))
            .flat_map(|class| {
                let of_class = (0..labels.len()).filter(move |&i| usize::from(labels[i]) == class);
                of_class.take(SAMPLES_PER_CLASS)
            })
            .collect();
        let [c, h, w] = data.shape();
        let mut pixels = Vec::with_capacity(chosen.len() * c * h * w);
        for &i in &chosen {
            pixels.extend(data.test_image(i)?);
        }
        let normalised: Vec<f32> = pixels
            .iter()
            .enumerate()
            .map(|(i, &pixel)| {
                let channel = i / (h * w) % c;
                (f32::from(pixel) / 255.0 - data.mean[channel]) / data.std[channel]
            })
            .collect();
        let mut file = Frame::default();
        file.put_u8(
            "labels",
            &[chosen.len()],
            // There are few enough classes for a byte.
            chosen.iter().map(|&i| labels[i] as u8).collect(),
        );
        file.put_u8("pixels", &[chosen.len(), c, h, w], pixels);
        file.write(&folder.samples())?;
        Ok(Self {
            count: chosen.len(),
            images: TensorData::new(normalised, [chosen.len(), c, h, w]),
        })
    }

    pub(super) fn tensor(&self, device: &Device) -> Tensor<4> {
        debug_assert!(self.count > 0);
        Tensor::from_data(self.images.clone(), device)
    }
}
