//! Pools.

use super::CircuitBuilder;
use crate::{CircuitError, Op, Pool, ValueId, Window};

/// The largest window of a pool that is larger than its feature map.
const LARGEST_WINDOW: usize = 1 << 16;

impl CircuitBuilder {
    /// Adds a max pooling. Sizes are `[height, width]`.
    ///
    /// # Errors
    /// [`CircuitError::Window`] if the window does not fit, or the padding is more than half the window.
    pub fn max_pool(
        &mut self,
        x: ValueId,
        kernel: [usize; 2],
        stride: [usize; 2],
        padding: [usize; 2],
    ) -> Result<ValueId, CircuitError> {
        self.symmetric_pool(x, Pool::Max, kernel, stride, padding)
    }

    /// Adds an average pooling. Sizes are `[height, width]`.
    ///
    /// # Errors
    /// [`CircuitError::Window`] if the window does not fit.
    pub fn average_pool(
        &mut self,
        x: ValueId,
        kernel: [usize; 2],
        stride: [usize; 2],
    ) -> Result<ValueId, CircuitError> {
        self.symmetric_pool(x, Pool::Average, kernel, stride, [0; 2])
    }

    /// Adds a global average pooling: `[c, h, w]` to `[c, 1, 1]`.
    ///
    /// # Errors
    /// [`CircuitError::NoSuchValue`].
    pub fn global_average(&mut self, x: ValueId) -> Result<ValueId, CircuitError> {
        let [_, height, width] = self.known(x)?;
        self.average_pool(x, [height, width], [1, 1])
    }

    /// A pooling with the same padding on opposite sides.
    fn symmetric_pool(
        &mut self,
        x: ValueId,
        pool: Pool,
        kernel: [usize; 2],
        stride: [usize; 2],
        padding: [usize; 2],
    ) -> Result<ValueId, CircuitError> {
        self.known(x)?;
        if (0..2).any(|side| padding[side] > kernel[side] / 2) {
            return Err(self.unfit(x, "the padding is more than half the window"));
        }
        let window = Window {
            stride,
            padding,
            dilation: [1; 2],
        };
        let size = self.output_size(x, kernel, window)?;
        self.pool(x, pool, kernel, stride, padding, size)
    }

    /// Adds a pooling to `size` pixels. All sizes are `[height, width]`; `padding` is above and to the left. Windows may reach beyond the
    /// last row and column.
    ///
    /// # Errors
    /// [`CircuitError::Window`] if a window has no pixel inside the feature maps, or is larger than both they and 2^16 pixels.
    pub fn pool(
        &mut self,
        x: ValueId,
        pool: Pool,
        kernel: [usize; 2],
        stride: [usize; 2],
        padding: [usize; 2],
        size: [usize; 2],
    ) -> Result<ValueId, CircuitError> {
        let [channels, height, width] = self.known(x)?;
        for (side, pixels) in [height, width].into_iter().enumerate() {
            if kernel[side] == 0 || stride[side] == 0 || size[side] == 0 {
                return Err(self.nothing("kernel, stride or output: each is at least 1"));
            }
            let last = (size[side] - 1).checked_mul(stride[side]);
            let (Some(last), Some(end)) = (last, pixels.checked_add(padding[side])) else {
                return Err(self.too_large());
            };
            if kernel[side] > end.max(LARGEST_WINDOW) {
                return Err(self.unfit(x, "the window is much larger"));
            }
            if padding[side] >= kernel[side] || last >= end {
                return Err(self.unfit(x, "a window has no pixel inside them"));
            }
        }
        self.size([1, kernel[0], kernel[1]])?;
        let pool = Op::Pool {
            pool,
            kernel,
            stride,
            padding,
        };
        self.push(pool, vec![x], [channels, size[0], size[1]])
    }
}
