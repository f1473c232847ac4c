//! Labelled images in memory, as the bytes they were read as.

use std::sync::Arc;

use crate::DataError;

/// Labelled images of one size.
///
/// Bytes, not floats: all of MNIST's training part takes 47 MB, and normalisation is a table look-up
/// when a batch is made.
#[derive(Clone, PartialEq, Eq)]
pub struct Images {
    shape: [usize; 3],
    pixels: Vec<u8>,
    labels: Vec<u8>,
}

impl Images {
    /// Puts images and labels together.
    ///
    /// # Shapes
    /// `shape`: channels, height, width. `pixels`: `[images, channels, height, width]`, row-major, 0 is
    /// black. `labels`: `[images]`, the class of each.
    ///
    /// # Errors
    /// [`DataError::NoImages`] if there is not one pixel, [`DataError::PixelCount`] if `pixels` is not
    /// one image of `shape` per label.
    pub fn new(shape: [usize; 3], pixels: Vec<u8>, labels: Vec<u8>) -> Result<Self, DataError> {
        if labels.is_empty() || shape.contains(&0) {
            return Err(DataError::NoImages);
        }
        let wanted = shape
            .iter()
            .try_fold(labels.len(), |product, &side| product.checked_mul(side));
        if wanted != Some(pixels.len()) || u32::try_from(labels.len()).is_err() {
            return Err(DataError::PixelCount {
                shape,
                images: labels.len(),
                pixels: pixels.len(),
            });
        }
        Ok(Self {
            shape,
            pixels,
            labels,
        })
    }

    /// How many images there are; at least one, and fewer than 2^32.
    #[expect(clippy::len_without_is_empty, reason = "there is at least one image")]
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Channels, height, width of every image.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// Bytes of one image: channels x height x width.
    pub fn image_len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Image `index`, `[channels, height, width]` row-major.
    ///
    /// # Panics
    /// If `index` is not under [`len`](Self::len).
    pub fn image(&self, index: usize) -> &[u8] {
        let size = self.image_len();
        &self.pixels[index * size..][..size]
    }

    /// All pixels, `[images, channels, height, width]` row-major.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// The class of every image.
    pub fn labels(&self) -> &[u8] {
        &self.labels
    }

    /// Mean and standard deviation of each channel over all images, in units where white is 1.
    pub fn statistics(&self) -> (Vec<f32>, Vec<f32>) {
        let plane = self.shape[1] * self.shape[2];
        let channel_statistics = |channel: usize| {
            let bytes = || {
                self.pixels
                    .chunks_exact(plane)
                    .skip(channel)
                    .step_by(self.shape[0])
                    .flatten()
            };
            // Sums of bytes are whole numbers, so they are exact in any order.
            let count = (self.len() * plane) as f64;
            let sum: u64 = bytes().map(|&byte| u64::from(byte)).sum();
            let squares: u64 = bytes().map(|&byte| u64::from(byte).pow(2)).sum();
            let mean = sum as f64 / count;
            let variance = squares as f64 / count - mean * mean;
            (
                (mean / 255.0) as f32,
                (variance.max(0.0).sqrt() / 255.0) as f32,
            )
        };
        (0..self.shape[0]).map(channel_statistics).unzip()
    }
}

impl std::fmt::Debug for Images {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Images")
            .field("images", &self.len())
            .field("shape", &self.shape)
            .finish_non_exhaustive()
    }
}

/// A training part, a test part, and what is known about both.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DataSet {
    /// The name it was opened by.
    pub name: String,
    /// The classes' names; a label is an index into them.
    pub classes: Vec<String>,
    /// The images to learn from.
    pub train: Arc<Images>,
    /// The images to be judged by.
    pub test: Arc<Images>,
    /// Mean of each channel, in units where white is 1.
    pub mean: Vec<f32>,
    /// Standard deviation of each channel, in units where white is 1.
    pub std: Vec<f32>,
}

impl DataSet {
    /// Puts two parts together.
    ///
    /// # Shapes
    /// `statistics`: mean and standard deviation, each one number per channel.
    ///
    /// # Errors
    /// [`DataError::PartsDiffer`] if the parts' images differ in shape, [`DataError::LabelRange`] if a
    /// label names no class, [`DataError::Statistics`] if the statistics are not a finite mean and a
    /// positive deviation for each channel.
    pub fn new(
        name: &str,
        classes: Vec<String>,
        train: Images,
        test: Images,
        statistics: (Vec<f32>, Vec<f32>),
    ) -> Result<Self, DataError> {
        if train.shape != test.shape {
            return Err(DataError::PartsDiffer {
                train: train.shape,
                test: test.shape,
            });
        }
        for part in [&train, &test] {
            let out_of_range = |&label: &u8| usize::from(label) >= classes.len();
            if let Some(index) = part.labels.iter().position(out_of_range) {
                return Err(DataError::LabelRange {
                    index,
                    label: part.labels[index],
                    classes: classes.len(),
                });
            }
        }
        let (mean, std) = statistics;
        let channels = train.shape[0];
        let sound = mean.len() == channels
            && std.len() == channels
            && mean.iter().all(|mean| mean.is_finite())
            && std.iter().all(|std| std.is_finite() && *std > 0.0);
        if !sound {
            return Err(DataError::Statistics { channels });
        }
        Ok(Self {
            name: name.to_owned(),
            classes,
            train: Arc::new(train),
            test: Arc::new(test),
            mean,
            std,
        })
    }

    /// Channels, height, width of every image of both parts.
    pub fn shape(&self) -> [usize; 3] {
        self.train.shape
    }

    /// The value of a black pixel of each channel after normalisation: `-mean / std`.
    pub fn black(&self) -> Vec<f32> {
        self.mean
            .iter()
            .zip(&self.std)
            .map(|(mean, std)| (0.0 - mean) / std)
            .collect()
    }
}

/// The ten decimal digits as class names.
pub(crate) fn ten_digits() -> Vec<String> {
    (0..10).map(|digit: u8| digit.to_string()).collect()
}
