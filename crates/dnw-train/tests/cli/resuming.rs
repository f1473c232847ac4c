//! Runs that were stopped and go on: the files are those of a run without a pause, byte for byte.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::shell::{Answer, SHORT, Shell};

/// A training of some hundred updates in `run`, with further arguments.
pub fn training(more: &[&str]) -> Vec<String> {
    let arguments = [
        &["train", "digits", "--out", "run"],
        &SHORT[..],
        &["--epochs", "40"],
        more,
    ];
    arguments.concat().into_iter().map(str::to_owned).collect()
}

pub const OFTEN: [&str; 4] = ["--checkpoint-every", "1steps", "--keep", "4"];

/// The files of a finished run without the seconds that it took.
fn result(shell: &Shell) -> BTreeMap<String, Vec<u8>> {
    let mut files = shell.files("run");
    for name in ["run/run.json", "run/report.html"] {
        let text = String::from_utf8(files.remove(name).unwrap()).unwrap();
        let mut parts = text.split("\"seconds\":");
        let mut without = parts.next().unwrap().to_owned();
        for part in parts {
            without +=
                part.trim_start_matches(|c: char| c == ' ' || c == '.' || c.is_ascii_digit());
        }
        files.insert(name.to_owned(), without.into_bytes());
    }
    files
}

#[track_caller]
pub fn is_same(found: &Shell, expected: &Shell) {
    let (found, expected) = (result(found), result(expected));
    let names = |files: &BTreeMap<String, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&found), names(&expected));
    for (name, bytes) in &expected {
        assert!(found[name] == *bytes, "{name} differs");
    }
}

fn checkpoint(shell: &Shell, update: u64) -> PathBuf {
    shell.path(format!("run/checkpoints/{update:08}"))
}

