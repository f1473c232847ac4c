//! The wired convolution, through the bits of its mask, and the matrix of its input from which the gradient of all edges is one product.
//!
//! As in a [`product`](crate::product) all threads of a workgroup follow the same edges at the same time, each for one pixel of its own. No weight
//! with zeros is written, and no feature map is rearranged.

use cubecl::prelude::*;

use crate::bits::MaskBits;
use crate::buffer::{Buffer, WORKGROUP_SIZE, workgroups};

/// The shape of a convolution without groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvolutionShape {
    /// Images.
    pub images: usize,
    /// Input channels.
    pub sources: usize,
    /// Output channels.
    pub targets: usize,
    /// Height and width of the input.
    pub input: [usize; 2],
    /// Height and width of the output.
    pub output: [usize; 2],
    /// Height and width of the kernel.
    pub kernel: [usize; 2],
    /// Stride.
    pub stride: [usize; 2],
    /// Zeros at the top and on the left; those at the bottom and on the right follow from the output.
    pub padding: [usize; 2],
    /// Spacing between kernel elements.
    pub dilation: [usize; 2],
}

impl ConvolutionShape {
    /// Filter taps.
    pub fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    /// Possible edges into a target.
    pub fn edges_of_target(&self) -> usize {
        self.sources * self.taps()
    }

    /// Pixels of the output in all images.
    pub fn positions(&self) -> usize {
        self.images * self.output[0] * self.output[1]
    }

    fn input_length(&self) -> usize {
        self.images * self.sources * self.input[0] * self.input[1]
    }

    fn sizes(&self) -> SizesLaunch {
        let [images, sources, targets] = [self.images, self.sources, self.targets];
        let of = |values: [usize; 2]| (values[0] as u32, values[1] as u32);
        let (input, output) = (of(self.input), of(self.output));
        let (padding, dilation) = (of(self.padding), of(self.dilation));
        SizesLaunch::new(
            images as u32,
            sources as u32,
            targets as u32,
            input.0,
            input.1,
            output.0,
            output.1,
            padding.0,
            padding.1,
            dilation.0,
            dilation.1,
        )
    }

    fn filter(&self) -> Filter {
        let of = |values: [usize; 2]| values.map(|value| value as u32);
        let ([height, width], [down, right]) = (of(self.kernel), of(self.stride));
        Filter {
            height,
            width,
            down,
            right,
        }
    }
}

/// What varies between the layers of a network.
#[derive(CubeType, CubeLaunch, Clone, Copy)]
struct Sizes {
    images: u32,
    sources: u32,
    targets: u32,
    input_height: u32,
    input_width: u32,
    output_height: u32,
    output_width: u32,
    top: u32,
    left: u32,
    dilation_down: u32,
    dilation_right: u32,
}

/// Kernel size and stride, of which a network has few. Known when the kernel is compiled, they make divisions cheap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Filter {
    height: u32,
    width: u32,
    /// Vertical stride.
    down: u32,
    /// Horizontal stride.
    right: u32,
}

/// Threads along the pixels of a row, and workgroups: along the pixels, then the rows in two dimensions, because one is limited to 65,535.
fn grid(positions: usize, rows: usize) -> (CubeCount, u32) {
    let threads = (positions.next_power_of_two() as u32).clamp(32, WORKGROUP_SIZE);
    let along = positions.div_ceil(threads as usize) as u32;
    let (down, deep) = (rows.min(32_768) as u32, rows.div_ceil(32_768) as u32);
    (CubeCount::Static(along, down, deep), threads)
}

/// Sums the real edges into each target.
///
/// # Shapes
/// `x`: `[images, sources, height, width]`; `weight`: `[targets, sources, kernel height, kernel width]`; `mask`: by target; `y`: `[images,
/// targets, output height, output width]`.
///
/// # Panics
/// If a length does not fit.
pub fn forward(
    client: &Client,
    shape: &ConvolutionShape,
    x: &Buffer,
    weight: &Buffer,
    mask: &MaskBits,
    y: &Buffer,
) {
    let rows = [shape.targets, shape.edges_of_target()];
    assert_eq!([mask.rows, mask.columns], rows, "mask by target");
    assert_eq!(weight.length(), rows[0] * rows[1], "length of the weights");
    assert_eq!(x.length(), shape.input_length(), "length of the input");
    let outputs = shape.positions() * shape.targets;
    assert_eq!(y.length(), outputs, "length of the output");
    if outputs == 0 {
        return;
    }
    let (count, threads) = grid(shape.positions(), shape.targets);
    // SAFETY: threads beyond the last position or row do nothing; lengths were checked above, pixels are checked against the input, and a mask
    // has no bits beyond its columns.
    unsafe {
        sum_into_targets::launch_unchecked(
            client,
            count,
            CubeDim::new_1d(threads),
            x.arg(1),
            weight.arg(1),
            mask.words.arg(1),
            y.arg(1),
            shape.sizes(),
            shape.filter(),
        );
    }
}

