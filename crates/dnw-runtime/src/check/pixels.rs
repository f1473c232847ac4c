//! Checks of steps that compute each pixel from few others.

use super::places::{LARGEST_ARENA, csr, disjoint, maps, output, read, require, written};
use crate::finite::all_finite;
use crate::plan::{
    ActivateMaps, Activation, Function, Maps, MultiplyMaps, PixelNorm, PoolMaps, ResampleMaps,
    SoftmaxMaps, UnfoldMaps, Window,
};

/// The largest window of a pool that is larger than its map.
const LARGEST_WINDOW: usize = 1 << 16;

pub(super) fn check_activate(activate: &ActivateMaps, arena: usize) -> Result<(), String> {
    maps(activate.from, arena)?;
    output(activate.to, arena)?;
    in_place_or_disjoint(activate.to, activate.from)?;
    require(
        activate.from.shape == activate.to.shape,
        "an activation changes the shape",
    )?;
    check_activation(activate.activation)
}

pub(super) fn check_product(product: &MultiplyMaps, arena: usize) -> Result<(), String> {
    maps(product.from, arena)?;
    maps(product.by, arena)?;
    output(product.to, arena)?;
    in_place_or_disjoint(product.to, product.from)?;
    disjoint(&written(product.to), &read(product.by))?;
    let [channels, ..] = product.from.shape;
    let by = product.by.shape;
    let fits = by == product.from.shape || by == [channels, 1, 1];
    require(
        fits && product.to.shape == product.from.shape,
        "the factors of a product have different shapes",
    )
}

pub(super) fn check_softmax(softmax: &SoftmaxMaps, arena: usize) -> Result<(), String> {
    maps(softmax.from, arena)?;
    output(softmax.to, arena)?;
    disjoint(&written(softmax.to), &read(softmax.from))?;
    require(
        softmax.from.shape == softmax.to.shape,
        "a softmax changes the shape",
    )
}

pub(super) fn check_pixel_norm(norm: &PixelNorm, arena: usize) -> Result<(), String> {
    let affine = [&norm.scale[..], &norm.shift];
    check_norm([norm.from, norm.to], affine, Some(norm.epsilon), arena)
}

/// A norm from the first maps to the second, with scale and shift of each channel.
pub(super) fn check_norm(
    [from, to]: [Maps; 2],
    [scale, shift]: [&[f32]; 2],
    epsilon: Option<f32>,
    arena: usize,
) -> Result<(), String> {
    maps(from, arena)?;
    output(to, arena)?;
    disjoint(&written(to), &read(from))?;
    require(from.shape == to.shape, "a norm changes the shape")?;
    let channels = to.shape[0];
    let fits = scale.len() == channels && shift.len() == channels;
    require(fits, "a norm has other channels than its maps")?;
    let numbers = all_finite(scale) && all_finite(shift);
    let epsilon = epsilon.is_none_or(|epsilon| epsilon.is_finite() && epsilon >= 0.0);
    require(numbers && epsilon, "a norm is not finite")
}

pub(super) fn check_resample(resample: &ResampleMaps, arena: usize) -> Result<(), String> {
    maps(resample.from, arena)?;
    output(resample.to, arena)?;
    disjoint(&written(resample.to), &read(resample.from))?;
    let ([channels, height, width], to) = (resample.from.shape, resample.to.shape);
    require(
        to[0] == channels,
        "sums of rows and columns change the number of channels",
    )?;
    let axes = [
        (&resample.rows, height, to[1]),
        (&resample.columns, width, to[2]),
    ];
    for (taps, size, outputs) in axes {
        csr(&taps.starts, outputs, taps.inputs.len())?;
        require(
            taps.weights.len() == taps.inputs.len() && all_finite(&taps.weights),
            "the weights of rows or columns are not finite or not as many as these",
        )?;
        let inside = taps.inputs.iter().all(|&input| (input as usize) < size);
        require(inside, "a sum reads a row or column outside its maps")?;
    }
    Ok(())
}

pub(super) fn check_unfold(unfold: &UnfoldMaps, arena: usize) -> Result<(), String> {
    maps(unfold.from, arena)?;
    output(unfold.to, arena)?;
    disjoint(&written(unfold.to), &read(unfold.from))?;
    let ([channels, height, width], side) = (unfold.from.shape, unfold.side);
    let product = |a: usize, b: usize| a.checked_mul(b);
    let [to, rows, columns] = unfold.to.shape;
    let fits = product(side, side).and_then(|area| product(area, to)) == Some(channels)
        && product(height, side) == Some(rows)
        && product(width, side) == Some(columns);
    require(fits, "blocks of pixels do not fit their channels")
}

pub(super) fn check_pool(pool: &PoolMaps, arena: usize) -> Result<(), String> {
    maps(pool.from, arena)?;
    output(pool.to, arena)?;
    disjoint(&written(pool.to), &read(pool.from))?;
    let Window {
        kernel,
        stride,
        padding,
        dilation,
    } = pool.window;
    require(dilation == [1, 1], "a pool has a dilation")?;
    require(
        pool.to.shape[0] == pool.from.shape[0],
        "the output of a pool has another shape",
    )?;
    for side in 0..2 {
        let size = pool.from.shape[side + 1];
        // What a thread needs as scratch memory grows with the window.
        let most = size.saturating_add(padding[side]).max(LARGEST_WINDOW);
        let small =
            (1..=most).contains(&kernel[side]) && (1..=LARGEST_ARENA).contains(&stride[side]);
        require(small, "a window is empty or too large")?;
        // The start of the last window, before the end of the map.
        let last = (pool.to.shape[side + 1] - 1).checked_mul(stride[side]);
        let inside =
            last.is_some_and(|last| padding[side] < kernel[side] && last < size + padding[side]);
        require(inside, "a window of a pool has no pixel inside the map")?;
    }
    Ok(())
}

fn check_activation(activation: Activation) -> Result<(), String> {
    let valid = match activation.function {
        Function::Clip { low, high } => low.is_finite() && high.is_finite() && low <= high,
        Function::LeakyRelu { slope } => slope.is_finite(),
        Function::HardSigmoid { slope, shift } => slope.is_finite() && shift.is_finite(),
        Function::Sigmoid
        | Function::Normal
        | Function::Softplus
        | Function::Exp
        | Function::Ln
        | Function::Sqrt
        | Function::Reciprocal
        | Function::Abs => true,
    };
    require(
        valid,
        "the constants of an activation are not finite or not in order",
    )
}

/// That a step, each of whose numbers depends on one number of the input, writes over it exactly or not at all.
fn in_place_or_disjoint(to: Maps, from: Maps) -> Result<(), String> {
    match to == from {
        true => Ok(()),
        false => disjoint(&written(to), &read(from)),
    }
}
