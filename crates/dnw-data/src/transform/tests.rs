use std::collections::HashSet;

use proptest::prelude::*;

use super::*;
use crate::Rng;

/// A picture by a formula that the recorded values know.
fn formula([height, width]: [usize; 2]) -> Picture<'static> {
    let value = |c: usize, y: usize, x: usize| ((x * x * 3 + y * y * 5 + x * y + c * 40) / 8) as u8;
    let mut pixels = Vec::new();
    for c in 0..3 {
        for y in 0..height {
            pixels.extend((0..width).map(|x| value(c, y, x)));
        }
    }
    Picture {
        shape: [3, height, width],
        pixels: pixels.into(),
    }
}

/// Whether three rows of a square, `(channel, row, values)`, are those recorded, to one step.
fn assert_rows(found: &[u8], size: usize, rows: [(usize, usize, &[u8]); 3]) {
    for (channel, row, wanted) in rows {
        let found = &found[(channel * size + row) * size..][..size];
        let off = found.iter().zip(wanted).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(off <= Some(1), "{found:?} for {wanted:?}");
    }
}

// The recorded rows are Pillow 13's, with torchvision's arithmetic for sizes and places.

#[test]
fn a_resized_centre_crop_is_the_published_one() {
    let transform = TestTransform::ResizeCentreCrop {
        resize: 16,
        size: 12,
    };
    let shown = transform.show(formula([29, 37]));
    assert_eq!(shown.shape, [3, 12, 12]);
    let rows: [(_, _, &[u8]); 3] = [
        (
            0,
            0,
            &[37, 50, 66, 84, 104, 128, 154, 183, 214, 146, 36, 65],
        ),
        (
            1,
            5,
            &[147, 162, 180, 200, 221, 159, 36, 52, 85, 120, 158, 198],
        ),
        (
            2,
            11,
            &[160, 178, 198, 196, 141, 64, 49, 83, 118, 155, 193, 150],
        ),
    ];
    assert_rows(&shown.pixels, 12, rows);
}

#[test]
fn a_window_is_cut_before_it_is_resized() {
    let resized = |height, width| {
        let window = Window {
            top: 4,
            left: 3,
            height,
            width,
        };
        let part = cut(&formula([29, 37]), window);
        let whole = Rectangle {
            rows: (0.0, height as f64),
            columns: (0.0, width as f64),
        };
        let mut pixels = vec![0; 3 * 49];
        resize(&part, whole, [7, 7], &mut pixels);
        pixels
    };
    let smaller: [(_, _, &[u8]); 3] = [
        (0, 0, &[31, 54, 92, 144, 184, 74, 118]),
        (1, 3, &[138, 166, 191, 110, 81, 156, 122]),
        (2, 6, &[75, 107, 154, 167, 90, 123, 172]),
    ];
    assert_rows(&resized(20, 30), 7, smaller);
    let larger: [(_, _, &[u8]); 3] = [
        (0, 0, &[14, 16, 19, 21, 25, 28, 31]),
        (1, 3, &[33, 35, 37, 40, 44, 48, 51]),
        (2, 6, &[56, 58, 61, 64, 68, 72, 75]),
    ];
    assert_rows(&resized(5, 5), 7, larger);
}

#[test]
fn random_windows_are_the_recorded_ones() {
    // From a second implementation, in Python, of the generator and of torchvision's definition.
    let windows = |size| {
        [0, 1, 2, 3].map(|index| {
            let window = random_window(size, &mut Rng::for_image(7, 2, index));
            [window.top, window.left, window.height, window.width]
        })
    };
    assert_eq!(
        windows([375, 500]),
        [
            [91, 111, 150, 146],
            [5, 167, 346, 272],
            [49, 237, 146, 190],
            [56, 46, 315, 387]
        ]
    );
    assert_eq!(
        windows([500, 333]),
        [
            [145, 62, 142, 137],
            [66, 0, 355, 333],
            [7, 24, 401, 308],
            [96, 26, 287, 283]
        ]
    );
    // No part of these has the ratio and the area asked for: the centre is taken.
    assert_eq!(windows([10, 1000]), [[0, 493, 10, 13]; 4]);
    assert_eq!(windows([900, 9]), [[444, 0, 12, 9]; 4]);
}

