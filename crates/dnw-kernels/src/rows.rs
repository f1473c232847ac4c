//! Sums of rows: what every wired product comes down to.
//!
//! A row is what a channel holds for the whole batch, one map after the other. A target's row is the sum of the rows that its real
//! edges lead from, each times its weight. Shifted starts make the taps of a convolution rows like any other
//! ([`planes`](crate::planes)).
//!
//! Every number is a sum in the order of the terms, so that it does not matter how the work is cut.

use rayon::prelude::*;

use crate::OfSource;
use crate::simd::{AVX512, LANES, multiply_add, vectorised};
use crate::tiles::Tiles;

/// What a row is the sum of: `weights[i]` times the row that starts at `starts[i]` of the source.
#[derive(Clone, Debug, Default)]
pub(crate) struct Terms {
    pub(crate) starts: Vec<usize>,
    pub(crate) weights: Vec<f32>,
}

impl Terms {
    /// Adds as many terms as there are of both.
    pub(crate) fn add(
        &mut self,
        starts: impl ExactSizeIterator<Item = usize>,
        weights: impl ExactSizeIterator<Item = f32>,
    ) {
        debug_assert_eq!(starts.len(), weights.len());
        self.starts.extend(starts);
        self.weights.extend(weights);
    }

    pub(crate) fn clear(&mut self) {
        self.starts.clear();
        self.weights.clear();
    }
}

/// Where sums go.
pub(crate) struct Sums<'a> {
    /// The numbers of all rows.
    pub(crate) out: &'a mut [f32],
    /// How many rows there are.
    pub(crate) rows: usize,
    /// Numbers of a row, and of what lies between the beginnings of two.
    pub(crate) length: usize,
    /// Whether the sums are added to what is there.
    pub(crate) onto: bool,
}

/// Bytes of the source that a task goes through again and again: half of what a core's second cache has.
const AT_HAND: usize = 1 << 20;
/// Tasks to have at least, if the sizes allow it: enough that any machine's cores find one.
const TASKS: usize = 32;

/// Writes the sums into the rows of `out`. `terms_of` tells the terms of a row; `distinct` how many different rows the source has.
pub(crate) fn sum_rows(
    sums: Sums<'_>,
    source: &[f32],
    distinct: usize,
    terms_of: impl Fn(usize, &mut Terms) + Sync,
) {
    let Sums {
        out,
        rows,
        length,
        onto,
    } = sums;
    if rows == 0 || length == 0 {
        return;
    }
    assert!(out.len() >= rows * length, "rows outside the result");
    let width = (AT_HAND / 4 / distinct.max(1)).clamp(BLOCK, 32 * BLOCK) / BLOCK * BLOCK;
    let chunks = length.div_ceil(width);
    let group = rows.div_ceil(TASKS.div_ceil(chunks)).max(1);
    let groups = rows.div_ceil(group);
    let tiles = Tiles::new(out, length);
    // Groups of the same columns follow each other, so that a core finds its source at hand.
    (0..chunks * groups)
        .into_par_iter()
        .for_each_init(Terms::default, |terms, task| {
            let (chunk, part) = (task / groups, task % groups);
            let columns = chunk * width..length.min((chunk + 1) * width);
            for row in part * group..rows.min((part + 1) * group) {
                terms.clear();
                terms_of(row, terms);
                // SAFETY: tasks differ in their rows or in their columns.
                let out = unsafe { tiles.row(row, columns.clone()) };
                if !onto {
                    out.fill(0.0);
                }
                sum_row(terms, source, columns.start, out);
            }
        });
}

/// Columns to which a task's width is a multiple: four vectors of the widest kind.
const BLOCK: usize = 4 * LANES;

vectorised! {
    fn sum_row(terms: &Terms, source: &[f32], column: usize, out: &mut [f32]) = sum_row_body;
}

#[inline(always)]
fn sum_row_body<const SET: u8>(terms: &Terms, source: &[f32], column: usize, out: &mut [f32]) {
    sum::<SET, _>(&terms.starts, 1, &terms.weights, &source[column..], out);
}

/// What tells where a term lies.
pub(crate) trait Place: Copy + Sync {
    /// How many terms lie before it.
    fn place(self) -> usize;
}

