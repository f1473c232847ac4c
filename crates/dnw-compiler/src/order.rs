//! The order in which the targets of a layer are computed.

use std::collections::VecDeque;

/// Rows that are taken to be in the level 1 cache at a time.
///
/// 32 KiB hold 85 parts of rows of six vectors, and other numbers pass through too. With 40 to 200 the times of the layers of MobileNetV1 differ by a few per cent.
const CACHED: usize = 64;

/// Layers for which more comparisons would be needed stay as they are. So many take some tenths of a second.
const MOST_COMPARISONS: usize = 1 << 26;

/// All targets, ordered so that those that read the same rows lie together. `rows` has the rows of each target.
///
/// After each target comes the one that finds the largest part of its rows among the last [`CACHED`] that were read; of several the first. If a
/// target reads more rows than that on average, none would be found again, and the targets stay as they are.
pub(crate) fn near_like(rows: &[Vec<u32>]) -> Vec<u32> {
    let mut left: Vec<u32> = (0..rows.len() as u32).collect();
    let edges: usize = rows.iter().map(Vec::len).sum();
    let readers = readers(rows);
    let changes: usize = readers.iter().map(|of| of.len() * of.len()).sum();
    if edges > CACHED * rows.len() || rows.len().pow(2) + 2 * changes > MOST_COMPARISONS {
        return left;
    }
    let mut cache = Cache::new(readers, rows.len());
    let mut order = Vec::with_capacity(rows.len());
    while !left.is_empty() {
        let mut best = 0;
        for at in 1..left.len() {
            if cache.finds_more(rows, left[at], left[best]) {
                best = at;
            }
        }
        let target = left.remove(best);
        for &row in &rows[target as usize] {
            cache.read(row);
        }
        order.push(target);
    }
    order
}

/// The targets that read each row.
fn readers(rows: &[Vec<u32>]) -> Vec<Vec<u32>> {
    let count = rows.iter().flatten().max().map_or(0, |&row| row + 1);
    let mut readers = vec![Vec::new(); count as usize];
    for (target, rows) in rows.iter().enumerate() {
        for &row in rows {
            readers[row as usize].push(target as u32);
        }
    }
    readers
}

/// The rows that were read last.
struct Cache {
    readers: Vec<Vec<u32>>,
    /// For each target, how many of its rows are in the cache.
    found: Vec<u32>,
    /// For each row in the cache, which reading was the last of it.
    last: Vec<Option<usize>>,
    /// All readings since the oldest one that may be the last of its row.
    readings: VecDeque<(u32, usize)>,
    time: usize,
    rows: usize,
}

impl Cache {
    fn new(readers: Vec<Vec<u32>>, targets: usize) -> Self {
        Self {
            found: vec![0; targets],
            last: vec![None; readers.len()],
            readers,
            readings: VecDeque::new(),
            time: 0,
            rows: 0,
        }
    }

    /// Whether a larger part of the rows of `target` than of those of `other` is in the cache.
    fn finds_more(&self, rows: &[Vec<u32>], target: u32, other: u32) -> bool {
        let [(found, all), (others_found, others_all)] = [target, other].map(|target| {
            let target = target as usize;
            (
                u64::from(self.found[target]),
                rows[target].len().max(1) as u64,
            )
        });
        found * others_all > others_found * all
    }

    fn read(&mut self, row: u32) {
        self.time += 1;
        if self.last[row as usize].replace(self.time).is_none() {
            self.rows += 1;
            for &target in &self.readers[row as usize] {
                self.found[target as usize] += 1;
            }
        }
        self.readings.push_back((row, self.time));
        while self.rows > CACHED
            && let Some((oldest, time)) = self.readings.pop_front()
        {
            // Otherwise it was read again.
            if self.last[oldest as usize] == Some(time) {
                self.last[oldest as usize] = None;
                self.rows -= 1;
                for &target in &self.readers[oldest as usize] {
                    self.found[target as usize] -= 1;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Some of 512 rows for each target, from a linear congruential generator.
    fn random(targets: usize, edges: usize) -> Vec<Vec<u32>> {
        let mut state = 1_u64;
        let mut next = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as u32 % 512
        };
        let of = |_| (0..edges).map(|_| next()).collect::<BTreeSet<u32>>();
        (0..targets).map(of).map(Vec::from_iter).collect()
    }

    /// How many rows are not among the last 64 different ones, found by looking through a list.
    fn missed(rows: &[Vec<u32>], order: &[u32]) -> usize {
        let (mut recent, mut missed) = (Vec::new(), 0);
        for row in order.iter().flat_map(|&target| &rows[target as usize]) {
            match recent.iter().position(|other| other == row) {
                Some(at) => drop(recent.remove(at)),
                None => missed += 1,
            }
            recent.push(*row);
            if recent.len() > 64 {
                recent.remove(0);
            }
        }
        missed
    }

    #[test]
    fn rows_are_found_again() {
        let rows = random(1024, 4);
        let natural: Vec<u32> = (0..1024).collect();
        let order = near_like(&rows);
        let mut sorted = order.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, natural, "each target once");
        let (before, after) = (missed(&rows, &natural), missed(&rows, &order));
        assert!(
            3 * after < 2 * before,
            "{after} of {before} are still missed"
        );
    }

    #[test]
    fn targets_that_alternate_between_two_sets_of_rows_are_parted() {
        let of = |target: u32| (0..40).map(|row| row + 40 * (target % 2)).collect();
        let rows: Vec<Vec<u32>> = (0..8).map(of).collect();
        assert_eq!(near_like(&rows), [0, 2, 4, 6, 1, 3, 5, 7]);
    }

    #[test]
    fn layers_that_cannot_gain_or_are_too_large_stay_as_they_are() {
        let natural = |rows: &[Vec<u32>]| (0..rows.len() as u32).collect::<Vec<u32>>();
        for rows in [
            random(64, 400),
            random(20_000, 2),
            vec![vec![0]; 10_000],
            vec![Vec::new(); 5],
            vec![],
        ] {
            assert_eq!(near_like(&rows), natural(&rows));
        }
    }
}
