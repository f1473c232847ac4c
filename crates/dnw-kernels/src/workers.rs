//! The threads that kernels compute with.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

thread_local! {
    /// Whether this thread does what was given to [`on_workers`], and is not to wait for others to do theirs.
    static WORKS: Cell<bool> = const { Cell::new(false) };
}

/// Threads that stay awake beside the one that works, at most: what lies between two kernels of one step is too short for more to matter.
const AWAKE: usize = 7;
/// For how long a thread without work looks for it before it lets other programs have the core meanwhile.
const EAGER: Duration = Duration::from_micros(500);
/// And for how long before it sleeps until it is woken.
const PATIENT: Duration = Duration::from_millis(20);

/// Does something on one of the threads that kernels compute with, the current pool of rayon's, and waits for it.
///
/// Work that calls many kernels is quicker so, for two reasons. From any other thread, each kernel wakes a worker and sleeps until it is
/// done, and then the caller has to be woken; from a worker, the caller takes its part. And some of the other workers stay awake until
/// the work is done: to wake a thread takes as long as many a kernel does. No result depends on it.
pub fn on_workers<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let is_done = AtomicBool::new(false);
    rayon::scope(|scope| {
        let worker = rayon::current_thread_index();
        let (threads, is_done) = (rayon::current_num_threads(), &is_done);
        let _until_the_end = Sets(is_done);
        if threads > 1 {
            scope.spawn_broadcast(move |_, place| {
                // Counted from the one that works.
                let behind = worker.map(|worker| (place.index() + threads - worker) % threads);
                if behind.is_some_and(|behind| (1..=AWAKE).contains(&behind)) {
                    stay_awake(is_done);
                }
            });
        }
        let _worked = Works::begin();
        work()
    })
}

/// Takes part in what other threads have to do, until this is done.
fn stay_awake(is_done: &AtomicBool) {
    // A thread that works comes by here while it waits for a part of its own work.
    if WORKS.get() {
        return;
    }
    let mut idle_since = Instant::now();
    while !is_done.load(Ordering::Acquire) {
        match rayon::yield_now() {
            Some(rayon::Yield::Executed) => idle_since = Instant::now(),
            _ => {
                let idle = idle_since.elapsed();
                if idle < EAGER {
                    std::hint::spin_loop();
                } else if idle < PATIENT {
                    std::thread::yield_now();
                } else {
                    return;
                }
            }
        }
    }
}

/// Sets a flag when it goes, even if that is because of a panic.
struct Sets<'a>(&'a AtomicBool);

impl Drop for Sets<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Marks this thread as one that works, for as long as it lives.
struct Works {
    already: bool,
}

impl Works {
    fn begin() -> Self {
        Self {
            already: WORKS.replace(true),
        }
    }
}

impl Drop for Works {
    fn drop(&mut self) {
        WORKS.set(self.already);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rayon::prelude::*;

    #[test]
    fn work_on_workers_may_be_nested_and_side_by_side_and_panic() {
        let sum = || (0..1000u64).into_par_iter().map(|i| i * i).sum::<u64>();
        let expected = sum();
        for threads in [1, 2, 3] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
            let pool = pool.build().unwrap();
            let nested = || on_workers(|| on_workers(sum) + on_workers(sum));
            std::thread::scope(|scope| {
                let begun = [0, 1, 2].map(|_| scope.spawn(|| pool.install(nested)));
                for thread in begun {
                    assert_eq!(thread.join().unwrap(), 2 * expected);
                }
            });
            let panics = || pool.install(|| on_workers(|| panic!("as it should")));
            let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(panics));
            assert!(panicked.is_err(), "the panic comes through");
            assert_eq!(pool.install(nested), 2 * expected);
        }
    }
}
