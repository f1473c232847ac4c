//! Vectors of sixteen numbers, for loops that the compiler does not vectorise by itself: with loads of some lanes, or of every second number.

use crate::simd::{BASELINE, LANES, multiply_add, sum_lanes};

/// Names the vector of an instruction set.
pub(crate) struct Set<const SET: u8>;

pub(crate) trait HasVector {
    type Vector: Vector;
}

/// Sixteen numbers in registers.
///
/// All methods may only be called in functions that are compiled for the instruction set, as those of [`vectorised!`](crate::simd::vectorised)
/// are.
pub(crate) trait Vector: Copy {
    /// Which lanes are meant.
    type Mask: Copy;

    /// Lane `i` is meant if bit `i` is one.
    fn mask(bits: u16) -> Self::Mask;

    fn splat(x: f32) -> Self;

    /// # Safety
    /// Sixteen numbers must be readable.
    unsafe fn load(from: *const f32) -> Self;

    /// Lanes that are not meant are zero.
    ///
    /// # Safety
    /// The numbers of the lanes that are meant must be readable.
    unsafe fn load_some(from: *const f32, mask: Self::Mask) -> Self;

    /// # Safety
    /// Sixteen numbers must be writable.
    unsafe fn store(self, to: *mut f32);

    /// Writes the first `count` lanes.
    ///
    /// # Safety
    /// So many numbers must be writable.
    unsafe fn store_first(self, to: *mut f32, count: usize);

    /// `self + a * b`, fused where the instruction set has it.
    fn add_product(self, a: Self, b: Self) -> Self;

    /// As [`add_product`](Self::add_product) in the lanes that are meant; the others stay.
    fn add_product_some(self, a: Self, b: Self, mask: Self::Mask) -> Self;

    /// Of three vectors that follow each other, the sixteen numbers from `BY` behind the first of `x` on: -2, -1, 1 or 2.
    fn shifted<const BY: isize>(before: Self, x: Self, after: Self) -> Self;

    /// Zero where a number is negative or not a number.
    fn relu(self) -> Self;

    /// The sum of all lanes, in the order of [`sum_lanes`](crate::simd::sum_lanes).
    fn sum(self) -> f32;

    /// The even or odd ones of 32 numbers.
    fn every_second(first: Self, second: Self, odd: bool) -> Self;
}

/// The bits of the first `count` lanes.
#[inline(always)]
pub(crate) fn first_lanes(count: usize) -> u16 {
    ((1u32 << count.min(LANES)) - 1) as u16
}

impl HasVector for Set<BASELINE> {
    type Vector = [f32; LANES];
}

impl Vector for [f32; LANES] {
    type Mask = u16;

    #[inline(always)]
    fn mask(bits: u16) -> u16 {
        bits
    }

