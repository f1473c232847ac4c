use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dnw_data::{Augment, Batch, DataError, DataSet, Images, Loader, Order, Rng, ShiftCrop, open};

const TRAIN: u32 = 23;

/// 23 training and 5 test images of 2 channels, 4 x 3, all different.
fn small() -> DataSet {
    let part = |count: u32| {
        let pixels = (0..count * 24)
            .map(|pixel| (pixel * 37 % 251) as u8)
            .collect();
        let labels = (0..count).map(|label| (label % 4) as u16).collect();
        Images::new([2, 4, 3], pixels, labels).unwrap()
    };
    let classes = ["a", "b", "c", "d"].map(str::to_owned).to_vec();
    let statistics = (vec![0.5, 0.25], vec![0.25, 2.0]);
    DataSet::new("small", classes, part(TRAIN), part(5), statistics).unwrap()
}

fn whole_epoch(loader: &Loader, seed: u64, epoch: u64) -> Vec<Batch> {
    loader
        .epoch(seed, epoch, 0)
        .unwrap()
        .map(Result::unwrap)
        .collect()
}

fn indices(batches: &[Batch]) -> Vec<u32> {
    batches
        .iter()
        .flat_map(|batch| batch.indices.clone())
        .collect()
}

// The constants come from a second implementation of the documented generator, in Python.

#[test]
fn the_order_of_an_epoch_is_the_recorded_one() {
    let order = |images, seed, epoch| Order::shuffled(images, seed, epoch).indices().to_vec();
    assert_eq!(order(10, 0, 0), [6, 1, 4, 2, 9, 8, 0, 3, 5, 7]);
    assert_eq!(order(10, 0, 1), [1, 3, 6, 5, 9, 0, 8, 7, 2, 4]);
    assert_eq!(order(10, 1, 0), [2, 8, 4, 6, 3, 5, 7, 0, 9, 1]);
    assert_eq!(
        order(60_000, 42, 3)[..8],
        [52516, 45347, 52420, 56371, 34119, 32782, 40320, 10070]
    );
}

#[test]
fn the_random_numbers_of_an_image_are_the_recorded_ones() {
    let mut rng = Rng::for_image(7, 2, 59_999);
    assert_eq!(rng.next_u64(), 0xdccd_b745_f722_a3fe);
    assert_eq!(rng.next_u64(), 0xc006_701a_6003_83c3);
    let small: Vec<_> = (0..12).map(|_| rng.below(5)).collect();
    assert_eq!(small, [3, 3, 0, 2, 0, 2, 0, 4, 1, 1, 4, 4]);
}

#[test]
fn an_epoch_shows_every_image_once_and_batches_follow_each_other() {
    let loader = Loader::train(&small(), 5).unwrap().with_threads(3);
    let batches = whole_epoch(&loader, 9, 4);
    assert_eq!(batches.len(), loader.batches_per_epoch());
    let numbers: Vec<_> = batches.iter().map(|batch| batch.index).collect();
    assert_eq!(numbers, [0, 1, 2, 3, 4]);
    let sizes: Vec<_> = batches.iter().map(Batch::len).collect();
    assert_eq!(sizes, [5, 5, 5, 5, 3]);
    assert_eq!(indices(&batches), Order::shuffled(TRAIN, 9, 4).indices());
    let once: HashSet<_> = indices(&batches).into_iter().collect();
    assert_eq!(once, (0..TRAIN).collect());

    let full_only = loader.with_drop_last(true);
    assert_eq!(full_only.batches_per_epoch(), 4);
    assert_eq!(whole_epoch(&full_only, 9, 4), batches[..4]);
}

#[test]
fn a_batch_holds_the_normalised_pixels_and_labels_of_its_indices() {
    let data = small();
    let batches = whole_epoch(&Loader::train(&data, 5).unwrap(), 1, 0);
    for batch in &batches {
        for (slot, &index) in batch.indices.iter().enumerate() {
            assert_eq!(batch.labels[slot], (index % 4) as i32);
            let values = &batch.images[slot * 24..][..24];
            for (place, value) in values.iter().enumerate() {
                let byte = (index as usize * 24 + place) * 37 % 251;
                let (mean, std) = if place < 12 { (0.5, 0.25) } else { (0.25, 2.0) };
                let wanted = (byte as f64 / 255.0 - mean) / std;
                assert!((f64::from(*value) - wanted).abs() < 1e-6);
            }
        }
    }
}

#[test]
fn the_bytes_do_not_depend_on_the_number_of_threads() {
    let data = small();
    let loader = |threads| {
        Loader::train(&data, 4)
            .unwrap()
            .with_augment(ShiftCrop::new(1, &data).with_mirror(true))
            .with_threads(threads)
    };
    let alone = whole_epoch(&loader(0), 3, 1);
    for threads in [1, 2, 3, 7, 50] {
        assert_eq!(whole_epoch(&loader(threads), 3, 1), alone);
    }
    assert_ne!(whole_epoch(&loader(0), 3, 2), alone);
    assert_ne!(whole_epoch(&loader(0), 4, 1), alone);
}

#[test]
fn an_epoch_resumed_at_a_batch_gives_the_rest_of_the_whole_one() {
    let data = small();
    let loader = Loader::train(&data, 3)
        .unwrap()
        .with_augment(ShiftCrop::new(2, &data))
        .with_threads(2);
    let whole = whole_epoch(&loader, 5, 6);
    for first in 0..=whole.len() {
        let rest: Vec<_> = loader
            .epoch(5, 6, first)
            .unwrap()
            .map(Result::unwrap)
            .collect();
        assert_eq!(rest, whole[first..]);
    }
    assert!(matches!(
        loader.epoch(5, 6, whole.len() + 1),
        Err(DataError::FirstBatch {
            first: 9,
            batches: 8
        })
    ));
}

