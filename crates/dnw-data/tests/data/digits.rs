//! The numbers were counted in the published table by a script of its own, not by this crate.

use std::collections::HashSet;

use dnw_data::{self as data, DataError, Images, Part, digits};

/// All pixels of a part, image after image.
fn pixels(part: &dyn Part) -> Vec<u8> {
    let pictures = (0..part.len()).map(|index| part.picture(index).unwrap());
    pictures
        .flat_map(|picture| picture.pixels.into_owned())
        .collect()
}

fn per_class(images: &dyn Part) -> Vec<usize> {
    (0..10)
        .map(|class| images.labels().iter().filter(|&&it| it == class).count())
        .collect()
}

fn sum(pixels: &[u8]) -> u64 {
    pixels.iter().map(|&pixel| u64::from(pixel)).sum()
}

#[test]
fn the_embedded_digits_are_the_published_ones() {
    let (pixels, labels) = digits::both_parts().unwrap();
    assert_eq!((pixels.len(), labels.len()), (1797 * 64, 1797));
    assert_eq!(sum(&pixels), 561_718);
    assert_eq!(pixels.iter().max(), Some(&16));
    // The first line of the table.
    assert_eq!(&pixels[..8], [0, 0, 5, 13, 9, 1, 0, 0]);
    assert_eq!(&labels[..10], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    assert!(data::check("digits", None).unwrap().passed());
}

#[test]
fn the_split_is_fixed_disjoint_and_balanced() {
    let (_, labels) = digits::both_parts().unwrap();
    let [train, test] = digits::split(&labels);
    assert_eq!((train.len(), test.len()), (1442, 355));
    let all: HashSet<_> = train.iter().chain(&test).collect();
    assert_eq!(all.len(), 1797);
    assert_eq!(test[..5], [33, 36, 37, 40, 44]);

    let digits = data::open("digits", None).unwrap();
    assert_eq!(
        per_class(&*digits.train),
        [143, 146, 142, 147, 145, 146, 145, 144, 140, 144]
    );
    assert_eq!(
        per_class(&*digits.test),
        [35, 36, 35, 36, 36, 36, 36, 35, 34, 36]
    );
}

#[test]
fn the_pixels_of_the_digits_span_the_byte_and_their_statistics_are_of_the_training_part() {
    let digits = data::open("digits", None).unwrap();
    assert_eq!(digits.shape(), [1, 8, 8]);
    assert_eq!(sum(&pixels(&*digits.train)), 7_182_008);
    assert_eq!(sum(&pixels(&*digits.test)), 1_771_793);
    assert_eq!(pixels(&*digits.train).iter().max(), Some(&255));
    assert!((digits.mean[0] - 0.305_183_1).abs() < 1e-6);
    assert!((digits.std[0] - 0.375_994_1).abs() < 1e-6);
}

#[test]
fn statistics_are_taken_channel_by_channel() {
    // Channel 0 is 0 and 255, channel 1 always 51.
    let images = Images::new([2, 1, 1], vec![0, 51, 255, 51], vec![0, 0]).unwrap();
    let (mean, std) = images.statistics();
    assert_eq!(mean, [0.5, 0.2]);
    assert_eq!(std, [0.5, 0.0]);
}

#[test]
fn pixels_that_make_no_whole_images_are_refused() {
    let images =
        |shape, pixels: usize, labels| Images::new(shape, vec![0; pixels], vec![0; labels]);
    assert!(images([1, 2, 2], 8, 2).is_ok());
    assert!(matches!(
        images([1, 2, 2], 9, 2),
        Err(DataError::PixelCount { pixels: 9, .. })
    ));
    assert!(matches!(
        images([usize::MAX, 2, 2], 4, 1),
        Err(DataError::PixelCount { .. })
    ));
    assert!(matches!(images([1, 2, 2], 0, 0), Err(DataError::NoImages)));
    assert!(matches!(images([1, 0, 2], 0, 3), Err(DataError::NoImages)));
}

#[test]
fn parts_that_do_not_fit_each_other_or_their_classes_are_refused() {
    let part = |shape, label| Images::new(shape, vec![9], vec![label]).unwrap();
    let square = [1, 1, 1];
    let two = || vec!["a".to_owned(), "b".to_owned()];
    let set = |label, mean: f32, std: f32| {
        let statistics = (vec![mean], vec![std]);
        data::DataSet::new("x", two(), part(square, 0), part(square, label), statistics)
    };
    assert!(set(1, 0.5, 0.5).is_ok());
    assert!(matches!(
        set(2, 0.5, 0.5),
        Err(DataError::LabelRange { label: 2, .. })
    ));
    assert!(matches!(
        set(1, 0.5, 0.0),
        Err(DataError::Statistics { .. })
    ));
    assert!(matches!(
        set(1, f32::NAN, 1.0),
        Err(DataError::Statistics { .. })
    ));
    let wide = Images::new([1, 1, 2], vec![1, 2], vec![0]).unwrap();
    let differing = data::DataSet::new("x", two(), part(square, 0), wide, (vec![0.0], vec![1.0]));
    assert!(matches!(differing, Err(DataError::PartsDiffer { .. })));
}

#[test]
fn an_unknown_name_is_answered_with_the_nearest() {
    let error = data::open("mnits", None).unwrap_err();
    assert_eq!(error.to_string(), "there is no data set `mnits`");
    assert!(error.help().contains("did you mean `mnist`?"));
    let error = data::open("Digit", None).unwrap_err();
    assert!(error.help().contains("did you mean `digits`?"));
    let error = data::open("zzz", None).unwrap_err();
    assert!(!error.help().contains("did you mean"));
}
