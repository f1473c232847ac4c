//! Signals that stop a training: Ctrl-C, `kill`, a closed terminal.
//!
//! The first signal stops the training after its update, so that the run is saved; the second ends the program. The exit code is 128 plus the
//! number of the signal, as in shells. So a job scheduler can distinguish its own signal from the user's.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use super::output::note;

/// The request to stop a training, with its exit code.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<AtomicU8>);

impl Stop {
    /// Listens for signals from now on.
    pub fn listen() -> Self {
        let stop = Self::default();
        if let Err(error) = stop.listen_for_signals() {
            note(format!(
                "warning: Ctrl-C will end the program at once ({error})"
            ));
        }
        stop
    }

    /// Whether to stop the training after its update.
    pub fn is_requested(&self) -> bool {
        self.exit_code().is_some()
    }

    /// The exit code, if the training was stopped.
    pub fn exit_code(&self) -> Option<u8> {
        Some(self.0.load(Ordering::Relaxed)).filter(|&code| code != 0)
    }

    /// Handles a signal with this exit code.
    fn handle(&self, code: u8, again: &str) {
        if self.0.swap(code, Ordering::Relaxed) != 0 {
            std::process::exit(i32::from(code));
        }
        note(format!("\nstopping after this update; {again}"));
    }

    /// Listens for SIGINT, SIGTERM and SIGHUP.
    #[cfg(unix)]
    fn listen_for_signals(&self) -> std::io::Result<()> {
        use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
        use signal_hook::iterator::Signals;

        let mut handled = vec![SIGINT, SIGTERM];
        if !is_ignored(SIGHUP) {
            handled.push(SIGHUP);
        }
        let mut signals = Signals::new(handled)?;
        let stop = self.clone();
        std::thread::Builder::new()
            .name("signals".into())
            .spawn(move || {
                for signal in signals.forever() {
                    let again = match signal {
                        SIGINT => "press Ctrl-C again to end at once",
                        _ => "the same signal again ends it at once",
                    };
                    // Signals have small numbers.
                    stop.handle(128 + signal as u8, again);
                }
            })?;
        Ok(())
    }

    /// Listens for Ctrl-C, Ctrl-Break, a closed console and a shutdown. Systems without signals do not distinguish them.
    #[cfg(not(unix))]
    fn listen_for_signals(&self) -> Result<(), ctrlc::Error> {
        let stop = self.clone();
        ctrlc::set_handler(move || stop.handle(130, "press Ctrl-C again to end at once"))
    }
}

/// Whether a signal was ignored when the program started, as `nohup` does with SIGHUP. It then stays ignored.
#[cfg(unix)]
fn is_ignored(signal: i32) -> bool {
    let mut action = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: without a new action, the call only writes the current one to `action`, which has the expected type.
    let result = unsafe { libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr()) };
    // SAFETY: all bytes are integers and were zero, so the value is valid whether the call has written it or not.
    let action = unsafe { action.assume_init() };
    result == 0 && action.sa_sigaction == libc::SIG_IGN
}
