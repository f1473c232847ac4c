//! Servers that freeze.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::resuming::{OFTEN, checkpoint, training};
use crate::server::{Server, TOKEN};
use crate::shell::{Answer, Shell};

fn signal(server: &Server, name: &str) {
    let id = server.process.id().to_string();
    let sent = Command::new("kill").args([name, &id]).status();
    assert!(sent.unwrap().success());
}

/// Begins the training there, freezes the server after the tenth update, and waits for the end.
fn freeze(shell: &Shell, server: &Server, more: &[&str]) -> (Answer, Duration) {
    let there = ["--quiet", "--device", &server.device];
    let arguments = training(&[&OFTEN[..], &there, more].concat());
    let mut command = shell.command(arguments);
    let command = command.env("DNW_TOKEN", TOKEN);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = child.spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(120);
    while !checkpoint(shell, 10).exists() {
        assert!(Instant::now() < deadline, "no checkpoint of update 10");
        std::thread::sleep(Duration::from_millis(1));
    }
    signal(server, "-STOP");
    let began = Instant::now();
    let answer = child.wait_with_output().unwrap().into();
    (answer, began.elapsed())
}

#[test]
fn a_frozen_server_ends_the_training_which_goes_on_when_it_answers_again() {
    let shell = Shell::new();
    let server = Server::start(&shell, &["--listen", "127.0.0.1:0"], Some(TOKEN));
    let (answer, waited) = freeze(&shell, &server, &["--remote-timeout", "3"]);
    let answer = answer.refused(&[
        &format!("the device `{}` failed in update", server.device),
        "its server is frozen",
        "`dnw train --resume run` continues",
    ]);
    eprintln!("it took {waited:?}: {answer:?}");
    assert!(waited > Duration::from_secs(3) && waited < Duration::from_secs(60));
    assert_eq!(
        shell.facts("run")["status"],
        "running",
        "as of a killed run"
    );
    shell.run("eval run --device flex").succeeded();

    signal(&server, "-CONT");
    let resume = |shell: &Shell| -> Answer {
        let mut command = shell.command("train --resume run --quiet".split(' '));
        command.env("DNW_TOKEN", TOKEN).output().unwrap().into()
    };
    resume(&shell).succeeded();
    // The same server, without a pause.
    let whole = Shell::new();
    let there = ["--device", &server.device, "--remote-timeout", "3"];
    let arguments = training(&[&OFTEN[..], &there].concat());
    let mut command = whole.command(arguments);
    let done: Answer = command.env("DNW_TOKEN", TOKEN).output().unwrap().into();
    done.succeeded();
    let weights =
        |shell: &Shell| std::fs::read(shell.path("run/weights/last.safetensors")).unwrap();
    assert!(weights(&shell) == weights(&whole), "another result");
}

#[test]
fn a_training_goes_on_elsewhere_when_its_server_froze() {
    let shell = Shell::new();
    let server = Server::start(&shell, &["--listen", "127.0.0.1:0"], Some(TOKEN));
    let (answer, _) = freeze(&shell, &server, &["--remote-timeout", "3"]);
    answer.refused(&["--device flex --accept-other-bits"]);
    let line = "train --resume run --device flex --accept-other-bits --quiet";
    shell.run(line).succeeded();
    assert_eq!(shell.facts("run")["status"], "finished");
}

#[test]
fn a_server_that_is_only_slow_is_waited_for() {
    let shell = Shell::new();
    let server = Server::start(&shell, &["--listen", "127.0.0.1:0"], Some(TOKEN));
    // One update of all images with a large network.
    let slow = [
        "train",
        "digits",
        "--quiet",
        "--out",
        "run",
        "--epochs",
        "1",
        "--remote-timeout",
        "1",
        "--set",
        "batch=1442",
        "--set",
        "model.fold=2",
        "--set",
        "model.levels=[200, 200, 200]",
        "--device",
        &server.device,
    ];
    let mut command = shell.command(slow);
    let done: Answer = command.env("DNW_TOKEN", TOKEN).output().unwrap().into();
    done.succeeded();
    // Three things are reported: the beginning, the update, the evaluation.
    let seconds = shell.facts("run")["seconds"].as_f64().unwrap();
    assert!(seconds > 3.0, "it was too fast to show anything: {seconds}");
}

#[test]
fn a_frozen_server_over_iroh_is_noticed_by_its_connection() {
    let shell = Shell::new();
    let arguments = ["--listen", "iroh://127.0.0.1:0"];
    let server = Server::start(&shell, &arguments, Some(TOKEN));
    let (answer, waited) = freeze(&shell, &server, &[]);
    let answer = answer.refused(&["its server no longer answers", "dnw train --resume run"]);
    eprintln!("it took {waited:?}: {answer:?}");
    assert!(waited > Duration::from_secs(10) && waited < Duration::from_secs(90));
    assert!(shell.facts("run")["status"]["failed"].is_string());
}