/// The gradient of the input, which passes through real edges only.
///
/// # Shapes
/// As in [`forward`], with `dy` for `y`, `dx` for `x`, and the mask by source.
///
/// # Panics
/// If a length does not fit.
pub fn input_gradient(
    client: &Client,
    shape: &ConvolutionShape,
    dy: &Buffer,
    weight: &Buffer,
    mask: &MaskBits,
    dx: &Buffer,
) {
    let rows = [shape.sources, shape.targets * shape.taps()];
    assert_eq!([mask.rows, mask.columns], rows, "mask by source");
    assert_eq!(weight.length(), rows[0] * rows[1], "length of the weights");
    assert_eq!(dx.length(), shape.input_length(), "length of the input");
    let outputs = shape.positions() * shape.targets;
    assert_eq!(dy.length(), outputs, "length of the output");
    if dx.length() == 0 {
        return;
    }
    let positions = shape.images * shape.input[0] * shape.input[1];
    let (count, threads) = grid(positions, shape.sources);
    // SAFETY: as in `forward`; pixels are checked against the output.
    unsafe {
        sum_into_sources::launch_unchecked(
            client,
            count,
            CubeDim::new_1d(threads),
            dy.arg(1),
            weight.arg(1),
            mask.words.arg(1),
            dx.arg(1),
            shape.sizes(),
            shape.filter(),
        );
    }
}

/// The input as a matrix: for each pixel of the output what each filter tap of each source reads there. The gradient of the weight is the product
/// of the output's gradient, `[targets, positions]`, with it.
///
/// # Shapes
/// `x`: as in [`forward`]; `columns`: `[positions, edges of a target]`.
///
/// # Panics
/// If a length does not fit.
pub fn columns(client: &Client, shape: &ConvolutionShape, x: &Buffer, columns: &Buffer) {
    assert_eq!(x.length(), shape.input_length(), "length of the input");
    let entries = shape.positions() * shape.edges_of_target();
    assert_eq!(columns.length(), entries, "length of the matrix");
    if entries == 0 {
        return;
    }
    // SAFETY: threads beyond the last entry return at once; pixels are checked against the input.
    unsafe {
        fill_columns::launch_unchecked(
            client,
            workgroups(entries),
            CubeDim::new_1d(WORKGROUP_SIZE),
            x.arg(1),
            columns.arg(1),
            shape.sizes(),
            shape.filter(),
        );
    }
}

#[cube(launch_unchecked)]
fn sum_into_targets(
    x: &[f32],
    weight: &[f32],
    words: &[u32],
    y: &mut [f32],
    sizes: Sizes,
    #[comptime] filter: Filter,
) {
    let position = CUBE_POS_X * CUBE_DIM_X + UNIT_POS_X;
    let target = CUBE_POS_Z * CUBE_COUNT_Y + CUBE_POS_Y;
    let pixels = sizes.output_height * sizes.output_width;
    if position < sizes.images * pixels && target < sizes.targets {
        let (image, pixel) = (position / pixels, position % pixels);
        let row = pixel / sizes.output_width * comptime!(filter.down);
        let column = pixel % sizes.output_width * comptime!(filter.right);
        let edges = sizes.sources * comptime!(filter.height * filter.width);
        let words_of_target = (edges + 31) / 32;
        let mut sum = 0.0f32;
        for word in 0..words_of_target {
            let mut left = words[(target * words_of_target + word) as usize];
            while left != 0 {
                let edge = word * 32 + left.trailing_zeros();
                left &= left - 1;
                let source = edge / comptime!(filter.height * filter.width);
                let tap = edge % comptime!(filter.height * filter.width);
                let y_padded = row + tap / comptime!(filter.width) * sizes.dilation_down;
                let x_padded = column + tap % comptime!(filter.width) * sizes.dilation_right;
                if y_padded >= sizes.top && x_padded >= sizes.left {
                    let (y_in, x_in) = (y_padded - sizes.top, x_padded - sizes.left);
                    if y_in < sizes.input_height && x_in < sizes.input_width {
                        let map = (image * sizes.sources + source) * sizes.input_height;
                        let from = (map + y_in) * sizes.input_width + x_in;
                        sum += weight[(target * edges + edge) as usize] * x[from as usize];
                    }
                }
            }
        }
        y[((image * sizes.targets + target) * pixels + pixel) as usize] = sum;
    }
}

