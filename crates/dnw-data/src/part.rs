//! One part of a data set, in memory or on disk.

use std::fmt::Debug;
use std::path::PathBuf;

use rayon::prelude::*;

use crate::{BadImage, ImageError, Picture};

/// Labelled images with random access from any thread.
///
/// [`Images`](crate::Images) holds them in memory; an [`ImageFolder`](crate::folder::ImageFolder)'s part decodes a file
/// whenever one is asked for.
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

/// The problem, with the file that has it.
pub(crate) fn bad_image(part: &dyn Part, index: usize, problem: ImageError) -> BadImage {
    let path = part.place(index);
    BadImage { path, problem }
}
