//! The C interface, called from Rust as a C program would.

use std::ffi::{CStr, CString, c_char};
use std::ptr::{null, null_mut};
use std::{fs, thread};

use dnw_c::*;
use dnw_circuit::{Circuit, CircuitBuilder, Tensor, Window};
use dnw_compiler::{Passes, compile};
use dnw_runtime::file::{Precision, write};
use dnw_runtime::plan::Input;

/// Two classes: the sum of the first channel, and twice the sum of the second.
fn circuit() -> Circuit {
    let mut circuit = CircuitBuilder::new([2, 1, 2]).unwrap();
    let weights = Tensor::edges(
        "weight",
        [2, 2, 1, 2],
        vec![1.0, 1.0, 9.0, 9.0, 9.0, 9.0, 2.0, 2.0],
        [true, true, false, false, false, false, true, true].to_vec(),
    );
    let weights = circuit.tensor(weights).unwrap();
    let window = Window::default();
    let weights = circuit.whole(weights);
    let logits = circuit.conv(circuit.input(), weights, None, window);
    circuit.finish(logits.unwrap()).unwrap()
}

fn file() -> Vec<u8> {
    let input = Input {
        mean: vec![0.5, 0.25],
        resize: 3,
        classes: vec!["dark".to_owned(), "hell\0".to_owned()],
        ..Input::default()
    };
    write(
        &compile(&circuit(), input, Passes::default()),
        Precision::F32,
    )
}

fn text(text: *const c_char) -> String {
    // SAFETY: a string of the library, still valid.
    unsafe { CStr::from_ptr(text) }.to_str().unwrap().to_owned()
}

fn last_error() -> String {
    text(dnw_last_error())
}

fn model() -> *mut dnw_model {
    let (bytes, mut model) = (file(), null_mut());
    // SAFETY: all pointers are valid.
    let status = unsafe { dnw_model_from_bytes(bytes.as_ptr().cast(), bytes.len(), &mut model) };
    assert_eq!(status, Status::Ok, "{}", last_error());
    model
}

fn run(session: *mut dnw_session, input: &[f32], output: &mut [f32]) -> Status {
    // SAFETY: all pointers are valid.
    unsafe {
        dnw_session_run(
            session,
            input.as_ptr(),
            input.len(),
            output.as_mut_ptr(),
            output.len(),
        )
    }
}

#[test]
fn a_model_is_loaded_described_executed_and_freed_before_its_session() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.dnw");
    fs::write(&path, file()).unwrap();
    let path = CString::new(path.to_str().unwrap()).unwrap();
    let (mut model, mut session) = (null_mut(), null_mut());
    // SAFETY: in the whole block all pointers are valid.
    unsafe {
        assert_eq!(dnw_model_load(path.as_ptr(), &mut model), Status::Ok);
        let mut shape = [0; 3];
        assert_eq!(dnw_model_shape(model, shape.as_mut_ptr()), Status::Ok);
        assert_eq!(shape, [2, 1, 2]);
        assert_eq!((dnw_model_outputs(model), dnw_model_resize(model)), (2, 3));
        let (mut mean, mut deviation) = (0.0, 0.0);
        let status = dnw_model_channel(model, 1, &mut mean, &mut deviation);
        assert_eq!((status, mean, deviation), (Status::Ok, 0.25, 1.0));
        assert_eq!(text(dnw_model_class(model, 0)), "dark");
        // A zero byte would end the name.
        assert_eq!(text(dnw_model_class(model, 1)), "hell\u{fffd}");
        assert!(dnw_model_class(model, 2).is_null());
        assert_eq!(dnw_session_new(model, 2, &mut session), Status::Ok);
        dnw_model_free(model);
    }
    let mut output = [0.0; 4];
    let input = [1.0, 2.0, 3.0, 4.0, -1.0, -2.0, -3.0, 0.5];
    assert_eq!(run(session, &input, &mut output), Status::Ok);
    assert_eq!(output, [3.0, 14.0, -3.0, -5.0]);
    // SAFETY: the session is valid, and not used again.
    unsafe { dnw_session_free(session) };
}