#[cube(launch_unchecked)]
fn sum_into_sources(
    dy: &[f32],
    weight: &[f32],
    words: &[u32],
    dx: &mut [f32],
    sizes: Sizes,
    #[comptime] filter: Filter,
) {
    let position = CUBE_POS_X * CUBE_DIM_X + UNIT_POS_X;
    let source = CUBE_POS_Z * CUBE_COUNT_Y + CUBE_POS_Y;
    let pixels = sizes.input_height * sizes.input_width;
    if position < sizes.images * pixels && source < sizes.sources {
        let (image, pixel) = (position / pixels, position % pixels);
        let row = pixel / sizes.input_width + sizes.top;
        let column = pixel % sizes.input_width + sizes.left;
        let taps = comptime!(filter.height * filter.width).runtime();
        let words_of_source = (sizes.targets * taps + 31) / 32;
        let mut sum = 0.0f32;
        for word in 0..words_of_source {
            let mut left = words[(source * words_of_source + word) as usize];
            while left != 0 {
                let edge = word * 32 + left.trailing_zeros();
                left &= left - 1;
                let target = edge / comptime!(filter.height * filter.width);
                let tap = edge % comptime!(filter.height * filter.width);
                let y_tap = tap / comptime!(filter.width) * sizes.dilation_down;
                let x_tap = tap % comptime!(filter.width) * sizes.dilation_right;
                if row >= y_tap && column >= x_tap {
                    let (y_padded, x_padded) = (row - y_tap, column - x_tap);
                    let y_out = y_padded / comptime!(filter.down);
                    let x_out = x_padded / comptime!(filter.right);
                    let is_read = y_out * comptime!(filter.down) == y_padded
                        && x_out * comptime!(filter.right) == x_padded
                        && y_out < sizes.output_height
                        && x_out < sizes.output_width;
                    if is_read {
                        let map = (image * sizes.targets + target) * sizes.output_height;
                        let from = (map + y_out) * sizes.output_width + x_out;
                        let entry = (target * sizes.sources + source) * taps + tap;
                        sum += weight[entry as usize] * dy[from as usize];
                    }
                }
            }
        }
        dx[((image * sizes.sources + source) * pixels + pixel) as usize] = sum;
    }
}

#[cube(launch_unchecked)]
fn fill_columns(x: &[f32], columns: &mut [f32], sizes: Sizes, #[comptime] filter: Filter) {
    if ABSOLUTE_POS >= columns.len() {
        terminate!();
    }
    let entry = ABSOLUTE_POS as u32;
    let edges = sizes.sources * comptime!(filter.height * filter.width);
    let (position, edge) = (entry / edges, entry % edges);
    let pixels = sizes.output_height * sizes.output_width;
    let (image, pixel) = (position / pixels, position % pixels);
    let source = edge / comptime!(filter.height * filter.width);
    let tap = edge % comptime!(filter.height * filter.width);
    let y_padded = pixel / sizes.output_width * comptime!(filter.down)
        + tap / comptime!(filter.width) * sizes.dilation_down;
    let x_padded = pixel % sizes.output_width * comptime!(filter.right)
        + tap % comptime!(filter.width) * sizes.dilation_right;
    let mut value = 0.0f32;
    if y_padded >= sizes.top && x_padded >= sizes.left {
        let (y_in, x_in) = (y_padded - sizes.top, x_padded - sizes.left);
        if y_in < sizes.input_height && x_in < sizes.input_width {
            let map = (image * sizes.sources + source) * sizes.input_height;
            value = x[((map + y_in) * sizes.input_width + x_in) as usize];
        }
    }
    columns[ABSOLUTE_POS] = value;
}
