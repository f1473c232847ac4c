//! Random augmentation of training images.

use crate::{DataSet, Rng};

/// A random augmentation of a training image after its transform, run on the loader's threads.
pub trait Augment: Send + Sync {
    /// Changes `image` in place. All randomness is from `rng`, which depends only on the seed, the epoch and
    /// the image.
    ///
    /// # Shapes
    /// `image`: `shape` = channels, height, width, row-major, already normalised.
    fn apply(&self, image: &mut [f32], shape: [usize; 3], rng: &mut Rng);
}

/// No augmentation.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoAugment;

impl Augment for NoAugment {
    fn apply(&self, _: &mut [f32], _: [usize; 3], _: &mut Rng) {}
}

/// Random crop with padding, and optionally a random horizontal flip.
///
/// The image is padded with black on every side and cropped to its size at a random position, which is a shift
/// of up to `pad` pixels in each direction. Random numbers are drawn in this order: vertical shift, horizontal
/// shift, and, only with flips enabled, whether to flip.
#[derive(Clone, Debug)]
pub struct ShiftCrop {
    pad: u16,
    black: Vec<f32>,
    mirror: bool,
}

impl ShiftCrop {
    /// Shifts by up to `pad` pixels. New pixels have the normalised value of a black pixel of `data`.
    pub fn new(pad: u16, data: &DataSet) -> Self {
        Self {
            pad,
            black: data.black(),
            mirror: false,
        }
    }

    /// Sets whether to flip half of the images horizontally: useful for photographs, wrong for digits.
    pub fn with_mirror(mut self, mirror: bool) -> Self {
        self.mirror = mirror;
        self
    }

    fn draw_shift(&self, rng: &mut Rng) -> isize {
        rng.below(2 * u32::from(self.pad) + 1) as isize - self.pad as isize
    }
}

impl Augment for ShiftCrop {
    fn apply(&self, image: &mut [f32], shape: [usize; 3], rng: &mut Rng) {
        let [_, height, width] = shape;
        let down = self.draw_shift(rng);
        let right = self.draw_shift(rng);
        let mirror = self.mirror && rng.below(2) == 1;
        for (plane, &black) in image.chunks_exact_mut(height * width).zip(&self.black) {
            shift(plane, down * width as isize, black);
            for row in plane.chunks_exact_mut(width) {
                shift(row, right, black);
                if mirror {
                    row.reverse();
                }
            }
        }
    }
}

/// Shifts values by `by` positions towards the end and fills the free positions.
fn shift(values: &mut [f32], by: isize, fill: f32) {
    let moved = by.unsigned_abs().min(values.len());
    let kept = values.len() - moved;
    if by >= 0 {
        values.copy_within(..kept, moved);
        values[..moved].fill(fill);
    } else {
        values.copy_within(moved.., 0);
        values[kept..].fill(fill);
    }
}
