//! Dispatch to the widest vector instructions of the machine, at run time.
//!
//! Kernels are written once as plain loops and inlined into one function per instruction set; the compiler vectorises each copy. The
//! environment variable `DNW_SIMD` selects narrower instructions (see [`crate::settings`]).

use crate::settings::InstructionSet;

/// Sixteen lanes: one AVX-512 register, two of AVX2, four of SSE or NEON.
pub const LANES: usize = 16;

/// The instruction sets that loops are compiled for.
pub(crate) const BASELINE: u8 = InstructionSet::Baseline as u8;
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
pub(crate) const AVX2: u8 = InstructionSet::Avx2 as u8;
pub(crate) const AVX512: u8 = InstructionSet::Avx512 as u8;

/// The instruction set of this process.
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
#[inline(always)]
pub(crate) fn set() -> u8 {
    InstructionSet::in_use() as u8
}

/// Defines `$name` as a dispatcher over copies of `$body` compiled for AVX-512, AVX2 and the target's baseline.
macro_rules! vectorised {
    ($(#[$doc:meta])* fn $name:ident($($arg:ident: $ty:ty),* $(,)?) = $body:ident;) => {
        $(#[$doc])*
        #[allow(clippy::too_many_arguments)]
        fn $name($($arg: $ty),*) {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,fma")]
                #[allow(clippy::too_many_arguments)]
                fn avx512($($arg: $ty),*) {
                    $body::<{ crate::simd::AVX512 }>($($arg),*)
                }
                #[target_feature(enable = "avx2,fma")]
                #[allow(clippy::too_many_arguments)]
                fn avx2($($arg: $ty),*) {
                    $body::<{ crate::simd::AVX2 }>($($arg),*)
                }
                match crate::simd::set() {
                    // SAFETY: the machine has every feature that the copy is compiled for, as detected.
                    crate::simd::AVX512 => return unsafe { avx512($($arg),*) },
                    // SAFETY: as above.
                    crate::simd::AVX2 => return unsafe { avx2($($arg),*) },
                    _ => {}
                }
            }
            $body::<{ crate::simd::BASELINE }>($($arg),*)
        }
    };
}
pub(crate) use vectorised;

/// `a * b + c`, fused if the instruction set has a fused multiply-add, as AArch64 always has. Elsewhere it would be a slow library call.
#[inline(always)]
pub(crate) fn multiply_add<const SET: u8>(a: f32, b: f32, c: f32) -> f32 {
    if SET == BASELINE && !cfg!(target_arch = "aarch64") {
        a * b + c
    } else {
        a.mul_add(b, c)
    }
}

/// The sum of a slice, accumulated in sixteen lanes.
#[inline(always)]
pub(crate) fn sum(a: &[f32]) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let chunks = a.chunks_exact(LANES);
    let rest: f32 = chunks.remainder().iter().sum();
    for chunk in chunks {
        for i in 0..LANES {
            lanes[i] += chunk[i];
        }
    }
    sum_lanes(lanes) + rest
}

/// The sum of sixteen lanes, by adding the upper half to the lower half repeatedly.
#[inline(always)]
pub(crate) fn sum_lanes(mut lanes: [f32; LANES]) -> f32 {
    let mut width = LANES / 2;
    while width > 0 {
        for i in 0..width {
            lanes[i] += lanes[i + width];
        }
        width /= 2;
    }
    lanes[0]
}

/// A bit mask of the nonzero bytes, the first lowest. With intrinsics, because the compiler does not vectorise this pattern.
#[inline(always)]
pub(crate) fn not_zero<const SET: u8>(bytes: &[u8; 64]) -> u64 {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::*;
        if SET == AVX512 {
            // SAFETY: this copy only runs on machines with AVX-512; all 64 bytes are in the array.
            return unsafe {
                let bytes = _mm512_loadu_si512(bytes.as_ptr().cast());
                _mm512_test_epi8_mask(bytes, bytes)
            };
        }
        if SET == AVX2 {
            let half = |i: usize| {
                // SAFETY: this copy only runs on machines with AVX2; both halves are in the array.
                unsafe {
                    let bytes = _mm256_loadu_si256(bytes.as_ptr().add(32 * i).cast());
                    let zero = _mm256_cmpeq_epi8(bytes, _mm256_setzero_si256());
                    u64::from(!_mm256_movemask_epi8(zero) as u32)
                }
            };
            return half(0) | half(1) << 32;
        }
    }
    let mut ones = [0u8; 64];
    for (one, &byte) in ones.iter_mut().zip(bytes) {
        *one = u8::from(byte != 0);
    }
    pack(&ones)
}

