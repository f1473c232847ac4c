//! Image transforms: crop, resize and flip.
//!
//! Transforms are plain values, so that they can be part of a recipe and the shape of the network's input is
//! known before the first image is read. They are pure functions of (seed, epoch, index): all randomness is
//! from a generator keyed by these.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::resize::{Rectangle, Window, cut, resize};
use crate::{Picture, Rng};

/// The maximum side of the output.
pub(crate) const MAX_SIDE: usize = 4096;

/// The range of the area of a random resized crop, relative to the image.
const SCALE: (f64, f64) = (0.08, 1.0);
/// The range of the aspect ratio of a random resized crop, width over height.
const RATIO: (f64, f64) = (3.0 / 4.0, 4.0 / 3.0);
/// The number of tries for a random resized crop before the centre is used.
const TRIES: usize = 10;

/// The transforms in training and evaluation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Transforms {
    /// The training transform.
    pub train: TrainTransform,
    /// The evaluation transform.
    pub test: TestTransform,
}

/// A training transform.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum TrainTransform {
    /// No transform. All images must have the same size.
    #[default]
    AsIs,
    /// A random crop with padding: padded with black by `shift` pixels on every side and cropped to the original
    /// size at a random position, see [`ShiftCrop`](crate::ShiftCrop). All images must have the same size.
    ShiftCrop {
        /// The maximum shift in pixels; less than the image's sides.
        shift: u16,
        /// Whether half of the images are flipped horizontally.
        #[serde(default)]
        mirror: bool,
    },
    /// A random resized crop: a random crop, resized to a square.
    ///
    /// Its area is uniform in 0.08 to 1 of the image's, its aspect ratio log-uniform in 3/4 to 4/3, its position
    /// uniform. If no such crop fits in ten tries, it is the largest centre crop with an aspect ratio in the
    /// range. This is torchvision's definition.
    RandomResizedCrop {
        /// Height and width of the output.
        size: usize,
        /// Whether half of the images are flipped horizontally.
        #[serde(default)]
        mirror: bool,
    },
}

/// An evaluation transform.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum TestTransform {
    /// No transform. All images must have the same size.
    #[default]
    AsIs,
    /// A centre crop after a resize of the short side to `resize` pixels.
    ResizeCentreCrop {
        /// The short side in pixels after the resize; at least `size`.
        resize: usize,
        /// Height and width of the output.
        size: usize,
    },
}

/// An invalid transform.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TransformError {
    /// Images of different sizes without a resize.
    #[error("the {part} images differ in size and are not brought to one")]
    VariousSizes {
        /// The part: training or test.
        part: &'static str,
    },
    /// A shift as large as the images.
    #[error("a shift of {shift} pixels leaves nothing of images of {}x{}", size[1], size[0])]
    Shift {
        /// The shift.
        shift: u16,
        /// Height and width of the images.
        size: [usize; 2],
    },
    /// An invalid size.
    #[error(
        "images cannot be shown at {size}x{size} pixels: the side must be from 1 to {MAX_SIDE}"
    )]
    Side {
        /// The size.
        size: usize,
    },
    /// A crop larger than the resized image.
    #[error("a centre of {size} pixels cannot be cut from a side of {resize}")]
    Centre {
        /// The short side before the crop.
        resize: usize,
        /// The side after the crop.
        size: usize,
    },
}

/// The output of a transform.
pub(crate) struct Shown<'a> {
    /// Channels, height, width.
    pub shape: [usize; 3],
    /// `[channels, height, width]`, row-major.
    pub pixels: Cow<'a, [u8]>,
    /// Whether to flip it horizontally.
    pub mirrored: bool,
}

impl TrainTransform {
    /// Height and width of the output for images of `size` (`None` if they differ in size).
    ///
    /// # Errors
    /// [`TransformError`] if the transform does not fit such images.
    pub fn size(&self, size: Option<[usize; 2]>) -> Result<[usize; 2], TransformError> {
        let one_size = || size.ok_or(TransformError::VariousSizes { part: "training" });
        match *self {
            Self::AsIs => one_size(),
            Self::ShiftCrop { shift, .. } => {
                let size = one_size()?;
                if usize::from(shift) < size[0].min(size[1]) {
                    Ok(size)
                } else {
                    Err(TransformError::Shift { shift, size })
                }
            }
            Self::RandomResizedCrop { size, .. } => square(size),
        }
    }

