//! Pools.

use super::pointwise::sum;
use crate::memory::Arena;
use crate::part::Part;
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

/// Pools one map.
fn windows(pool: &PoolMaps, x: &[f32], columns: &mut [f32], out: &mut [f32]) {
    let taps = pool.window.kernel[0] * pool.window.kernel[1];
    match pool.pool {
        Pool::Max => combine(pool, x, columns, out, f32::NEG_INFINITY, |a, b| {
            if b > a { b } else { a }
        }),
        Pool::Average => {
            combine(pool, x, columns, out, 0.0, |a, b| a + b);
            let scale = 1.0 / taps as f32;
            out[..pool.to.pixels()].iter_mut().for_each(|x| *x *= scale);
        }
    }
}

/// Combines the numbers of each window: first its lines, then its columns.
fn combine(
    pool: &PoolMaps,
    x: &[f32],
    columns: &mut [f32],
    out: &mut [f32],
    start: f32,
    combine: impl Fn(f32, f32) -> f32,
) {
    let [_, height, width] = pool.from.shape;
    let [_, lines, across] = pool.to.shape;
    let ([kh, kw], [sy, sx], [py, px]) =
        (pool.window.kernel, pool.window.stride, pool.window.padding);
    let inside = |at: usize, stride: usize, kernel: usize, padding: usize, size: usize| {
        let first = at * stride;
        first.saturating_sub(padding)..(first + kernel).saturating_sub(padding).min(size)
    };
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
            *out = window.iter().fold(start, |a, &b| combine(a, b));
        }
    }
}
