//! What is shown of an image: which part, at which size, mirrored or not.
//!
//! Transforms are plain values, so that a recipe can say them and the shape that a network gets is known
//! before the first image is read. They are pure functions of (seed, epoch, index): all randomness comes
//! from a generator keyed by these.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::resize::{Rectangle, Window, cut, resize};
use crate::{Picture, Rng};

/// No side that is asked for is longer.
const MAX_SIDE: usize = 4096;

/// Share of an image's area that a random resized crop takes.
const SCALE: (f64, f64) = (0.08, 1.0);
/// Width over height of a random resized crop.
const RATIO: (f64, f64) = (3.0 / 4.0, 4.0 / 3.0);
/// Tries for a random resized crop before the centre is taken.
const TRIES: usize = 10;

/// How images are shown, in training and when the network is judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Transforms {
    /// In training.
    pub train: TrainTransform,
    /// In evaluation.
    pub test: TestTransform,
}

/// How a training image is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum TrainTransform {
    /// Unchanged. The images must be of one size.
    #[default]
    AsIs,
    /// Padded with black (before normalisation) by `shift` pixels on every side and cut to the old size at
    /// a random place, see [`ShiftCrop`](crate::ShiftCrop). The images must be of one size.
    ShiftCrop {
        /// Pixels by which the image may move each way; less than its sides.
        shift: u16,
        /// Whether half of the images are mirrored left and right.
        #[serde(default)]
        mirror: bool,
    },
    /// A random part, resized to a square.
    ///
    /// Its area is 0.08 to 1 of the image's, drawn evenly; its width over its height 3/4 to 4/3, drawn evenly
    /// in the logarithm; its place drawn evenly. If such a part does not fit in ten tries, it is the largest
    /// at the centre whose ratio is in the range. The definition is torchvision's.
    RandomResizedCrop {
        /// Height and width of what is shown.
        size: usize,
        /// Whether half of the images are mirrored left and right.
        #[serde(default)]
        mirror: bool,
    },
}

/// How an image is shown when the network is judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum TestTransform {
    /// Unchanged. The images must be of one size.
    #[default]
    AsIs,
    /// The centre of the image after its short side was resized to `resize` pixels.
    ResizeCentreCrop {
        /// Pixels of the short side; at least `size`.
        resize: usize,
        /// Height and width of what is shown.
        size: usize,
    },
}

/// Why a transform cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TransformError {
    /// Images of various sizes are shown as they are.
    #[error("the {part} images differ in size and are not brought to one")]
    VariousSizes {
        /// Which images: training or test.
        part: &'static str,
    },
    /// Images could be shifted out of sight.
    #[error("a shift of {shift} pixels leaves nothing of images of {}x{}", size[1], size[0])]
    Shift {
        /// The shift.
        shift: u16,
        /// Height and width of the images.
        size: [usize; 2],
    },
    /// A size that images cannot have.
    #[error(
        "images cannot be shown at {size}x{size} pixels: the side must be from 1 to {MAX_SIDE}"
    )]
    Side {
        /// The size.
        size: usize,
    },
    /// A crop that is larger than what it is cut from.
    #[error("a centre of {size} pixels cannot be cut from a side of {resize}")]
    Centre {
        /// The short side before the cut.
        resize: usize,
        /// The side after it.
        size: usize,
    },
}

/// What a transform shows of a picture.
pub(crate) struct Shown<'a> {
    /// Channels, height, width.
    pub shape: [usize; 3],
    /// `[channels, height, width]`, row-major.
    pub pixels: Cow<'a, [u8]>,
    /// Whether it is to be mirrored left and right.
    pub mirrored: bool,
}

impl TrainTransform {
    /// Height and width of what is shown of images of `size` (`None` if they differ in size).
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

    /// All but the shift, which is made after normalisation.
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
    /// Height and width of what is shown of images of `size` (`None` if they differ in size).
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
                let centre = centre([height, width], to, size);
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

/// The part of an image that a random resized crop takes. Draws, per try: area, ratio and, if the part fits,
/// row and column.
fn random_window([height, width]: [usize; 2], rng: &mut Rng) -> Window {
    let area = (height * width) as f64;
    let between = |rng: &mut Rng, (low, high): (f64, f64)| low + (high - low) * rng.unit();
    // Halves are rounded to even, as Python does.
    let pixels = |side: f64| side.round_ties_even() as usize;
    for _ in 0..TRIES {
        let target = area * between(rng, SCALE);
        let ratio = between(rng, (RATIO.0.ln(), RATIO.1.ln())).exp();
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

/// Where the centre of `size` pixels lies in an image whose short side is resized to `to`, in pixels of the
/// image before that.
fn centre([height, width]: [usize; 2], to: usize, size: usize) -> Rectangle {
    let short = height.min(width);
    let along = |side: usize| {
        // The long side is rounded down, the border of the crop to the nearest, halves to even.
        let resized = (side as u64 * to as u64 / short as u64) as f64;
        let start = ((resized - size as f64) / 2.0).round_ties_even();
        let scale = side as f64 / resized;
        (start * scale, size as f64 * scale)
    };
    Rectangle {
        rows: along(height),
        columns: along(width),
    }
}

#[cfg(test)]
mod tests;
