//! Labelled images in memory, as bytes.

use std::path::PathBuf;

use rayon::prelude::*;

use crate::part::bad_image;
use crate::{DataError, ImageError, Part, Picture};

/// Labelled images of one size.
///
/// They are bytes, not floats: MNIST's training part has 47 MB, and normalisation is a table lookup when a
/// batch is prepared.
#[derive(Clone, PartialEq, Eq)]
pub struct Images {
    shape: [usize; 3],
    pixels: Vec<u8>,
    labels: Vec<u16>,
}

impl Images {
    /// Decoded images are kept in memory up to so many bytes.
    pub const MAX_BYTES: usize = 1 << 31;

    /// Puts images and labels together.
    ///
    /// # Shapes
    /// `shape`: channels, height, width. `pixels`: `[images, channels, height, width]`, row-major, 0 is
    /// black. `labels`: `[images]`, the class of each.
    ///
    /// # Errors
    /// [`DataError::NoImages`] if there are no pixels, [`DataError::PixelCount`] if `pixels` does not have one
    /// image of `shape` per label.
    pub fn new(shape: [usize; 3], pixels: Vec<u8>, labels: Vec<u16>) -> Result<Self, DataError> {
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

    /// Decodes every image of a part into memory; each must have the height and width `size`.
    ///
    /// # Errors
    /// [`DataError::BadImages`] with all that cannot be used, [`DataError::InMemory`] if they would take more
    /// than [`MAX_BYTES`](Self::MAX_BYTES) bytes.
    pub fn decode(part: &dyn Part, size: [usize; 2]) -> Result<Self, DataError> {
        let shape = [part.channels(), size[0], size[1]];
        let image = shape.iter().fold(1usize, |a, &b| a.saturating_mul(b));
        let bytes = image.saturating_mul(part.len());
        if bytes > Self::MAX_BYTES {
            let images = part.len();
            return Err(DataError::InMemory { images, bytes });
        }
        let mut pixels = vec![0; bytes];
        let bad: Vec<_> = pixels
            .par_chunks_exact_mut(image.max(1))
            .enumerate()
            .filter_map(|(index, slot)| {
                let problem = match part.picture(index) {
                    Ok(picture) if picture.shape == shape => {
                        slot.copy_from_slice(&picture.pixels);
                        return None;
                    }
                    Ok(picture) => {
                        let [_, height, width] = picture.shape;
                        let found = [height, width];
                        ImageError::Size {
                            found,
                            wanted: size,
                        }
                    }
                    Err(problem) => problem,
                };
                Some(bad_image(part, index, problem))
            })
            .collect();
        if !bad.is_empty() {
            return Err(DataError::bad_images(bad));
        }
        Self::new(shape, pixels, part.labels().to_vec())
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
    /// If `index` is out of range.
    pub fn image(&self, index: usize) -> &[u8] {
        let size = self.image_len();
        &self.pixels[index * size..][..size]
    }

    /// All pixels, `[images, channels, height, width]` row-major.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
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
            // Sums of bytes are integers, so they are exact in any order.
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

impl Part for Images {
    fn labels(&self) -> &[u16] {
        &self.labels
    }

    fn channels(&self) -> usize {
        self.shape[0]
    }

    fn size(&self) -> Option<[usize; 2]> {
        Some([self.shape[1], self.shape[2]])
    }

    fn picture(&self, index: usize) -> Result<Picture<'_>, ImageError> {
        Ok(Picture {
            shape: self.shape,
            pixels: self.image(index).into(),
        })
    }

    fn place(&self, index: usize) -> PathBuf {
        format!("image {index}").into()
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