#[test]
fn null_pointers_are_refused_by_name() {
    let model = model();
    let (mut session, mut shape, mut number) = (null_mut(), [0; 3], 0.0);
    let number = &raw mut number;
    let refused = |status: Status, name: &str| {
        let message = format!("the argument `{name}` is a null pointer");
        assert_eq!((status, last_error()), (Status::Null, message));
    };
    // SAFETY: in the whole block all pointers are valid or null.
    unsafe {
        let mut none = model;
        refused(dnw_model_load(null(), &mut none), "path");
        assert!(none.is_null());
        refused(dnw_model_load(c"x".as_ptr(), null_mut()), "model");
        refused(dnw_model_from_bytes(null(), 0, &mut none), "bytes");
        refused(
            dnw_model_from_bytes(c"x".as_ptr().cast(), 1, null_mut()),
            "model",
        );
        refused(dnw_model_shape(null(), shape.as_mut_ptr()), "model");
        refused(dnw_model_shape(model, null_mut()), "shape");
        refused(dnw_model_channel(null(), 0, number, number), "model");
        refused(dnw_model_channel(model, 0, null_mut(), number), "mean");
        refused(dnw_model_channel(model, 0, number, null_mut()), "deviation");
        refused(dnw_session_new(null(), 1, &mut session), "model");
        refused(dnw_session_new(model, 1, null_mut()), "session");
        assert_eq!(dnw_session_new(model, 0, &mut session), Status::Ok);
        refused(dnw_session_run(null_mut(), number, 1, number, 1), "session");
        refused(dnw_session_run(session, null(), 4, number, 1), "input");
        refused(dnw_session_run(session, number, 1, null_mut(), 2), "output");
        assert_eq!(
            (dnw_model_outputs(null()), dnw_model_resize(null())),
            (0, 0)
        );
        assert!(dnw_model_class(null(), 0).is_null());
        dnw_model_free(null_mut());
        dnw_session_free(null_mut());
        dnw_session_free(session);
        dnw_model_free(model);
    }
}

#[test]
fn what_does_not_fit_is_refused_in_a_sentence() {
    let model = model();
    let mut session = null_mut();
    let (mut mean, mut deviation) = (0.0, 0.0);
    // SAFETY: all pointers are valid.
    unsafe {
        let status = dnw_model_channel(model, 2, &mut mean, &mut deviation);
        assert_eq!(status, Status::Length);
        assert_eq!(last_error(), "the model has 2 channels, none is number 2");
        assert_eq!(dnw_session_new(model, 1, &mut session), Status::Ok);
    }
    let refused = |input: usize, output: usize, message: &str| {
        let status = run(session, &vec![0.0; input], &mut vec![0.0; output]);
        assert_eq!((status, last_error()), (Status::Length, message.to_owned()));
    };
    refused(
        5,
        2,
        "the input has 5 numbers, which is no batch of images of 2 x 1 x 2",
    );
    refused(
        8,
        2,
        "the output has room for 2 numbers, and 2 images have 4",
    );
    // A length that no memory has is refused before anything is read.
    // SAFETY: no more than one number is used.
    let status = unsafe { dnw_session_run(session, &mean, usize::MAX, &mut deviation, 1) };
    assert_eq!(status, Status::Length);
    // SAFETY: they are valid, and not used again.
    unsafe {
        dnw_session_free(session);
        dnw_model_free(model);
    }
}

#[test]
fn files_that_are_no_models_have_a_status_and_leave_a_null_pointer() {
    let load = |path: &CStr| {
        let mut model = null_mut();
        // SAFETY: all pointers are valid.
        let status = unsafe { dnw_model_load(path.as_ptr(), &mut model) };
        assert!(model.is_null());
        status
    };
    assert_eq!(load(c"no/such/file"), Status::Io);
    assert!(last_error().starts_with("cannot read the model `no/such/file`: "));
    #[cfg(unix)]
    assert_eq!(load(c"\xff\xfe"), Status::Io);
    let mut bytes = file();
    let at = bytes.len() / 2;
    bytes[at] ^= 4;
    let mut model = null_mut();
    // SAFETY: all pointers are valid.
    let status = unsafe { dnw_model_from_bytes(bytes.as_ptr().cast(), bytes.len(), &mut model) };
    assert!(model.is_null());
    assert_eq!(status, Status::File);
    assert!(last_error().contains("damaged"), "{}", last_error());
}

#[test]
fn threads_share_a_model_and_keep_their_own_messages() {
    struct Shared(*const dnw_model);
    // SAFETY: models can be used by several threads.
    unsafe impl Sync for Shared {}
    let shared = Shared(model());
    thread::scope(|scope| {
        for i in 0..4 {
            let shared = &shared;
            scope.spawn(move || {
                let mut session = null_mut();
                let mut output = [0.0; 2];
                // SAFETY: all pointers are valid.
                unsafe {
                    assert_eq!(dnw_session_new(shared.0, 1, &mut session), Status::Ok);
                }
                for _ in 0..100 {
                    let input = vec![1.0; 5 + i];
                    // Eight numbers are two images, for which the output is too small.
                    assert_eq!(run(session, &input, &mut output), Status::Length);
                    let count = if i == 3 { 2 } else { 5 + i };
                    assert!(last_error().contains(&format!("{count} numbers")));
                    assert_eq!(run(session, &[i as f32; 4], &mut output), Status::Ok);
                    assert_eq!(output, [2.0 * i as f32, 4.0 * i as f32]);
                }
                // SAFETY: it is valid, and not used again.
                unsafe { dnw_session_free(session) };
            });
        }
    });
    // SAFETY: it is valid, and not used again.
    unsafe { dnw_model_free(shared.0.cast_mut()) };
}
