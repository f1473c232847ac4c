//! Disks that are full, folders that go away, readers that close: each is an error with a remedy, and the run goes on afterwards.
//!
//! Small disks and read-only folders are mounts in a namespace of their own, for which no rights are needed on most machines.

use std::fs;
use std::process::{Command, Stdio};

use crate::resuming::{OFTEN, is_same, training, wait_for_checkpoint, whole};
use crate::shell::{Answer, Shell};

/// Runs a shell script in which `$DNW` is the program and `mount` works; `None` where there are no namespaces.
fn with_mounts(shell: &Shell, script: &str, arguments: &[String]) -> Option<Answer> {
    let mut unshare = Command::new("unshare");
    let unshare = unshare.args(["--user", "--map-root-user", "--mount"]);
    let works = |script: &str| {
        let mut unshare = Command::new("unshare");
        let unshare = unshare.args(["--user", "--map-root-user", "--mount", "sh", "-c", script]);
        unshare.current_dir(shell.path("")).output()
    };
    fs::create_dir_all(shell.path("mounted")).unwrap();
    let tried = works("mount -t tmpfs none mounted");
    if !tried.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: this machine mounts nothing in namespaces");
        return None;
    }
    let script = format!("set -e\n{script}");
    let unshare = unshare.args(["sh", "-c", &script, "sh"]).args(arguments);
    let unshare = unshare.env("DNW", env!("CARGO_BIN_EXE_dnw"));
    let unshare = unshare.env_remove("DNW_DATA").current_dir(shell.path(""));
    Some(unshare.output().unwrap().into())
}

fn read(shell: &Shell, name: &str) -> String {
    fs::read_to_string(shell.path(name)).unwrap()
}

/// Checks what a training said that could not write.
#[track_caller]
fn could_not_write(said: &str) {
    assert!(said.contains("error: cannot write `"), "{said}");
    assert!(said.contains("help: "), "{said}");
    assert!(!said.contains("panicked"), "{said}");
}

#[test]
fn a_disk_that_is_full_at_any_write_ends_the_run_and_room_lets_it_go_on() {
    const SCRIPT: &str = r#"
        mkdir -p small
        mount -t tmpfs -o size="$SIZE"k none small
        cd small
        code=0
        "$DNW" "$@" 2>../said.txt >../result.txt || code=$?
        echo $code >../code.txt
        mount -o remount,size=64m .
        if [ -e run/run.json ]
        then "$DNW" train --resume run --quiet
        else "$DNW" "$@"
        fi
        cp -r run ..
    "#;
    let whole = whole(&OFTEN);
    let (mut size, mut failed) = (24, 0);
    loop {
        let shell = Shell::new();
        let script = SCRIPT.replace("$SIZE", &size.to_string());
        let Some(answer) = with_mounts(&shell, &script, &training(&OFTEN)) else {
            return;
        };
        answer.succeeded();
        is_same(&shell, &whole);
        if read(&shell, "code.txt").trim() == "0" {
            break;
        }
        could_not_write(&read(&shell, "said.txt"));
        failed += 1;
        size += 40;
    }
    assert!(failed > 5, "only {failed} sizes were too small");
}

#[test]
fn a_folder_that_becomes_read_only_ends_the_run_which_goes_on_when_it_is_not() {
    const SCRIPT: &str = r#"
        "$DNW" "$@" 2>said.txt >result.txt &
        training=$!
        while [ ! -e run/checkpoints/00000010 ]; do sleep 0.01; done
        mount --bind run run
        mount -o remount,bind,ro run
        code=0
        wait $training || code=$?
        echo $code >code.txt
        umount run
        "$DNW" train --resume run --quiet
    "#;
    let whole = whole(&OFTEN);
    let shell = Shell::new();
    let Some(answer) = with_mounts(&shell, SCRIPT, &training(&OFTEN)) else {
        return;
    };
    answer.succeeded();
    assert_eq!(read(&shell, "code.txt").trim(), "1");
    could_not_write(&read(&shell, "said.txt"));
    is_same(&shell, &whole);
}

#[test]
fn a_folder_that_is_removed_ends_the_run() {
    let shell = Shell::new();
    let mut command = shell.command(training(&OFTEN));
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = child.spawn().unwrap();
    wait_for_checkpoint(&shell, &mut child, 5);
    // Renamed, because a folder into which files are written is not removed in one call.
    fs::rename(shell.path("run"), shell.path("gone")).unwrap();
    let answer: Answer = child.wait_with_output().unwrap().into();
    assert_eq!(answer.code, Some(1), "{answer:?}");
    could_not_write(&answer.stderr);
    assert!(
        !shell.path("run").exists(),
        "nothing is written to its place"
    );
    shell.run("train --resume gone --quiet").succeeded();
}

#[test]
fn data_that_vanish_end_the_run_which_goes_on_when_they_are_back() {
    let shell = Shell::new();
    for index in 0..40u8 {
        let class = ["a", "b"][usize::from(index % 2)];
        for part in ["train", "val"] {
            let folder = shell.path(format!("pictures/{part}/{class}"));
            fs::create_dir_all(&folder).unwrap();
            let file = fs::File::create(folder.join(format!("{index}.png"))).unwrap();
            let mut encoder = png::Encoder::new(file, 16, 16);
            encoder.set_color(png::ColorType::Rgb);
            let mut writer = encoder.write_header().unwrap();
            let pixels = [index * 6, 99, 7].repeat(256);
            writer.write_image_data(&pixels).unwrap();
        }
    }
    let mut command = shell.command(training(&OFTEN));
    let transforms = "transforms={train={kind=\"random-resized-crop\",size=16},\
                      test={kind=\"resize-centre-crop\",resize=18,size=16}}";
    let own = [
        "--set",
        "data=imagenet",
        "--data",
        "pictures",
        "--set",
        "batch=8",
    ];
    let child = command.args(own).args(["--set", transforms]);
    let child = child.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = child.spawn().unwrap();
    wait_for_checkpoint(&shell, &mut child, 7);
    fs::rename(shell.path("pictures/train"), shell.path("pictures/away")).unwrap();
    let answer: Answer = child.wait_with_output().unwrap().into();
    assert_eq!(answer.code, Some(1), "{answer:?}");
    assert!(answer.stderr.contains("pictures/train"), "{answer:?}");
    shell.run("train --resume run").refused(&["pictures"]);

    fs::rename(shell.path("pictures/away"), shell.path("pictures/train")).unwrap();
    let changed = shell.path("pictures/train/a/2.png");
    let bytes = fs::read(&changed).unwrap();
    fs::write(&changed, [&bytes[..], b"more"].concat()).unwrap();
    let other = shell.run("train --resume run");
    other.refused(&[
        "data set",
        "is not the one that the run began with",
        "--data",
    ]);
    fs::write(&changed, bytes).unwrap();
    shell.run("train --resume run --quiet").succeeded();
}

#[test]
fn a_reader_that_closes_ends_the_output_and_nothing_else() {
    let shell = Shell::new();
    for line in ["recipes", "rules", "man train", "recipes mnist"] {
        let mut command = shell.command(line.split(' '));
        let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        drop(child.stdout.take());
        let answer: Answer = child.wait_with_output().unwrap().into();
        assert_eq!(
            (answer.code, answer.stderr.as_str()),
            (Some(0), ""),
            "{line}"
        );
    }
}
