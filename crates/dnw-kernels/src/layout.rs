//! From images to channels and back.
//!
//! A batch lies `[images, channels, pixels]`, as everywhere; the kernels want a channel's maps side by side,
//! `[channels, images, pixels]`, which makes a channel one long row.

use rayon::prelude::*;

use crate::tiles::Tiles;

/// `[images, channels, pixels]` into `[channels, images, pixels]`, or the other way: the two first dimensions change places.
pub(crate) fn transpose(from: &[f32], [first, second]: [usize; 2], pixels: usize, to: &mut [f32]) {
    let _span = tracing::trace_span!("layout").entered();
    assert_eq!(from.len(), first * second * pixels);
    assert_eq!(to.len(), from.len());
    if from.is_empty() {
        return;
    }
    let tiles = Tiles::new(to, pixels);
    // Tasks go through the written side in order.
    (0..second).into_par_iter().with_min_len(8).for_each(|b| {
        for a in 0..first {
            // SAFETY: each task writes the rows of its own `b`.
            let row = unsafe { tiles.row(b * first + a, 0..pixels) };
            row.copy_from_slice(&from[(a * second + b) * pixels..][..pixels]);
        }
    });
}
