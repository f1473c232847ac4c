//! Sessions.

use std::ptr;
use std::slice;

use dnw_runtime::Session;

use crate::error::{Failure, Status, guarded};
use crate::model::{array, dnw_model, fits, lent};

/// Executes a model, with memory for the feature maps of one image. One thread at a time uses it; several sessions share their model.
#[allow(non_camel_case_types)]
pub struct dnw_session {
    session: Session,
}

/// Makes a session that computes each image with so many threads, and writes a handle to `*session`, which `dnw_session_free` frees. After a
/// failure `*session` is null. Results do not depend on the number of threads; 0 is 1.
///
/// # Safety
/// `model` is null or valid; `session` is null or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dnw_session_new(
    model: *const dnw_model,
    threads: usize,
    session: *mut *mut dnw_session,
) -> Status {
    guarded(|| {
        if session.is_null() {
            return Err(Failure::null("session"));
        }
        // SAFETY: as the caller promises.
        unsafe { *session = ptr::null_mut() };
        // SAFETY: as the caller promises.
        let model = unsafe { lent(model) }?;
        let handle = dnw_session {
            session: Session::new(&model.model, threads),
        };
        // SAFETY: as the caller promises.
        unsafe { *session = Box::into_raw(Box::new(handle)) };
        Ok(())
    })
}

/// Computes a batch: `input` is `[images, channels, height, width]`, normalised as `dnw_model_channel` says, `output` is
/// `[images, outputs]`. Lengths are in numbers, not bytes. It allocates no memory.
///
/// # Safety
/// `session` is null or valid, and no other thread uses it; `input` is null or has `input_length` numbers; `output` is null or has room for
/// `output_length` numbers, of which none is part of `input`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dnw_session_run(
    session: *mut dnw_session,
    input: *const f32,
    input_length: usize,
    output: *mut f32,
    output_length: usize,
) -> Status {
    guarded(|| {
        // SAFETY: as the caller promises.
        let session = unsafe { session.as_mut() }.ok_or_else(|| Failure::null("session"))?;
        // SAFETY: as the caller promises.
        let input = unsafe { array(input, input_length, "input") }?;
        if output.is_null() {
            return Err(Failure::null("output"));
        }
        fits::<f32>(output_length, "output")?;
        // SAFETY: as the caller promises. Memory that was never written is no `f32` in Rust, so it is written first.
        let output = unsafe {
            ptr::write_bytes(output, 0, output_length);
            slice::from_raw_parts_mut(output, output_length)
        };
        Ok(session.session.run(input, output)?)
    })
}

/// Frees a session. Null is ignored.
///
/// # Safety
/// `session` is null or from this library, and is not used afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dnw_session_free(session: *mut dnw_session) {
    if !session.is_null() {
        guarded(|| {
            // SAFETY: as the caller promises.
            drop(unsafe { Box::from_raw(session) });
            Ok(())
        });
    }
}
