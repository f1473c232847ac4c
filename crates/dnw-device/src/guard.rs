//! Backends whose failures are panics, reported as messages.
//!
//! CubeCL's runtimes panic on driver errors, often on a thread of their own. [`guarded`] runs a closure, captures the panic messages of
//! all threads instead of printing them, and returns the message.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, Once, PoisonError};

/// The number of guards on all threads.
static GUARDS: AtomicUsize = AtomicUsize::new(0);
/// The panic messages of threads without a guard, such as a driver's own, while there are guards.
static SAID: Mutex<Vec<String>> = Mutex::new(Vec::new());
static HOOK: Once = Once::new();

thread_local! {
    /// The number of guards on this thread.
    static OWN: Cell<usize> = const { Cell::new(0) };
}

/// Runs `work` and converts a panic to an error. The message is that of the first driver thread that panicked meanwhile, or otherwise that
/// of the panic itself.
///
/// Data that `work` borrows may be partly modified after a panic: drop or restore it.
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
            // A guarded thread's own guard returns its message.
            if OWN.get() == 0 {
                let said = info.payload_as_str().unwrap_or("it gave up").to_owned();
                driver_messages(|all| all.push(said));
            }
        }));
    });
    let first = GUARDS.fetch_add(1, Ordering::SeqCst) == 0;
    let already = driver_messages(|all| {
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
        let driver = driver_messages(|all| all.get(already).cloned());
        one_line(&driver.unwrap_or_else(|| message(payload.as_ref())))
    })
}

fn driver_messages<T>(of: impl FnOnce(&mut Vec<String>) -> T) -> T {
    of(&mut SAID.lock().unwrap_or_else(PoisonError::into_inner))
}

/// The maximum length of a message.
const MOST: usize = 400;

/// The message in one line, without the field names and backtraces of Burn's and CubeCL's errors.
fn one_line(message: &str) -> String {
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
    // The remote engine's messages for a lost connection.
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

/// Whether a backend's message reports that memory ran out.
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
    fn a_panic_is_an_error_and_a_result_is_returned() {
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
        assert_eq!(one_line(said), "the \"card\" is gone");
        let said =
            "Error: Generic { reason: \"Failed to read tensor: RecvError(())\", backtrace: 0: x }";
        assert_eq!(one_line(said), "its server no longer answers");
        assert_eq!(one_line("two\n  lines"), "two lines");
        assert!(one_line(&"word ".repeat(1000)).ends_with("word [..]"));
    }
}
