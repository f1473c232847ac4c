//! Pools.

use dnw_kernels::inference::{PoolShape, max_pool, sum, sum_pool};

use crate::memory::Arena;
use crate::part::Part;
use crate::plan::{Pool, PoolMaps};

/// # Safety
/// As for [`Prepared::execute`](super::Prepared::execute).
pub(super) unsafe fn pool(pool: &PoolMaps, arena: Arena, scratch: &mut [f32], part: Part) {
    let [channels, height, width] = pool.from.shape;
    let is_whole = pool.window.kernel == [height, width] && pool.to.pixels() == 1;
    for channel in part.range(channels) {
        // SAFETY: as the caller promises.
        let (x, out) = unsafe {
            (
                arena.channel(pool.from, channel),
                arena.channel_mut(pool.to, channel),
            )
        };
        if is_whole && pool.pool != Pool::Max && pool.window.padding == [0, 0] {
            out[0] = sum(x) / (height * width) as f32;
        } else {
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
