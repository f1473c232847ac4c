//! The wired product: every target gathers from its real edges.
//!
//! `y[n, t, p] = sum over real edges (t, s) of w[t, s] x[n, s, p]` (Wortsman et al. 2019, section 2). The
//! gradient to `x` passes through real edges only; the gradient to `w` is that of the dense product,
//! for every entry.

use rayon::prelude::*;

use crate::simd::{LANES, add_scaled, dot, multiply_add, sum_lanes, vectorised};
use crate::{EdgeIndex, part_size};

/// The sizes of a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProductShape {
    /// Images in the batch.
    pub images: usize,
    /// Rows of the weight.
    pub targets: usize,
    /// Columns of the weight.
    pub sources: usize,
    /// Pixels of a channel.
    pub pixels: usize,
}

impl ProductShape {
    fn check(&self, x: &[f32], weight: usize, y: &[f32], index: Option<&EdgeIndex>) {
        assert_eq!(
            x.len(),
            self.images * self.sources * self.pixels,
            "length of x"
        );
        assert_eq!(
            y.len(),
            self.images * self.targets * self.pixels,
            "length of y"
        );
        assert_eq!(weight, self.targets * self.sources, "length of the weight");
        if let Some(index) = index {
            assert_eq!(
                (index.targets(), index.sources()),
                (self.targets, self.sources)
            );
        }
    }
}

/// Writes `y [images, targets, pixels]` from `x [images, sources, pixels]`.
///
/// # Panics
/// If a length does not fit `shape`.
pub fn forward(shape: ProductShape, x: &[f32], weight: &[f32], index: &EdgeIndex, y: &mut [f32]) {
    shape.check(x, weight.len(), y, Some(index));
    if y.is_empty() {
        return;
    }
    y.par_chunks_mut(shape.targets * shape.pixels)
        .enumerate()
        .for_each(|(n, y)| {
            let x = &x[n * shape.sources * shape.pixels..][..shape.sources * shape.pixels];
            gather(shape, x, weight, index, y);
        });
}

/// Writes the gradient to `x` from that of `y`, through the real edges only.
///
/// # Panics
/// If a length does not fit `shape`.
pub fn input_gradient(
    shape: ProductShape,
    dy: &[f32],
    weight: &[f32],
    index: &EdgeIndex,
    dx: &mut [f32],
) {
    shape.check(dx, weight.len(), dy, Some(index));
    if dx.is_empty() {
        return;
    }
    dx.par_chunks_mut(shape.sources * shape.pixels)
        .enumerate()
        .for_each(|(n, dx)| {
            let dy = &dy[n * shape.targets * shape.pixels..][..shape.targets * shape.pixels];
            scatter(shape, dy, weight, index, dx);
        });
}

/// Writes the gradient to **every** entry of the weight, real or not: `dw[t, s] = sum over n, p of dy[n, t, p] x[n, s, p]`.
///
/// # Panics
/// If a length does not fit `shape`.
pub fn weight_gradient(shape: ProductShape, x: &[f32], dy: &[f32], dw: &mut [f32]) {
    shape.check(x, dw.len(), dy, None);
    dw.fill(0.0);
    if x.is_empty() || dy.is_empty() {
        return;
    }
    if dw.len() < LARGE {
        add_image_by_image(shape, x, dy, dw);
    } else {
        add_all_images_at_once(shape, x, dy, dw);
    }
}

/// Weights of so many entries no longer fit the caches that a partial sum for each part of the batch would need.
const LARGE: usize = 1 << 16;

/// Each part of the batch sums its images for itself; the sums are added in order.
fn add_image_by_image(shape: ProductShape, x: &[f32], dy: &[f32], dw: &mut [f32]) {
    let part = part_size(shape.images);
    let (x_image, dy_image) = (shape.sources * shape.pixels, shape.targets * shape.pixels);
    let partial: Vec<Vec<f32>> = x
        .par_chunks(part * x_image)
        .zip(dy.par_chunks(part * dy_image))
        .map(|(x, dy)| {
            let mut dw = vec![0.0; shape.targets * shape.sources];
            for (x, dy) in x.chunks(x_image).zip(dy.chunks(dy_image)) {
                outer(shape, x, dy, &mut dw);
            }
            dw
        })
        .collect();
    for part in partial {
        for (sum, value) in dw.iter_mut().zip(part) {
            *sum += value;
        }
    }
}

/// One dense product, `[targets, images * pixels]` by `[images * pixels, sources]`, each part of the rows for itself.
fn add_all_images_at_once(shape: ProductShape, x: &[f32], dy: &[f32], dw: &mut [f32]) {
    let sources = shape.sources;
    let inner = shape.images * shape.pixels;
    let x = by_channel(x, sources, shape.pixels);
    let dy = by_channel(dy, shape.targets, shape.pixels);
    let rows = part_size(shape.targets);
    dw.par_chunks_mut(rows * sources)
        .zip(dy.par_chunks(rows * inner))
        .for_each(|(dw, dy)| {
            let (across, down) = (inner as isize, sources as isize);
            // SAFETY: `dw` holds `rows` rows of `sources`, `dy` as many of `inner`, and `x` `sources` rows of `inner`,
            // which is read as its transpose: exactly the sizes and strides that are given, and `dw` is borrowed alone.
            unsafe {
                gemm::gemm(
                    dw.len() / sources,
                    sources,
                    inner,
                    dw.as_mut_ptr(),
                    1,
                    down,
                    false,
                    dy.as_ptr(),
                    1,
                    across,
                    x.as_ptr(),
                    across,
                    1,
                    0.0,
                    1.0,
                    false,
                    false,
                    false,
                    gemm::Parallelism::None,
                );
            }
        });
}