    /// Applies the transform except the shift, which is applied after normalisation.
    pub(crate) fn show<'a>(&self, picture: Picture<'a>, rng: &mut Rng) -> Shown<'a> {
        match *self {
            Self::AsIs | Self::ShiftCrop { .. } => Shown {
                shape: picture.shape,
                pixels: picture.pixels,
                mirrored: false,
            },
            Self::RandomResizedCrop { size, mirror } => {
                let [channels, height, width] = picture.shape;
                let part = cut(&picture, random_window([height, width], rng));
                let mut pixels = vec![0; channels * size * size];
                let whole = Rectangle {
                    rows: (0.0, part.shape[1] as f64),
                    columns: (0.0, part.shape[2] as f64),
                };
                resize(&part, whole, [size; 2], &mut pixels);
                Shown {
                    shape: [channels, size, size],
                    pixels: pixels.into(),
                    mirrored: mirror && rng.below(2) == 1,
                }
            }
        }
    }
}

impl TestTransform {
    /// Height and width of the output for images of `size` (`None` if they differ in size).
    ///
    /// # Errors
    /// [`TransformError`] if the transform does not fit such images.
    pub fn size(&self, size: Option<[usize; 2]>) -> Result<[usize; 2], TransformError> {
        match *self {
            Self::AsIs => size.ok_or(TransformError::VariousSizes { part: "test" }),
            Self::ResizeCentreCrop { resize, size } => {
                square(resize)?;
                if size > resize {
                    return Err(TransformError::Centre { resize, size });
                }
                square(size)
            }
        }
    }

    pub(crate) fn show<'a>(&self, picture: Picture<'a>) -> Shown<'a> {
        let [channels, height, width] = picture.shape;
        let (shape, pixels) = match *self {
            Self::AsIs => (picture.shape, picture.pixels),
            Self::ResizeCentreCrop { resize: to, size } => {
                let mut pixels = vec![0; channels * size * size];
                let centre = centre([height, width], to, [size; 2]);
                resize(&picture, centre, [size; 2], &mut pixels);
                ([channels, size, size], pixels.into())
            }
        };
        Shown {
            shape,
            pixels,
            mirrored: false,
        }
    }
}

fn square(size: usize) -> Result<[usize; 2], TransformError> {
    match size {
        1..=MAX_SIDE => Ok([size; 2]),
        _ => Err(TransformError::Side { size }),
    }
}

/// The box of a random resized crop. Random numbers per try: area, aspect ratio and, if the crop fits, row and
/// column.
fn random_window([height, width]: [usize; 2], rng: &mut Rng) -> Window {
    let area = (height * width) as f64;
    let between = |rng: &mut Rng, (low, high): (f64, f64)| low + (high - low) * rng.unit();
    // Halves are rounded to even, as in Python.
    let pixels = |side: f64| side.round_ties_even() as usize;
    for _ in 0..TRIES {
        let target = area * between(rng, SCALE);
        let ratio = libm::exp(between(rng, (libm::log(RATIO.0), libm::log(RATIO.1))));
        let [rows, columns] = [
            pixels((target / ratio).sqrt()),
            pixels((target * ratio).sqrt()),
        ];
        if (1..=height).contains(&rows) && (1..=width).contains(&columns) {
            return Window {
                top: rng.below((height - rows + 1) as u32) as usize,
                left: rng.below((width - columns + 1) as u32) as usize,
                height: rows,
                width: columns,
            };
        }
    }
    let ratio = width as f64 / height as f64;
    let [rows, columns] = if ratio < RATIO.0 {
        [pixels(width as f64 / RATIO.0).min(height), width]
    } else if ratio > RATIO.1 {
        [height, pixels(height as f64 * RATIO.1).min(width)]
    } else {
        [height, width]
    };
    Window {
        top: (height - rows) / 2,
        left: (width - columns) / 2,
        height: rows,
        width: columns,
    }
}

/// The box of a centre crop of `size` (height, width) after a resize of the short side to `to`, in pixels of the
/// original image.
pub(crate) fn centre([height, width]: [usize; 2], to: usize, size: [usize; 2]) -> Rectangle {
    let short = height.min(width);
    let along = |side: usize, size: usize| {
        // The long side is rounded down, the offset of the crop to nearest, halves to even.
        let resized = (side as u64 * to as u64 / short as u64) as f64;
        let start = ((resized - size as f64) / 2.0).round_ties_even();
        let scale = side as f64 / resized;
        (start * scale, size as f64 * scale)
    };
    Rectangle {
        rows: along(height, size[0]),
        columns: along(width, size[1]),
    }
}

#[cfg(test)]
mod tests;
