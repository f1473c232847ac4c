//! A test case, and its result.

use crate::TestDevice;

/// Why a case does not pass.
#[derive(Debug)]
pub enum Failure {
    /// The result is wrong: what, where, by how much.
    Wrong(String),
    /// The device does not support what the case tests, so the case is skipped.
    Unsupported(String),
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Wrong(error.to_string())
    }
}

impl Failure {
    /// [`Failure::Wrong`] with this message.
    pub fn wrong(message: impl Into<String>) -> Self {
        Self::Wrong(message.into())
    }

    /// Puts `context` before the message of [`Failure::Wrong`].
    #[must_use]
    pub fn context(self, context: &str) -> Self {
        match self {
            Self::Wrong(message) => Self::Wrong(format!("{context}: {message}")),
            unsupported => unsupported,
        }
    }
}

/// The result of a case.
pub type Outcome = Result<(), Failure>;

type Check = dyn Fn(&TestDevice) -> Outcome + Send + Sync;

/// A fact that should hold on every device.
pub struct Case {
    /// Its subject and the property checked, such as `layers::masked_conv2d::forward`.
    pub name: String,
    check: Box<Check>,
}

impl Case {
    pub(crate) fn new(
        name: impl Into<String>,
        check: impl Fn(&TestDevice) -> Outcome + Send + Sync + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            check: Box::new(check),
        }
    }

    /// Runs the case on a device.
    ///
    /// # Errors
    /// [`Failure`] if the result is wrong, or the device does not support what the case tests.
    pub fn check(&self, device: &TestDevice) -> Outcome {
        (self.check)(device)
    }
}

/// [`Failure::Wrong`] with this message, unless `holds`.
pub(crate) fn ensure(holds: bool, message: impl FnOnce() -> String) -> Outcome {
    if holds {
        Ok(())
    } else {
        Err(Failure::wrong(message()))
    }
}
