//! Running code on the worker threads of the kernels.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

thread_local! {
    /// Whether this thread is executing a closure passed to [`on_workers`]; such a thread does not wait for the closures of others.
    static IN_CLOSURE: Cell<bool> = const { Cell::new(false) };
}

/// The maximum number of workers kept awake. The work between two kernels of a step is too short to profit from more.
const MAX_AWAKE: usize = 7;
/// How long an idle worker spins before it yields its core.
const SPIN: Duration = Duration::from_micros(500);
/// How long an idle worker stays awake before it sleeps.
const STAY_AWAKE: Duration = Duration::from_millis(20);

/// Runs a closure on a worker thread of the current rayon pool and returns its result.
///
/// This lowers the latency of closures that call many kernels, for two reasons. Called from another thread, each kernel wakes a worker and
/// blocks the caller until it is done; called from a worker, the kernel runs on the calling thread too. In addition, some of the other
/// workers stay awake until the closure returns, because waking a thread takes as long as a small kernel. Results do not depend on it.
pub fn on_workers<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let is_done = AtomicBool::new(false);
    rayon::scope(|scope| {
        let worker = rayon::current_thread_index();
        let (threads, is_done) = (rayon::current_num_threads(), &is_done);
        let _guard = SetOnDrop(is_done);
        if threads > 1 {
            scope.spawn_broadcast(move |_, context| {
                // Counted from the worker that runs the closure.
                let distance = worker.map(|worker| (context.index() + threads - worker) % threads);
                if distance.is_some_and(|distance| (1..=MAX_AWAKE).contains(&distance)) {
                    stay_awake(is_done);
                }
            });
        }
        let _in_closure = InClosure::enter();
        work()
    })
}

/// Executes pending rayon jobs until `is_done` is set, without sleeping.
fn stay_awake(is_done: &AtomicBool) {
    // A thread that runs a closure can execute this job while it waits for a job of its own.
    if IN_CLOSURE.get() {
        return;
    }
    let mut idle_since = Instant::now();
    while !is_done.load(Ordering::Acquire) {
        match rayon::yield_now() {
            Some(rayon::Yield::Executed) => idle_since = Instant::now(),
            _ => {
                let idle = idle_since.elapsed();
                if idle < SPIN {
                    std::hint::spin_loop();
                } else if idle < STAY_AWAKE {
                    std::thread::yield_now();
                } else {
                    return;
                }
            }
        }
    }
}

/// Sets a flag when dropped, also during a panic.
struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Marks this thread as executing a closure of [`on_workers`] until dropped.
struct InClosure {
    before: bool,
}

impl InClosure {
    fn enter() -> Self {
        Self {
            before: IN_CLOSURE.replace(true),
        }
    }
}

impl Drop for InClosure {
    fn drop(&mut self) {
        IN_CLOSURE.set(self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rayon::prelude::*;

    #[test]
    fn closures_may_be_nested_may_run_concurrently_and_may_panic() {
        let sum = || (0..1000u64).into_par_iter().map(|i| i * i).sum::<u64>();
        let expected = sum();
        for threads in [1, 2, 3] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
            let pool = pool.build().unwrap();
            let nested = || on_workers(|| on_workers(sum) + on_workers(sum));
            std::thread::scope(|scope| {
                let running = [0, 1, 2].map(|_| scope.spawn(|| pool.install(nested)));
                for thread in running {
                    assert_eq!(thread.join().unwrap(), 2 * expected);
                }
            });
            let panics = || pool.install(|| on_workers(|| panic!("expected")));
            let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(panics));
            assert!(panicked.is_err(), "the panic propagates");
            assert_eq!(pool.install(nested), 2 * expected);
        }
    }
}
