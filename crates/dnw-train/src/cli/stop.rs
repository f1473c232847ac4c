//! Signals that ask a training to stop: Ctrl-C, `kill`, a terminal that closes.
//!
//! The first asks the training to stop after its update, so that the run is saved; the second ends the program. The exit code then says which
//! signal it was: 128 + its number, as shells have it. A job scheduler can so tell a run that it has ended from one that a user has.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use super::output::note;

/// Whether a training was asked to stop, and by what.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<AtomicU8>);

impl Stop {
    /// Hears signals from now on.
    pub fn listen() -> Self {
        let stop = Self::default();
        if let Err(error) = stop.hear() {
            note(format!(
                "warning: Ctrl-C will end the program at once ({error})"
            ));
        }
        stop
    }

    /// Whether the training shall stop after its update.
    pub fn is_asked(&self) -> bool {
        self.exit_code().is_some()
    }

    /// The exit code of a run that was asked to stop.
    pub fn exit_code(&self) -> Option<u8> {
        Some(self.0.load(Ordering::Relaxed)).filter(|&code| code != 0)
    }

    /// A signal came whose exit code this is.
    fn heard(&self, code: u8, again: &str) {
        if self.0.swap(code, Ordering::Relaxed) != 0 {
            std::process::exit(i32::from(code));
        }
        note(format!("\nstopping after this update; {again}"));
    }

    /// SIGINT, SIGTERM and SIGHUP.
    #[cfg(unix)]
    fn hear(&self) -> std::io::Result<()> {
        use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
        use signal_hook::iterator::Signals;

        let mut heard = vec![SIGINT, SIGTERM];
        if !is_ignored(SIGHUP) {
            heard.push(SIGHUP);
        }
        let mut signals = Signals::new(heard)?;
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
                    stop.heard(128 + signal as u8, again);
                }
            })?;
        Ok(())
    }

    /// Ctrl-C and Ctrl-Break, and that the console closes or the machine shuts down. Systems without signals do not say which.
    #[cfg(not(unix))]
    fn hear(&self) -> Result<(), ctrlc::Error> {
        let stop = self.clone();
        ctrlc::set_handler(move || stop.heard(130, "press Ctrl-C again to end at once"))
    }
}

/// Whether the program was started with a signal ignored, as `nohup` does with SIGHUP: then it stays so.
#[cfg(unix)]
fn is_ignored(signal: i32) -> bool {
    let mut action = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: without a new action, the call changes nothing and writes the present one to `action`, which is of the type that it expects.
    let asked = unsafe { libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr()) };
    // SAFETY: it is plain numbers and was zero before, so that it is a valid value whether the call has written it or not.
    let action = unsafe { action.assume_init() };
    asked == 0 && action.sa_sigaction == libc::SIG_IGN
}
