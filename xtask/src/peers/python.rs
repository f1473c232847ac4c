//! The Python that PyTorch runs in: an environment of its own, made once.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::{files, program};

/// The program that is the peer.
pub fn script() -> PathBuf {
    program::root().join("benches/peers/torch_dnw.py")
}

/// A Python that has what `benches/peers/requirements.txt` names, made under the target folder if need be.
pub fn interpreter() -> Result<PathBuf, String> {
    let wanted = program::root().join("benches/peers/requirements.txt");
    let python = if cfg!(windows) { "python" } else { "python3" };
    made(python, &wanted, &program::target()?.join("peers"))
}

fn made(python: &str, wanted: &Path, folder: &Path) -> Result<PathBuf, String> {
    let requirements = std::fs::read_to_string(wanted)
        .map_err(|error| format!("{}: {error}", wanted.display()))?;
    let inside = if cfg!(windows) {
        "Scripts/python.exe"
    } else {
        "bin/python"
    };
    let interpreter = folder.join(inside);
    // Written last, so that it is there only if everything is.
    let stamp = folder.join("installed.txt");
    let installed = std::fs::read_to_string(&stamp).ok();
    if interpreter.exists() && installed.is_some_and(|installed| installed == requirements) {
        return Ok(interpreter);
    }
    eprintln!(
        "making a Python environment with PyTorch in {}, once; pip may take minutes",
        folder.display()
    );
    let mut making = Command::new(python);
    making.args(["-m", "venv", "--clear"]).arg(folder);
    quietly(&mut making).map_err(|why| {
        format!(
            "there is no PyTorch to compare with: `{python} -m venv` failed ({why}); install Python 3.9 to 3.13 with its module venv, \
             or name a Python that has PyTorch with `--python`"
        )
    })?;
    let mut installing = Command::new(&interpreter);
    installing
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "-r",
        ])
        .arg(wanted);
    quietly(&mut installing).map_err(|why| {
        format!(
            "there is no PyTorch to compare with: pip could not install {} ({why}); connect to a network, or name a Python that has \
             PyTorch with `--python`",
            wanted.display()
        )
    })?;
    files::write(&stamp, &requirements)?;
    Ok(interpreter)
}

/// Runs it to its end; if it fails, says why in a line.
fn quietly(command: &mut Command) -> Result<(), String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    let (said, complained) = (
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    );
    let lines = || said.lines().chain(complained.lines()).map(str::trim);
    let error = lines().rfind(|line| line.to_lowercase().starts_with("error"));
    let last = lines().rfind(|line| !line.is_empty());
    Err(error
        .or(last)
        .map_or_else(|| output.status.to_string(), str::to_owned))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    /// A Python of shell, that makes as its environment a copy of itself, which installs whatever it is asked to to unless it shall fail.
    fn python(folder: &Path, does_install: bool) -> String {
        let path = folder.join("python3");
        let install = if does_install {
            "exit 0"
        } else {
            "echo 'WARNING: slow' >&2; echo 'ERROR: No network' >&2; exit 1"
        };
        let script = format!(
            "#!/bin/sh\n[ \"$2\" = pip ] && {{ echo x >> {0}/installs; {install}; }}\nmkdir -p \"$4/bin\" && cp \"$0\" \"$4/bin/python\"\n",
            folder.display()
        );
        // Written by another process, since no process can run a file that this one, or a child of it, still holds open.
        let write = "printf %s \"$1\" > \"$0\" && chmod 755 \"$0\"";
        let done = Command::new("sh")
            .args(["-c", write])
            .arg(&path)
            .arg(script)
            .status();
        assert!(done.expect("there is a shell").success());
        path.display().to_string()
    }

    #[test]
    fn an_environment_is_made_once_and_again_when_other_versions_are_wanted() {
        let folder = tempfile::tempdir().expect("a folder");
        let (wanted, made_in) = (folder.path().join("wanted.txt"), folder.path().join("made"));
        let python = python(folder.path(), true);
        let installs = || {
            let text = std::fs::read_to_string(folder.path().join("installs"));
            text.map_or(0, |text| text.lines().count())
        };
        for (versions, expected) in [("torch==1", 1), ("torch==1", 1), ("torch==2", 2)] {
            std::fs::write(&wanted, versions).expect("it can be written");
            let found = made(&python, &wanted, &made_in);
            assert_eq!(found, Ok(made_in.join("bin/python")));
            assert_eq!(installs(), expected);
        }
    }

    #[test]
    fn without_python_or_a_network_a_sentence_says_what_to_do() {
        let folder = tempfile::tempdir().expect("a folder");
        let (wanted, made_in) = (folder.path().join("wanted.txt"), folder.path().join("made"));
        std::fs::write(&wanted, "torch==1").expect("it can be written");
        let error = made("/nowhere/python3", &wanted, &made_in).expect_err("there is none");
        assert!(
            error.contains("`/nowhere/python3 -m venv` failed") && error.contains("`--python`"),
            "{error}"
        );
        let python = python(folder.path(), false);
        for _ in 0..2 {
            // What failed once is not taken for made.
            let error = made(&python, &wanted, &made_in).expect_err("there is no network");
            assert!(
                error.contains("(ERROR: No network)") && error.contains("`--python`"),
                "{error}"
            );
            assert_eq!(error.lines().count(), 1);
        }
    }
}
