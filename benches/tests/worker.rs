//! The worker as `cargo xtask bench-backends` starts it.

use std::process::{Command, Output};

use serde_json::Value;

fn worker(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bench-backend"))
        .args(arguments)
        .output()
        .expect("the worker can be run")
}

fn json(output: &Output) -> Value {
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complained}");
    serde_json::from_slice(&output.stdout).expect("the worker prints JSON and nothing else")
}

const SMALL: [&str; 6] = ["--batch", "8", "--rounds", "3", "--threads", "1"];

#[test]
fn it_measures_what_was_asked_and_the_same_updates_give_the_same_loss() {
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
fn it_lists_devices_and_networks_that_it_takes() {
    let listing = json(&worker(&["--list"]));
    let devices = listing["devices"].as_array().expect("a list");
    assert!(devices.contains(&"flex".into()), "{devices:?}");
    let models = listing["models"].as_array().expect("a list");
    assert_eq!(models.len(), 5, "{models:?}");
}

#[test]
fn a_device_that_cannot_be_had_is_refused_in_a_sentence() {
    let output = worker(&["cuda:7", "mnist"]);
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    let is_sentence = said.starts_with("error: ") && said.contains("cuda");
    assert!(is_sentence && said.lines().count() == 1, "{said}");
    assert!(output.stdout.is_empty());
}