/// For each bound, a bit mask of the values with `magnitude bits > bound`, the first lowest. The mask of a bound of `i32::MAX` or more is
/// empty.
#[inline(always)]
pub(crate) fn above<const SET: u8, const N: usize>(
    values: &[f32; 64],
    bounds: [u32; N],
) -> [u64; N] {
    // The bits of magnitudes have no sign bit, so a signed comparison is correct.
    let bounds = bounds.map(|bound| bound.min(i32::MAX as u32) as i32);
    let mut words = [0u64; N];
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::*;
        if SET == AVX512 {
            for i in 0..4 {
                // SAFETY: this copy only runs on machines with AVX-512; all 64 values are in the array.
                unsafe {
                    let bits = _mm512_loadu_si512(values.as_ptr().add(16 * i).cast());
                    let bits = _mm512_and_si512(bits, _mm512_set1_epi32(i32::MAX));
                    for (word, &bound) in words.iter_mut().zip(&bounds) {
                        let above = _mm512_cmpgt_epi32_mask(bits, _mm512_set1_epi32(bound));
                        *word |= u64::from(above) << (16 * i);
                    }
                }
            }
            return words;
        }
        if SET == AVX2 {
            for i in 0..8 {
                // SAFETY: this copy only runs on machines with AVX2; all 64 values are in the array.
                unsafe {
                    let bits = _mm256_loadu_si256(values.as_ptr().add(8 * i).cast());
                    let bits = _mm256_and_si256(bits, _mm256_set1_epi32(i32::MAX));
                    for (word, &bound) in words.iter_mut().zip(&bounds) {
                        let above = _mm256_cmpgt_epi32(bits, _mm256_set1_epi32(bound));
                        let above = _mm256_movemask_ps(_mm256_castsi256_ps(above));
                        *word |= u64::from(above as u32) << (8 * i);
                    }
                }
            }
            return words;
        }
    }
    for (word, &bound) in words.iter_mut().zip(&bounds) {
        let mut ones = [0u8; 64];
        for i in 0..64 {
            ones[i] = u8::from((values[i].to_bits() & 0x7fff_ffff) as i32 > bound);
        }
        *word = pack(&ones);
    }
    words
}

/// Packs the lowest bits of 64 bytes into a word.
#[inline(always)]
fn pack(ones: &[u8; 64]) -> u64 {
    let mut word = 0;
    for (i, eight) in ones.chunks_exact(8).enumerate() {
        let eight = u64::from_le_bytes(eight.try_into().expect("eight bytes"));
        // Each set bit of the factor shifts one byte's lowest bit to a distinct position of the highest byte.
        word |= (eight.wrapping_mul(0x0102_0408_1020_4080) >> 56) << (8 * i);
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectorised_bit_masks_equal_scalar_ones() {
        let values: [f32; 64] = std::array::from_fn(|i| match i {
            3 => f32::NAN,
            4 => f32::NEG_INFINITY,
            i => (i as f32 - 31.5) * 0.3,
        });
        let bytes: [u8; 64] = std::array::from_fn(|i| [0, 1, 0, 255][i * 7 % 4]);
        let bounds = [0, 1.0f32.to_bits(), f32::INFINITY.to_bits(), u32::MAX];
        let bit = |yes: bool, i: usize| u64::from(yes) << i;
        let words = bounds.map(|bound| {
            let is_above = |x: f32| x.abs().to_bits() > bound;
            (0..64).map(|i| bit(is_above(values[i]), i)).sum()
        });
        let bytes_set = (0..64).map(|i| bit(bytes[i] != 0, i)).sum();
        let mut found = ([0; 4], 0);
        bit_masks(&values, &bytes, bounds, &mut found);
        assert_eq!(found, (words, bytes_set));
        bit_masks_body::<BASELINE>(&values, &bytes, bounds, &mut found);
        assert_eq!(found, (words, bytes_set));
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") {
            bit_masks_body::<AVX2>(&values, &bytes, bounds, &mut found);
            assert_eq!(found, (words, bytes_set));
        }
    }

    vectorised! {
        fn bit_masks(values: &[f32; 64], bytes: &[u8; 64], bounds: [u32; 4], found: &mut ([u64; 4], u64)) = bit_masks_body;
    }

    #[inline(always)]
    fn bit_masks_body<const SET: u8>(
        values: &[f32; 64],
        bytes: &[u8; 64],
        bounds: [u32; 4],
        found: &mut ([u64; 4], u64),
    ) {
        *found = (above::<SET, 4>(values, bounds), not_zero::<SET>(bytes));
    }
}
