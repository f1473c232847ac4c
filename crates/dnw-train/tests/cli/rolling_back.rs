//! Runs that diverge and go on with half the learning rate.

use crate::resuming::{OFTEN, is_same, stopped, training};
use crate::shell::Shell;

/// A rate that is far too large, for the whole run: the loss is NaN within the first epochs.
const WILD: [&str; 6] = [
    "--set",
    "optimizer.learning-rate=1e5",
    "--set",
    "optimizer.warm-up=0",
    "--set",
    "optimizer.schedule=constant",
];
const ROLL_BACK: [&str; 2] = ["--on-divergence", "roll-back"];

fn roll_backs(shell: &Shell) -> Vec<serde_json::Value> {
    let facts = shell.facts("run");
    facts["roll_backs"].as_array().cloned().unwrap_or_default()
}

#[test]
fn a_run_that_diverges_goes_on_with_half_the_rate_and_finishes() {
    let shell = Shell::new();
    let answer = shell.dnw_owned(&training(&[&WILD[..], &ROLL_BACK].concat()));
    let answer = answer.succeeded();
    assert_eq!(shell.facts("run")["status"], "finished");
    let all = roll_backs(&shell);
    let said = answer.stderr.lines();
    let said = said.filter(|line| line.contains("; back to update"));
    assert_eq!(said.count(), all.len(), "{answer:?}");
    assert!(!all.is_empty());
    for (halvings, roll_back) in (1..).zip(&all) {
        let [failed, to] = ["failed", "to"].map(|key| roll_back[key].as_u64().unwrap());
        // Four updates an epoch.
        assert!(to < failed && failed <= to + 5 && to.is_multiple_of(4));
        assert_eq!(roll_back["rate_halvings"], halvings);
    }
    let share = format!("with 1/{} of the learning rate", 1 << all.len());
    answer.prints(&["rolled back", &share]);
    let page = std::fs::read_to_string(shell.path("run/report.html")).unwrap();
    assert!(page.contains(&share));
    let metrics = std::fs::read_to_string(shell.path("run/metrics.jsonl")).unwrap();
    let lines = metrics.lines().map(serde_json::from_str);
    let lines: Vec<serde_json::Value> = lines.map(Result::unwrap).collect();
    let mut rates = lines
        .iter()
        .filter_map(|line| line["learning_rate"].as_f64());
    let expected = 1e5 / f64::from(1 << all.len());
    assert_eq!(rates.next_back(), Some(expected));
    let updates = lines.iter().map(|line| line["update"].as_u64().unwrap());
    assert!(
        updates.is_sorted(),
        "what was undone is not in the metrics any more"
    );
}

#[test]
fn a_run_that_rolled_back_and_was_killed_goes_on_to_the_same_bytes() {
    let wild = [&OFTEN[..], &WILD, &ROLL_BACK].concat();
    let whole = Shell::new();
    whole.dnw_owned(&training(&wild)).succeeded();
    let last = roll_backs(&whole).pop().unwrap();
    let [failed, to] = ["failed", "to"].map(|key| last[key].as_u64().unwrap());
    // Before it diverges for the last time, as soon as it has gone back, and long after.
    for update in [1, to + 1, failed + 1, failed + 40] {
        let shell = Shell::new();
        stopped(&shell, &training(&wild), "-KILL", update);
        shell.run("train --resume run --quiet").succeeded();
        is_same(&shell, &whole);
    }
}

#[test]
fn a_rate_that_cannot_be_mended_ends_the_run_after_five_roll_backs() {
    let hopeless = ["--set", "optimizer.learning-rate=1e30"];
    let shell = Shell::new();
    let answer = shell.train("run", &[&hopeless[..], &ROLL_BACK].concat());
    let answer = answer.refused(&[
        "out of bounds, and did so again after 5 roll backs, with 1/32 of the learning rate",
        "optimizer.learning-rate",
        "`dnw train --resume run` continues",
    ]);
    assert_eq!(roll_backs(&shell).len(), 5);
    let cause = shell.facts("run")["status"]["failed"].clone();
    assert!(answer.stderr.contains(cause.as_str().unwrap()));
    shell.run("report run").succeeded();
    let again = shell.run("train --resume run --quiet");
    again.refused(&["after 5 roll backs"]);
}

#[test]
fn a_run_that_failed_can_be_continued_by_rolling_back() {
    let shell = Shell::new();
    let failed = shell.dnw_owned(&training(&[&WILD[..], &["--quiet"]].concat()));
    let continues = "dnw train --resume run --on-divergence roll-back";
    failed.refused(&[
        "optimizer.learning-rate",
        &format!("`{continues}` goes on from its last checkpoint with half the learning rate"),
    ]);
    assert!(roll_backs(&shell).is_empty());
    let line = continues.strip_prefix("dnw ").unwrap();
    shell.run(line).succeeded();
    assert!(!roll_backs(&shell).is_empty());
    assert_eq!(shell.facts("run")["status"], "finished");
}

#[test]
fn a_run_that_never_diverges_has_the_same_bits_either_way() {
    let [stops, rolls] = [&["--on-divergence", "stop"], &ROLL_BACK].map(|choice| {
        let shell = Shell::new();
        shell.dnw_owned(&training(choice)).succeeded();
        let mut files = shell.files("run");
        // The command and the seconds are others.
        for name in ["run/run.json", "run/report.html", "run/settings.json"] {
            files.remove(name).unwrap();
        }
        files
    });
    assert!(stops.len() > 5);
    assert!(stops == rolls);
}
