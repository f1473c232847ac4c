//! Random changes to training images.

use crate::{DataSet, Rng};

/// A random change to one training image after its transform, made on the loader's threads.
pub trait Augment: Send + Sync {
    /// Changes `image` in place, taking all randomness from `rng`, which depends on the seed, the epoch
    /// and the image alone.
    ///
    /// # Shapes
    /// `image`: `shape` = channels, height, width, row-major, already normalised.
    fn apply(&self, image: &mut [f32], shape: [usize; 3], rng: &mut Rng);
}

/// Leaves images as they are.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoAugment;

impl Augment for NoAugment {
    fn apply(&self, _: &mut [f32], _: [usize; 3], _: &mut Rng) {}
}

/// Pads the image with black on every side, cuts a window of the old size at a random place, and, if
/// asked, mirrors left and right every second time.
///
/// That is a shift of up to `pad` pixels each way. Draws, in this order: the shift down, the shift to
/// the right, and, only if mirroring is asked for, whether to mirror.
#[derive(Clone, Debug)]
pub struct ShiftCrop {
    pad: u16,
    black: Vec<f32>,
    mirror: bool,
}

impl ShiftCrop {
    /// Shifts by up to `pad` pixels; what comes into view has the normalised value of a black pixel of
    /// `data`.
    pub fn new(pad: u16, data: &DataSet) -> Self {
        Self {
            pad,
            black: data.black(),
            mirror: false,
        }
    }

    /// Whether to mirror left and right every second time. Wrong for digits, right for photographs.
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

/// Moves values `by` places towards the end and fills the places left behind.
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
