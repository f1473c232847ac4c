//! Norms and sums, number by number.

use dnw_kernels::inference::{add_scaled, sum, sum_of_squares};

use crate::memory::Arena;
use crate::part::Part;
use crate::plan::{AddMaps, NormMaps};

pub(super) fn rectified(x: f32) -> f32 {
    if x > 0.0 { x } else { 0.0 }
}

/// # Safety
/// As for [`Prepared::execute`](super::Prepared::execute).
pub(super) unsafe fn norm(norm: &NormMaps, arena: Arena, part: Part) {
    for channel in part.share(norm.to.shape[0]) {
        // SAFETY: as the caller promises.
        let (x, out) = unsafe {
            (
                arena.channel(norm.from, channel),
                arena.channel_mut(norm.to, channel),
            )
        };
        let (mut scale, mut shift) = (norm.scale[channel], norm.shift[channel]);
        if let Some(epsilon) = norm.epsilon {
            let pixels = x.len() as f32;
            let mean = sum(x) / pixels;
            let variance = sum_of_squares(x, mean) / pixels;
            scale /= (variance + epsilon).sqrt();
            shift -= mean * scale;
        }
        for (out, x) in out.iter_mut().zip(x) {
            let y = x * scale + shift;
            *out = if norm.relu { rectified(y) } else { y };
        }
    }
}

/// # Safety
/// As for [`Prepared::execute`](super::Prepared::execute).
pub(super) unsafe fn add(add: &AddMaps, arena: Arena, part: Part) {
    for channel in part.share(add.to.shape[0]) {
        // SAFETY: as the caller promises.
        let out = unsafe { arena.channel_mut(add.to, channel) };
        let out = &mut out[..add.to.pixels()];
        let last = add.from.len() - 1;
        for (i, &(a, from)) in add.from.iter().enumerate() {
            // SAFETY: as the caller promises.
            let x = unsafe { arena.channel(from, channel) };
            if i == 0 {
                out.fill(0.0);
            }
            add_scaled(a, x, add.relu && i == last, out);
        }
    }
}
