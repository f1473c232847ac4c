//! Single pictures as inputs of a network, prepared as the evaluation of a data set prepares its own.

use std::borrow::Cow;

use crate::resize::{Rectangle, resize};
use crate::transform::{MAX_SIDE, centre};
use crate::{ImageError, Picture};

/// For each byte of a channel the value that the network sees: `(byte / 255 - mean) / std`.
pub(crate) fn normalised(mean: f32, std: f32) -> [f32; 256] {
    std::array::from_fn(|byte| (byte as f32 / 255.0 - mean) / std)
}

/// How a picture of any size becomes the input of a network.
///
/// A picture of red, green and blue becomes grey for a network with one channel, with the weights of ITU-R BT.601; a grey one is repeated for
/// a network with three. It is then brought to the network's height and width and normalised.
#[derive(Clone, Debug)]
pub struct Preparation {
    shape: [usize; 3],
    tables: Vec<[f32; 256]>,
    resize: usize,
}

/// An input that pictures cannot be prepared for.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PreparationError {
    /// Neither a grey nor a coloured input.
    #[error("the network reads images of {0} channels, pictures have 1 or 3")]
    Channels(usize),
    /// A side of zero pixels or of too many.
    #[error(
        "the network reads images of {height} x {width} pixels, sides are from 1 to {MAX_SIDE}"
    )]
    Side {
        /// Rows.
        height: usize,
        /// Pixels in a row.
        width: usize,
    },
    /// A resize to fewer pixels than the crop needs.
    #[error("a centre of {height} x {width} pixels cannot be cut from a side of {resize} pixels")]
    Centre {
        /// Rows.
        height: usize,
        /// Pixels in a row.
        width: usize,
        /// The shorter side before the crop.
        resize: usize,
    },
    /// A mean or deviation that cannot normalise.
    #[error(
        "normalisation needs a finite mean and a positive deviation for each of {0} channel(s)"
    )]
    Statistics(usize),
}

impl Preparation {
    /// For a network that reads images of `shape`, `[channels, height, width]`.
    ///
    /// `mean` and `deviation` have one value per channel, in units where white is 1, or none for 0 and 1. With `resize` greater than zero, the
    /// shorter side of a picture is resized to so many pixels and its centre is cropped. With zero, a picture of another size is resized to
    /// the network's height and width.
    ///
    /// # Errors
    /// [`PreparationError`] if such an input cannot be made of pictures.
    pub fn new(
        shape: [usize; 3],
        mean: &[f32],
        deviation: &[f32],
        resize: usize,
    ) -> Result<Self, PreparationError> {
        let [channels, height, width] = shape;
        if channels != 1 && channels != 3 {
            return Err(PreparationError::Channels(channels));
        }
        let sides = 1..=MAX_SIDE;
        if !sides.contains(&height) || !sides.contains(&width) {
            return Err(PreparationError::Side { height, width });
        }
        if resize > 0 && (resize < height.max(width) || resize > MAX_SIDE) {
            return Err(PreparationError::Centre {
                height,
                width,
                resize,
            });
        }
        let each = |values: &[f32], otherwise: f32| match values {
            [] => vec![otherwise; channels],
            values => values.to_vec(),
        };
        let (mean, deviation) = (each(mean, 0.0), each(deviation, 1.0));
        let sound = [mean.len(), deviation.len()] == [channels; 2]
            && mean.iter().all(|mean| mean.is_finite())
            && deviation.iter().all(|std| std.is_finite() && *std > 0.0);
        if !sound {
            return Err(PreparationError::Statistics(channels));
        }
        let tables = mean.iter().zip(&deviation);
        Ok(Self {
            shape,
            tables: tables.map(|(&mean, &std)| normalised(mean, std)).collect(),
            resize,
        })
    }

    /// Prepares a picture.
    ///
    /// # Shapes
    /// `input`: `[channels, height, width]`, row-major.
    ///
    /// # Errors
    /// [`ImageError::Channels`] if the picture has neither one nor three channels.
    ///
    /// # Panics
    /// If `input` has another length.
    pub fn prepare(&self, picture: &Picture<'_>, input: &mut [f32]) -> Result<(), ImageError> {
        let [channels, height, width] = self.shape;
        assert_eq!(input.len(), channels * height * width, "one image");
        let coloured = with_channels(picture, channels)?;
        let [_, rows, columns] = coloured.shape;
        let source = match self.resize {
            0 if [rows, columns] == [height, width] => None,
            0 => Some(Rectangle {
                rows: (0.0, rows as f64),
                columns: (0.0, columns as f64),
            }),
            to => Some(centre([rows, columns], to, [height, width])),
        };
        let pixels = match source {
            None => coloured.pixels,
            Some(source) => {
                let mut pixels = vec![0; input.len()];
                resize(&coloured, source, [height, width], &mut pixels);
                pixels.into()
            }
        };
        let plane = height * width;
        let planes = input
            .chunks_exact_mut(plane)
            .zip(pixels.chunks_exact(plane));
        for ((values, bytes), table) in planes.zip(&self.tables) {
            for (value, &byte) in values.iter_mut().zip(bytes) {
                *value = table[usize::from(byte)];
            }
        }
        Ok(())
    }
}

