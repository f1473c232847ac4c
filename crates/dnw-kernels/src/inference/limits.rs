//! Loops that do nothing but multiply and add, or load: the limits of a machine.

use crate::simd::{LANES, multiply_add, vectorised};

/// Sums that are under way at once: enough to hide the latency of each, and few enough for the registers of AVX2.
const CHAINS: usize = 5;

/// Multiply-adds of each round of [`multiply_adds`].
pub const MULTIPLY_ADDS_PER_ROUND: usize = CHAINS * LANES;

/// Multiplies and adds in registers, for so many rounds. The result only keeps the compiler from leaving the work out.
pub fn multiply_adds(rounds: usize) -> f32 {
    let mut result = 0.0;
    chains(rounds, std::hint::black_box(0.999), &mut result);
    result
}

/// Loads all numbers once.
pub fn load_all(numbers: &[f32]) -> f32 {
    let mut result = 0.0;
    loads(numbers, &mut result);
    result
}

vectorised! {
    fn chains(rounds: usize, factor: f32, result: &mut f32) = chains_body;
}

#[inline(always)]
fn chains_body<const SET: u8>(rounds: usize, factor: f32, result: &mut f32) {
    // Separate variables, because the compiler keeps an array of arrays in memory.
    let (mut a, mut b, mut c) = ([0.5f32; LANES], [0.6f32; LANES], [0.7f32; LANES]);
    let (mut d, mut e) = ([0.8f32; LANES], [0.9f32; LANES]);
    for _ in 0..rounds {
        for i in 0..LANES {
            a[i] = multiply_add::<SET>(a[i], factor, factor);
            b[i] = multiply_add::<SET>(b[i], factor, factor);
            c[i] = multiply_add::<SET>(c[i], factor, factor);
            d[i] = multiply_add::<SET>(d[i], factor, factor);
            e[i] = multiply_add::<SET>(e[i], factor, factor);
        }
    }
    *result = (0..LANES).map(|i| a[i] + b[i] + c[i] + d[i] + e[i]).sum();
}

vectorised! {
    fn loads(numbers: &[f32], result: &mut f32) = loads_body;
}

#[inline(always)]
fn loads_body<const SET: u8>(numbers: &[f32], result: &mut f32) {
    let (mut a, mut b, mut c, mut d) = ([0.0; LANES], [0.0; LANES], [0.0; LANES], [0.0; LANES]);
    for four in numbers.as_chunks::<{ 4 * LANES }>().0 {
        for i in 0..LANES {
            a[i] += four[i];
            b[i] += four[LANES + i];
            c[i] += four[2 * LANES + i];
            d[i] += four[3 * LANES + i];
        }
    }
    *result = (0..LANES).map(|i| a[i] + b[i] + c[i] + d[i]).sum();
}
