//! The threads that kernels compute with.

/// Does something on one of the threads that kernels compute with, the current pool of rayon's, and waits for it.
///
/// Work that calls many kernels is quicker so. From any other thread, each kernel wakes a worker and sleeps until it is done, and then
/// the caller has to be woken: two switches for what may take some ten microseconds. From a worker, only the others have to be woken,
/// and the caller takes its part. No result depends on it.
pub fn on_workers<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    rayon::scope(|_| work())
}
