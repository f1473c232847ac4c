//! CIFAR-100, from the user's own files: photographs of 100 classes, 32 x 32 pixels.
//!
//! The published files are read in both forms, for Python (`cifar-100-python/`) and binary (`cifar-100-binary/`), unpacked or in the
//! archive that is downloaded. The labels are the 100 fine ones.

use std::path::Path;

use crate::by_hand::CIFAR100;
use crate::cifar::{Names, Search, Set};
use crate::data_folder::root;
use crate::{DataError, DataSet};

pub use crate::cifar::Published;

/// Height and width of every image.
pub const SIDES: [usize; 2] = crate::cifar::SIDES;

/// The classes in the published order, which is also the alphabetical one.
pub const CLASSES: [&str; 100] = [
    "apple",
    "aquarium_fish",
    "baby",
    "bear",
    "beaver",
    "bed",
    "bee",
    "beetle",
    "bicycle",
    "bottle",
    "bowl",
    "boy",
    "bridge",
    "bus",
    "butterfly",
    "camel",
    "can",
    "castle",
    "caterpillar",
    "cattle",
    "chair",
    "chimpanzee",
    "clock",
    "cloud",
    "cockroach",
    "couch",
    "crab",
    "crocodile",
    "cup",
    "dinosaur",
    "dolphin",
    "elephant",
    "flatfish",
    "forest",
    "fox",
    "girl",
    "hamster",
    "house",
    "kangaroo",
    "keyboard",
    "lamp",
    "lawn_mower",
    "leopard",
    "lion",
    "lizard",
    "lobster",
    "man",
    "maple_tree",
    "motorcycle",
    "mountain",
    "mouse",
    "mushroom",
    "oak_tree",
    "orange",
    "orchid",
    "otter",
    "palm_tree",
    "pear",
    "pickup_truck",
    "pine_tree",
    "plain",
    "plate",
    "poppy",
    "porcupine",
    "possum",
    "rabbit",
    "raccoon",
    "ray",
    "road",
    "rocket",
    "rose",
    "sea",
    "seal",
    "shark",
    "shrew",
    "skunk",
    "skyscraper",
    "snail",
    "snake",
    "spider",
    "squirrel",
    "streetcar",
    "sunflower",
    "sweet_pepper",
    "table",
    "tank",
    "telephone",
    "television",
    "tiger",
    "tractor",
    "train",
    "trout",
    "tulip",
    "turtle",
    "wardrobe",
    "whale",
    "willow_tree",
    "wolf",
    "woman",
    "worm",
];

/// Of the published training images.
const MEAN: [f32; 3] = [0.507, 0.487, 0.441];
const STD: [f32; 3] = [0.267, 0.256, 0.276];

static SET: Set = Set {
    binary: Names {
        archive: "cifar-100-binary.tar.gz",
        folder: "cifar-100-binary",
        train: &["train.bin"],
        test: &["test.bin"],
        meta: "fine_label_names.txt",
    },
    python: Names {
        archive: "cifar-100-python.tar.gz",
        folder: "cifar-100-python",
        train: &["train"],
        test: &["test"],
        meta: "meta",
    },
    label_bytes: 2,
    labels: "fine_labels",
    label_names: "fine_label_names",
    classes: &CLASSES,
};

/// Finds CIFAR-100 under the data folder.
///
/// # Errors
/// [`DataError::NotFound`] with the searched folders.
pub fn locate(root: &Path) -> Result<Published, DataError> {
    let mut search = Search::default();
    SET.locate(root, &mut search).ok_or(DataError::NotFound {
        name: CIFAR100.name,
        looked: search.looked,
        incomplete: search.incomplete,
    })
}

/// The published mean and standard deviation of each channel.
pub(crate) fn statistics() -> (Vec<f32>, Vec<f32>) {
    (MEAN.into(), STD.into())
}

/// Reads CIFAR-100 from the data folder into memory, with the published mean and standard deviation.
///
/// # Errors
/// [`DataError::NotFound`], or the error of an invalid file.
pub fn open(given: Option<&Path>) -> Result<DataSet, DataError> {
    let [train, test] = locate(&root(given))?.read()?;
    DataSet::new(
        CIFAR100.name,
        CLASSES.map(str::to_owned).into(),
        train,
        test,
        statistics(),
    )
}
