//! Threads that execute the parts of a step together.
//!
//! They wait awake for a short time, because a step takes microseconds, and then asleep. A thread begins with its own share, whose numbers are in
//! its cache, and then takes parts of the others' shares: one that the operating system has stopped, because other programs use the processors,
//! delays a step by one part at most, and not at all if it has not begun.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

/// Parts of each thread's share.
const PARTS: usize = 4;
/// Bits that count the parts of a share.
const COUNT_BITS: u32 = 8;
/// Checks of the next job before a thread sleeps.
const SPINS: usize = 20_000;

#[derive(Debug)]
pub(crate) struct Threads {
    shared: Arc<Shared>,
    handles: Vec<JoinHandle<()>>,
}

/// A pointer to the job of the moment.
#[derive(Clone, Copy)]
struct Job(*const Work<'static>);

/// A function of the thread's index and a part's index.
type Work<'a> = dyn Fn(usize, usize) + Sync + 'a;

// SAFETY: `run` waits until every thread has finished the job before the job's lifetime ends.
unsafe impl Send for Job {}

struct Shared {
    /// The number of jobs so far. It changes when a job is ready.
    generation: AtomicU64,
    job: Mutex<Option<Job>>,
    /// For each thread's share the number of the job, and in the lowest [`COUNT_BITS`] how many of its parts have been begun.
    begun: Vec<AtomicU64>,
    /// Parts of the job that are not done.
    left: AtomicUsize,
    /// Threads that run.
    started: AtomicUsize,
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
            generation: AtomicU64::new(0),
            job: Mutex::new(None),
            begun: (0..=count).map(|_| AtomicU64::new(0)).collect(),
            left: AtomicUsize::new(0),
            started: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
            panicked: AtomicBool::new(false),
        });
        let handles = (1..=count).map_while(|index| {
            let shared = Arc::clone(&shared);
            let thread = thread::Builder::new().name("dnw-session".to_owned());
            thread.spawn(move || shared.work(index)).ok()
        });
        let handles: Vec<_> = handles.collect();
        // What a thread allocates when it starts is allocated before the first step.
        while shared.started.load(Ordering::Acquire) < handles.len() {
            thread::yield_now();
        }
        (!handles.is_empty()).then_some(Self { handles, shared })
    }

    /// How many there are, the calling thread not counted.
    pub(crate) fn len(&self) -> usize {
        self.handles.len()
    }

    /// Shares of a job: one for each thread, and for each that could not be started.
    pub(crate) fn shares(&self) -> usize {
        self.shared.begun.len()
    }

    /// Parts of a job.
    pub(crate) fn parts(&self) -> usize {
        self.shares() * PARTS
    }

    /// Calls `job` with the index of the thread, 0 for this one, and each index of a part, and returns when all are done.
    ///
    /// # Panics
    /// If the job panics on a thread.
    pub(crate) fn run(&mut self, job: &Work<'_>) {
        let shared = &self.shared;
        // SAFETY: only the lifetime changes. No thread uses the job after this method has returned.
        let job_of_threads =
            unsafe { std::mem::transmute::<&Work<'_>, &'static Work<'static>>(job) };
        let generation = shared.generation.load(Ordering::Relaxed) + 1;
        *lock(&shared.job) = Some(Job(job_of_threads));
        shared.left.store(self.parts(), Ordering::Relaxed);
        for begun in &shared.begun {
            begun.store(generation << COUNT_BITS, Ordering::Release);
        }
        shared.generation.store(generation, Ordering::Release);
        for handle in &self.handles {
            handle.thread().unpark();
        }
        // If the job panics here, the threads must still finish before its lifetime ends.
        let wait = Wait(shared);
        while let Some(part) = shared.claim(0, generation) {
            let done = Done(shared);
            job(0, part);
            drop(done);
        }
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
        // After a panic some parts may not have been begun.
        let generation = self.0.generation.load(Ordering::Relaxed);
        while self.0.claim(0, generation).is_some() {
            drop(Done(self.0));
        }
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

/// A part that is being done.
struct Done<'a>(&'a Shared);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.left.fetch_sub(1, Ordering::Release);
    }
}

impl Shared {
    /// The next part of a job for a thread: of its own share, or else of another's. Nothing if all have been begun, or this is no longer the job.
    fn claim(&self, index: usize, generation: u64) -> Option<usize> {
        let shares = self.begun.len();
        (0..shares).find_map(|i| {
            let share = (index + i) % shares;
            let next = |begun: u64| {
                let is_left = begun >> COUNT_BITS == generation && part_of(begun) < PARTS;
                is_left.then_some(begun + 1)
            };
            let claimed = self.begun[share].fetch_update(Ordering::AcqRel, Ordering::Acquire, next);
            claimed.ok().map(|begun| share * PARTS + part_of(begun))
        })
    }

    fn work(&self, index: usize) {
        self.started.fetch_add(1, Ordering::Release);
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
            let guard = lock(&self.job);
            // Under the lock, so that it is the number of this job, or of the one before, of which no part is left.
            seen = self.generation.load(Ordering::Acquire);
            let job = *guard;
            drop(guard);
            let Some(Job(job)) = job else { continue };
            while let Some(part) = self.claim(index, seen) {
                let done = Done(self);
                // SAFETY: `run` waits for every part that has been begun.
                let job = unsafe { &*job };
                let work = std::panic::AssertUnwindSafe(|| job(index, part));
                if std::panic::catch_unwind(work).is_err() {
                    self.panicked.store(true, Ordering::Relaxed);
                }
                drop(done);
            }
        }
    }
}

fn part_of(begun: u64) -> usize {
    (begun & ((1 << COUNT_BITS) - 1)) as usize
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