impl Place for usize {
    #[inline(always)]
    fn place(self) -> usize {
        self
    }
}

impl Place for u32 {
    #[inline(always)]
    fn place(self) -> usize {
        self as usize
    }
}

impl Place for OfSource {
    #[inline(always)]
    fn place(self) -> usize {
        self.target as usize
    }
}

/// How many of so many vectors are summed at once: as many as registers hold, in parts of about the same size, because additions that
/// wait for each other need company.
#[inline(always)]
fn at_once<const SET: u8>(vectors: usize) -> usize {
    let most = if SET == AVX512 { 12 } else { 4 };
    match vectors {
        few if few <= most => few,
        some if some < 2 * most => some.div_ceil(2),
        _ => most,
    }
}

/// Adds the terms to `out`: the one at each place, of those that begin `apart` from each other, times its weight.
#[inline(always)]
fn sum<const SET: u8, P: Place>(
    places: &[P],
    apart: usize,
    weights: &[f32],
    source: &[f32],
    out: &mut [f32],
) {
    let (mut left, last) = {
        let whole = out.len() - out.len() % LANES;
        out.split_at_mut(whole)
    };
    let mut column = 0;
    while !left.is_empty() {
        let vectors = at_once::<SET>(left.len() / LANES);
        let (these, behind) = left.split_at_mut(vectors * LANES);
        let source = &source[column..];
        match vectors {
            1 => sum_1::<SET, P>(places, apart, weights, source, these),
            2 => sum_2::<SET, P>(places, apart, weights, source, these),
            3 => sum_3::<SET, P>(places, apart, weights, source, these),
            4 => sum_4::<SET, P>(places, apart, weights, source, these),
            5 => sum_5::<SET, P>(places, apart, weights, source, these),
            6 => sum_6::<SET, P>(places, apart, weights, source, these),
            7 => sum_7::<SET, P>(places, apart, weights, source, these),
            8 => sum_8::<SET, P>(places, apart, weights, source, these),
            9 => sum_9::<SET, P>(places, apart, weights, source, these),
            10 => sum_10::<SET, P>(places, apart, weights, source, these),
            11 => sum_11::<SET, P>(places, apart, weights, source, these),
            _ => sum_12::<SET, P>(places, apart, weights, source, these),
        }
        column += these.len();
        left = behind;
    }
    for out in last {
        for (&place, &weight) in places.iter().zip(weights) {
            *out = multiply_add::<SET>(weight, source[place.place() * apart + column], *out);
        }
        column += 1;
    }
}

/// Sums so many vectors. (The accumulators have names of their own because arrays of arrays are kept in memory.)
macro_rules! sum_vectors {
    ($name:ident, $vectors:literal, $($s:ident = $i:literal),*) => {
        #[inline(always)]
        fn $name<const SET: u8, P: Place>(
            places: &[P],
            apart: usize,
            weights: &[f32],
            source: &[f32],
            out: &mut [f32],
        ) {
            $(
                let mut $s = [0.0f32; LANES];
                $s.copy_from_slice(&out[$i * LANES..][..LANES]);
            )*
            for (&place, &w) in places.iter().zip(weights) {
                let x = &source[place.place() * apart..][..$vectors * LANES];
                for i in 0..LANES {
                    $($s[i] = multiply_add::<SET>(w, x[$i * LANES + i], $s[i]);)*
                }
            }
            $(out[$i * LANES..][..LANES].copy_from_slice(&$s);)*
        }
    };
}

macro_rules! sums {
    ($($name:ident = $vectors:literal: $($s:ident = $i:literal)*;)*) => {
        $(sum_vectors!($name, $vectors, $($s = $i),*);)*
    };
}

