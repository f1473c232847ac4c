//! `examples/predict.rs`, which Cargo builds with all tests of this package.

use std::env;
use std::process::Command;

use dnw_runtime::file::{Precision, write};

use crate::{File, plan};

#[test]
fn the_example_prints_the_top_class_of_a_picture() {
    let tests = env::current_exe().unwrap();
    let folder = tests.parent().unwrap().parent().unwrap().join("examples");
    let program = folder.join(format!("predict{}", env::consts::EXE_SUFFIX));
    if !program.exists() {
        eprintln!("skipped: only some tests were built, and no examples");
        return;
    }
    let mut plan = plan();
    plan.input.mean = vec![0.5];
    plan.input.deviation = vec![0.25];
    let model = File::new("example", &write(&plan, Precision::F32));
    let predict = |picture: &[u8]| {
        let picture = File::new("picture", picture);
        let run = Command::new(&program)
            .arg(&model.0)
            .arg(&picture.0)
            .output();
        let run = run.unwrap();
        (
            run.status.success(),
            String::from_utf8(run.stdout).unwrap(),
            String::from_utf8(run.stderr).unwrap(),
        )
    };
    // Twice (1 - 0.5) / 0.25.
    let expected = (true, "right (4)\n".to_owned(), String::new());
    assert_eq!(predict(b"P5\n2 1\n255\n\x00\xff"), expected);
    for wrong in [&b"P5\n1 2\n255\n\x00\xff"[..], b"P5\n2 1\n255\n\x00", b""] {
        let (succeeded, _, message) = predict(wrong);
        assert!(
            !succeeded && message.contains("the picture's header"),
            "{message}"
        );
    }
}
