//! Pools.

use dnw_kernels::inference::{ChannelMaps, PoolShape, max_pool, means, sum_pool};

use crate::memory::Arena;
use crate::part::Part;
use crate::plan::{Maps, Pool, PoolMaps};

/// # Safety
/// As for [`Prepared::execute`](super::Prepared::execute).
pub(super) unsafe fn pool(pool: &PoolMaps, arena: Arena, scratch: &mut [f32], part: Part) {
    let [channels, height, width] = pool.from.shape;
    let is_whole = pool.window.kernel == [height, width] && pool.to.pixels() == 1;
    let own = part.range(channels);
    if is_whole && pool.pool != Pool::Max && pool.window.padding == [0, 0] {
        let place = |maps: Maps| (maps.at + own.start * maps.stride, own.len() * maps.stride);
        let ((from, len), (to, out_len)) = (place(pool.from), place(pool.to));
        // SAFETY: as the caller promises; channels follow each other.
        let (x, out) = unsafe { (arena.read(from, len), arena.write(to, out_len)) };
        let maps = ChannelMaps {
            numbers: x,
            stride: pool.from.stride,
            pixels: height * width,
        };
        return means(maps, out, pool.to.stride);
    }
    for channel in own {
        // SAFETY: as the caller promises.
        let (x, out) = unsafe {
            (
                arena.channel(pool.from, channel),
                arena.channel_mut(pool.to, channel),
            )
        };
        let (shape, out) = (shape(pool), &mut out[..pool.to.pixels()]);
        match pool.pool {
            Pool::Max => max_pool(shape, x, scratch, out),
            Pool::Average => {
                sum_pool(shape, x, scratch, out);
                let scale = 1.0 / (shape.kernel[0] * shape.kernel[1]) as f32;
                out.iter_mut().for_each(|x| *x *= scale);
            }
            Pool::InnerAverage => {
                sum_pool(shape, x, scratch, out);
                let columns = shape.output[1];
                for (at, sum) in out.iter_mut().enumerate() {
                    let inside = shape.inside(0, at / columns) * shape.inside(1, at % columns);
                    *sum /= inside as f32;
                }
            }
        }
    }
}

/// The windows of a pool.
pub(super) fn shape(pool: &PoolMaps) -> PoolShape {
    let ([_, height, width], [_, lines, columns]) = (pool.from.shape, pool.to.shape);
    PoolShape {
        map: [height, width],
        output: [lines, columns],
        kernel: pool.window.kernel,
        stride: pool.window.stride,
        padding: pool.window.padding,
    }
}