sums! {
    sum_1 = 1: s0 = 0;
    sum_2 = 2: s0 = 0 s1 = 1;
    sum_3 = 3: s0 = 0 s1 = 1 s2 = 2;
    sum_4 = 4: s0 = 0 s1 = 1 s2 = 2 s3 = 3;
    sum_5 = 5: s0 = 0 s1 = 1 s2 = 2 s3 = 3 s4 = 4;
    sum_6 = 6: s0 = 0 s1 = 1 s2 = 2 s3 = 3 s4 = 4 s5 = 5;
    sum_7 = 7: s0 = 0 s1 = 1 s2 = 2 s3 = 3 s4 = 4 s5 = 5 s6 = 6;
    sum_8 = 8: s0 = 0 s1 = 1 s2 = 2 s3 = 3 s4 = 4 s5 = 5 s6 = 6 s7 = 7;
    sum_9 = 9: s0 = 0 s1 = 1 s2 = 2 s3 = 3 s4 = 4 s5 = 5 s6 = 6 s7 = 7 s8 = 8;
    sum_10 = 10: s0 = 0 s1 = 1 s2 = 2 s3 = 3 s4 = 4 s5 = 5 s6 = 6 s7 = 7 s8 = 8 s9 = 9;
    sum_11 = 11: s0 = 0 s1 = 1 s2 = 2 s3 = 3 s4 = 4 s5 = 5 s6 = 6 s7 = 7 s8 = 8 s9 = 9 s10 = 10;
    sum_12 = 12: s0 = 0 s1 = 1 s2 = 2 s3 = 3 s4 = 4 s5 = 5 s6 = 6 s7 = 7 s8 = 8 s9 = 9 s10 = 10 s11 = 11;
}

/// As [`sum_rows`], of maps that lie by image: each row of an image is the sum of some of its channels, `of_row` telling which and times
/// what. `source` is `[images, distinct, pixels]`, `out` `[images, rows, pixels]`.
pub(crate) fn sum_maps<'a, P: Channel + 'a>(
    out: &mut [f32],
    [images, rows, pixels]: [usize; 3],
    source: &[f32],
    distinct: usize,
    of_row: impl Fn(usize) -> (&'a [P], &'a [f32]) + Sync,
) {
    if images * rows * pixels == 0 {
        return;
    }
    assert!(out.len() >= images * rows * pixels && source.len() >= images * distinct * pixels);
    let group = rows.div_ceil(TASKS.div_ceil(images)).max(1);
    let groups = rows.div_ceil(group);
    let tiles = Tiles::new(out, pixels);
    (0..images * groups).into_par_iter().for_each(|task| {
        let (image, part) = (task / groups, task % groups);
        let channels = &source[image * distinct * pixels..][..distinct * pixels];
        for row in part * group..rows.min((part + 1) * group) {
            let (places, weights) = of_row(row);
            // SAFETY: tasks differ in the image or in the row.
            let out = unsafe { tiles.row(image * rows + row, 0..pixels) };
            P::sum_map(places, weights, channels, out);
        }
    });
}

/// A channel that a map is a sum of.
pub(crate) trait Channel: Place {
    /// Writes the sum of these channels, times their weights.
    fn sum_map(places: &[Self], weights: &[f32], channels: &[f32], out: &mut [f32]);
}

impl Channel for u32 {
    fn sum_map(places: &[Self], weights: &[f32], channels: &[f32], out: &mut [f32]) {
        sum_map_of_sources(places, weights, channels, out);
    }
}

impl Channel for OfSource {
    fn sum_map(places: &[Self], weights: &[f32], channels: &[f32], out: &mut [f32]) {
        sum_map_of_targets(places, weights, channels, out);
    }
}

vectorised! {
    fn sum_map_of_sources(places: &[u32], weights: &[f32], channels: &[f32], out: &mut [f32]) = sum_of_sources;
}

vectorised! {
    fn sum_map_of_targets(places: &[OfSource], weights: &[f32], channels: &[f32], out: &mut [f32]) = sum_of_targets;
}

#[inline(always)]
fn sum_map_body<const SET: u8, P: Place>(
    places: &[P],
    weights: &[f32],
    channels: &[f32],
    out: &mut [f32],
) {
    out.fill(0.0);
    sum::<SET, P>(places, out.len(), weights, channels, out);
}

#[inline(always)]
fn sum_of_sources<const SET: u8>(
    places: &[u32],
    weights: &[f32],
    channels: &[f32],
    out: &mut [f32],
) {
    sum_map_body::<SET, _>(places, weights, channels, out);
}

#[inline(always)]
fn sum_of_targets<const SET: u8>(
    places: &[OfSource],
    weights: &[f32],
    channels: &[f32],
    out: &mut [f32],
) {
    sum_map_body::<SET, _>(places, weights, channels, out);
}
