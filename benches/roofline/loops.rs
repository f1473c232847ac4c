//! Loops that only multiply and add, read, or write, with the widest vectors of the machine.
//!
//! They are written with intrinsics instead of plain loops, so that they measure the machine and not the compiler's optimisations.

/// Independent chains of multiply-adds: more than latency times units of any core, and at most as many as fit 16 registers, of which two
/// hold the factors.
const CHAINS: usize = 12;
/// Values per chain with the widest vectors; narrower vectors need several instructions per round.
const WIDEST: usize = 16;

/// Multiply-adds in a round of [`multiply_adds`], and values read in a round of [`read`].
pub(super) const VALUES_PER_ROUND: usize = CHAINS * WIDEST;

/// Defines a copy of the loops for one instruction set, with the intrinsics to broadcast, load, add and multiply-add.
macro_rules! copies {
    ($name:ident, $arch:ident, $features:literal, $lanes:literal, $vector:ty, $splat:ident, $load:ident, $add:ident, $fused:expr) => {
        mod $name {
            use super::{CHAINS, WIDEST};
            use std::arch::$arch::*;
            use std::hint::black_box;

            const LANES: usize = $lanes;

            /// The sum of a vector's elements.
            fn sum(vector: $vector) -> f32 {
                // SAFETY: a vector consists of this many floats, and every bit pattern is a valid float.
                let lanes: [f32; LANES] = unsafe { std::mem::transmute(vector) };
                lanes.iter().sum()
            }

            #[target_feature(enable = $features)]
            pub fn multiply_adds(rounds: usize) -> f32 {
                let (factor, term) = ($splat(black_box(0.999)), $splat(black_box(0.001)));
                let mut chains = [term; CHAINS];
                for _ in 0..rounds * (WIDEST / LANES) {
                    for chain in &mut chains {
                        *chain = $fused(*chain, factor, term);
                    }
                }
                chains.into_iter().map(sum).sum()
            }

            #[target_feature(enable = $features)]
            pub fn read(x: &[f32]) -> f32 {
                let mut sums = [$splat(0.0); CHAINS];
                for part in x.chunks_exact(CHAINS * LANES) {
                    for (at, sum) in sums.iter_mut().enumerate() {
                        let lanes = &part[at * LANES..][..LANES];
                        // SAFETY: the slice has exactly as many elements as are loaded; unaligned loads are allowed.
                        *sum = $add(*sum, unsafe { $load(lanes.as_ptr()) });
                    }
                }
                // Summed as vectors first: for a short slice, scalar sums would dominate.
                let mut all = sums[0];
                for one in &sums[1..] {
                    all = $add(all, *one);
                }
                sum(all)
            }

            #[target_feature(enable = $features)]
            pub fn triad(a: &mut [f32], b: &[f32], s: f32, c: &[f32]) {
                super::triad_body(a, b, s, c);
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
copies!(
    avx512,
    x86_64,
    "avx512f",
    16,
    __m512,
    _mm512_set1_ps,
    _mm512_loadu_ps,
    _mm512_add_ps,
    |a, b, c| _mm512_fmadd_ps(a, b, c)
);

#[cfg(target_arch = "x86_64")]
copies!(
    avx2,
    x86_64,
    "avx2,fma",
    8,
    __m256,
    _mm256_set1_ps,
    _mm256_loadu_ps,
    _mm256_add_ps,
    |a, b, c| _mm256_fmadd_ps(a, b, c)
);

#[cfg(target_arch = "aarch64")]
copies!(
    neon,
    aarch64,
    "neon",
    4,
    float32x4_t,
    vdupq_n_f32,
    vld1q_f32,
    vaddq_f32,
    |a, b, c| vfmaq_f32(c, a, b)
);

/// Plain loops for all other machines.
mod plain {
    use super::{CHAINS, WIDEST};
    use std::hint::black_box;

    pub fn multiply_adds(rounds: usize) -> f32 {
        let (factor, term) = (black_box(0.999f32), black_box(0.001f32));
        let mut chains = [term; CHAINS * WIDEST];
        for _ in 0..rounds {
            for chain in &mut chains {
                *chain = *chain * factor + term;
            }
        }
        chains.into_iter().sum()
    }

    pub fn read(x: &[f32]) -> f32 {
        let mut sums = [0.0; CHAINS * WIDEST];
        for part in x.chunks_exact(CHAINS * WIDEST) {
            for (sum, x) in sums.iter_mut().zip(part) {
                *sum += x;
            }
        }
        sums.into_iter().sum()
    }

    pub fn triad(a: &mut [f32], b: &[f32], s: f32, c: &[f32]) {
        super::triad_body(a, b, s, c);
    }
}

#[inline(always)]
fn triad_body(a: &mut [f32], b: &[f32], s: f32, c: &[f32]) {
    for ((a, b), c) in a.iter_mut().zip(b).zip(c) {
        *a = b + s * c;
    }
}

/// Defines a function that dispatches to the copy for the widest vectors of the machine.
macro_rules! widest {
    ($(#[$doc:meta])* fn $name:ident($($arg:ident: $ty:ty),*) $(-> $result:ty)?) => {
        $(#[$doc])*
        pub(super) fn $name($($arg: $ty),*) $(-> $result)? {
            #[cfg(target_arch = "x86_64")]
            {
                if is_x86_feature_detected!("avx512f") {
                    // SAFETY: the feature that the copy needs was just detected.
                    return unsafe { avx512::$name($($arg),*) };
                }
                if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                    // SAFETY: as above.
                    return unsafe { avx2::$name($($arg),*) };
                }
            }
            #[cfg(target_arch = "aarch64")]
            if std::arch::is_aarch64_feature_detected!("neon") {
                // SAFETY: as above.
                return unsafe { neon::$name($($arg),*) };
            }
            #[allow(unreachable_code)]
            plain::$name($($arg),*)
        }
    };
}

widest! {
    /// Rounds of multiply-adds without memory access.
    fn multiply_adds(rounds: usize) -> f32
}

widest! {
    /// The sum of a slice, without a remainder that is less than a round.
    fn read(x: &[f32]) -> f32
}

widest! {
    /// `a = b + s c`.
    fn triad(a: &mut [f32], b: &[f32], s: f32, c: &[f32])
}

/// The instructions of the loops on this machine.
pub(super) fn instructions() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") {
            return "AVX-512";
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            return "AVX2 and FMA";
        }
    }
    #[cfg(target_arch = "aarch64")]
    if std::arch::is_aarch64_feature_detected!("neon") {
        return "NEON";
    }
    "plain loops"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loops_compute_what_is_counted() {
        // Each chain maps t to t f + t in every round, for each of its values.
        let expected = (0..3).fold(0.001f32, |chain, _| chain * 0.999 + 0.001);
        let per_value = {
            let found = plain::multiply_adds(3);
            found / VALUES_PER_ROUND as f32
        };
        assert!((per_value - expected).abs() < 1e-6, "{per_value}");
        let x: Vec<f32> = (0..4 * VALUES_PER_ROUND).map(|i| (i % 7) as f32).collect();
        assert_eq!(read(&x), x.iter().sum::<f32>());
        let (mut a, b) = (vec![0.0; 50], vec![1.0; 50]);
        triad(&mut a, &b, 0.5, &x[..50]);
        assert_eq!(a[5], 1.0 + 0.5 * 5.0);
    }
}