/// `[images, channels, pixels]` as `[channels, images, pixels]`.
fn by_channel(maps: &[f32], channels: usize, pixels: usize) -> Vec<f32> {
    let images = maps.len() / (channels * pixels);
    let mut turned = vec![0.0; maps.len()];
    let rows = turned.par_chunks_exact_mut(images * pixels);
    rows.enumerate().for_each(|(channel, row)| {
        for (image, map) in row.chunks_exact_mut(pixels).enumerate() {
            map.copy_from_slice(&maps[(image * channels + channel) * pixels..][..pixels]);
        }
    });
    turned
}

vectorised! {
    fn gather(shape: ProductShape, x: &[f32], weight: &[f32], index: &EdgeIndex, y: &mut [f32]) = gather_body;
}

#[inline(always)]
fn gather_body<const FUSED: bool>(
    shape: ProductShape,
    x: &[f32],
    weight: &[f32],
    index: &EdgeIndex,
    y: &mut [f32],
) {
    for (target, y) in y.chunks_exact_mut(shape.pixels).enumerate() {
        y.fill(0.0);
        let row = &weight[target * shape.sources..][..shape.sources];
        for &source in index.sources_of(target) {
            let source = source as usize;
            add_scaled::<FUSED>(y, row[source], &x[source * shape.pixels..][..shape.pixels]);
        }
    }
}

vectorised! {
    fn scatter(shape: ProductShape, dy: &[f32], weight: &[f32], index: &EdgeIndex, dx: &mut [f32]) = scatter_body;
}

#[inline(always)]
fn scatter_body<const FUSED: bool>(
    shape: ProductShape,
    dy: &[f32],
    weight: &[f32],
    index: &EdgeIndex,
    dx: &mut [f32],
) {
    for (source, dx) in dx.chunks_exact_mut(shape.pixels).enumerate() {
        dx.fill(0.0);
        for &target in index.targets_of(source) {
            let target = target as usize;
            let w = weight[target * shape.sources + source];
            add_scaled::<FUSED>(dx, w, &dy[target * shape.pixels..][..shape.pixels]);
        }
    }
}

vectorised! {
    fn outer(shape: ProductShape, x: &[f32], dy: &[f32], dw: &mut [f32]) = outer_body;
}

#[inline(always)]
fn outer_body<const FUSED: bool>(shape: ProductShape, x: &[f32], dy: &[f32], dw: &mut [f32]) {
    let pixels = shape.pixels;
    for (dy, dw) in dy
        .chunks_exact(pixels)
        .zip(dw.chunks_exact_mut(shape.sources))
    {
        let mut x = x;
        for dw in dw.chunks_mut(4) {
            if let [a, b, c, d] = dw {
                let (four, rest) = x.split_at(4 * pixels);
                let found = four_dots::<FUSED>(dy, four);
                *a += found[0];
                *b += found[1];
                *c += found[2];
                *d += found[3];
                x = rest;
            } else {
                for (x, dw) in x.chunks_exact(pixels).zip(dw) {
                    *dw += dot::<FUSED>(dy, x);
                }
            }
        }
    }
}

/// The inner products of `a` with the four rows of `b`, so that each vector of `a` is loaded once for four. (The
/// accumulators have names of their own because arrays of arrays are kept in memory.)
#[inline(always)]
fn four_dots<const FUSED: bool>(a: &[f32], b: &[f32]) -> [f32; 4] {
    let pixels = a.len();
    let (b0, b1) = (&b[..pixels], &b[pixels..2 * pixels]);
    let (b2, b3) = (&b[2 * pixels..3 * pixels], &b[3 * pixels..4 * pixels]);
    let (mut s0, mut s1, mut s2, mut s3) = (
        [0.0f32; LANES],
        [0.0f32; LANES],
        [0.0f32; LANES],
        [0.0f32; LANES],
    );
    let whole = pixels - pixels % LANES;
    for start in (0..whole).step_by(LANES) {
        let a = &a[start..][..LANES];
        let (b0, b1) = (&b0[start..][..LANES], &b1[start..][..LANES]);
        let (b2, b3) = (&b2[start..][..LANES], &b3[start..][..LANES]);
        for i in 0..LANES {
            s0[i] = multiply_add::<FUSED>(a[i], b0[i], s0[i]);
            s1[i] = multiply_add::<FUSED>(a[i], b1[i], s1[i]);
            s2[i] = multiply_add::<FUSED>(a[i], b2[i], s2[i]);
            s3[i] = multiply_add::<FUSED>(a[i], b3[i], s3[i]);
        }
    }
    let mut sums = [sum_lanes(s0), sum_lanes(s1), sum_lanes(s2), sum_lanes(s3)];
    for i in whole..pixels {
        for (sum, b) in sums.iter_mut().zip([b0, b1, b2, b3]) {
            *sum = multiply_add::<FUSED>(a[i], b[i], *sum);
        }
    }
    sums
}
