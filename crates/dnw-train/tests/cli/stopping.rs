//! Trainings that end before their end.

use std::fs;

use crate::shell::Shell;

/// Trainings that a signal ends.
#[cfg(unix)]
mod signals {
    use std::fs;
    use std::process::{Child, Command, Stdio};
    use std::time::{Duration, Instant};

    use crate::shell::{Answer, Shell};

    /// A training that would take days, and has been evaluated once. It is killed if its test fails.
    struct Training(Option<Child>);

    impl Training {
        fn start(shell: &Shell, program: &mut Command) -> Self {
            let child = program.stdout(Stdio::piped()).stderr(Stdio::piped());
            let training = Self(Some(child.spawn().unwrap()));
            let deadline = Instant::now() + Duration::from_secs(120);
            let evaluated = || {
                fs::read_to_string(shell.path("run/metrics.jsonl"))
                    .is_ok_and(|text| text.contains("\"test\""))
            };
            while !evaluated() && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(20));
            }
            training
        }

        fn signal(&self, name: &str) {
            let id = self.0.as_ref().unwrap().id().to_string();
            let killed = Command::new("kill").args([name, &id]).status();
            assert!(killed.unwrap().success());
        }

        fn is_going_on(&mut self) -> bool {
            self.0.as_mut().unwrap().try_wait().unwrap().is_none()
        }

        fn ended(mut self) -> Answer {
            let child = self.0.take().unwrap();
            child.wait_with_output().unwrap().into()
        }
    }

    impl Drop for Training {
        fn drop(&mut self) {
            if let Some(child) = &mut self.0 {
                let _ = child.kill();
                let _ = child.wait();
            }
        }
    }

    const LONG: [&str; 7] = [
        "train", "digits", "--out", "run", "--epochs", "100000", "--json",
    ];

    /// The run is saved and can be read by everything that reads runs; the exit code is that of the signal.
    fn saved(signal: &str, code: i32) {
        let shell = Shell::new();
        let training = Training::start(&shell, &mut shell.command(LONG));
        training.signal(signal);
        let answer = training.ended();

        assert_eq!(answer.code, Some(code), "{answer:?}");
        let result = answer.json();
        assert_eq!(result["status"], "stopped");
        assert!(result["updates"].as_u64().unwrap() > 0);
        assert_eq!(shell.facts("run")["status"], "stopped");
        assert!(shell.path("run/report.html").is_file());
        let evaluated = shell.run("eval run --json").succeeded().json();
        assert_eq!(evaluated["test_accuracy"], result["test_accuracy"]);
        shell.run("report run").succeeded();
        shell.run("compare run").succeeded();
    }

    // The codes are those that a shell reports: 128 + 2, 15, 1.

    #[test]
    fn an_interrupted_training_keeps_all_that_was_done() {
        saved("-INT", 130);
    }

    #[test]
    fn a_terminated_training_is_saved_and_its_exit_code_says_so() {
        saved("-TERM", 143);
    }

    #[test]
    fn a_training_whose_terminal_closes_is_saved_and_its_exit_code_says_so() {
        saved("-HUP", 129);
    }

    #[test]
    fn a_training_whose_output_goes_nowhere_any_more_is_saved_all_the_same() {
        let shell = Shell::new();
        let mut training = Training::start(&shell, &mut shell.command(LONG));
        // As a terminal that has closed: nobody reads any more.
        let child = training.0.as_mut().unwrap();
        drop((child.stdout.take(), child.stderr.take()));
        training.signal("-HUP");
        let code = training.0.as_mut().unwrap().wait().unwrap().code();
        assert_eq!(code, Some(129));
        assert_eq!(shell.facts("run")["status"], "stopped");
        assert!(shell.path("run/report.html").is_file());
    }

    #[test]
    fn nohup_keeps_a_training_going_when_its_terminal_closes() {
        let shell = Shell::new();
        let plain = shell.command(LONG);
        let mut nohup = Command::new("nohup");
        nohup
            .arg(plain.get_program())
            .args(LONG)
            .current_dir(shell.path(""))
            .stdin(Stdio::null());
        let mut training = Training::start(&shell, &mut nohup);
        training.signal("-HUP");
        std::thread::sleep(Duration::from_millis(500));
        assert!(training.is_going_on());
        training.signal("-TERM");
        assert_eq!(training.ended().code, Some(143));
        assert_eq!(shell.facts("run")["status"], "stopped");
    }
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
    shell.run("report run").succeeded();
    shell.run("eval run").succeeded();
    shell.run("compare run").succeeded();
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
    let evaluated = shell.run("eval run --json").succeeded().json();
    assert!(evaluated["test_loss"].is_f64());
    shell.run("report run").succeeded();
    shell.run("compare run").succeeded();
    let best = shell.run("eval run --weights best");
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
    shell.run("report run").succeeded();
    shell.run("eval run").succeeded();
}
