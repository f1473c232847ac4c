//! The limits of the machine: multiply-adds per second, and bytes per second of each cache level and memory.
//!
//! No computation can be faster than these limits (Williams, Waterman and Patterson, *Roofline: an insightful visual performance
//! model for multicore architectures*, 2009). Both are measured by loops that do nothing else, on all threads of the rayon pool;
//! the best of several tries is used.

mod caches;
mod loops;

use std::hint::black_box;
use std::time::Instant;

use serde::Serialize;

pub use caches::{Cache, caches};

/// The duration of a try in seconds.
const TRY: f64 = 0.02;
/// The number of tries.
const TRIES: usize = 5;
/// The minimum length of slices in bytes.
const SMALLEST: usize = 8 << 10;
/// The maximum bytes of all threads together, for machines with a large last-level cache.
const MOST: usize = 2 << 30;

/// The limits of a machine.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Roofline {
    /// Threads.
    pub threads: usize,
    /// The vector instructions of the loops: the widest of the machine.
    pub instructions: &'static str,
    /// 32-bit multiply-adds per second, fused if supported.
    pub multiply_adds: f64,
    /// Bytes per second of each level.
    pub levels: Vec<Level>,
    /// Bytes per second by size.
    pub sweep: Vec<Bandwidth>,
}

/// A cache, or memory.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Level {
    /// `L1`, `L2`, `L3` or `memory`.
    pub name: String,
    /// The cache size per thread in bytes; `None` for memory.
    pub bytes: Option<usize>,
    /// Bytes per second, reading.
    pub read: f64,
    /// Bytes per second of `a = b + s c`: two reads and one write.
    pub triad: f64,
}

/// The bandwidth for slices of one size.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Bandwidth {
    /// Bytes per thread.
    pub bytes: usize,
    /// Bytes per second of all threads, reading.
    pub read: f64,
    /// Bytes per second of all threads, `a = b + s c`.
    pub triad: f64,
}

/// Measures the limits on all threads of the pool.
pub fn roofline() -> Roofline {
    let threads = rayon::current_num_threads();
    let caches = caches(threads);
    let sweep: Vec<Bandwidth> = sizes(&caches, threads).map(bandwidth).collect();
    Roofline {
        threads,
        instructions: loops::instructions(),
        multiply_adds: multiply_adds(threads),
        levels: levels(&caches, &sweep),
        sweep,
    }
}

/// The slice sizes: powers of two up to twice the last cache.
fn sizes(caches: &[Cache], threads: usize) -> impl Iterator<Item = usize> {
    let last = caches.last().map_or(32 << 20, |cache| cache.bytes);
    let most = (2 * last).next_power_of_two().min(MOST / threads);
    std::iter::successors(Some(SMALLEST), |bytes| Some(2 * bytes))
        .take_while(move |&bytes| bytes <= most)
}

fn multiply_adds(threads: usize) -> f64 {
    let mut rounds = 1 << 16;
    let made = |rounds: usize| (threads * rounds * loops::VALUES_PER_ROUND) as f64;
    let taken = |rounds| seconds(&|| loops::multiply_adds(black_box(rounds)));
    // The number of rounds of a try, found by doubling.
    while taken(rounds) < TRY && rounds < 1 << 32 {
        rounds *= 2;
    }
    (0..TRIES)
        .map(|_| made(rounds) / taken(rounds))
        .fold(0.0, f64::max)
}

/// The seconds until every thread has finished.
fn seconds(work: &(dyn Fn() -> f32 + Sync)) -> f64 {
    let began = Instant::now();
    rayon::broadcast(|_| black_box(work()));
    began.elapsed().as_secs_f64()
}

