//! How a training is computed: several devices, parts of batches, numbers of fewer bits.

use crate::shell::Shell;

/// What a run says of where it was made, by label.
fn environment(shell: &Shell, run: &str, label: &str) -> Option<String> {
    let facts = shell.facts(run);
    let entries = facts["environment"].as_array().unwrap().iter();
    let mut found = entries.filter(|entry| entry[0] == label);
    found
        .next()
        .map(|entry| entry[1].as_str().unwrap().to_owned())
}

#[test]
fn a_run_says_how_it_was_computed_where_that_is_not_as_usual() {
    let shell = Shell::new();
    shell.train("plain", &[]).succeeded();
    for label in ["devices", "precision", "micro-batch"] {
        assert_eq!(environment(&shell, "plain", label), None);
    }
    let flags = [
        "--devices",
        "flex,flex",
        "--micro-batch",
        "100",
        "--precision",
        "mixed",
    ];
    let run = shell.train("odd", &[&flags[..], &["--json"]].concat());
    assert!(run.succeeded().json()["test_accuracy"].as_f64().unwrap() > 0.1);
    let said = |label| environment(&shell, "odd", label);
    assert_eq!(said("devices").as_deref(), Some("flex, flex"));
    assert_eq!(said("precision").as_deref(), Some("bf16, norms in f32"));
    assert_eq!(said("micro-batch").as_deref(), Some("100"));
    shell.run("report odd").succeeded();
}

#[test]
fn two_devices_give_the_same_files_every_time() {
    let shell = Shell::new();
    for run in ["a", "b"] {
        let flags = ["--devices", "flex,flex", "--set", "wiring.rule=set"];
        shell.train(run, &flags).succeeded();
    }
    let weights = "weights/last.safetensors";
    assert_eq!(
        shell.files("a")[&format!("a/{weights}")],
        shell.files("b")[&format!("b/{weights}")]
    );
}

#[test]
fn what_cannot_be_computed_is_refused_before_anything_is_written() {
    let shell = Shell::new();
    let train = |flags: &[&str]| shell.dnw(&[&["train", "digits", "--out", "run"], flags].concat());
    train(&["--devices", "flex,flex,flex", "--set", "batch=2"]).refused(&[
        "3 devices cannot share batches of 2",
        "at most 2 devices",
        "--set batch=N",
    ]);
    train(&["--devices", "flex,flexx"]).refused(&["no device `flexx`", "did you mean `flex`"]);
    let misused = |flags: &[&str], words: &[&str]| {
        let answer = train(flags);
        assert_eq!(answer.code, Some(2), "{answer:?}");
        for word in words {
            assert!(answer.stderr.contains(word), "{word} is not in {answer:?}");
        }
    };
    misused(
        &["--device", "flex", "--devices", "flex,flex"],
        &["--device", "cannot be used with", "--devices"],
    );
    misused(&["--micro-batch", "0"], &["--micro-batch", "1.."]);
    misused(&["--precision", "fp8"], &["fp8", "f32, f16, bf16, mixed"]);
    assert!(shell.files(".").is_empty());
}
