//! Convolutions and linear layers.

use super::CircuitBuilder;
use crate::{Block, CircuitError, Kind, Op, ValueId, Window};

impl CircuitBuilder {
    /// Adds a convolution. `weight` has a row for each target and a column for each channel of `x`.
    ///
    /// # Errors
    /// [`CircuitError`] if the blocks, the channels or the window do not fit.
    pub fn conv(
        &mut self,
        x: ValueId,
        weight: Block,
        bias: Option<Block>,
        window: Window,
    ) -> Result<ValueId, CircuitError> {
        let [channels, ..] = self.known(x)?;
        self.number("columns", channels, weight.columns.len())?;
        let shape = self.convolved(x, &weight, bias.as_ref(), window, weight.columns.len())?;
        self.push(
            Op::Conv {
                weight,
                bias,
                window,
            },
            vec![x],
            shape,
        )
    }

    /// Adds a linear layer on feature maps of one pixel, see [`flatten`](Self::flatten). The tensor's shape is `[targets, sources, 1, 1]`.
    ///
    /// # Errors
    /// [`CircuitError`] if `x` has more than one pixel, or the blocks do not fit.
    pub fn linear(
        &mut self,
        x: ValueId,
        weight: Block,
        bias: Option<Block>,
    ) -> Result<ValueId, CircuitError> {
        let [_, height, width] = self.known(x)?;
        if [height, width] != [1, 1] {
            return Err(self.unfit(x, "a linear layer needs feature maps of one pixel"));
        }
        self.conv(x, weight, bias, Window::default())
    }

    /// Adds a depthwise convolution: one kernel per channel. `weight` has a row for each channel of `x`, and one column.
    ///
    /// # Errors
    /// [`CircuitError`] if the blocks, the channels or the window do not fit.
    pub fn depthwise(
        &mut self,
        x: ValueId,
        weight: Block,
        bias: Option<Block>,
        window: Window,
    ) -> Result<ValueId, CircuitError> {
        let [channels, ..] = self.known(x)?;
        self.number("columns", 1, weight.columns.len())?;
        self.number("rows", channels, weight.rows.len())?;
        let shape = self.convolved(x, &weight, bias.as_ref(), window, 1)?;
        self.push(
            Op::Depthwise {
                weight,
                bias,
                window,
            },
            vec![x],
            shape,
        )
    }

    /// Adds a grouped convolution, as one step per group. All groups have the same number of sources and of targets.
    ///
    /// # Errors
    /// [`CircuitError`] if `groups` does not divide the numbers of channels, or the blocks or the window do not fit.
    pub fn grouped_conv(
        &mut self,
        x: ValueId,
        weight: Block,
        bias: Option<Block>,
        window: Window,
        groups: usize,
    ) -> Result<ValueId, CircuitError> {
        let [channels, ..] = self.known(x)?;
        let targets = weight.rows.len();
        if groups == 0 || !channels.is_multiple_of(groups) || !targets.is_multiple_of(groups) {
            return Err(self.nothing("equal share of channels for every group"));
        }
        if groups == 1 {
            return self.conv(x, weight, bias, window);
        }
        if groups == channels && groups == targets {
            return self.depthwise(x, weight, bias, window);
        }
        if let Some(bias) = &bias {
            self.number("rows of the bias", targets, bias.rows.len())?;
        }
        let (sources, targets) = (channels / groups, targets / groups);
        let mut parts = Vec::with_capacity(groups);
        for group in 0..groups {
            let part = self.select(x, group * sources..(group + 1) * sources)?;
            let rows = group * targets..(group + 1) * targets;
            let of = |block: &Block| Block {
                rows: block.rows[rows.clone()].to_vec(),
                ..block.clone()
            };
            parts.push(self.conv(part, of(&weight), bias.as_ref().map(of), window)?);
        }
        self.concat(&parts)
    }

    /// Checks a convolution with this many sources per target, and returns the shape of its output.
    pub(super) fn convolved(
        &mut self,
        x: ValueId,
        weight: &Block,
        bias: Option<&Block>,
        window: Window,
        sources: usize,
    ) -> Result<[usize; 3], CircuitError> {
        let tensor = self.block(weight)?;
        if !matches!(tensor.kind, Kind::Edges | Kind::Weight) {
            return Err(self.kind(tensor, "a weight"));
        }
        let [_, _, kernel_h, kernel_w] = tensor.shape;
        let [height, width] = self.output_size(x, [kernel_h, kernel_w], window)?;
        let targets = weight.rows.len();
        if let Some(bias) = bias {
            self.vector(bias, Kind::Bias, "a bias", targets)?;
        }
        // Plus the whole tensor, because published counts include edges that no step reads.
        let product = |sizes: &[usize]| {
            let mut sizes = sizes.iter().map(|&size| size as u64);
            sizes.try_fold(1u64, |product, size| product.checked_mul(size))
        };
        let multiply_adds = product(&[targets, sources, kernel_h, kernel_w])
            .and_then(|entries| entries.checked_add(tensor.values.len() as u64))
            .and_then(|entries| entries.checked_mul(product(&[height, width])?))
            .and_then(|product| product.checked_add(self.multiply_adds));
        self.multiply_adds = multiply_adds.ok_or_else(|| self.too_large())?;
        Ok([targets, height, width])
    }

    /// Height and width of the output of a window.
    pub(super) fn output_size(
        &self,
        x: ValueId,
        kernel: [usize; 2],
        window: Window,
    ) -> Result<[usize; 2], CircuitError> {
        let [_, height, width] = self.known(x)?;
        let mut output = [0; 2];
        for (side, size) in [height, width].into_iter().enumerate() {
            let (stride, dilation) = (window.stride[side], window.dilation[side]);
            if kernel[side] == 0 || stride == 0 || dilation == 0 {
                return Err(self.nothing("kernel, stride or dilation: each is at least 1"));
            }
            let padded = window.padding[side]
                .checked_mul(2)
                .and_then(|p| p.checked_add(size));
            let reach = (kernel[side] - 1)
                .checked_mul(dilation)
                .and_then(|r| r.checked_add(1));
            let (Some(padded), Some(reach)) = (padded, reach) else {
                return Err(self.too_large());
            };
            if reach > padded {
                return Err(self.unfit(x, "the window is larger"));
            }
            output[side] = (padded - reach) / stride + 1;
        }
        Ok(output)
    }
}
