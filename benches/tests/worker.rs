//! Tests of the measuring programs, started as by `cargo xtask bench-backends` and `cargo xtask bench-peers`.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

fn worker(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bench-backend"))
        .args(arguments)
        .output()
        .expect("the worker can be run")
}

fn json(output: &Output) -> Value {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    serde_json::from_slice(&output.stdout).expect("the worker prints JSON and nothing else")
}

const SMALL: [&str; 6] = ["--batch", "8", "--rounds", "3", "--threads", "1"];

#[test]
fn measurements_are_complete_and_the_loss_is_reproducible() {
    let [a, b] = [(); 2].map(|()| json(&worker(&[&["flex", "mnist"][..], &SMALL].concat())));
    assert_eq!(
        (&a["device"], &a["model"]),
        (&"flex".into(), &"mnist".into())
    );
    assert_eq!((&a["batch"], &a["threads"]), (&8.into(), &1.into()));
    for what in ["step", "forward", "rewire"] {
        let time = |name: &str| a[what][name].as_f64().expect("a number");
        assert_eq!(a[what]["rounds"], 3, "{what}");
        assert!(time("first") > 0.0 && time("lower") > 0.0, "{what}");
        assert!(
            time("lower") <= time("median") && time("median") <= time("upper"),
            "{what}"
        );
    }
    let loss = |name: &str| a["loss"][name].as_f64().expect("a number");
    assert_eq!(a["loss"]["updates"], 3);
    assert!(
        loss("then") < loss("first"),
        "{} to {}",
        loss("first"),
        loss("then")
    );
    assert_eq!(a["loss"], b["loss"]);
    #[cfg(target_os = "linux")]
    assert!(a["memory"]["peak"].as_u64() > a["memory"]["program"].as_u64());
}

#[test]
fn the_list_has_devices_and_networks() {
    let listing = json(&worker(&["--list"]));
    let devices = listing["devices"].as_array().expect("a list");
    assert!(devices.contains(&"flex".into()), "{devices:?}");
    let models = listing["models"].as_array().expect("a list");
    assert_eq!(models.len(), 5, "{models:?}");
}

#[test]
fn an_unavailable_device_is_a_one_line_error() {
    let output = worker(&["cuda:7", "mnist"]);
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    let is_sentence = said.starts_with("error: ") && said.contains("cuda");
    assert!(is_sentence && said.lines().count() == 1, "{said}");
    assert!(output.stdout.is_empty());
}

/// A worker's answers to these requests, line by line, and its standard error.
fn answers(program: &str, arguments: &[&str], requests: &str) -> (bool, Vec<Value>, String) {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the worker can be run");
    let mut input = child.stdin.take().expect("a pipe");
    // A worker that has exited does not read.
    let _ = input.write_all(requests.as_bytes());
    drop(input);
    let output = child.wait_with_output().expect("it ends with its input");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines = said
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"));
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.success(), lines.collect(), stderr)
}

fn times(answer: &Value) -> usize {
    let times = answer["milliseconds"].as_array().expect("a list");
    assert!(
        times.iter().all(|time| time.as_f64() > Some(0.0)),
        "{answer}"
    );
    times.len()
}

#[test]
fn training_steps_run_on_request() {
    let arguments = [
        "flex",
        "mnist",
        "--answer",
        "--batch",
        "8",
        "--threads",
        "1",
    ];
    let (is_well, lines, stderr) =
        answers(env!("CARGO_BIN_EXE_bench-backend"), &arguments, "2\n1\n");
    assert!(is_well, "{stderr}");
    let [ready, first, second] = lines.as_slice() else {
        panic!("three lines: {lines:?}")
    };
    assert_eq!(
        (&ready["model"], &ready["batch"]),
        (&"mnist".into(), &8.into())
    );
    let count = |name: &str| ready["multiply_adds"][name].as_u64().expect("a number");
    assert!(count("forward") > 0 && count("input_gradient") <= count("forward"));
    assert!(count("forward") < count("weight_gradient"));
    assert_eq!((times(first), times(second)), (2, 1));
}

#[test]
fn choices_and_products_are_made_as_they_are_asked_for() {
    let program = env!("CARGO_BIN_EXE_bench-kernel");
    let choice = [
        "selection",
        "--weights",
        "1000",
        "--edges",
        "50",
        "--threads",
        "1",
    ];
    let (is_well, lines, stderr) = answers(program, &choice, "3\n");
    assert!(is_well && lines.len() == 2, "{stderr}");
    assert_eq!(times(&lines[1]), 3);
    let (is_well, lines, _) = answers(program, &["products"], "");
    assert!(is_well && lines.len() == 1);
    let cases = lines[0]["cases"].as_array().expect("a list");
    assert!(
        cases
            .iter()
            .any(|case| case["operation"] == "input-gradient" && case["density"] == 0.01)
    );
    let (is_well, _, stderr) = answers(
        program,
        &["selection", "--edges", "9", "--weights", "3"],
        "1\n",
    );
    assert!(!is_well && stderr.starts_with("error: "), "{stderr}");
}

#[test]
fn a_request_that_is_not_a_number_is_a_one_line_error() {
    let (is_well, lines, stderr) = answers(
        env!("CARGO_BIN_EXE_bench-kernel"),
        &["selection"],
        "often\n",
    );
    assert!(!is_well && lines.len() == 1);
    assert!(
        stderr.contains("`often`") && stderr.lines().count() == 1,
        "{stderr}"
    );
}
