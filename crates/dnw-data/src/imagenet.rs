//! ImageNet (ILSVRC 2012), or any set in its layout, from the user's own folder of images.
//!
//! `train/<synset>/*.JPEG` and `val/<synset>/*.JPEG` (or `test/`) in `imagenet/`, `ImageNet/`,
//! `ILSVRC2012/` or the data folder itself. Images stay on disk: only names and labels are in memory, and
//! each image is decoded when a batch needs it. The default transforms are the published ones: in training a
//! random resized crop to 224 pixels and a random horizontal flip, in evaluation a resize of the short side to
//! 256 pixels and a centre crop to 224.

use std::path::{Path, PathBuf};

use crate::by_hand::IMAGENET;
use crate::data_folder::root;
use crate::folder::ImageFolder;
use crate::{DataError, DataSet, TestTransform, TrainTransform, Transforms};

const PLACES: [&str; 4] = ["imagenet", "ImageNet", "ILSVRC2012", ""];
/// Classes of the published set.
pub(crate) const CLASSES: usize = 1000;
/// The statistics of the published training images.
const MEAN: [f32; 3] = [0.485, 0.456, 0.406];
const STD: [f32; 3] = [0.229, 0.224, 0.225];

/// The default transforms, as published.
pub const TRANSFORMS: Transforms = Transforms {
    train: TrainTransform::RandomResizedCrop {
        size: 224,
        mirror: true,
    },
    test: TestTransform::ResizeCentreCrop {
        resize: 256,
        size: 224,
    },
};

/// The folders of the training and the test part.
///
/// # Errors
/// [`DataError::NotFound`] with the searched folders.
pub fn locate(root: &Path) -> Result<[PathBuf; 2], DataError> {
    let mut looked = Vec::new();
    let mut incomplete = None;
    for place in PLACES {
        let folder = match place {
            "" => root.to_owned(),
            place => root.join(place),
        };
        let train = folder.join("train");
        let test = ["val", "test"].map(|part| folder.join(part));
        match (train.is_dir(), test.into_iter().find(|it| it.is_dir())) {
            (true, Some(test)) => return Ok([train, test]),
            (true, None) if incomplete.is_none() => {
                incomplete = Some((folder.clone(), vec!["val/".to_owned()]));
            }
            (false, Some(_)) if incomplete.is_none() => {
                incomplete = Some((folder.clone(), vec!["train/".to_owned()]));
            }
            _ => {}
        }
        looked.push(folder);
    }
    Err(DataError::NotFound {
        name: IMAGENET.name,
        looked,
        incomplete,
    })
}

/// Lists the images in the data folder (see [`root`]).
///
/// # Errors
/// [`DataError::NotFound`], or the error of an invalid folder.
pub fn list(given: Option<&Path>) -> Result<ImageFolder, DataError> {
    let [train, test] = locate(&root(given))?;
    ImageFolder::open(&train, &test)
}

/// The published mean and standard deviation of each channel.
pub(crate) fn statistics() -> (Vec<f32>, Vec<f32>) {
    (MEAN.into(), STD.into())
}

/// ImageNet with the published mean and standard deviation and the transforms [`TRANSFORMS`].
///
/// # Errors
/// As [`list`].
pub fn open(given: Option<&Path>) -> Result<DataSet, DataError> {
    let found = list(given)?;
    DataSet::transformed(
        IMAGENET.name,
        found.classes,
        found.train,
        found.test,
        statistics(),
        TRANSFORMS,
    )
}
