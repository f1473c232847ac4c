//! The limits of the machine: multiply-adds a second, and bytes a second from each level of its caches.
//!
//! Nothing that is computed can be faster than both allow (Williams, Waterman and Patterson, *Roofline: an insightful visual performance
//! model for multicore architectures*, 2009). Both are measured by loops that do nothing else, on all threads of rayon's pool at once,
//! and the best of several tries counts.

mod caches;
mod loops;

use std::hint::black_box;
use std::time::Instant;

use serde::Serialize;

pub use caches::{Cache, caches};

/// A try of one measurement takes about so many seconds.
const TRY: f64 = 0.02;
/// The best of so many tries.
const TRIES: usize = 5;
/// The shortest slices that are read, bytes.
const SMALLEST: usize = 8 << 10;
/// The most bytes that all threads read together, so that a machine with a large last cache has memory left.
const MOST: usize = 2 << 30;

/// The limits.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Roofline {
    /// Threads.
    pub threads: usize,
    /// The vector instructions that the loops use: the widest that there are.
    pub instructions: &'static str,
    /// Multiply-adds of 32 bits a second, fused where the machine can.
    pub multiply_adds: f64,
    /// Bytes a second, level by level.
    pub levels: Vec<Level>,
    /// Bytes a second, size by size.
    pub sweep: Vec<Bandwidth>,
}

/// A cache, or memory.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Level {
    /// `L1`, `L2`, `L3` or `memory`.
    pub name: String,
    /// The bytes that a thread has of it, if it is a cache.
    pub bytes: Option<usize>,
    /// Bytes a second, read.
    pub read: f64,
    /// Bytes a second of `a = b + s c`, two read and one written.
    pub triad: f64,
}

/// What slices of one size were read at.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Bandwidth {
    /// Bytes of each thread.
    pub bytes: usize,
    /// Bytes a second of all threads, read.
    pub read: f64,
    /// Bytes a second of all threads, `a = b + s c`.
    pub triad: f64,
}

/// Measures them on all threads of the pool.
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

/// Powers of two up to twice the last cache.
fn sizes(caches: &[Cache], threads: usize) -> impl Iterator<Item = usize> {
    let last = caches.last().map_or(32 << 20, |cache| cache.bytes);
    let most = (2 * last).next_power_of_two().min(MOST / threads);
    std::iter::successors(Some(SMALLEST), |bytes| Some(2 * bytes))
        .take_while(move |&bytes| bytes <= most)
}

fn multiply_adds(threads: usize) -> f64 {
    let mut rounds = 1 << 16;
    let made = |rounds: usize| (threads * rounds * loops::NUMBERS_A_ROUND) as f64;
    let taken = |rounds| seconds(&|| loops::multiply_adds(black_box(rounds)));
    // As many rounds as a try takes, found by doubling.
    while taken(rounds) < TRY && rounds < 1 << 32 {
        rounds *= 2;
    }
    (0..TRIES)
        .map(|_| made(rounds) / taken(rounds))
        .fold(0.0, f64::max)
}

/// Seconds until every thread has done it.
fn seconds(work: &(dyn Fn() -> f32 + Sync)) -> f64 {
    let began = Instant::now();
    rayon::broadcast(|_| black_box(work()));
    began.elapsed().as_secs_f64()
}

fn bandwidth(bytes: usize) -> Bandwidth {
    let numbers = bytes / size_of::<f32>() / loops::NUMBERS_A_ROUND * loops::NUMBERS_A_ROUND;
    let size = |numbers: usize| numbers * size_of::<f32>();
    // Every thread has slices of its own, kept from one try to the next, and writes them first, so that they lie near it.
    let read = best(size(numbers), &|repeats| {
        let x = vec![1.0f32; numbers];
        black_box(loops::read(&x));
        let began = Instant::now();
        for _ in 0..repeats {
            black_box(loops::read(black_box(&x)));
        }
        began.elapsed().as_secs_f64()
    });
    let third = numbers / 3;
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

/// Bytes a second of all threads together, each of which says how long so many repeats over so many bytes took it.
fn best(bytes: usize, work: &(dyn Fn(usize) -> f64 + Sync)) -> f64 {
    let rate = |repeats: usize| -> f64 {
        let seconds = rayon::broadcast(|_| work(repeats));
        let rates = seconds
            .iter()
            .map(|seconds| (bytes * repeats) as f64 / seconds);
        rates.sum()
    };
    // About as many repeats as a try takes; of large slices the least that is not one alone.
    let threads = rayon::current_num_threads() as f64;
    let repeats = (rate(2) / threads * TRY / bytes as f64).ceil().max(2.0) as usize;
    let tries = if repeats == 2 { 2 } else { TRIES };
    (0..tries).map(|_| rate(repeats)).fold(0.0, f64::max)
}

/// The best of the sizes that fit a cache and none before it; of memory those that are larger than all caches.
fn levels(caches: &[Cache], sweep: &[Bandwidth]) -> Vec<Level> {
    let mut levels = Vec::new();
    let mut before = 0;
    let memory = Cache {
        level: 0,
        bytes: usize::MAX,
    };
    for cache in caches.iter().chain([&memory]) {
        // At the edges neighbours share, and a cache holds other things besides.
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
    fn a_size_is_of_the_first_level_that_holds_it() {
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
        // 8 lies in L1 and 32, 64 in L2, of which 16 and 128 are at the edge; 256 and more lie in neither.
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
    fn sizes_go_beyond_the_last_cache_but_not_beyond_reason() {
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
