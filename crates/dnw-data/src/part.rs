//! One half of a data set, wherever its images are.

use std::fmt::Debug;
use std::path::PathBuf;

use rayon::prelude::*;

use crate::{BadImage, ImageError, Picture};

/// Labelled images that can be had one by one, in any order, from any thread.
///
/// [`Images`](crate::Images) holds them in memory; an [`ImageFolder`](crate::folder::ImageFolder)'s part decodes a file
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

/// The problem, with the file that has it.
pub(crate) fn bad_image(part: &dyn Part, index: usize, problem: ImageError) -> BadImage {
    let path = part.place(index);
    BadImage { path, problem }
}
