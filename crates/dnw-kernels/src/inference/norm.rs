//! Norms and means of maps.

use crate::simd::{LANES, vectorised};
use crate::vector::{HasVector, Set, Vector, first_lanes};

/// A map, and the scale and shift of its channel.
#[derive(Debug)]
pub struct NormMap<'a> {
    /// The pixels.
    pub x: &'a [f32],
    /// Factor of each pixel, after the division by the deviation if there is one.
    pub scale: f32,
    /// What is added to each pixel.
    pub shift: f32,
    /// As many pixels as `x`.
    pub out: &'a mut [f32],
}

/// Maps whose sums are made at the same time: each waits for its own.
pub const NORM_TOGETHER: usize = 4;

/// Writes `scale * x + shift` of each map, with zeros in place of negative results if `relu`. With `epsilon` its pixels are first normalised with
/// their own mean and variance, to which `epsilon` is added.
///
/// Sums are made in sixteen lanes, so that every machine adds in the same order. [`NORM_TOGETHER`] maps take little longer than one.
///
/// # Panics
/// If the maps have different lengths.
pub fn norm_maps(maps: &mut [NormMap<'_>], epsilon: Option<f32>, relu: bool) {
    let pixels = maps.first().map_or(0, |map| map.x.len());
    let fits = |map: &NormMap<'_>| map.x.len() == pixels && map.out.len() == pixels;
    assert!(maps.iter().all(fits), "maps of different lengths");
    norm(maps, epsilon, relu);
}

vectorised! {
    fn norm(maps: &mut [NormMap<'_>], epsilon: Option<f32>, relu: bool) = norm_body;
}

#[inline(always)]
fn norm_body<const SET: u8>(maps: &mut [NormMap<'_>], epsilon: Option<f32>, relu: bool)
where
    Set<SET>: HasVector,
{
    let (groups, rest) = maps.as_chunks_mut::<NORM_TOGETHER>();
    for maps in groups {
        norm_of::<<Set<SET> as HasVector>::Vector, _>(maps, epsilon, relu);
    }
    for map in rest.as_chunks_mut::<1>().0 {
        norm_of::<<Set<SET> as HasVector>::Vector, _>(map, epsilon, relu);
    }
}

/// Of maps with equally many pixels, and outputs with as many.
#[inline(always)]
fn norm_of<V: Vector, const N: usize>(
    maps: &mut [NormMap<'_>; N],
    epsilon: Option<f32>,
    relu: bool,
) {
    let pixels = maps[0].x.len();
    if let Some(epsilon) = epsilon {
        let share = 1.0 / pixels as f32;
        let x = maps.each_ref().map(|map| map.x.as_ptr());
        let sums = sums::<V, N>(x, pixels, |_, sum, x, one| sum.add_product(one, x));
        let means = sums.map(|sum| sum * share);
        let minus = means.map(|mean| V::splat(-mean));
        let squares = self::sums::<V, N>(x, pixels, |n, sum, x, one| {
            let distance = x.add_product(minus[n], one);
            sum.add_product(distance, distance)
        });
        for ((map, mean), squares) in maps.iter_mut().zip(means).zip(squares) {
            map.scale /= (squares * share + epsilon).sqrt();
            map.shift -= mean * map.scale;
        }
    }
    for map in maps {
        let (scale, shift) = (V::splat(map.scale), V::splat(map.shift));
        let (x, out) = (map.x.as_ptr(), map.out.as_mut_ptr());
        let of = |x: V| {
            let y = shift.add_product(x, scale);
            if relu { y.relu() } else { y }
        };
        let left = pixels % LANES;
        let whole = pixels - left;
        for at in (0..whole).step_by(LANES) {
            // SAFETY: sixteen pixels of the map and of the output.
            unsafe { of(V::load(x.add(at))).store(out.add(at)) };
        }
        if left > 0 {
            let last = V::mask(first_lanes(left));
            // SAFETY: the pixels that are left.
            unsafe { of(V::load_some(x.add(whole), last)).store_first(out.add(whole), left) };
        }
    }
}

/// The maps of channels that follow each other.
#[derive(Clone, Copy, Debug)]
pub struct ChannelMaps<'a> {
    /// The maps, the next beginning `stride` numbers after the one before.
    pub numbers: &'a [f32],
    /// Numbers from a map to the next; at least `pixels`.
    pub stride: usize,
    /// Pixels of a map; at least one.
    pub pixels: usize,
}

/// Writes the mean of each map to the first of every `stride` numbers of `out`. Sums are made in sixteen lanes, so that every machine adds in the
/// same order.
///
/// # Panics
/// If a map has no pixels or more than its stride, or `out` has another number of strides than there are maps.
pub fn means(maps: ChannelMaps<'_>, out: &mut [f32], stride: usize) {
    let ChannelMaps {
        numbers,
        pixels,
        stride: every,
    } = maps;
    assert!(
        0 < pixels && pixels <= every,
        "maps of {pixels} pixels, {every} numbers apart"
    );
    let count = numbers.len() / every;
    assert_eq!(
        (numbers.len(), out.len()),
        (count * every, count * stride),
        "as many means as maps"
    );
    means_of(maps, out, stride);
}

vectorised! {
    fn means_of(maps: ChannelMaps<'_>, out: &mut [f32], stride: usize) = means_body;
}

#[inline(always)]
fn means_body<const SET: u8>(maps: ChannelMaps<'_>, out: &mut [f32], stride: usize)
where
    Set<SET>: HasVector,
{
    let groups = maps.numbers.chunks(NORM_TOGETHER * maps.stride);
    for (numbers, out) in groups.zip(out.chunks_mut(NORM_TOGETHER * stride)) {
        let last = numbers.len() / maps.stride - 1;
        // The last map in place of those that are missing.
        let x =
            std::array::from_fn(|n| numbers[n.min(last) * maps.stride..][..maps.pixels].as_ptr());
        let sums = sums::<<Set<SET> as HasVector>::Vector, NORM_TOGETHER>(
            x,
            maps.pixels,
            |_, sum, x, one| sum.add_product(one, x),
        );
        for (out, sum) in out.chunks_mut(stride).zip(sums) {
            out[0] = sum / maps.pixels as f32;
        }
    }
}

/// The sums of a function over maps of so many pixels: `f(map, sum, x, one)` adds sixteen pixels. In lanes without a pixel, `x` and `one` are
/// zero.
#[inline(always)]
fn sums<V: Vector, const N: usize>(
    x: [*const f32; N],
    pixels: usize,
    f: impl Fn(usize, V, V, V) -> V,
) -> [f32; N] {
    let (whole, tail) = (
        pixels - pixels % LANES,
        V::mask(first_lanes(pixels % LANES)),
    );
    let mut sums = [V::splat(0.0); N];
    for at in (0..whole).step_by(LANES) {
        for n in 0..N {
            // SAFETY: sixteen pixels of the map.
            let x = unsafe { V::load(x[n].add(at)) };
            sums[n] = f(n, sums[n], x, V::splat(1.0));
        }
    }
    if whole < pixels {
        // SAFETY: a mask of fewer than sixteen lanes.
        let one = unsafe { V::load_some([1.0; LANES].as_ptr(), tail) };
        for n in 0..N {
            // SAFETY: the pixels that are left.
            let x = unsafe { V::load_some(x[n].add(whole), tail) };
            sums[n] = f(n, sums[n], x, one);
        }
    }
    // A closure of `map` would be compiled without the instruction set, and called: five times as slow.
    let mut totals = [0.0; N];
    for n in 0..N {
        totals[n] = sums[n].sum();
    }
    totals
}
