//! Steps that move pixels.

use super::CircuitBuilder;
use crate::{CircuitError, Op, Taps, ValueId};

impl CircuitBuilder {
    /// Adds a crop to `[height, width]` pixels that starts at pixel `[top, left]`.
    ///
    /// # Errors
    /// [`CircuitError::Window`] if the crop is not inside the feature maps.
    pub fn crop(
        &mut self,
        x: ValueId,
        [top, left]: [usize; 2],
        [height, width]: [usize; 2],
    ) -> Result<ValueId, CircuitError> {
        let shape = self.known(x)?;
        let fits = |start: usize, size, all| start.checked_add(size).is_some_and(|end| end <= all);
        if !fits(top, height, shape[1]) || !fits(left, width, shape[2]) {
            return Err(self.unfit(x, "the crop is not inside them"));
        }
        self.push(Op::Crop { top, left }, vec![x], [shape[0], height, width])
    }

    /// Adds weighted sums of rows and columns, with an output for each entry of `rows` and `columns`.
    ///
    /// # Errors
    /// [`CircuitError::Window`] if an input is outside the feature maps or a weight is not finite.
    pub fn resample(
        &mut self,
        x: ValueId,
        rows: Taps,
        columns: Taps,
    ) -> Result<ValueId, CircuitError> {
        let [channels, height, width] = self.known(x)?;
        if !rows.fits(height) || !columns.fits(width) {
            return Err(self.unfit(x, "a sum of rows or columns reads outside them"));
        }
        let shape = [channels, rows.outputs().len(), columns.outputs().len()];
        self.push(Op::Resample { rows, columns }, vec![x], shape)
    }

    /// Adds a flattening in row-major order: `[c, h, w]` to `[c h w, 1, 1]`.
    ///
    /// # Errors
    /// [`CircuitError::NoSuchValue`].
    pub fn flatten(&mut self, x: ValueId) -> Result<ValueId, CircuitError> {
        let size = self.size(self.known(x)?)?;
        self.push(Op::Flatten, vec![x], [size, 1, 1])
    }

    /// Adds another shape for the same numbers, in row-major order.
    ///
    /// # Errors
    /// [`CircuitError::Shapes`] if it has another number of them.
    pub fn reshape(&mut self, x: ValueId, shape: [usize; 3]) -> Result<ValueId, CircuitError> {
        let own = self.known(x)?;
        if self.size(own)? != self.size(shape)? {
            let layer = self.layer.clone();
            return Err(CircuitError::Shapes {
                layer,
                first: own,
                other: shape,
            });
        }
        self.push(Op::Reshape, vec![x], shape)
    }

    /// Adds a space-to-depth step with blocks of `side x side` pixels, see [`Op::Fold`].
    ///
    /// # Errors
    /// [`CircuitError::Window`] if the side does not divide height and width.
    pub fn fold(&mut self, x: ValueId, side: usize) -> Result<ValueId, CircuitError> {
        let [channels, height, width] = self.known(x)?;
        if side == 0 || !height.is_multiple_of(side) || !width.is_multiple_of(side) {
            return Err(self.unfit(x, "the block size does not divide them"));
        }
        let channels = self.size([channels, side, side])?;
        let shape = [channels, height / side, width / side];
        self.push(Op::Fold(side), vec![x], shape)
    }

    /// Adds a depth-to-space step with blocks of `side x side` pixels, see [`Op::Unfold`].
    ///
    /// # Errors
    /// [`CircuitError::Nothing`] if the channels are not divided into blocks.
    pub fn unfold(&mut self, x: ValueId, side: usize) -> Result<ValueId, CircuitError> {
        let [channels, height, width] = self.known(x)?;
        let area = side.checked_mul(side).filter(|&area| area > 0);
        let Some(area) = area.filter(|&area| channels.is_multiple_of(area)) else {
            return Err(self.nothing("channel for each pixel of its blocks"));
        };
        let sizes = [height, width].map(|size| size.checked_mul(side));
        let [Some(height), Some(width)] = sizes else {
            return Err(self.too_large());
        };
        self.push(Op::Unfold(side), vec![x], [channels / area, height, width])
    }
}
