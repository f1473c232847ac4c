//! A synthetic data set: images of bars, crosses and rings with noise, determined by a seed.

use burn::tensor::{Device, Int, Tensor, TensorData};

/// Width and height of an image in pixels.
pub const SIDE: usize = 16;

/// The classes; a label is an index.
pub const CLASSES: [&str; 4] = ["level bar", "upright bar", "cross", "ring"];

/// An image.
#[derive(Clone, Debug)]
pub struct Shape {
    /// `SIDE * SIDE` grey values, row by row.
    pub pixels: Vec<f32>,
    /// Index into [`CLASSES`].
    pub label: usize,
}

/// A batch of images on a device.
#[derive(Clone, Debug)]
pub struct ShapeBatch {
    /// `[batch, 1, SIDE, SIDE]`.
    pub images: Tensor<4>,
    /// `[batch]`.
    pub labels: Tensor<1, Int>,
}

/// Puts pictures on a device.
#[derive(Clone, Copy, Debug, Default)]
pub struct ShapeBatcher;

impl ShapeBatcher {
    /// The batch of these pictures.
    pub fn batch(&self, shapes: Vec<Shape>, device: &Device) -> ShapeBatch {
        let count = shapes.len();
        let labels: Vec<i32> = shapes.iter().map(|shape| shape.label as i32).collect();
        let pixels: Vec<f32> = shapes.into_iter().flat_map(|shape| shape.pixels).collect();
        ShapeBatch {
            images: Tensor::from_data(TensorData::new(pixels, [count, 1, SIDE, SIDE]), device),
            labels: Tensor::from_ints(labels.as_slice(), device),
        }
    }
}

/// As Burn's data loaders call it.
#[cfg(feature = "learner")]
impl burn::data::dataloader::batcher::Batcher<Shape, ShapeBatch> for ShapeBatcher {
    fn batch(&self, shapes: Vec<Shape>, device: &Device) -> ShapeBatch {
        Self::batch(self, shapes, device)
    }
}

/// Draws `count` pictures, a quarter of each class.
pub fn shapes(seed: u64, count: usize) -> Vec<Shape> {
    let mut random = Random(seed);
    let draw = |index| shape(&mut random, index % CLASSES.len());
    (0..count).map(draw).collect()
}

fn shape(random: &mut Random, label: usize) -> Shape {
    let reach = random.below(3) as isize + 3;
    let span = SIDE - 2 * reach as usize;
    let x = reach + random.below(span) as isize;
    let y = reach + random.below(span) as isize;
    let ink = 0.7 + 0.3 * random.unit();
    let mut pixels = Vec::with_capacity(SIDE * SIDE);
    for row in 0..SIDE as isize {
        for column in 0..SIDE as isize {
            let (dx, dy) = ((column - x).abs(), (row - y).abs());
            let drawn = match label {
                0 => dy == 0 && dx <= reach,
                1 => dx == 0 && dy <= reach,
                2 => dx.min(dy) == 0 && dx.max(dy) <= reach,
                _ => dx.max(dy) <= reach && (dx * dx + dy * dy - reach * reach).abs() <= reach,
            };
            let noise = 0.8 * (random.unit() - 0.5);
            pixels.push(if drawn { ink + noise } else { noise });
        }
    }
    Shape { pixels, label }
}

/// SplitMix64, which is the same on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// In `[0, 1)`.
    fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1 << 24) as f32
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}
