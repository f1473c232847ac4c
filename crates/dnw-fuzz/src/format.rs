//! A format of files, and what its reader may do.

use std::cell::OnceCell;
use std::fs;
use std::path::Path;
use std::time::Duration;

use fastrand::Rng;
use tempfile::TempDir;

use crate::mutation;

/// What became of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was refused with an error.
    Refused,
    /// It was read.
    Read,
}

impl<T, E> From<Result<T, E>> for Outcome {
    fn from(result: Result<T, E>) -> Self {
        match result {
            Ok(_) => Self::Read,
            Err(_) => Self::Refused,
        }
    }
}

/// A format of files.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Format {
    /// Its name on the command line, and that of its folder in the corpus.
    pub name: &'static str,
    /// Makes valid files, few and small.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Changes one of these files at random. Its checksums may be wrong afterwards.
    pub change: fn(&mut Rng, &[Vec<u8>]) -> Vec<u8>,
    /// Makes the checksums of a file right as far as its structure can be recognised, so that changes reach what lies behind them.
    pub repair: fn(&mut [u8]),
    /// Reads a file as the program does, and uses what came out of it.
    pub read: fn(&[u8]) -> Outcome,
    /// The most bytes that reading a file of so many bytes may allocate at once.
    pub most_memory: fn(usize) -> usize,
    /// The processor time spent until now by what reads, where the system says it.
    pub processor_time: fn() -> Option<Duration>,
}

impl Format {
    /// A format without checksums that is changed byte by byte.
    pub(crate) const fn new(
        name: &'static str,
        seeds: fn() -> Vec<Vec<u8>>,
        read: fn(&[u8]) -> Outcome,
        most_memory: fn(usize) -> usize,
    ) -> Self {
        Self {
            name,
            seeds,
            change: mutation::changed,
            repair: |_| {},
            read,
            most_memory,
            processor_time: of_main_thread,
        }
    }

    /// A changed file, which depends on the numbers alone. Of eight with checksums, seven have right ones.
    pub fn case(&self, seed: u64, case: u64, seeds: &[Vec<u8>]) -> Vec<u8> {
        let random = &mut Rng::with_seed(seed ^ case.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut file = (self.change)(random, seeds);
        if random.u8(..8) > 0 {
            (self.repair)(&mut file);
        }
        file
    }
}

/// Under Linux.
fn of_main_thread() -> Option<Duration> {
    let text = fs::read_to_string("/proc/self/schedstat").ok()?;
    let nanoseconds = text.split(' ').next()?.parse().ok()?;
    Some(Duration::from_nanos(nanoseconds))
}

/// Calls `read` with a folder of this thread, which is in memory if possible. Files stay there from call to call.
pub(crate) fn in_folder<T>(read: impl FnOnce(&Path) -> T) -> T {
    thread_local! {
        static FOLDER: OnceCell<TempDir> = const { OnceCell::new() };
    }
    FOLDER.with(|folder| {
        let folder = folder.get_or_init(|| {
            let in_memory = tempfile::tempdir_in("/dev/shm");
            in_memory
                .or_else(|_| tempfile::tempdir())
                .expect("a temporary folder")
        });
        read(folder.path())
    })
}

/// The little-endian number of some bytes of a file, if it has them.
pub(crate) fn number(file: &[u8], at: usize, bytes: usize) -> Option<u64> {
    let bytes = file.get(at..at.checked_add(bytes)?)?.iter().rev();
    Some(bytes.fold(0, |value, &byte| value << 8 | u64::from(byte)))
}