    #[inline(always)]
    fn splat(x: f32) -> Self {
        [x; LANES]
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: as the caller promises.
        unsafe { from.cast::<Self>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn load_some(from: *const f32, mask: u16) -> Self {
        if mask == u16::MAX {
            // SAFETY: as the caller promises.
            return unsafe { Self::load(from) };
        }
        let mut x = [0.0; LANES];
        for (i, x) in x.iter_mut().enumerate() {
            if mask >> i & 1 == 1 {
                // SAFETY: as the caller promises; the address is computed without a claim that it is in bounds.
                *x = unsafe { from.wrapping_add(i).read() };
            }
        }
        x
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: as the caller promises.
        unsafe { to.cast::<Self>().write_unaligned(self) };
    }

    #[inline(always)]
    unsafe fn store_first(self, to: *mut f32, count: usize) {
        // SAFETY: as the caller promises.
        unsafe { to.copy_from_nonoverlapping(self.as_ptr(), count.min(LANES)) };
    }

    #[inline(always)]
    fn add_product(mut self, a: Self, b: Self) -> Self {
        for i in 0..LANES {
            self[i] = multiply_add::<BASELINE>(a[i], b[i], self[i]);
        }
        self
    }

    #[inline(always)]
    fn add_product_some(mut self, a: Self, b: Self, mask: u16) -> Self {
        for i in 0..LANES {
            if mask >> i & 1 == 1 {
                self[i] = multiply_add::<BASELINE>(a[i], b[i], self[i]);
            }
        }
        self
    }

    #[inline(always)]
    fn shifted<const BY: isize>(before: Self, x: Self, after: Self) -> Self {
        std::array::from_fn(|i| match i.checked_add_signed(BY) {
            None => before[i.wrapping_add_signed(BY).wrapping_add(LANES)],
            Some(i) if i < LANES => x[i],
            Some(i) => after[i - LANES],
        })
    }

    #[inline(always)]
    fn relu(mut self) -> Self {
        for x in &mut self {
            *x = if *x > 0.0 { *x } else { 0.0 };
        }
        self
    }

    #[inline(always)]
    fn sum(self) -> f32 {
        sum_lanes(self)
    }

    #[inline(always)]
    fn every_second(first: Self, second: Self, odd: bool) -> Self {
        let mut every = [0.0; LANES];
        for i in 0..LANES / 2 {
            every[i] = first[2 * i + usize::from(odd)];
            every[LANES / 2 + i] = second[2 * i + usize::from(odd)];
        }
        every
    }
}

#[cfg(target_arch = "x86_64")]
pub(crate) use x86::store_few;

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{HasVector, Set, Vector, first_lanes};
    use crate::simd::{AVX2, AVX512, LANES};

    impl HasVector for Set<AVX512> {
        type Vector = __m512;
    }

    // SAFETY of all blocks: the machine has AVX-512, as the trait demands; memory is as the caller promises.
    impl Vector for __m512 {
        type Mask = __mmask16;

        #[inline(always)]
        fn mask(bits: u16) -> __mmask16 {
            bits
        }

        #[inline(always)]
        fn splat(x: f32) -> Self {
            // SAFETY: see above.
            unsafe { _mm512_set1_ps(x) }
        }

        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            // SAFETY: see above.
            unsafe { _mm512_loadu_ps(from) }
        }

        #[inline(always)]
        unsafe fn load_some(from: *const f32, mask: __mmask16) -> Self {
            // SAFETY: see above; lanes that are not meant are not read.
            unsafe { _mm512_maskz_loadu_ps(mask, from) }
        }

        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            // SAFETY: see above.
            unsafe { _mm512_storeu_ps(to, self) };
        }

        #[inline(always)]
        unsafe fn store_first(self, to: *mut f32, count: usize) {
            // SAFETY: see above; other lanes are not written.
            unsafe { _mm512_mask_storeu_ps(to, first_lanes(count), self) };
        }

        #[inline(always)]
        fn add_product(self, a: Self, b: Self) -> Self {
            // SAFETY: see above.
            unsafe { _mm512_fmadd_ps(a, b, self) }
        }

        #[inline(always)]
        fn add_product_some(self, a: Self, b: Self, mask: __mmask16) -> Self {
            // SAFETY: see above.
            unsafe { _mm512_mask3_fmadd_ps(a, b, self, mask) }
        }

        #[inline(always)]
        fn shifted<const BY: isize>(before: Self, x: Self, after: Self) -> Self {
            let [before, x, after] = [before, x, after].map(|x| {
                // SAFETY: see above.
                unsafe { _mm512_castps_si512(x) }
            });
            // SAFETY: see above.
            unsafe {
                _mm512_castsi512_ps(match BY {
                    -2 => _mm512_alignr_epi32::<14>(x, before),
                    -1 => _mm512_alignr_epi32::<15>(x, before),
                    1 => _mm512_alignr_epi32::<1>(after, x),
                    2 => _mm512_alignr_epi32::<2>(after, x),
                    _ => unreachable!("no other shift is needed"),
                })
            }
        }

        #[inline(always)]
        fn relu(self) -> Self {
            // SAFETY: see above. The second operand is the result for numbers that are none.
            unsafe { _mm512_max_ps(self, _mm512_setzero_ps()) }
        }

        #[inline(always)]
        fn sum(self) -> f32 {
            // SAFETY: see above.
            unsafe {
                let upper = _mm512_extractf64x4_pd::<1>(_mm512_castps_pd(self));
                sum_of_two(_mm512_castps512_ps256(self), _mm256_castpd_ps(upper))
            }
        }

