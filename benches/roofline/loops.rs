//! Loops that do nothing but multiply and add, or read, or write, with the widest vectors that the machine has.
//!
//! They are written with instructions and not as plain loops, because what is measured must be the machine and not what a compiler makes
//! of a loop without a purpose.

/// Chains of multiply-adds that do not wait for each other: more than any core's latency times its units, no more than it has registers
/// for where they are fewest (16, of which two hold the factors).
const CHAINS: usize = 12;
/// Numbers of a chain on the widest vectors; narrower ones make a round of as many in several steps.
const WIDEST: usize = 16;

/// Multiply-adds in a round of [`multiply_adds`], and numbers that a round of [`read`] reads.
pub(super) const NUMBERS_A_ROUND: usize = CHAINS * WIDEST;

/// A copy of the loops for one set of instructions. `$splat`, `$fused`, `$add`: of one number, `a b + c`, `a + b`; `$load`: from an
/// address.
macro_rules! copies {
    ($name:ident, $arch:ident, $features:literal, $lanes:literal, $vector:ty, $splat:ident, $load:ident, $add:ident, $fused:expr) => {
        mod $name {
            use super::{CHAINS, WIDEST};
            use std::arch::$arch::*;
            use std::hint::black_box;

            const LANES: usize = $lanes;

            /// The sum of a vector's numbers.
            fn sum(vector: $vector) -> f32 {
                // SAFETY: a vector is that many floats, and every pattern of bits is one.
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
                        // SAFETY: the slice has exactly as many numbers as are loaded, at any address.
                        *sum = $add(*sum, unsafe { $load(lanes.as_ptr()) });
                    }
                }
                // Vector by vector first: of a short slice, number by number would take longer than reading it.
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

/// Plain loops, for every other machine.
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

/// Defines a function that calls the copy for the widest vectors that the machine has.
macro_rules! widest {
    ($(#[$doc:meta])* fn $name:ident($($arg:ident: $ty:ty),*) $(-> $result:ty)?) => {
        $(#[$doc])*
        pub(super) fn $name($($arg: $ty),*) $(-> $result)? {
            #[cfg(target_arch = "x86_64")]
            {
                if is_x86_feature_detected!("avx512f") {
                    // SAFETY: the feature that the copy was compiled for was found just now.
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
    /// Rounds of multiply-adds that need nothing from memory.
    fn multiply_adds(rounds: usize) -> f32
}

widest! {
    /// The sum of a slice, but for a rest that fills no round.
    fn read(x: &[f32]) -> f32
}

widest! {
    /// `a = b + s c`.
    fn triad(a: &mut [f32], b: &[f32], s: f32, c: &[f32])
}

/// What these loops are made of here.
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
    fn the_loops_do_what_is_counted() {
        // Each chain goes from t to t f + t, as often as there are rounds, on each of its numbers.
        let expected = (0..3).fold(0.001f32, |chain, _| chain * 0.999 + 0.001);
        let per_number = {
            let found = plain::multiply_adds(3);
            found / NUMBERS_A_ROUND as f32
        };
        assert!((per_number - expected).abs() < 1e-6, "{per_number}");
        let x: Vec<f32> = (0..4 * NUMBERS_A_ROUND).map(|i| (i % 7) as f32).collect();
        assert_eq!(read(&x), x.iter().sum::<f32>());
        let (mut a, b) = (vec![0.0; 50], vec![1.0; 50]);
        triad(&mut a, &b, 0.5, &x[..50]);
        assert_eq!(a[5], 1.0 + 0.5 * 5.0);
    }
}
