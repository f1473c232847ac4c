//! Transforms in a loader: the same images whatever else is asked for.

use std::collections::HashMap;
use std::sync::LazyLock;

use dnw_data::{
    DataError, DataSet, ImageError, Images, Loader, Part, Picture, Rng, ShiftCrop, TestTransform,
    TrainTransform, Transforms,
};
use proptest::prelude::*;

/// Images of all sizes, made by their index when asked for.
#[derive(Debug)]
struct Various(Vec<u16>);

impl Part for Various {
    fn labels(&self) -> &[u16] {
        &self.0
    }

    fn channels(&self) -> usize {
        2
    }

    fn size(&self) -> Option<[usize; 2]> {
        None
    }

    fn picture(&self, index: usize) -> Result<Picture<'_>, ImageError> {
        let shape = [2, 5 + index * 7 % 30, 4 + index * 11 % 40];
        let mut rng = Rng::for_order(index as u64, 0);
        let count = shape.iter().product();
        let pixels: Vec<u8> = (0..count).map(|_| rng.below(256) as u8).collect();
        Ok(Picture {
            shape,
            pixels: pixels.into(),
        })
    }

    fn place(&self, index: usize) -> std::path::PathBuf {
        index.to_string().into()
    }
}

fn various(images: u16) -> Various {
    Various((0..images).map(|index| index % 3).collect())
}

fn set(images: u16, size: usize) -> DataSet {
    let classes = ["a", "b", "c"].map(str::to_owned).to_vec();
    let statistics = (vec![0.5, 0.4], vec![0.25, 0.5]);
    let transforms = Transforms {
        train: TrainTransform::RandomResizedCrop { size, mirror: true },
        test: TestTransform::ResizeCentreCrop {
            resize: size + 2,
            size,
        },
    };
    let (train, test) = (various(images), various(4));
    DataSet::transformed("various", classes, train, test, statistics, transforms).unwrap()
}

static SMALL: LazyLock<DataSet> = LazyLock::new(|| set(41, 6));

/// Bits of every image of an epoch from batch `first` on, and in which order they came.
fn epoch(
    loader: &Loader,
    seed: u64,
    epoch: u64,
    first: usize,
) -> (HashMap<u32, Vec<u32>>, Vec<u32>) {
    let (mut images, mut order) = (HashMap::new(), Vec::new());
    for batch in loader.epoch(seed, epoch, first).unwrap() {
        let batch = batch.unwrap();
        let size = batch.images.len() / batch.len();
        for (image, &index) in batch.images.chunks(size).zip(&batch.indices) {
            images.insert(index, image.iter().map(|value| value.to_bits()).collect());
        }
        order.extend(batch.indices);
    }
    (images, order)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(60) })]

    #[test]
    fn an_image_is_shown_the_same_whatever_came_before_it(
        seed in any::<u64>(),
        number in 0..50u64,
        batch in 1..41usize,
        threads in 0..6usize,
        start in any::<prop::sample::Index>(),
    ) {
        let (wanted, order) = epoch(&Loader::train(&SMALL, 1).unwrap().with_threads(0), seed, number, 0);
        let loader = Loader::train(&SMALL, batch).unwrap().with_threads(threads);
        let first = start.index(loader.batches_per_epoch() + 1);
        let (found, found_order) = epoch(&loader, seed, number, first);
        prop_assert_eq!(&found_order[..], &order[(first * batch).min(41)..]);
        for (index, image) in &found {
            prop_assert_eq!(image, &wanted[index]);
        }
        let (other, _) = epoch(&loader, seed, number + 1, 0);
        prop_assert_ne!(other, wanted);
    }
}

#[test]
fn a_batch_made_in_pieces_by_several_threads_is_the_same() {
    // Each of these images has 2 MiB, so that a batch of 10 is three pieces and the last one ends early.
    let set = set(25, 512);
    let whole = |threads| {
        let loader = Loader::train(&set, 10).unwrap().with_threads(threads);
        let batches: Vec<_> = loader.epoch(3, 1, 1).unwrap().map(Result::unwrap).collect();
        batches
    };
    let alone = whole(0);
    let sizes: Vec<_> = alone
        .iter()
        .map(|batch| (batch.index, batch.len()))
        .collect();
    assert_eq!(sizes, [(1, 10), (2, 5)]);
    assert_eq!(alone[1].images.len(), 5 * 2 * 512 * 512);
    for threads in [1, 2, 4] {
        assert!(whole(threads) == alone, "{threads} threads");
    }
}

/// 23 training and 5 test images of 2 channels, 4 x 3.
fn of_one_size() -> DataSet {
    let part = |count: u32| {
        let pixels = (0..count * 24)
            .map(|pixel| (pixel * 37 % 251) as u8)
            .collect();
        Images::new([2, 4, 3], pixels, vec![0; count as usize]).unwrap()
    };
    let statistics = (vec![0.5, 0.25], vec![0.25, 2.0]);
    DataSet::new("small", vec!["a".to_owned()], part(23), part(5), statistics).unwrap()
}

#[test]
fn a_shift_that_the_data_set_asks_for_is_the_augmentation_of_that_name() {
    let plain = of_one_size();
    let augment = ShiftCrop::new(2, &plain).with_mirror(true);
    let augmented = Loader::train(&plain, 7).unwrap().with_augment(augment);
    let transforms = Transforms {
        train: TrainTransform::ShiftCrop {
            shift: 2,
            mirror: true,
        },
        test: TestTransform::AsIs,
    };
    let shifted = of_one_size().with_transforms(transforms).unwrap();
    let transformed = Loader::train(&shifted, 7).unwrap();
    assert_eq!(epoch(&augmented, 5, 6, 0), epoch(&transformed, 5, 6, 0));
    let plain = Loader::train(&plain, 7).unwrap();
    assert_ne!(epoch(&plain, 5, 6, 0), epoch(&transformed, 5, 6, 0));
}

#[test]
fn images_in_memory_are_resized_too_and_both_parts_must_come_out_alike() {
    let resized = TrainTransform::RandomResizedCrop {
        size: 9,
        mirror: false,
    };
    let centre = TestTransform::ResizeCentreCrop { resize: 9, size: 9 };
    let both = Transforms {
        train: resized,
        test: centre,
    };
    let set = of_one_size().with_transforms(both).unwrap();
    assert_eq!(set.shape(), [2, 9, 9]);
    assert_eq!(set.test_image(0).unwrap().len(), 2 * 81);
    let (images, _) = epoch(&Loader::train(&set, 4).unwrap(), 0, 0, 0);
    assert_eq!((images.len(), images[&0].len()), (23, 2 * 81));

    let one = Transforms {
        train: resized,
        test: TestTransform::AsIs,
    };
    let error = of_one_size().with_transforms(one).unwrap_err();
    assert!(matches!(
        error,
        DataError::PartsDiffer {
            train: [2, 9, 9],
            test: [2, 4, 3]
        }
    ));
    let error = SMALL
        .clone()
        .with_transforms(Transforms::default())
        .unwrap_err();
    assert!(matches!(error, DataError::Transform(_)));
    assert!(error.help().contains("random resized crop"));
}
