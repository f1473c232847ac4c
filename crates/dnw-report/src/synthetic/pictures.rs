//! Sample images (seven-segment digits), their predictions and feature maps.

use super::random::Random;
use super::size::{CLASSES, Size, skill};
use crate::recording::{Blob, Features, Samples};

const SIDE: usize = 28;

/// Segments of each digit: top, upper right, lower right, bottom, lower left, upper left, middle.
const SEGMENTS: [u8; CLASSES] = [
    0b011_1111, 0b000_0110, 0b101_1011, 0b100_1111, 0b110_0110, 0b110_1101, 0b111_1101, 0b000_0111,
    0b111_1111, 0b110_1111,
];

/// Ends of the segments in units of the digit's width and height.
const LINES: [[f32; 4]; 7] = [
    [0.0, 0.0, 1.0, 0.0],
    [1.0, 0.0, 1.0, 0.5],
    [1.0, 0.5, 1.0, 1.0],
    [0.0, 1.0, 1.0, 1.0],
    [0.0, 0.5, 0.0, 1.0],
    [0.0, 0.0, 0.0, 0.5],
    [0.0, 0.5, 1.0, 0.5],
];

pub(super) fn samples(size: &Size, frames: &[u64], nodes: usize, random: &mut Random) -> Samples {
    let labels: Vec<u32> = (0..size.images)
        .map(|image| (image % CLASSES) as u32)
        .collect();
    let images: Vec<Vec<u8>> = labels
        .iter()
        .map(|&label| digit(label as usize, random))
        .collect();
    Samples {
        shape: [1, SIDE, SIDE],
        probabilities: Blob(probabilities(size, frames, &labels, random)),
        features: (size.feature_side > 0).then(|| features(size, frames, &images, nodes, random)),
        pixels: Blob(images.into_iter().flatten().collect()),
        labels,
        frames: frames.to_vec(),
    }
}

fn digit(class: usize, random: &mut Random) -> Vec<u8> {
    let (left, top) = (
        9.0 + random.triangular() * 2.0,
        5.0 + random.triangular() * 1.5,
    );
    let (width, height, slant) = (
        9.0 + random.triangular(),
        17.0 + random.triangular(),
        random.triangular() * 2.0,
    );
    let mut pixels = vec![0u8; SIDE * SIDE];
    for (segment, line) in LINES
        .iter()
        .enumerate()
        .filter(|(segment, _)| SEGMENTS[class] >> segment & 1 == 1)
    {
        let _ = segment;
        let place = |x: f32, y: f32| (left + x * width + slant * (1.0 - y), top + y * height);
        let (ax, ay) = place(line[0], line[1]);
        let (bx, by) = place(line[2], line[3]);
        for (at, pixel) in pixels.iter_mut().enumerate() {
            let (x, y) = ((at % SIDE) as f32, (at / SIDE) as f32);
            let (dx, dy) = (bx - ax, by - ay);
            let along = (((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy)).clamp(0.0, 1.0);
            let distance = ((x - ax - along * dx).powi(2) + (y - ay - along * dy).powi(2)).sqrt();
            *pixel = (*pixel).max(((2.2 - distance).clamp(0.0, 1.0) * 255.0) as u8);
        }
    }
    pixels
}

fn probabilities(size: &Size, frames: &[u64], labels: &[u32], random: &mut Random) -> Vec<u8> {
    let doubts: Vec<Vec<f32>> = labels
        .iter()
        .map(|_| (0..CLASSES).map(|_| random.normal()).collect())
        .collect();
    let mut bytes = Vec::new();
    for &frame in frames {
        let sure = skill(frame as f32 / size.updates as f32);
        for (&label, doubts) in labels.iter().zip(&doubts) {
            let scores: Vec<f32> = (0..CLASSES)
                .map(|class| {
                    let right = if class == label as usize {
                        sure * 7.0
                    } else {
                        0.0
                    };
                    (right + doubts[class] * (1.6 - sure) + random.triangular() * 0.3).exp()
                })
                .collect();
            let total: f32 = scores.iter().sum();
            bytes.extend(
                scores
                    .iter()
                    .map(|score| (score / total * 255.0).round() as u8),
            );
        }
    }
    bytes
}

/// Feature maps: each node filters a downsampled image with its own pattern, with increasing strength.
fn features(
    size: &Size,
    frames: &[u64],
    images: &[Vec<u8>],
    nodes: usize,
    random: &mut Random,
) -> Features {
    let side = size.feature_side;
    let tastes: Vec<[f32; 5]> = (0..nodes)
        .map(|_| std::array::from_fn(|_| random.normal()))
        .collect();
    let small: Vec<Vec<f32>> = images.iter().map(|image| shrink(image, side)).collect();
    let (mut values, mut scales) = (Vec::new(), Vec::new());
    for &frame in frames {
        scales.extend(tastes.iter().map(|taste| 1.0 + taste[4].abs()));
        let grown = 0.3 + 0.7 * skill(frame as f32 / size.updates as f32);
        for image in &small {
            for taste in &tastes {
                let most: f32 =
                    0.25 + taste[..4].iter().map(|weight| weight.abs()).sum::<f32>() * 0.5;
                for at in 0..side * side {
                    let (x, y) = (at % side, at / side);
                    let pixel =
                        |dx: usize, dy: usize| image[(y + dy) % side * side + (x + dx) % side];
                    let seen = taste[0] * pixel(0, 0)
                        + grown
                            * (taste[1] * pixel(1, 0)
                                + taste[2] * pixel(0, 1)
                                + taste[3] * pixel(1, 1))
                        - 0.1 * taste[4];
                    values.push((seen / most * 127.0).clamp(-127.0, 127.0) as i8 as u8);
                }
            }
        }
    }
    Features {
        height: side,
        width: side,
        frames: frames.to_vec(),
        values: Blob(values),
        scale: Blob::from_f32(scales),
    }
}

fn shrink(image: &[u8], side: usize) -> Vec<f32> {
    let block = SIDE / side;
    (0..side * side)
        .map(|at| {
            let (left, top) = (at % side * block, at / side * block);
            let sum: u32 = (0..block * block)
                .map(|pixel| u32::from(image[(top + pixel / block) * SIDE + left + pixel % block]))
                .sum();
            sum as f32 / (block * block) as f32 / 255.0
        })
        .collect()
}
