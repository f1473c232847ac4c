//! Handwritten digits, built into the program.
//!
//! The test part of *Optical Recognition of Handwritten Digits* (E. Alpaydin and C. Kaynak 1998, UCI
//! Machine Learning Repository, DOI 10.24432/C50P49, CC BY 4.0): 1,797 images of 8 x 8 pixels. The
//! origin of the embedded file is described in `data/README.md` of this crate.
//!
//! **The split.** Of each class, the images number 4, 9, 14, .. in the file's order, counted from 0, are
//! the test part: 355 images; the other 1,442 are the training part. It never changes. The 13 people
//! who wrote the digits are in both parts, so the accuracy is slightly higher than on digits of other people.

use std::io::Read;

use flate2::read::GzDecoder;

use crate::data_set::ten_digits;
use crate::{DataError, DataSet, Images};

/// Images in both parts.
pub const IMAGES: usize = 1797;
/// Images in the training part.
pub const TRAIN_IMAGES: usize = 1442;
/// Images in the test part.
pub const TEST_IMAGES: usize = 355;
/// The MD5 sum of the embedded bytes, unpacked.
pub(crate) const MD5: &str = "7696c07daa6d85010f8268703ab8b067";

const PACKED: &[u8] = include_bytes!("../data/digits.gz");
/// Height and width of every image.
pub const SIDES: [usize; 2] = [8, 8];
const SHAPE: [usize; 3] = [1, SIDES[0], SIDES[1]];
const PIXELS: usize = 64;
/// The maximum value of stored pixels, as published.
const WHITE: u16 = 16;
const CLASSES: usize = 10;
/// One in this many images of a class is a test image.
const TEST_EVERY: usize = 5;

/// The digits: pixels scaled from 0..=16 to 0..=255 (rounded half up), statistics of the training part.
///
/// # Errors
/// None for the embedded file, as tests check.
pub fn open() -> Result<DataSet, DataError> {
    let (pixels, labels) = both_parts()?;
    let [train, test] = split(&labels).map(|indices| {
        let scale = |&pixel: &u8| ((u16::from(pixel) * 255 + WHITE / 2) / WHITE) as u8;
        let image = |&index: &usize| pixels[index * PIXELS..][..PIXELS].iter().map(scale);
        Images::new(
            SHAPE,
            indices.iter().flat_map(image).collect(),
            indices.iter().map(|&index| labels[index].into()).collect(),
        )
    });
    let train = train?;
    let statistics = train.statistics();
    DataSet::new("digits", ten_digits(), train, test?, statistics)
}

/// The training and the test part as indices into the published order, ascending.
pub fn split(labels: &[u8]) -> [Vec<usize>; 2] {
    let mut seen = [0; 256];
    let (test, train) = (0..labels.len()).partition(|&index| {
        let number = &mut seen[usize::from(labels[index])];
        *number += 1;
        *number % TEST_EVERY == 0
    });
    [train, test]
}

/// Pixels `[1797, 8, 8]` from 0 to 16 and labels `[1797]`, in the published order.
///
/// # Errors
/// As [`open`].
pub fn both_parts() -> Result<(Vec<u8>, Vec<u8>), DataError> {
    let mut pixels = unpack().map_err(|cause| DataError::Io {
        action: "unpack",
        path: "the built-in digits".into(),
        cause,
    })?;
    if pixels.len() != IMAGES * (PIXELS + 1) {
        return Err(DataError::PixelCount {
            shape: SHAPE,
            images: IMAGES,
            pixels: pixels.len(),
        });
    }
    let labels = pixels.split_off(IMAGES * PIXELS);
    match labels
        .iter()
        .position(|&label| usize::from(label) >= CLASSES)
    {
        None => Ok((pixels, labels)),
        Some(index) => Err(DataError::LabelRange {
            index,
            label: labels[index].into(),
            classes: CLASSES,
        }),
    }
}

/// The embedded bytes: all pixels, then all labels.
pub(crate) fn unpack() -> std::io::Result<Vec<u8>> {
    let mut unpacked = Vec::with_capacity(IMAGES * (PIXELS + 1));
    GzDecoder::new(PACKED).read_to_end(&mut unpacked)?;
    Ok(unpacked)
}
