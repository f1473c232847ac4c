//! One part of a data set, in memory or on disk.

use std::fmt::Debug;
use std::path::PathBuf;

use rayon::prelude::*;

use crate::{BadImage, DataError, ImageError, Images, Picture};

/// The maximum size of decoded images in memory.
pub const MAX_IN_MEMORY: usize = 1 << 31;

/// Labelled images with random access from any thread.
///
/// [`Images`] are in memory; the parts of an [`ImageFolder`](crate::folder::ImageFolder) decode files on
/// demand.
#[expect(clippy::len_without_is_empty, reason = "there is at least one image")]
pub trait Part: Debug + Send + Sync {
    /// The label of every image.
    fn labels(&self) -> &[u16];

    /// The number of channels of every image.
    fn channels(&self) -> usize;

    /// Height and width, if they are known and the same for all images.
    fn size(&self) -> Option<[usize; 2]>;

    /// Image `index`, without transforms.
    ///
    /// # Panics
    /// If `index` is out of range.
    ///
    /// # Errors
    /// [`ImageError`] if it cannot be read or decoded.
    fn picture(&self, index: usize) -> Result<Picture<'_>, ImageError>;

    /// The file of image `index`, or a description of it for errors.
    fn place(&self, index: usize) -> PathBuf;

    /// The number of images; at least one, and less than 2^32.
    fn len(&self) -> usize {
        self.labels().len()
    }
}

/// Decodes every image; returns those that cannot be used.
pub fn bad_images(part: &dyn Part) -> Vec<BadImage> {
    (0..part.len())
        .into_par_iter()
        .filter_map(|index| Some((index, part.picture(index).err()?)))
        .map(|(index, problem)| bad_image(part, index, problem))
        .collect()
}

/// Decodes every image into memory; each must have the height and width `size`.
///
/// # Errors
/// [`DataError::BadImages`] with all images that cannot be used, [`DataError::InMemory`] if they would need more
/// than [`MAX_IN_MEMORY`] bytes.
pub fn decode_all(part: &dyn Part, size: [usize; 2]) -> Result<Images, DataError> {
    let shape = [part.channels(), size[0], size[1]];
    let image = shape.iter().fold(1usize, |a, &b| a.saturating_mul(b));
    let bytes = image.saturating_mul(part.len());
    if bytes > MAX_IN_MEMORY {
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
    Images::new(shape, pixels, part.labels().to_vec())
}

/// The problem and its file.
pub(crate) fn bad_image(part: &dyn Part, index: usize, problem: ImageError) -> BadImage {
    let path = part.place(index);
    BadImage { path, problem }
}