        #[inline(always)]
        fn every_second(first: Self, second: Self, odd: bool) -> Self {
            // SAFETY: see above.
            unsafe {
                let even =
                    _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
                let index = _mm512_add_epi32(even, _mm512_set1_epi32(odd.into()));
                _mm512_permutex2var_ps(first, index, second)
            }
        }
    }

    impl HasVector for Set<AVX2> {
        type Vector = Two;
    }

    /// Sixteen numbers in two registers.
    #[derive(Clone, Copy)]
    pub(crate) struct Two(__m256, __m256);

    // SAFETY of all blocks: the machine has AVX2 and FMA, as the trait demands; memory is as the caller promises.
    impl Vector for Two {
        type Mask = (__m256i, __m256i);

        #[inline(always)]
        fn mask(bits: u16) -> Self::Mask {
            // SAFETY: see above. A lane is meant if its highest bit is one.
            unsafe {
                let bits = _mm256_set1_epi32(i32::from(bits));
                let low = _mm256_setr_epi32(31, 30, 29, 28, 27, 26, 25, 24);
                let high = _mm256_setr_epi32(23, 22, 21, 20, 19, 18, 17, 16);
                (_mm256_sllv_epi32(bits, low), _mm256_sllv_epi32(bits, high))
            }
        }

        #[inline(always)]
        fn splat(x: f32) -> Self {
            // SAFETY: see above.
            let x = unsafe { _mm256_set1_ps(x) };
            Self(x, x)
        }

        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            // SAFETY: see above.
            unsafe { Self(_mm256_loadu_ps(from), _mm256_loadu_ps(from.add(8))) }
        }

        #[inline(always)]
        unsafe fn load_some(from: *const f32, (low, high): Self::Mask) -> Self {
            // SAFETY: see above; lanes that are not meant are not read.
            unsafe {
                Self(
                    _mm256_maskload_ps(from, low),
                    _mm256_maskload_ps(from.wrapping_add(8), high),
                )
            }
        }

        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            // SAFETY: see above.
            unsafe {
                _mm256_storeu_ps(to, self.0);
                _mm256_storeu_ps(to.add(8), self.1);
            }
        }

        #[inline(always)]
        unsafe fn store_first(self, to: *mut f32, count: usize) {
            // SAFETY: see above; other lanes are not written.
            unsafe {
                if count >= LANES {
                    self.store(to);
                } else if count >= 8 {
                    _mm256_storeu_ps(to, self.0);
                    store_few(self.1, to.add(8), count - 8);
                } else {
                    store_few(self.0, to, count);
                }
            }
        }

        #[inline(always)]
        fn add_product(self, a: Self, b: Self) -> Self {
            // SAFETY: see above.
            unsafe {
                Self(
                    _mm256_fmadd_ps(a.0, b.0, self.0),
                    _mm256_fmadd_ps(a.1, b.1, self.1),
                )
            }
        }

        #[inline(always)]
        fn add_product_some(self, a: Self, b: Self, (low, high): Self::Mask) -> Self {
            let sum = self.add_product(a, b);
            // SAFETY: see above.
            unsafe {
                Self(
                    _mm256_blendv_ps(self.0, sum.0, _mm256_castsi256_ps(low)),
                    _mm256_blendv_ps(self.1, sum.1, _mm256_castsi256_ps(high)),
                )
            }
        }

        #[inline(always)]
        fn shifted<const BY: isize>(before: Self, x: Self, after: Self) -> Self {
            // SAFETY: see above.
            unsafe {
                match BY {
                    -2 => Self(behind::<8>(before.1, x.0), behind::<8>(x.0, x.1)),
                    -1 => Self(behind::<12>(before.1, x.0), behind::<12>(x.0, x.1)),
                    1 => Self(ahead::<4>(x.0, x.1), ahead::<4>(x.1, after.0)),
                    2 => Self(ahead::<8>(x.0, x.1), ahead::<8>(x.1, after.0)),
                    _ => unreachable!("no other shift is needed"),
                }
            }
        }

        #[inline(always)]
        fn relu(self) -> Self {
            // SAFETY: see above. The second operand is the result for numbers that are none.
            unsafe {
                let zero = _mm256_setzero_ps();
                Self(_mm256_max_ps(self.0, zero), _mm256_max_ps(self.1, zero))
            }
        }

        #[inline(always)]
        fn sum(self) -> f32 {
            // SAFETY: see above.
            unsafe { sum_of_two(self.0, self.1) }
        }

        #[inline(always)]
        fn every_second(first: Self, second: Self, odd: bool) -> Self {
            // SAFETY: see above.
            unsafe { Self(pick(first, odd), pick(second, odd)) }
        }
    }

    /// The sum of sixteen numbers: the upper half is added to the lower half repeatedly.
    ///
    /// # Safety
    /// The machine has AVX2.
    #[inline(always)]
    unsafe fn sum_of_two(lower: __m256, upper: __m256) -> f32 {
        // SAFETY: as the caller promises.
        unsafe {
            let eight = _mm256_add_ps(lower, upper);
            let (lower, upper) = (
                _mm256_castps256_ps128(eight),
                _mm256_extractf128_ps::<1>(eight),
            );
            let four = _mm_add_ps(lower, upper);
            let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
        }
    }

    /// Writes the first lanes, fewer than 8, in parts. The instruction that writes lanes by a mask takes a dozen cycles on AMD's processors with
    /// AVX2, because it is made of some forty others.
    ///
    /// # Safety
    /// The machine has AVX2, and so many numbers are writable.
    #[inline(always)]
    pub(crate) unsafe fn store_few(x: __m256, mut to: *mut f32, count: usize) {
        // SAFETY: as the caller promises.
        unsafe {
            let mut left = _mm256_castps256_ps128(x);
            if count & 4 != 0 {
                _mm_storeu_ps(to, left);
                (left, to) = (_mm256_extractf128_ps::<1>(x), to.add(4));
            }
            if count & 2 != 0 {
                _mm_storel_epi64(to.cast(), _mm_castps_si128(left));
                (left, to) = (_mm_movehl_ps(left, left), to.add(2));
            }
            if count & 1 != 0 {
                _mm_store_ss(to, left);
            }
        }
    }

    /// The last numbers of `before` and the first of `x`. `FROM`: 12 bytes for one number of `before`, 8 for two.
    ///
    /// # Safety
    /// The machine has AVX2.
    #[inline(always)]
    unsafe fn behind<const FROM: i32>(before: __m256, x: __m256) -> __m256 {
        // SAFETY: as the caller promises. Registers are shifted within their halves, so the half before each is put beside it.
        unsafe {
            let (before, x) = (_mm256_castps_si256(before), _mm256_castps_si256(x));
            let halves = _mm256_permute2x128_si256::<0x21>(before, x);
            _mm256_castsi256_ps(_mm256_alignr_epi8::<FROM>(x, halves))
        }
    }

    /// The last numbers of `x` and the first of `after`. `FROM`: 4 bytes for one number of `after`, 8 for two.
    ///
    /// # Safety
    /// The machine has AVX2.
    #[inline(always)]
    unsafe fn ahead<const FROM: i32>(x: __m256, after: __m256) -> __m256 {
        // SAFETY: as for `behind`.
        unsafe {
            let (x, after) = (_mm256_castps_si256(x), _mm256_castps_si256(after));
            let halves = _mm256_permute2x128_si256::<0x21>(x, after);
            _mm256_castsi256_ps(_mm256_alignr_epi8::<FROM>(halves, x))
        }
    }

    /// # Safety
    /// The machine has AVX2.
    #[inline(always)]
    unsafe fn pick(x: Two, odd: bool) -> __m256 {
        // SAFETY: as the caller promises.
        unsafe {
            // Both halves of a register at a time: 0 2 8 10, 4 6 12 14.
            let mixed = if odd {
                _mm256_shuffle_ps::<0b11_01_11_01>(x.0, x.1)
            } else {
                _mm256_shuffle_ps::<0b10_00_10_00>(x.0, x.1)
            };
            let ordered = _mm256_permute4x64_pd::<0b11_01_10_00>(_mm256_castps_pd(mixed));
            _mm256_castpd_ps(ordered)
        }
    }
}