/// The picture with one or three channels.
fn with_channels<'a>(picture: &'a Picture<'_>, channels: usize) -> Result<Picture<'a>, ImageError> {
    let [found, height, width] = picture.shape;
    let plane = height * width;
    let pixels = match (found, channels) {
        (1, 1) | (3, 3) => Cow::Borrowed(&*picture.pixels),
        (1, 3) => picture.pixels.repeat(3).into(),
        (3, 1) => {
            let (red, rest) = picture.pixels.split_at(plane);
            let (green, blue) = rest.split_at(plane);
            let colours = red.iter().zip(green).zip(blue);
            let grey = colours.map(|((&red, &green), &blue)| grey([red, green, blue]));
            grey.collect::<Vec<u8>>().into()
        }
        _ => return Err(ImageError::Channels { found }),
    };
    Ok(Picture {
        shape: [channels, height, width],
        pixels,
    })
}

/// The brightness of a colour, by ITU-R BT.601. Grey stays as it is.
fn grey([red, green, blue]: [u8; 3]) -> u8 {
    // Weights of 16 bits that add up to 65536, so that white stays white.
    let sum = 19_595 * u32::from(red) + 38_470 * u32::from(green) + 7_471 * u32::from(blue);
    ((sum + 32_768) >> 16) as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Images, Loader, TestTransform, Transforms};

    fn noise(shape: [usize; 3], seed: u64) -> Picture<'static> {
        let mut rng = crate::Rng::for_order(seed, 0);
        let pixels: Vec<u8> = (0..shape.iter().product())
            .map(|_| rng.below(256) as u8)
            .collect();
        Picture {
            shape,
            pixels: pixels.into(),
        }
    }

    #[test]
    fn a_picture_is_prepared_as_the_evaluation_of_its_data_set_does() {
        for (side, resize, test) in [
            (9, 0, TestTransform::AsIs),
            (
                9,
                12,
                TestTransform::ResizeCentreCrop {
                    resize: 12,
                    size: 9,
                },
            ),
        ] {
            let picture = noise([3, 9, 9], 4);
            let part = Images::new([3, 9, 9], picture.pixels.to_vec(), vec![0]).unwrap();
            let (mean, std) = (vec![0.4, 0.5, 0.6], vec![0.2, 0.3, 0.25]);
            let statistics = (mean.clone(), std.clone());
            let classes = vec!["one".to_owned()];
            let transforms = Transforms {
                train: crate::TrainTransform::AsIs,
                test,
            };
            let data = crate::DataSet::transformed(
                "noise",
                classes,
                part.clone(),
                part,
                statistics,
                transforms,
            )
            .unwrap();
            let batch = Loader::test(&data, 1).unwrap().in_order().unwrap().next();
            let preparation = Preparation::new([3, side, side], &mean, &std, resize).unwrap();
            let mut input = vec![0.0; 3 * side * side];
            preparation.prepare(&picture, &mut input).unwrap();
            assert_eq!(input, batch.unwrap().unwrap().images);
        }
    }

    #[test]
    fn colours_become_grey_and_grey_becomes_colours() {
        for byte in 0..=255 {
            assert_eq!(grey([byte; 3]), byte);
        }
        // 0.299, 0.587 and 0.114 of white, to nearest.
        assert_eq!(grey([255, 0, 0]), 76);
        assert_eq!(grey([0, 255, 0]), 150);
        assert_eq!(grey([0, 0, 255]), 29);
        let picture = noise([1, 2, 2], 1);
        let coloured = with_channels(&picture, 3).unwrap();
        for plane in coloured.pixels.chunks(4) {
            assert_eq!(plane, &*picture.pixels);
        }
        assert!(with_channels(&noise([2, 2, 2], 1), 1).is_err());
    }

    #[test]
    fn a_picture_of_another_size_is_resized_as_a_whole() {
        // Left half black, right half white.
        let pixels: Vec<u8> = (0..16 * 40)
            .map(|i| if i % 40 < 20 { 0 } else { 255 })
            .collect();
        let picture = Picture {
            shape: [1, 16, 40],
            pixels: pixels.into(),
        };
        let mut input = vec![0.0; 64];
        let preparation = Preparation::new([1, 8, 8], &[], &[], 0).unwrap();
        preparation.prepare(&picture, &mut input).unwrap();
        for row in input.chunks(8) {
            assert!(row[..3].iter().all(|&x| x == 0.0), "{row:?}");
            assert!(row[5..].iter().all(|&x| x == 1.0), "{row:?}");
        }
    }

    #[test]
    fn inputs_that_no_picture_can_have_are_refused() {
        let new = |shape, mean: &[f32], std: &[f32], resize| {
            Preparation::new(shape, mean, std, resize).unwrap_err()
        };
        assert_eq!(new([2, 8, 8], &[], &[], 0), PreparationError::Channels(2));
        for shape in [[1, 0, 8], [1, 8, 5000]] {
            assert!(matches!(
                new(shape, &[], &[], 0),
                PreparationError::Side { .. }
            ));
        }
        for resize in [7, 5000] {
            assert!(matches!(
                new([1, 8, 8], &[], &[], resize),
                PreparationError::Centre { .. }
            ));
        }
        for (mean, std) in [
            (&[0.1, 0.2][..], &[][..]),
            (&[f32::NAN], &[]),
            (&[], &[0.0]),
            (&[], &[f32::INFINITY]),
        ] {
            assert_eq!(
                new([1, 8, 8], mean, std, 0),
                PreparationError::Statistics(1)
            );
        }
    }
}
