//! Transposes between image-major and channel-major layout.
//!
//! A batch has the layout `[images, channels, pixels]`. Most kernels need `[channels, images, pixels]`, in which a channel is one long
//! contiguous row.

use rayon::prelude::*;

use crate::tiles::Tiles;

/// Transposes the first two dimensions: `from [first, second, pixels]` to `to [second, first, pixels]`.
pub(crate) fn transpose(from: &[f32], [first, second]: [usize; 2], pixels: usize, to: &mut [f32]) {
    let _span = tracing::trace_span!("layout").entered();
    assert_eq!(from.len(), first * second * pixels);
    assert_eq!(to.len(), from.len());
    if from.is_empty() {
        return;
    }
    let tiles = Tiles::new(to, pixels);
    // Each task writes a contiguous range.
    (0..second).into_par_iter().with_min_len(8).for_each(|b| {
        for a in 0..first {
            // SAFETY: each task writes the rows of its own `b`.
            let row = unsafe { tiles.row(b * first + a, 0..pixels) };
            row.copy_from_slice(&from[(a * second + b) * pixels..][..pixels]);
        }
    });
}
