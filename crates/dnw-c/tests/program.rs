//! `examples/c/predict.c`, compiled against the header and linked with the static and the shared library, predicts.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::{env, fs};

use dnw_circuit::{CircuitBuilder, Tensor, Window};
use dnw_compiler::{Passes, compile};
use dnw_runtime::file::{Precision, write};
use dnw_runtime::plan::Input;

/// Finds the brightest of four pixels; the model has no name for the last.
fn model(channels: usize, classes: &[&str]) -> Vec<u8> {
    let mut circuit = CircuitBuilder::new([channels, 2, 2]).unwrap();
    let entries = 4 * channels * 4;
    let real = |entry: usize| entry / (4 * channels) == entry % 4;
    let weights = (0..entries).map(|entry| f32::from(u8::from(real(entry))));
    let real = (0..entries).map(real).collect();
    let shape = [4, channels, 2, 2];
    let weights = circuit.tensor(Tensor::edges("weight", shape, weights.collect(), real));
    let weights = circuit.whole(weights.unwrap());
    let logits = circuit.conv(circuit.input(), weights, None, Window::default());
    let circuit = circuit.finish(logits.unwrap()).unwrap();
    let input = Input {
        mean: vec![0.2; channels],
        deviation: vec![0.5; channels],
        classes: classes.iter().map(|&name| name.to_owned()).collect(),
        ..Input::default()
    };
    write(&compile(&circuit, input, Passes::default()), Precision::F32)
}

/// Where Cargo puts the libraries: beside this test.
fn libraries() -> PathBuf {
    env::current_exe().unwrap().parent().unwrap().to_owned()
}

/// The C compiler, or none where there is none. In CI there must be one.
fn compiler() -> Option<String> {
    let name = env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    let works = Command::new(&name).arg("--version").output();
    if works.is_ok_and(|output| output.status.success()) {
        return Some(name);
    }
    assert!(env::var_os("CI").is_none(), "`{name}` is no C compiler");
    eprintln!("skipped: `{name}` is no C compiler");
    None
}

fn succeed(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
    output
}

fn said(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
#[cfg(unix)]
fn the_example_in_c_compiles_without_warnings_and_prints_the_top_class() {
    let Some(compiler) = compiler() else { return };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let write = |name: &str, bytes: &[u8]| {
        fs::write(path(name), bytes).unwrap();
        path(name)
    };
    let grey = write(
        "grey.dnw",
        &model(1, &["top left", "top right", "bottom left", "bottom right"]),
    );
    let colour = write("colour.dnw", &model(3, &[]));
    let pgm = write("picture.pgm", b"P5\n2 2\n255\n\x00\x10\xff\x20");
    let ppm = write(
        "picture.ppm",
        b"P6 2 2 255\n\x01\x01\x01\x05\x02\x07\x03\x03\x03\x04\x04\x04",
    );
    let numbers: Vec<u8> = [0.0f32, 0.5, -1.0, 0.25]
        .iter()
        .flat_map(|x| x.to_le_bytes())
        .collect();
    let raw = write("numbers.raw", &numbers);

    for shared in [false, true] {
        let program = path(if shared { "shared" } else { "static" });
        let mut compile = Command::new(&compiler);
        compile
            .args([
                "-std=c11",
                "-Wall",
                "-Wextra",
                "-Wpedantic",
                "-Werror",
                "-O1",
                "-I",
            ])
            .arg(root.join("crates/dnw-c/include"))
            .arg(root.join("examples/c/predict.c"))
            .arg("-o")
            .arg(&program);
        if shared {
            compile.arg("-L").arg(libraries()).arg("-ldnw_c");
            compile.arg(format!("-Wl,-rpath,{}", libraries().display()));
        } else {
            compile.arg(libraries().join("libdnw_c.a"));
            compile.args(["-lpthread", "-lm", "-ldl"]);
        }
        succeed(&mut compile);

        let predict =
            |arguments: &[&OsStr]| Command::new(&program).args(arguments).output().unwrap();
        let prints = |model: &Path, picture: &Path, expected: &str| {
            let output = predict(&[model.as_os_str(), picture.as_os_str()]);
            assert!(output.status.success(), "{}", said(&output.stderr));
            assert_eq!(said(&output.stdout), expected);
        };
        // (1 - 0.2) / 0.5
        prints(&grey, &pgm, "bottom left (1.6)\n");
        // ((5 + 2 + 7) / 255 - 3 * 0.2) / 0.5
        prints(&colour, &ppm, "class 1 (-1.0902)\n");
        prints(&grey, &raw, "top right (0.5)\n");

        let fails = |model: &Path, picture: &Path, expected: &str| {
            let output = predict(&[model.as_os_str(), picture.as_os_str()]);
            assert_eq!(output.status.code(), Some(1));
            let found = said(&output.stderr);
            assert!(
                found.starts_with("error: ") && found.contains(expected),
                "{found}"
            );
            assert_eq!(found.lines().count(), 1, "{found}");
        };
        fails(&grey, &ppm, "the model wants a binary PGM");
        fails(&colour, &raw, "neither a PGM or PPM");
        fails(&grey, &path("missing.pgm"), "missing.pgm");
        fails(&path("missing.dnw"), &pgm, "cannot read the model");
        fails(&pgm, &pgm, "not a compiled model");
        fails(
            &grey,
            &write("small.pgm", b"P5 1 2 255\n12"),
            "another size",
        );
        fails(
            &grey,
            &write("short.pgm", b"P5 2 2 255\n123"),
            "ends too early",
        );
        assert_eq!(predict(&[]).status.code(), Some(2));
    }
}
