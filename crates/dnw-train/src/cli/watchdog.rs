//! A time limit for servers that freeze.
//!
//! A thread that waits for a frozen server cannot be interrupted. So when nothing has happened for a while, another thread asks the server
//! for any answer. Without one it prints an error and ends the program. That is safe at any instant: files are whole or absent, as after a
//! second Ctrl-C.

use std::process::exit;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use dnw_device::{DeviceName, Opened, RemoteAddress};

use super::failure::Failure;
use super::output::note;

/// How often a server that does not answer is asked. This program itself may have been stopped while it waited for the first answer.
const ATTEMPTS: usize = 2;

/// How long nothing may happen before a server is asked whether it still runs, in seconds.
const REMOTE_TIMEOUT: u64 = 30;

/// The value of `--remote-timeout`, in seconds, or the default.
pub fn remote_timeout(seconds: Option<u64>) -> Duration {
    Duration::from_secs(seconds.unwrap_or(REMOTE_TIMEOUT))
}

/// Watches the servers of some devices until it is dropped.
pub struct Watchdog(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    /// When something happened last.
    last: Instant,
    /// The updates that were made.
    updates: u64,
    has_ended: bool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until nothing has happened for this long; `None` if the watchdog has ended. Returns when something happened last.
    fn wait_for_silence(&self, timeout: Duration) -> Option<Instant> {
        let mut state = self.state();
        loop {
            let left = timeout.saturating_sub(state.last.elapsed());
            if state.has_ended {
                return None;
            }
            if left.is_zero() {
                return Some(state.last);
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Watchdog {
    /// Begins to watch the servers of these devices, if there are any. When nothing has happened for `timeout` and a server does not answer,
    /// prints the failure and ends the program. The failure is made from the device's name and the number of updates.
    pub fn start(
        devices: &[Opened],
        timeout: Duration,
        failure: impl Fn(&DeviceName, u64) -> Failure + Send + 'static,
    ) -> Self {
        let watchdog = Self(Arc::new(Shared {
            state: Mutex::new(State {
                last: Instant::now(),
                updates: 0,
                has_ended: false,
            }),
            changed: Condvar::new(),
        }));
        let servers: Vec<(DeviceName, RemoteAddress)> = devices
            .iter()
            .filter_map(|device| match &device.name {
                DeviceName::Remote(address) => Some((device.name.clone(), address.clone())),
                _ => None,
            })
            .collect();
        if !servers.is_empty() {
            let shared = watchdog.0.clone();
            std::thread::spawn(move || watch(&shared, &servers, timeout, failure));
        }
        watchdog
    }

    /// Something has happened.
    pub fn reset(&self, updates: u64) {
        let mut state = self.0.state();
        (state.last, state.updates) = (Instant::now(), updates);
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.0.state().has_ended = true;
        self.0.changed.notify_all();
    }
}

fn watch(
    shared: &Shared,
    servers: &[(DeviceName, RemoteAddress)],
    timeout: Duration,
    failure: impl Fn(&DeviceName, u64) -> Failure,
) {
    while let Some(last) = shared.wait_for_silence(timeout) {
        let is_frozen = |(_, server): &&(DeviceName, RemoteAddress)| {
            (0..ATTEMPTS).all(|_| server.is_frozen(timeout / ATTEMPTS as u32))
        };
        let frozen = servers.iter().find(is_frozen);
        let mut state = shared.state();
        match frozen {
            _ if state.has_ended => return,
            // It is ended with the lock held, so that nothing is reported any more.
            Some((name, _)) if state.last == last => {
                note(failure(name, state.updates).to_lines());
                exit(1);
            }
            // It is slow, and asked again after another silence.
            _ => state.last = Instant::now(),
        }
    }
}
