//! Several trainings and one folder.

use std::fs;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::shell::{Answer, SHORT, Shell};

const SAME: [&str; 6] = ["train", "digits", "--quiet", "--json", "--out", "run"];

fn started(shell: &Shell, arguments: &[&str]) -> Child {
    let mut command = shell.command(arguments);
    let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

fn ended(child: Child) -> Answer {
    child.wait_with_output().unwrap().into()
}

#[test]
fn of_trainings_that_start_at_once_in_one_folder_one_runs_and_the_others_are_told_by_whom() {
    let shell = Shell::new();
    let arguments = [&SAME[..], &SHORT[..]].concat();
    let children: Vec<Child> = (0..4).map(|_| started(&shell, &arguments)).collect();
    let ids: Vec<u32> = children.iter().map(Child::id).collect();
    let answers: Vec<Answer> = children.into_iter().map(ended).collect();
    let winners: Vec<usize> = (0..4).filter(|&i| answers[i].code == Some(0)).collect();
    assert_eq!(winners.len(), 1, "{answers:?}");
    let winner = ids[winners[0]];
    for (i, answer) in answers.into_iter().enumerate() {
        if i == winners[0] {
            continue;
        }
        // Whoever comes when all is over finds a run.
        let answer = answer.refused(&["`run`", "--out"]);
        let said = &answer.stderr;
        let told = said.contains(&format!("process {winner} is writing"));
        assert!(told || said.contains("is not empty"), "{said}");
    }
    shell.run("eval run").succeeded();
    assert_eq!(shell.facts("run")["status"], "finished");
    for file in ["run/run.lock", "run/run.pid"] {
        assert!(!shell.path(file).exists(), "{file} is left");
    }
}

#[test]
fn a_training_that_goes_on_keeps_others_out_of_its_folder() {
    let shell = Shell::new();
    let mut first = started(&shell, &[&SAME[..], &["--epochs", "100000"]].concat());
    let deadline = Instant::now() + Duration::from_secs(120);
    while !shell.path("run/run.json").exists() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(10));
    }
    let told = format!("process {} is writing", first.id());
    let second = shell.train("run", &[]);
    first.kill().unwrap();
    first.wait().unwrap();
    second.refused(&[&told, "`run`", "--out", "wait"]);
    // What was killed has left its lock and a run, which is not written over.
    shell.train("run", &[]).refused(&["not empty"]);
    shell.run("report run").succeeded();
}

#[test]
fn a_lock_that_a_dead_process_has_left_blocks_nobody() {
    let shell = Shell::new();
    fs::create_dir_all(shell.path("run/wiring")).unwrap();
    fs::create_dir_all(shell.path("run/weights")).unwrap();
    fs::write(shell.path("run/run.lock"), "").unwrap();
    fs::write(shell.path("run/run.pid"), "4194999").unwrap();
    fs::write(shell.path("run/wiring/other.history"), "of another network").unwrap();
    fs::write(shell.path("run/drawing.json"), "{").unwrap();
    let arguments = [&["train", "digits", "--json", "--out", "run"], &SHORT[..]].concat();
    let answer = shell.dnw(&arguments).succeeded();
    let told = "`run` was left by process 4194999, which has ended";
    assert!(answer.stderr.contains(told), "{answer:?}");
    assert!(!shell.path("run/wiring/other.history").exists());
    shell.run("report run").succeeded();

    // What is not a run's beginning is nobody's to remove.
    fs::create_dir(shell.path("notes")).unwrap();
    fs::write(shell.path("notes/run.lock"), "").unwrap();
    fs::write(shell.path("notes/mine.txt"), "keep me").unwrap();
    shell.train("notes", &[]).refused(&["`notes`", "not empty"]);
    let kept = fs::read_to_string(shell.path("notes/mine.txt")).unwrap();
    assert_eq!(kept, "keep me");
}

#[test]
fn trainings_that_start_at_once_without_a_folder_have_each_its_own() {
    let shell = Shell::new();
    let arguments = [&["train", "digits", "--quiet", "--json"], &SHORT[..]].concat();
    let children: Vec<Child> = (0..3).map(|_| started(&shell, &arguments)).collect();
    let mut folders: Vec<String> = children
        .into_iter()
        .map(|child| {
            ended(child).succeeded().json()["run"]
                .as_str()
                .unwrap()
                .into()
        })
        .collect();
    folders.sort();
    assert_eq!(folders, ["runs/digits-1", "runs/digits-2", "runs/digits-3"]);
    for folder in folders {
        shell.dnw(&["eval", &folder]).succeeded();
    }
}
