//! The exception of the package.

use pyo3::create_exception;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

create_exception!(
    dnw,
    DnwError,
    PyValueError,
    "What was given cannot be read, compiled or computed."
);

/// An error with what to do about it.
pub fn refused(error: impl ToString) -> PyErr {
    DnwError::new_err(error.to_string())
}
