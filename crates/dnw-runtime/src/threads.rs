//! Threads that execute the parts of a step together.
//!
//! They wait awake for a short time, because a step takes microseconds, and then asleep.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

/// Checks of the next job before a thread sleeps.
const SPINS: usize = 20_000;

#[derive(Debug)]
pub(crate) struct Threads {
    shared: Arc<Shared>,
    handles: Vec<JoinHandle<()>>,
}

/// A pointer to the job of the moment.
#[derive(Clone, Copy)]
struct Job(*const (dyn Fn(usize) + Sync));

// SAFETY: `run` waits until every thread has finished the job before the job's lifetime ends.
unsafe impl Send for Job {}

struct Shared {
    /// The number of jobs so far. It changes when a job is ready.
    generation: AtomicUsize,
    job: Mutex<Option<Job>>,
    /// Threads that have not finished the job.
    left: AtomicUsize,
    stop: AtomicBool,
    /// A job panicked on a thread.
    panicked: AtomicBool,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl Threads {
    /// Starts so many threads, or as many as the operating system allows; none if that is none.
    pub(crate) fn new(count: usize) -> Option<Self> {
        let shared = Arc::new(Shared {
            generation: AtomicUsize::new(0),
            job: Mutex::new(None),
            left: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
            panicked: AtomicBool::new(false),
        });
        let handles = (1..=count).map_while(|index| {
            let shared = Arc::clone(&shared);
            let thread = thread::Builder::new().name("dnw-session".to_owned());
            thread.spawn(move || shared.work(index)).ok()
        });
        let handles: Vec<_> = handles.collect();
        (!handles.is_empty()).then_some(Self { handles, shared })
    }

    /// How many there are, the calling thread not counted.
    pub(crate) fn len(&self) -> usize {
        self.handles.len()
    }

    /// Calls `job` with each index up to the number of threads, 0 on this thread, and returns when all have finished.
    ///
    /// # Panics
    /// If the job panics on a thread.
    pub(crate) fn run(&mut self, job: &(dyn Fn(usize) + Sync)) {
        let shared = &self.shared;
        // SAFETY: only the lifetime changes. No thread uses the job after this method has returned.
        let job_of_threads = unsafe {
            std::mem::transmute::<&(dyn Fn(usize) + Sync), &'static (dyn Fn(usize) + Sync)>(job)
        };
        *lock(&shared.job) = Some(Job(job_of_threads));
        shared.left.store(self.handles.len(), Ordering::Relaxed);
        shared.generation.fetch_add(1, Ordering::Release);
        for handle in &self.handles {
            handle.thread().unpark();
        }
        // If the job panics here, the threads must still finish before its lifetime ends.
        let wait = Wait(shared);
        job(0);
        drop(wait);
        assert!(
            !shared.panicked.load(Ordering::Relaxed),
            "a thread of the session panicked"
        );
    }
}

struct Wait<'a>(&'a Shared);

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        let mut spins = 0;
        while self.0.left.load(Ordering::Acquire) > 0 {
            spins += 1;
            if spins > SPINS {
                thread::yield_now()
            } else {
                std::hint::spin_loop()
            }
        }
    }
}

impl Shared {
    fn work(&self, index: usize) {
        let mut seen = 0;
        loop {
            let mut spins = 0;
            while self.generation.load(Ordering::Acquire) == seen {
                if self.stop.load(Ordering::Acquire) {
                    return;
                }
                spins += 1;
                // A thread that was unparked in the meantime does not sleep.
                if spins > SPINS {
                    thread::park()
                } else {
                    std::hint::spin_loop()
                }
            }
            seen = self.generation.load(Ordering::Acquire);
            let job = *lock(&self.job);
            if let Some(Job(job)) = job {
                // SAFETY: `run` waits for this thread.
                let job = unsafe { &*job };
                let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| job(index)));
                if done.is_err() {
                    self.panicked.store(true, Ordering::Relaxed);
                }
            }
            self.left.fetch_sub(1, Ordering::Release);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        for handle in self.handles.drain(..) {
            handle.thread().unpark();
            // A panic was reported where it happened.
            let _ = handle.join();
        }
    }
}