#[test]
fn areas_ratios_and_places_of_random_windows_are_drawn_evenly() {
    const SIDE: usize = 1000;
    let windows: Vec<_> = (0..6000)
        .map(|index| random_window([SIDE; 2], &mut Rng::for_image(1, 0, index)))
        .collect();
    let share = |it: &Window| (it.height * it.width) as f64 / (SIDE * SIDE) as f64;
    // Up to three quarters of the area, every ratio fits, so nothing is drawn again.
    let even: Vec<_> = windows.iter().filter(|it| share(it) < 0.75).collect();
    let part = |chosen: &dyn Fn(&Window) -> bool| {
        even.iter().filter(|it| chosen(it)).count() as f64 / even.len() as f64
    };
    let half = |part: f64| (0.47..0.53).contains(&part);
    assert!(half(part(&|it| share(it) < (0.08 + 0.75) / 2.0)));
    assert!(half(part(&|it| it.width > it.height)));
    let flat = |it: &Window| (it.width as f64 / it.height as f64).ln().abs();
    assert!(half(part(&|it| flat(it) < (4.0f64 / 3.0).ln() / 2.0)));
    assert!(half(part(&|it| 2 * it.top < SIDE - it.height)));
    assert!(half(part(&|it| 2 * it.left < SIDE - it.width)));
}

#[test]
fn mirroring_turns_the_shown_part_of_about_half_of_the_images() {
    let transform = |mirror| TrainTransform::RandomResizedCrop { size: 8, mirror };
    let mut turned = 0;
    for index in 0..1000 {
        let mut rng = Rng::for_image(3, 0, index);
        let mirrored = transform(true).show(formula([12, 9]), &mut rng);
        let plain = transform(false).show(formula([12, 9]), &mut Rng::for_image(3, 0, index));
        assert_eq!(mirrored.pixels, plain.pixels);
        assert!(!plain.mirrored);
        turned += usize::from(mirrored.mirrored);
    }
    assert!((430..570).contains(&turned), "{turned} of 1000");
}

#[test]
fn a_transform_that_does_not_fit_the_images_is_refused() {
    let crop = |size| TrainTransform::RandomResizedCrop {
        size,
        mirror: false,
    };
    let centre = |resize, size| TestTransform::ResizeCentreCrop { resize, size };
    let shift = |shift| TrainTransform::ShiftCrop {
        shift,
        mirror: false,
    };
    assert_eq!(crop(224).size(None), Ok([224, 224]));
    assert_eq!(centre(256, 224).size(None), Ok([224, 224]));
    assert_eq!(shift(4).size(Some([32, 31])), Ok([32, 31]));
    let mut messages = HashSet::new();
    for error in [
        crop(0).size(None).unwrap_err(),
        crop(5000).size(None).unwrap_err(),
        centre(200, 224).size(None).unwrap_err(),
        centre(0, 0).size(None).unwrap_err(),
        centre(10, 0).size(None).unwrap_err(),
        shift(31).size(Some([32, 31])).unwrap_err(),
        shift(1).size(None).unwrap_err(),
        TrainTransform::AsIs.size(None).unwrap_err(),
        TestTransform::AsIs.size(None).unwrap_err(),
    ] {
        messages.insert(error.to_string());
    }
    assert_eq!(messages.len(), 6, "{messages:?}");
}

#[test]
fn transforms_are_plain_values_in_a_recipe() {
    let text = r#"
        train = { kind = "random-resized-crop", size = 224, mirror = true }
        test = { kind = "resize-centre-crop", resize = 256, size = 224 }
    "#;
    let transforms: Transforms = toml::from_str(text).unwrap();
    assert_eq!(transforms, crate::imagenet::TRANSFORMS);
    let written = toml::to_string(&transforms).unwrap();
    assert_eq!(toml::from_str::<Transforms>(&written).unwrap(), transforms);
    let shifted: Transforms =
        toml::from_str(r#"train = { kind = "shift-crop", shift = 4, mirror = true }"#).unwrap();
    let train = TrainTransform::ShiftCrop {
        shift: 4,
        mirror: true,
    };
    assert_eq!(shifted.train, train);
    assert_eq!(shifted.test, TestTransform::AsIs);
    let mistaken = r#"train = { kind = "shift-crop", shift = 4, size = 32 }"#;
    assert!(toml::from_str::<Transforms>(mistaken).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]

    #[test]
    fn a_random_window_lies_inside_the_image(
        height in 1..3000usize,
        width in 1..3000usize,
        seed in any::<u64>(),
        index in any::<u32>(),
    ) {
        let window = random_window([height, width], &mut Rng::for_image(seed, 0, index));
        prop_assert!(window.height >= 1 && window.top + window.height <= height);
        prop_assert!(window.width >= 1 && window.left + window.width <= width);
    }

    #[test]
    fn a_centre_is_found_in_an_image_of_any_size(
        height in 1..400usize,
        width in prop_oneof![1..400usize, 5000..20_000usize],
        size in 1..20usize,
        more in 0..9usize,
    ) {
        let transform = TestTransform::ResizeCentreCrop { resize: size + more, size };
        let picture = Picture { shape: [1, height, width], pixels: vec![77; height * width].into() };
        let shown = transform.show(picture);
        prop_assert_eq!(shown.shape, [1, size, size]);
        // The mean of equal values is the value.
        prop_assert!(shown.pixels.iter().all(|&value| value == 77));
    }
}