#[test]
fn evaluation_sees_the_test_images_by_index_and_unchanged() {
    let data = small();
    let loader = Loader::test(&data, 2)
        .unwrap()
        .with_augment(ShiftCrop::new(2, &data))
        .with_drop_last(true)
        .with_threads(2);
    let batches: Vec<_> = loader.in_order().unwrap().map(Result::unwrap).collect();
    assert_eq!(indices(&batches), [0, 1, 2, 3, 4]);
    assert_eq!(batches[2].len(), 1);
    // Test image 4 begins with byte 4 * 24 * 37 % 251 = 38.
    assert!((batches[2].images[0] - (38.0 / 255.0 - 0.5) / 0.25).abs() < 1e-6);
    let all: Vec<_> = Loader::test(&data, 100)
        .unwrap()
        .in_order()
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(all[0].len(), 5);
}

#[test]
fn a_batch_larger_than_the_data_or_empty_is_refused() {
    let data = small();
    assert!(Loader::train(&data, 23).is_ok());
    let error = Loader::train(&data, 24).err().unwrap();
    assert!(matches!(
        error,
        DataError::BatchTooLarge {
            batch: 24,
            images: 23
        }
    ));
    assert_eq!(error.help(), "choose a batch of at most 23");
    assert!(matches!(Loader::train(&data, 0), Err(DataError::BatchZero)));
    assert!(matches!(Loader::test(&data, 0), Err(DataError::BatchZero)));
}

/// Counts the images it has seen.
struct Counting(Arc<AtomicUsize>);

impl Augment for Counting {
    fn apply(&self, _: &mut [f32], _: [usize; 3], _: &mut Rng) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn dropping_an_epoch_early_ends_its_threads() {
    let seen = Arc::new(AtomicUsize::new(0));
    let digits = open("digits", None).unwrap();
    let loader = Loader::train(&digits, 1)
        .unwrap()
        .with_augment(Counting(Arc::clone(&seen)))
        .with_threads(4);
    for taken in [0, 1, 10] {
        let mut epoch = loader.epoch(0, 0, 0).unwrap();
        assert_eq!(epoch.by_ref().take(taken).count(), taken);
        assert_eq!(epoch.len(), 1442 - taken);
    }
    drop(loader);
    // No thread is left that holds the augmentation, and none ran through its epoch.
    assert_eq!(Arc::strong_count(&seen), 1);
    assert!(seen.load(Ordering::SeqCst) < 200);
}

struct Failing;

impl Augment for Failing {
    fn apply(&self, _: &mut [f32], _: [usize; 3], _: &mut Rng) {
        panic!("an augmentation failed");
    }
}

#[test]
#[should_panic(expected = "an augmentation failed")]
fn a_panic_on_a_loader_thread_goes_on_in_the_reader() {
    let loader = Loader::train(&small(), 5).unwrap().with_augment(Failing);
    whole_epoch(&loader.with_threads(2), 0, 0);
}

/// Every window of `shape` in `image` padded by `pad` with each channel's black.
fn windows(
    image: &[f32],
    [_, height, width]: [usize; 3],
    pad: isize,
    black: &[f32],
) -> Vec<Vec<f32>> {
    let mut windows = Vec::new();
    for top in -pad..=pad {
        for left in -pad..=pad {
            let mut window = Vec::new();
            for (channel, black) in black.iter().enumerate() {
                for y in (0..height as isize).map(|y| y + top) {
                    for x in (0..width as isize).map(|x| x + left) {
                        let inside =
                            (0..height as isize).contains(&y) && (0..width as isize).contains(&x);
                        let place = (channel * height) as isize + y;
                        let place = place * width as isize + x;
                        window.push(if inside {
                            image[place as usize]
                        } else {
                            *black
                        });
                    }
                }
            }
            windows.push(window);
        }
    }
    windows
}

#[test]
fn a_shift_is_a_window_of_the_padded_image_and_all_windows_come_up() {
    let data = small();
    // Normalised black is -0.5 / 0.25 and -0.25 / 2.
    assert_eq!(data.black(), [-2.0, -0.125]);
    let shape = data.shape();
    let image: Vec<f32> = (0..24).map(|value| value as f32).collect();
    // A padding larger than the image also shows windows with nothing in them.
    for pad in [0, 1, 2, 4] {
        let windows = windows(&image, shape, pad, &data.black());
        let augment = ShiftCrop::new(pad as u16, &data);
        let mut seen = HashSet::new();
        for index in 0..2000 {
            let mut shifted = image.clone();
            augment.apply(&mut shifted, shape, &mut Rng::for_image(1, 0, index));
            let window = windows.iter().position(|window| *window == shifted);
            seen.insert(window.expect("a shifted image is a window"));
        }
        let different: HashSet<_> = windows
            .iter()
            .map(|it| it.iter().map(|v| v.to_bits()).collect::<Vec<_>>())
            .collect();
        assert_eq!(seen.len(), different.len());
    }
}

#[test]
fn mirroring_turns_about_half_of_the_images() {
    let data = small();
    let image: Vec<f32> = (0..24).map(|value| value as f32).collect();
    let mirrored: Vec<f32> = image
        .chunks(3)
        .flat_map(|row| row.iter().rev().copied())
        .collect();
    let augment = ShiftCrop::new(0, &data).with_mirror(true);
    let mut turned = 0;
    for index in 0..1000 {
        let mut result = image.clone();
        augment.apply(&mut result, data.shape(), &mut Rng::for_image(1, 0, index));
        assert!(result == image || result == mirrored);
        turned += usize::from(result == mirrored);
    }
    assert!((400..600).contains(&turned), "{turned} of 1000 were turned");
}