fn bandwidth(bytes: usize) -> Bandwidth {
    let length = bytes / size_of::<f32>() / loops::VALUES_PER_ROUND * loops::VALUES_PER_ROUND;
    let size = |length: usize| length * size_of::<f32>();
    // Every thread allocates and writes its own slices first, so that they are in memory near to it.
    let read = best(size(length), &|repeats| {
        let x = vec![1.0f32; length];
        black_box(loops::read(&x));
        let began = Instant::now();
        for _ in 0..repeats {
            black_box(loops::read(black_box(&x)));
        }
        began.elapsed().as_secs_f64()
    });
    let third = length / 3;
    let triad = best(size(3 * third), &|repeats| {
        let (b, c) = (vec![1.0f32; third], vec![2.0f32; third]);
        let mut a = vec![0.0f32; third];
        loops::triad(&mut a, &b, 0.5, &c);
        let began = Instant::now();
        for _ in 0..repeats {
            loops::triad(black_box(&mut a), &b, black_box(0.5), &c);
        }
        began.elapsed().as_secs_f64()
    });
    Bandwidth { bytes, read, triad }
}

/// Bytes per second of all threads together. `work` returns the duration of a number of repeats over `bytes` bytes.
fn best(bytes: usize, work: &(dyn Fn(usize) -> f64 + Sync)) -> f64 {
    let rate = |repeats: usize| -> f64 {
        let seconds = rayon::broadcast(|_| work(repeats));
        let rates = seconds
            .iter()
            .map(|seconds| (bytes * repeats) as f64 / seconds);
        rates.sum()
    };
    // As many repeats as fit a try, at least two.
    let threads = rayon::current_num_threads() as f64;
    let repeats = (rate(2) / threads * TRY / bytes as f64).ceil().max(2.0) as usize;
    let tries = if repeats == 2 { 2 } else { TRIES };
    (0..tries).map(|_| rate(repeats)).fold(0.0, f64::max)
}

/// The best bandwidth of the sizes that fit a cache and no smaller one; for memory of the sizes larger than all caches.
fn levels(caches: &[Cache], sweep: &[Bandwidth]) -> Vec<Level> {
    let mut levels = Vec::new();
    let mut before = 0;
    let memory = Cache {
        level: 0,
        bytes: usize::MAX,
    };
    for cache in caches.iter().chain([&memory]) {
        // Sizes near the limits are excluded: neighbouring levels share them, and a cache also contains other data.
        let is_of_it =
            |of: &&Bandwidth| of.bytes > before + before / 2 && of.bytes / 3 <= cache.bytes / 4;
        let of_it: Vec<&Bandwidth> = sweep.iter().filter(is_of_it).collect();
        before = cache.bytes;
        let best =
            |rate: fn(&Bandwidth) -> f64| of_it.iter().map(|of| rate(of)).fold(0.0, f64::max);
        if of_it.is_empty() {
            continue;
        }
        let is_memory = cache.level == 0;
        levels.push(Level {
            name: if is_memory {
                "memory".into()
            } else {
                format!("L{}", cache.level)
            },
            bytes: (!is_memory).then_some(cache.bytes),
            read: best(|of| of.read),
            triad: best(|of| of.triad),
        });
    }
    levels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_belongs_to_the_first_level_that_it_fits() {
        let sweep: Vec<Bandwidth> = (3..=10)
            .map(|power| Bandwidth {
                bytes: 1 << power,
                read: 100.0 - f64::from(power),
                triad: 50.0 - f64::from(power),
            })
            .collect();
        let cache = |level, bytes| Cache { level, bytes };
        let found = levels(&[cache(1, 16), cache(2, 128)], &sweep);
        let rows: Vec<(&str, f64, f64)> = found
            .iter()
            .map(|level| (level.name.as_str(), level.read, level.triad))
            .collect();
        // 8 fits L1; 32 and 64 fit L2; 16 and 128 are at a limit; 256 and more fit neither.
        assert_eq!(
            rows,
            [
                ("L1", 97.0, 47.0),
                ("L2", 95.0, 45.0),
                ("memory", 92.0, 42.0)
            ]
        );
        assert_eq!((found[1].bytes, found[2].bytes), (Some(128), None));
    }

    #[test]
    fn sizes_exceed_the_last_cache_up_to_a_maximum() {
        let caches = [Cache {
            level: 1,
            bytes: 48 << 10,
        }];
        assert_eq!(
            sizes(&caches, 1).collect::<Vec<_>>(),
            [8 << 10, 16 << 10, 32 << 10, 64 << 10, 128 << 10]
        );
        let huge = [Cache {
            level: 3,
            bytes: 1 << 40,
        }];
        assert_eq!(sizes(&huge, 4).last(), Some(MOST / 4));
    }
}