/// Waits until a training in `run` has the checkpoint of an update or a later one: the one itself may be gone before it is looked for.
#[track_caller]
pub fn wait_for_checkpoint(shell: &Shell, training: &mut Child, update: u64) {
    let deadline = Instant::now() + Duration::from_secs(120);
    while newest(shell).is_none_or(|newest| newest < update) {
        let goes_on = training.try_wait().unwrap().is_none() && Instant::now() < deadline;
        assert!(goes_on, "no checkpoint of update {update}");
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// The update of the newest checkpoint in `run`.
fn newest(shell: &Shell) -> Option<u64> {
    let entries = fs::read_dir(shell.path("run/checkpoints")).ok()?;
    let updates = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    updates.max()
}

/// Begins a training, and sends it a signal after the checkpoint of an update.
pub fn stopped(shell: &Shell, arguments: &[String], signal: &str, update: u64) -> Answer {
    let mut command = shell.command(arguments);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = child.spawn().unwrap();
    wait_for_checkpoint(shell, &mut child, update);
    let id = child.id().to_string();
    let sent = Command::new("kill").args([signal, &id]).status();
    assert!(sent.unwrap().success());
    child.wait_with_output().unwrap().into()
}

/// The training without a pause, with further arguments.
pub fn whole(more: &[&str]) -> Shell {
    let shell = Shell::new();
    shell.dnw_owned(&training(more)).succeeded();
    shell
}

/// A killed training with four checkpoints.
fn killed() -> Shell {
    let shell = Shell::new();
    stopped(&shell, &training(&OFTEN), "-KILL", 10);
    shell
}

#[test]
fn a_killed_run_goes_on_to_the_result_of_one_without_a_pause() {
    let whole = whole(&OFTEN);
    let shell = Shell::new();
    let killed = stopped(&shell, &training(&OFTEN), "-KILL", 10);
    let begins = "if it stops, `dnw train --resume run` continues it";
    assert!(killed.stderr.contains(begins), "{killed:?}");
    let again: Vec<String> = "train --resume run".split(' ').map(Into::into).collect();
    let killed = stopped(&shell, &again, "-KILL", 61);
    for said in [
        "`run` was left by process",
        "its lock is taken over",
        "`run` goes on after update",
    ] {
        assert!(
            killed.stderr.contains(said),
            "`{said}` is not in {killed:?}"
        );
    }
    let done = shell.run("train --resume run --json").succeeded();
    assert_eq!(done.json()["status"], "finished");
    is_same(&shell, &whole);
    assert!(
        !shell.path("run/checkpoints").exists(),
        "nothing is left to continue"
    );
}

#[test]
fn an_interrupted_run_says_how_it_goes_on_and_does() {
    let whole = whole(&OFTEN);
    for (signal, update) in [("-INT", 10), ("-TERM", 33)] {
        let shell = Shell::new();
        let answer = stopped(&shell, &training(&OFTEN), signal, update);
        let answer = answer.prints(&["continue it    dnw train --resume run"]);
        assert_ne!(answer.code, Some(0));
        // The evaluation that a stopped run makes is not one of the run without a pause.
        assert_eq!(shell.facts("run")["status"], "stopped");
        shell.run("eval run").succeeded();
        shell.run("train --resume run --quiet").succeeded();
        is_same(&shell, &whole);
    }
}

#[test]
fn rules_with_state_and_parts_of_batches_go_on_from_files() {
    for more in [
        [
            "--set",
            "wiring.rule=sparse-momentum",
            "--set",
            "wiring.settings.every=7",
        ],
        [
            "--set",
            "wiring.rule=lottery-ticket",
            "--micro-batch",
            "100",
        ],
        ["--precision", "f16", "--devices", "flex,flex"],
    ] {
        let more = [&OFTEN[..], &more].concat();
        let whole = whole(&more);
        let shell = Shell::new();
        stopped(&shell, &training(&more), "-KILL", 50);
        shell.run("train --resume run --quiet").succeeded();
        is_same(&shell, &whole);
    }
}

#[test]
fn what_a_run_did_not_begin_with_is_refused() {
    let shell = killed();
    let before = shell.files("run");
    let refused = |line: &str, words: &[&str]| {
        shell.run(line).refused(words);
    };
    refused(
        "train mnist --resume run",
        &["another recipe", "leave the recipe"],
    );
    refused("train --resume run --seed 7", &["`seed = 0`", "`seed = 7`"]);
    refused(
        "train --resume run --set batch=10",
        &["`batch = 360`", "`batch = 10`"],
    );
    refused(
        "train --resume run --precision bf16",
        &["precision", "bf16", "--accept-other-bits"],
    );
    refused(
        "train --resume run --micro-batch 7",
        &["micro-batch", "`7`"],
    );
    refused("train --resume nowhere", &["no folder `nowhere`"]);
    refused("train --resume .", &["no run folder"]);
    refused("train --out run", &["not empty", "dnw train --resume run"]);
    let mut other = shell.command("train --resume run".split(' '));
    let other: Answer = other.env("DNW_PRODUCTS", "dense").output().unwrap().into();
    other.refused(&["kernels", "DNW_PRODUCTS=dense", "bits may differ"]);
    let locks = ["run/run.lock", "run/run.pid"];
    let kept = |files: &BTreeMap<String, Vec<u8>>| {
        let kept = files
            .iter()
            .filter(|(name, _)| !locks.contains(&name.as_str()));
        kept.map(|(name, bytes)| (name.clone(), bytes.clone()))
            .collect::<Vec<_>>()
    };
    assert!(
        kept(&before) == kept(&shell.files("run")),
        "nothing is changed"
    );

    // The same recipe may be given, and other bits accepted.
    let mut other =
        shell.command("train digits --resume run --accept-other-bits --quiet".split(' '));
    let changes = SHORT.iter().chain(&["--epochs", "40"]);
    let other: Answer = other
        .args(changes)
        .env("DNW_PRODUCTS", "dense")
        .output()
        .unwrap()
        .into();
    other.succeeded();
    // As of a run that was killed while it removed its checkpoints.
    let left = checkpoint(&shell, 7);
    std::fs::create_dir_all(&left).unwrap();
    std::fs::write(left.join("best.safetensors"), "weights").unwrap();
    // And as of one that was killed while it wrote its page.
    let page = shell.path("run/.writing-page");
    std::fs::write(&page, "<!DOCTYPE html>").unwrap();
    let finished = shell.run("train --resume run").succeeded();
    assert!(!shell.path("run/checkpoints").exists() && !page.exists());
    assert!(
        finished.stderr.contains("`run` has finished"),
        "{finished:?}"
    );
    finished.prints(&["test accuracy"]);
}

#[test]
fn a_changed_recipe_file_is_refused() {
    let shell = killed();
    let path = shell.path("run/recipe.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("momentum = 0.9", "momentum = 0.8")).unwrap();
    shell
        .run("train --resume run")
        .refused(&["recipe.toml", "another recipe"]);
}

#[test]
fn a_run_that_is_going_on_is_not_resumed_by_another_process() {
    let shell = Shell::new();
    let mut long = training(&[]);
    for argument in long.iter_mut().filter(|it| *it == "40") {
        *argument = "100000".into();
    }
    let mut child = shell.command(&long).stderr(Stdio::null()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(120);
    while !shell.path("run/run.json").exists() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    let told = format!("process {} is writing", child.id());
    let answer = shell.run("train --resume run");
    child.kill().unwrap();
    child.wait().unwrap();
    answer.refused(&[&told, "`run`"]);
}

#[test]
fn a_damaged_checkpoint_is_named_and_the_one_before_it_is_used() {
    let whole = whole(&OFTEN);
    type Damage = fn(&mut Vec<u8>);
    let cut: Damage = |bytes| bytes.truncate(bytes.len() / 2);
    let flip: Damage = |bytes| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 4;
    };
    let grow: Damage = |bytes| bytes.extend([0; 9]);
    let empty: Damage = Vec::clear;
    for (file, damages) in [
        ("tensors.safetensors", &[cut, flip, grow][..]),
        ("optimizer.burnpack", &[flip, empty]),
        ("state.json", &[cut, flip]),
        ("manifest.json", &[cut, empty]),
        ("last.safetensors", &[flip]),
    ] {
        for damage in damages {
            let shell = killed();
            let path = checkpoint(&shell, newest(&shell).unwrap()).join(file);
            let mut bytes = fs::read(&path).unwrap();
            damage(&mut bytes);
            // A link to the weights of the run would damage these too.
            fs::remove_file(&path).unwrap();
            fs::write(&path, bytes).unwrap();
            let answer = shell.run("train --resume run").succeeded();
            let told = "a newer checkpoint cannot be used";
            assert!(answer.stderr.contains(told), "{file}: {answer:?}");
            assert!(answer.stderr.contains(file), "{answer:?}");
            is_same(&shell, &whole);
        }
    }
}

#[test]
fn sizes_that_a_manifest_claims_are_not_believed() {
    let shell = killed();
    for entry in fs::read_dir(shell.path("run/checkpoints")).unwrap() {
        let path = entry.unwrap().path().join("manifest.json");
        let Ok(text) = fs::read_to_string(&path) else {
            continue;
        };
        let mut manifest: serde_json::Value = serde_json::from_str(&text).unwrap();
        manifest["files"]["tensors.safetensors"]["bytes"] = u64::MAX.into();
        fs::write(&path, manifest.to_string()).unwrap();
    }
    let refused = shell.run("train --resume run");
    refused.refused(&[
        "no checkpoint to go on from",
        "tensors.safetensors",
        "bytes of",
    ]);
}

#[test]
fn a_run_whose_recorded_files_were_changed_is_refused() {
    for file in ["metrics.jsonl", "wiring/graph.weight.history"] {
        let shell = killed();
        let path = shell.path("run").join(file);
        let mut bytes = fs::read(&path).unwrap();
        bytes[0] ^= 1;
        fs::write(&path, bytes).unwrap();
        shell
            .run("train --resume run")
            .refused(&["no checkpoint", file, "changed"]);
    }
}

#[test]
fn an_interval_that_is_none_is_refused() {
    let shell = Shell::new();
    let answer = shell.run("train --checkpoint-every 5weeks");
    assert_eq!(answer.code, Some(2));
    assert!(answer.stderr.contains("such as 10min"), "{answer:?}");
}
