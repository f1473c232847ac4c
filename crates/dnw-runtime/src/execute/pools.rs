//! Pools.

use super::{Part, pointwise::sum};
use crate::memory::Arena;
use crate::plan::{Pool, PoolMaps};

/// # Safety
/// As for [`Prepared::execute`](super::Prepared::execute).
pub(super) unsafe fn pool(pool: &PoolMaps, arena: Arena, scratch: &mut [f32], part: Part) {
    let [channels, height, width] = pool.from.shape;
    let is_whole = pool.window.kernel == [height, width] && pool.to.pixels() == 1;
    for channel in part.share(channels) {
        // SAFETY: as the caller promises.
        let (x, out) = unsafe {
            (
                arena.channel(pool.from, channel),
                arena.channel_mut(pool.to, channel),
            )
        };
        if is_whole && pool.pool == Pool::Average && pool.window.padding == [0, 0] {
            out[0] = sum(x, |x| x) / (height * width) as f32;
        } else {
            windows(pool, x, &mut scratch[..width], out);
        }
    }
}

/// Pools one map: first the lines of a window, number by number, then the columns.
fn windows(pool: &PoolMaps, x: &[f32], columns: &mut [f32], out: &mut [f32]) {
    let [_, height, width] = pool.from.shape;
    let [_, lines, across] = pool.to.shape;
    let ([kh, kw], [sy, sx], [py, px]) =
        (pool.window.kernel, pool.window.stride, pool.window.padding);
    let combine = match pool.pool {
        Pool::Max => |a: f32, b: f32| if b > a { b } else { a },
        Pool::Average => |a: f32, b: f32| a + b,
    };
    let start = match pool.pool {
        Pool::Max => f32::NEG_INFINITY,
        Pool::Average => 0.0,
    };
    let inside = |at: usize, stride: usize, kernel: usize, padding: usize, size: usize| {
        let first = at * stride;
        first.saturating_sub(padding)..(first + kernel).saturating_sub(padding).min(size)
    };
    let scale = 1.0 / (kh * kw) as f32;
    for y in 0..lines {
        columns.fill(start);
        for line in inside(y, sy, kh, py, height) {
            let pixels = &x[line * width..][..width];
            columns
                .iter_mut()
                .zip(pixels)
                .for_each(|(to, &x)| *to = combine(*to, x));
        }
        for (at, out) in out[y * across..][..across].iter_mut().enumerate() {
            let window = &columns[inside(at, sx, kw, px, width)];
            let pooled = window.iter().fold(start, |a, &b| combine(a, b));
            *out = if pool.pool == Pool::Average {
                pooled * scale
            } else {
                pooled
            };
        }
    }
}
