//! Backends whose failures are panics, reported as messages.
//!
//! CubeCL's runtimes panic where a driver refuses, often on a thread of their own. [`guarded`] runs something, keeps what any thread
//! says in panicking meanwhile from the terminal, and returns it.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, Once, PoisonError};

/// Guards on all threads.
static GUARDS: AtomicUsize = AtomicUsize::new(0);
/// What threads without a guard said in panicking while there were guards: a driver's own.
static SAID: Mutex<Vec<String>> = Mutex::new(Vec::new());
static HOOK: Once = Once::new();

thread_local! {
    /// Guards on this thread.
    static OWN: Cell<usize> = const { Cell::new(0) };
}

/// Runs `work`; a panic in it is returned as what the first of a driver's threads said that panicked meanwhile, or else as what it
/// says itself.
///
/// What `work` borrows may be half-changed after a panic: drop it, or put back what it was.
///
/// # Errors
/// The message of the panic.
pub fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    HOOK.call_once(|| {
        let before = take_hook();
        set_hook(Box::new(move |info| {
            if GUARDS.load(Ordering::SeqCst) == 0 {
                return before(info);
            }
            // The payload of a guarded thread reaches its own guard.
            if OWN.get() == 0 {
                let said = info.payload_as_str().unwrap_or("it gave up").to_owned();
                said_by_drivers(|all| all.push(said));
            }
        }));
    });
    let first = GUARDS.fetch_add(1, Ordering::SeqCst) == 0;
    let already = said_by_drivers(|all| {
        if first {
            all.clear();
        }
        all.len()
    });
    OWN.set(OWN.get() + 1);
    let done = catch_unwind(AssertUnwindSafe(work));
    OWN.set(OWN.get() - 1);
    GUARDS.fetch_sub(1, Ordering::SeqCst);
    done.map_err(|payload| {
        let driver = said_by_drivers(|all| all.get(already).cloned());
        in_a_line(&driver.unwrap_or_else(|| message(payload.as_ref())))
    })
}

fn said_by_drivers<T>(of: impl FnOnce(&mut Vec<String>) -> T) -> T {
    of(&mut SAID.lock().unwrap_or_else(PoisonError::into_inner))
}

/// The most characters of a message that are passed on.
const MOST: usize = 400;

/// What a message says, without what Burn's and CubeCL's own errors carry around it: names of fields, a backtrace.
fn in_a_line(message: &str) -> String {
    let reason = message.split_once("reason: \"").map(|(_, rest)| {
        let mut reason = String::new();
        let mut letters = rest.chars();
        while let Some(letter) = letters.next() {
            match letter {
                '"' => break,
                '\\' => reason.push(match letters.next() {
                    Some('n' | 't') | None => ' ',
                    Some(other) => other,
                }),
                letter => reason.push(letter),
            }
        }
        reason
    });
    let reason = reason.unwrap_or_else(|| message.to_owned());
    // How the remote engine says that the connection is gone.
    if reason.contains("Failed to read tensor: RecvError")
        || reason.starts_with("Remote response channel closed")
    {
        return "its server no longer answers".into();
    }
    let words: Vec<&str> = reason.split_whitespace().collect();
    let line = words.join(" ");
    match line.char_indices().nth(MOST) {
        Some((end, _)) => format!("{} [..]", line[..end].trim_end()),
        None => line,
    }
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "it gave up".into())
}

/// Whether a message of a backend speaks of memory that ran out.
pub fn is_out_of_memory(message: &str) -> bool {
    let message = message.to_lowercase();
    [
        "out of memory",
        "outofmemory",
        "out_of_memory",
        "not enough memory",
        "buffertoobig",
    ]
    .iter()
    .any(|said| message.contains(said))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_told_and_what_is_done_is_returned() {
        assert_eq!(guarded(|| 3), Ok(3));
        let message = guarded(|| panic!("no {} left", "memory"));
        assert_eq!(message, Err::<(), _>("no memory left".into()));
        let elsewhere = guarded(|| {
            let _ = std::thread::spawn(|| panic!("the driver is gone")).join();
            panic!("and so am I");
        });
        assert_eq!(elsewhere, Err::<(), _>("the driver is gone".into()));
    }

    #[test]
    fn an_error_of_the_engine_is_told_without_its_fields() {
        let said = "Error while reading data: use `try_into_data`: Generic { reason: \"the \\\"card\\\"\\n  is gone\", \
                    backtrace:\n 0: main\n }";
        assert_eq!(in_a_line(said), "the \"card\" is gone");
        let said =
            "Error: Generic { reason: \"Failed to read tensor: RecvError(())\", backtrace: 0: x }";
        assert_eq!(in_a_line(said), "its server no longer answers");
        assert_eq!(in_a_line("two\n  lines"), "two lines");
        assert!(in_a_line(&"word ".repeat(1000)).ends_with("word [..]"));
    }
}
