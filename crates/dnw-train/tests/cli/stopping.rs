//! Trainings that end before their end.

use std::fs;

use crate::shell::Shell;

#[cfg(unix)]
#[test]
fn an_interrupted_training_keeps_all_that_was_done() {
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    let shell = Shell::new();
    let mut training = shell.command([
        "train", "digits", "--out", "run", "--epochs", "100000", "--json",
    ]);
    let training = training
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(120);
    let evaluated = || {
        fs::read_to_string(shell.path("run/metrics.jsonl"))
            .is_ok_and(|text| text.contains("\"test\""))
    };
    while !evaluated() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(20));
    }
    let killed = Command::new("kill")
        .args(["-INT", &training.id().to_string()])
        .status()
        .unwrap();
    assert!(killed.success());
    let answer: crate::shell::Answer = training.wait_with_output().unwrap().into();

    assert_eq!(answer.code, Some(130), "{answer:?}");
    let result = answer.json();
    assert_eq!(result["status"], "stopped");
    assert!(result["updates"].as_u64().unwrap() > 0);
    assert_eq!(shell.facts("run")["status"], "stopped");
    assert!(shell.path("run/report.html").is_file());
    let evaluated = shell.dnw(&["eval", "run", "--json"]).succeeded().json();
    assert_eq!(evaluated["test_accuracy"], result["test_accuracy"]);
    shell.dnw(&["report", "run"]).succeeded();
    shell.dnw(&["compare", "run"]).succeeded();
}

#[cfg(unix)]
#[test]
fn a_killed_training_leaves_a_folder_that_can_be_read() {
    use std::process::Stdio;
    use std::time::{Duration, Instant};

    let shell = Shell::new();
    let mut training = shell.command([
        "train", "digits", "--out", "run", "--epochs", "100000", "--quiet",
    ]);
    let mut training = training.stdout(Stdio::null()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(120);
    while !shell.path("run/weights/best.safetensors").exists() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(20));
    }
    training.kill().unwrap();
    training.wait().unwrap();
    assert_eq!(shell.facts("run")["status"], "running");
    shell.dnw(&["report", "run"]).succeeded();
    shell.dnw(&["eval", "run"]).succeeded();
    shell.dnw(&["compare", "run"]).succeeded();
}

#[test]
fn a_loss_that_is_no_number_stops_the_training_and_keeps_the_last_good_weights() {
    let shell = Shell::new();
    let answer = shell.train("run", &["--set", "optimizer.learning-rate=1e30"]);
    let answer = answer.refused(&[
        "update",
        "epoch",
        "out of bounds",
        "optimizer.learning-rate",
        "run/report.html",
    ]);
    let facts = shell.facts("run");
    let cause = facts["status"]["failed"].as_str().unwrap();
    assert!(answer.stderr.contains(cause), "{cause}");
    assert!(shell.path("run/report.html").is_file());

    // The weights are those of before, and every one of them is a number.
    let bytes = fs::read(shell.path("run/weights/last.safetensors")).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let weights = tensors.tensor("graph.weight").unwrap().data().to_vec();
    let finite = |b: &[u8]| f32::from_le_bytes([b[0], b[1], b[2], b[3]]).is_finite();
    assert!(weights.chunks_exact(4).all(finite));
    let evaluated = shell.dnw(&["eval", "run", "--json"]).succeeded().json();
    assert!(evaluated["test_loss"].is_f64());
    shell.dnw(&["report", "run"]).succeeded();
    shell.dnw(&["compare", "run"]).succeeded();
    let best = shell.dnw(&["eval", "run", "--weights", "best"]);
    best.refused(&["best.safetensors", "--weights last"]);
}

#[test]
fn a_test_loss_that_is_no_number_stops_the_training_too() {
    // One update an epoch: the loss before it is sound, that of the test after it is not.
    let shell = Shell::new();
    let changes = [
        "--set",
        "batch=1442",
        "--set",
        "optimizer.learning-rate=1e38",
        "--set",
        "optimizer.warm-up=0",
    ];
    shell
        .train("run", &changes)
        .refused(&["update 1 ", "out of bounds", "run/report.html"]);
    assert!(shell.facts("run")["status"]["failed"].is_string());
    shell.dnw(&["report", "run"]).succeeded();
    shell.dnw(&["eval", "run"]).succeeded();
}
