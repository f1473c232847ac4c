//! One half of a data set, wherever its images are.

use std::fmt::Debug;
use std::path::PathBuf;

use rayon::prelude::*;

use crate::{BadImage, DataError, ImageError, Images, Picture};

/// Decoded images are kept in memory up to so many bytes.
pub const MAX_IN_MEMORY: usize = 1 << 31;

/// Labelled images that can be had one by one, in any order, from any thread.
///
/// [`Images`] holds them in memory; an [`ImageFolder`](crate::folder::ImageFolder)'s part decodes a file
/// whenever one is asked for.
#[expect(clippy::len_without_is_empty, reason = "there is at least one image")]
pub trait Part: Debug + Send + Sync {
    /// The class of every image.
    fn labels(&self) -> &[u16];

    /// Channels of every image.
    fn channels(&self) -> usize;

    /// Height and width, if all images are known to have the same.
    fn size(&self) -> Option<[usize; 2]>;

    /// Image `index` as it is stored.
    ///
    /// # Panics
    /// If `index` is not under [`len`](Self::len).
    ///
    /// # Errors
    /// [`ImageError`] if it cannot be read or decoded.
    fn picture(&self, index: usize) -> Result<Picture<'_>, ImageError>;

    /// The file of image `index`, or what stands for it in an error.
    fn place(&self, index: usize) -> PathBuf;

    /// How many images there are; at least one, and fewer than 2^32.
    fn len(&self) -> usize {
        self.labels().len()
    }
}

/// Decodes every image; says which cannot be used.
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
/// [`DataError::BadImages`] with all that cannot be used, [`DataError::InMemory`] if they would take more
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

/// The problem, with the file that has it.
pub(crate) fn bad_image(part: &dyn Part, index: usize, problem: ImageError) -> BadImage {
    let path = part.place(index);
    BadImage { path, problem }
}
