//! Statuses, and the message of each thread.

use std::cell::RefCell;
use std::ffi::{CString, c_char};
use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};

use dnw_runtime::{LoadError, RunError};

/// What became of a call. Values never change; later versions may add some.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub enum Status {
    /// It succeeded.
    Ok = 0,
    /// A pointer is null.
    Null = 1,
    /// A file cannot be opened or read.
    Io = 2,
    /// The bytes are no model, were damaged, or have a newer format.
    File = 3,
    /// The model cannot be executed.
    Plan = 4,
    /// A length or an index does not fit the model.
    Length = 5,
    /// A path is not valid text.
    Path = 6,
    /// The library failed inside: a bug, please report it.
    Panic = 7,
}

/// Why a call failed.
pub(crate) struct Failure {
    status: Status,
    message: String,
}

impl Failure {
    pub(crate) fn new(status: Status, message: impl Display) -> Self {
        Self {
            status,
            message: message.to_string(),
        }
    }

    /// The argument of this name is null.
    pub(crate) fn null(name: &str) -> Self {
        Self::new(
            Status::Null,
            format_args!("the argument `{name}` is a null pointer"),
        )
    }
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        let status = match error {
            LoadError::Io { .. } => Status::Io,
            LoadError::File(_) => Status::File,
            _ => Status::Plan,
        };
        Self::new(status, error)
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        Self::new(Status::Length, error)
    }
}

thread_local! {
    static LAST: RefCell<Option<CString>> = const { RefCell::new(None) };
}

/// Calls `work`; keeps the message of its failure or panic for [`dnw_last_error`].
pub(crate) fn guarded(work: impl FnOnce() -> Result<(), Failure>) -> Status {
    // What a panic may leave half-done are numbers of a session, which the next run overwrites.
    let failure = match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(())) => return Status::Ok,
        Ok(Err(failure)) => failure,
        Err(panic) => {
            let text = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied());
            let message = format!(
                "the library failed inside: {}",
                text.unwrap_or("no message")
            );
            // Dropping the payload of a panic can panic again.
            if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(panic))) {
                std::mem::forget(again);
            }
            Failure::new(Status::Panic, message)
        }
    };
    let message = text(&failure.message);
    // A thread that is about to end has no message any more.
    let _ = LAST.try_with(|last| *last.borrow_mut() = Some(message));
    failure.status
}

/// Text for C, which cannot have zero bytes inside.
pub(crate) fn text(text: &str) -> CString {
    CString::new(text.replace('\0', "\u{fffd}")).unwrap_or_default()
}

/// What went wrong in the last call of this thread that failed: one sentence in UTF-8, empty if none has failed. It stays valid until the next
/// call that fails on this thread, or the thread ends.
#[unsafe(no_mangle)]
pub extern "C" fn dnw_last_error() -> *const c_char {
    let last = LAST.try_with(|last| last.borrow().as_ref().map(|last| last.as_ptr()));
    last.ok().flatten().unwrap_or(c"".as_ptr())
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;

    use super::*;

    fn last_error() -> String {
        // SAFETY: text of this thread.
        unsafe { CStr::from_ptr(dnw_last_error()) }
            .to_string_lossy()
            .into_owned()
    }

    #[test]
    fn a_panic_becomes_a_status_and_a_message() {
        assert_eq!(last_error(), "");
        assert_eq!(guarded(|| panic!("number {}", 7)), Status::Panic);
        assert_eq!(last_error(), "the library failed inside: number 7");
        assert_eq!(guarded(|| panic!("no number")), Status::Panic);
        assert_eq!(last_error(), "the library failed inside: no number");
        assert_eq!(guarded(|| std::panic::panic_any(7)), Status::Panic);
        assert_eq!(last_error(), "the library failed inside: no message");
    }

    #[test]
    fn each_thread_has_its_own_message_which_success_leaves() {
        assert_eq!(guarded(|| Err(Failure::null("a\0b"))), Status::Null);
        let found = std::thread::spawn(last_error).join().unwrap();
        assert_eq!(found, "");
        assert_eq!(guarded(|| Ok(())), Status::Ok);
        assert_eq!(last_error(), "the argument `a\u{fffd}b` is a null pointer");
    }
}
