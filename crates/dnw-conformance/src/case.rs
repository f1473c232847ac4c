//! One fact about a device.

use crate::UnderTest;

/// Why a case does not pass.
#[derive(Debug)]
pub enum Shortfall {
    /// The device does something else than it should: what, where, by how much.
    Wrong(String),
    /// The device lacks what the case is about.
    Lacking(String),
}

impl<E: std::error::Error> From<E> for Shortfall {
    fn from(error: E) -> Self {
        Self::Wrong(error.to_string())
    }
}

impl Shortfall {
    /// [`Shortfall::Wrong`] with this message.
    pub fn wrong(message: impl Into<String>) -> Self {
        Self::Wrong(message.into())
    }

    /// The same, with `place` before the message.
    #[must_use]
    pub fn within(self, place: &str) -> Self {
        match self {
            Self::Wrong(message) => Self::Wrong(format!("{place}: {message}")),
            lacking => lacking,
        }
    }
}

/// The result of a case.
pub type Verdict = Result<(), Shortfall>;

type Check = dyn Fn(&UnderTest) -> Verdict + Send + Sync;

/// A fact that should hold on every device.
pub struct Case {
    /// Its subject and the property checked, such as `layers::masked_conv2d::forward`.
    pub name: String,
    check: Box<Check>,
}

impl Case {
    pub(crate) fn new(
        name: impl Into<String>,
        check: impl Fn(&UnderTest) -> Verdict + Send + Sync + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            check: Box::new(check),
        }
    }

    /// Whether it holds.
    ///
    /// # Errors
    /// [`Shortfall`] if it does not, or the device lacks something that it needs.
    pub fn check(&self, device: &UnderTest) -> Verdict {
        (self.check)(device)
    }
}

/// Wrong unless `holds`.
pub(crate) fn ensure(holds: bool, message: impl FnOnce() -> String) -> Verdict {
    if holds {
        Ok(())
    } else {
        Err(Shortfall::Wrong(message()))
    }
}
