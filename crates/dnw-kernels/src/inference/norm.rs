//! Norms of maps.

use crate::simd::{LANES, sum_lanes, vectorised};
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
        let sums = sums::<V, N>(maps, |_, sum, x, one| sum.add_product(one, x));
        let means = sums.map(|sum| sum * share);
        let minus = means.map(|mean| V::splat(-mean));
        let squares = self::sums::<V, N>(maps, |n, sum, x, one| {
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

/// The sums of a function over each map: `f(map, sum, x, one)` adds sixteen pixels. In lanes without a pixel, `x` and `one` are zero.
#[inline(always)]
fn sums<V: Vector, const N: usize>(
    maps: &[NormMap<'_>; N],
    f: impl Fn(usize, V, V, V) -> V,
) -> [f32; N] {
    let pixels = maps[0].x.len();
    let (whole, tail) = (
        pixels - pixels % LANES,
        V::mask(first_lanes(pixels % LANES)),
    );
    let x: [*const f32; N] = std::array::from_fn(|n| maps[n].x.as_ptr());
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
    sums.map(|sum| {
        let mut lanes = [0.0; LANES];
        // SAFETY: sixteen numbers.
        unsafe { sum.store(lanes.as_mut_ptr()) };
        sum_lanes(lanes)
    })
}
