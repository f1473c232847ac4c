//! Models.

use std::ffi::{CStr, CString, c_char, c_void};
use std::ptr;
use std::slice;

use dnw_runtime::Model;

use crate::error::{Failure, Status, guarded, text};

/// A compiled network. Any number of threads can use one at the same time.
#[allow(non_camel_case_types)]
pub struct dnw_model {
    pub(crate) model: Model,
    /// The names of the outputs, as C wants them.
    classes: Vec<CString>,
}

impl dnw_model {
    /// Makes a handle of a model and writes it to `to`.
    ///
    /// # Safety
    /// `to` is null or can be written.
    unsafe fn write(to: *mut *mut Self, load: impl FnOnce() -> Result<Model, Failure>) -> Status {
        guarded(|| {
            if to.is_null() {
                return Err(Failure::null("model"));
            }
            // SAFETY: as the caller promises.
            unsafe { *to = ptr::null_mut() };
            let model = load()?;
            let classes = model.input().classes.iter().map(|name| text(name));
            let classes = classes.collect();
            // SAFETY: as the caller promises.
            unsafe { *to = Box::into_raw(Box::new(Self { model, classes })) };
            Ok(())
        })
    }
}

/// Loads a file that `dnw compile` wrote, and writes a handle to `*model`, which `dnw_model_free` frees. After a failure `*model` is null.
/// `path` is UTF-8 (on Unix any bytes).
///
/// # Safety
/// `path` is null or a string with a zero byte at its end; `model` is null or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dnw_model_load(path: *const c_char, model: *mut *mut dnw_model) -> Status {
    let load = || {
        if path.is_null() {
            return Err(Failure::null("path"));
        }
        // SAFETY: as the caller promises.
        let path = unsafe { CStr::from_ptr(path) };
        Ok(Model::load(native(path)?)?)
    };
    // SAFETY: as the caller promises.
    unsafe { dnw_model::write(model, load) }
}

#[cfg(unix)]
fn native(path: &CStr) -> Result<&std::path::Path, Failure> {
    use std::os::unix::ffi::OsStrExt;
    Ok(std::ffi::OsStr::from_bytes(path.to_bytes()).as_ref())
}

#[cfg(not(unix))]
fn native(path: &CStr) -> Result<&std::path::Path, Failure> {
    let wrong = |_| Failure::new(Status::Path, "the path is not UTF-8");
    Ok(path.to_str().map_err(wrong)?.as_ref())
}

/// Reads a model from the bytes of its file, which are not needed afterwards. Otherwise as `dnw_model_load`.
///
/// # Safety
/// `bytes` is null or has `length` bytes; `model` is null or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dnw_model_from_bytes(
    bytes: *const c_void,
    length: usize,
    model: *mut *mut dnw_model,
) -> Status {
    let load = || {
        // SAFETY: as the caller promises.
        let bytes = unsafe { array(bytes.cast::<u8>(), length, "bytes") }?;
        Ok(Model::from_bytes(bytes)?)
    };
    // SAFETY: as the caller promises.
    unsafe { dnw_model::write(model, load) }
}

/// Numbers that the caller lends.
///
/// # Safety
/// `start` is null or has `length` elements.
pub(crate) unsafe fn array<'a, T>(
    start: *const T,
    length: usize,
    name: &str,
) -> Result<&'a [T], Failure> {
    if start.is_null() {
        return Err(Failure::null(name));
    }
    fits::<T>(length, name)?;
    // SAFETY: as the caller promises.
    Ok(unsafe { slice::from_raw_parts(start, length) })
}

/// That so many elements can lie in memory.
pub(crate) fn fits<T>(length: usize, name: &str) -> Result<(), Failure> {
    let most = isize::MAX as usize / size_of::<T>();
    if length <= most {
        return Ok(());
    }
    let message = format!("the length of `{name}` is {length}, more than memory can hold");
    Err(Failure::new(Status::Length, message))
}

/// A handle that the caller lends.
///
/// # Safety
/// `model` is null or from this library and not freed.
pub(crate) unsafe fn lent<'a>(model: *const dnw_model) -> Result<&'a dnw_model, Failure> {
    // SAFETY: as the caller promises.
    unsafe { model.as_ref() }.ok_or_else(|| Failure::null("model"))
}

/// Frees a model. Its sessions can still be used. Null is ignored.
///
/// # Safety
/// `model` is null or from this library, and is not used afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dnw_model_free(model: *mut dnw_model) {
    if !model.is_null() {
        guarded(|| {
            // SAFETY: as the caller promises.
            drop(unsafe { Box::from_raw(model) });
            Ok(())
        });
    }
}

/// Writes channels, height and width of an image to `shape[0]`, `shape[1]` and `shape[2]`.
///
/// # Safety
/// `model` is null or valid; `shape` is null or has room for three numbers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dnw_model_shape(model: *const dnw_model, shape: *mut usize) -> Status {
    guarded(|| {
        // SAFETY: as the caller promises.
        let model = unsafe { lent(model) }?;
        if shape.is_null() {
            return Err(Failure::null("shape"));
        }
        let found = model.model.input().shape;
        // SAFETY: as the caller promises.
        unsafe { ptr::copy_nonoverlapping(found.as_ptr(), shape, found.len()) };
        Ok(())
    })
}

/// The numbers that an image results in: the classes of a classifier. 0 if `model` is null.
///
/// # Safety
/// `model` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dnw_model_outputs(model: *const dnw_model) -> usize {
    let mut outputs = 0;
    guarded(|| {
        // SAFETY: as the caller promises.
        outputs = unsafe { lent(model) }?.model.output_len();
        Ok(())
    });
    outputs
}

/// Writes how a channel is normalised: an input is `(pixel - *mean) / *deviation`, where pixels lie from 0 to 1.
///
/// # Safety
/// `model` is null or valid; `mean` and `deviation` are null or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dnw_model_channel(
    model: *const dnw_model,
    channel: usize,
    mean: *mut f32,
    deviation: *mut f32,
) -> Status {
    guarded(|| {
        // SAFETY: as the caller promises.
        let model = &unsafe { lent(model) }?.model;
        if mean.is_null() || deviation.is_null() {
            let name = if mean.is_null() { "mean" } else { "deviation" };
            return Err(Failure::null(name));
        }
        let channels = model.input().shape[0];
        if channel >= channels {
            let message = format!("the model has {channels} channels, none is number {channel}");
            return Err(Failure::new(Status::Length, message));
        }
        // SAFETY: as the caller promises.
        unsafe { [*mean, *deviation] = model.normalisation(channel) };
        Ok(())
    })
}

/// How pictures of another size become inputs: their shorter side is resized to so many pixels, and the centre is cropped. 0 for pictures that
/// are resized to the input's height and width, and if `model` is null.
///
/// # Safety
/// `model` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dnw_model_resize(model: *const dnw_model) -> usize {
    let mut resize = 0;
    guarded(|| {
        // SAFETY: as the caller promises.
        resize = unsafe { lent(model) }?.model.input().resize;
        Ok(())
    });
    resize
}

/// The name of an output, in UTF-8, valid as long as the model. Null if it has none.
///
/// # Safety
/// `model` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dnw_model_class(model: *const dnw_model, output: usize) -> *const c_char {
    let mut name = ptr::null();
    guarded(|| {
        // SAFETY: as the caller promises.
        let classes = &unsafe { lent(model) }?.classes;
        name = classes
            .get(output)
            .map_or(ptr::null(), |name| name.as_ptr());
        Ok(())
    });
    name
}
