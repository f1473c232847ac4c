//! The Python environments with PyTorch and ONNX Runtime, each created once.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::{files, program};

/// The PyTorch program.
pub fn script() -> PathBuf {
    program::root().join("benches/peers/torch_dnw.py")
}

/// The program that writes networks and runs them with ONNX Runtime.
pub fn onnx_script() -> PathBuf {
    program::root().join("benches/peers/onnx_models.py")
}

/// A Python with the packages of `benches/peers/requirements.txt`, in an environment that is created under the target folder if missing.
pub fn interpreter() -> Result<PathBuf, String> {
    environment("requirements.txt", "peers")
}

/// The same for `benches/peers/onnx_requirements.txt`.
pub fn onnx_interpreter() -> Result<PathBuf, String> {
    environment("onnx_requirements.txt", "peers-onnx")
}

/// The program that prunes and exports architectures and runs them with ONNX Runtime.
pub fn zoo_script() -> PathBuf {
    program::root().join("benches/peers/onnx_zoo.py")
}

/// The same for `benches/peers/zoo_requirements.txt`.
pub fn zoo_interpreter() -> Result<PathBuf, String> {
    environment("zoo_requirements.txt", "peers-zoo-python")
}

fn environment(requirements: &str, folder: &str) -> Result<PathBuf, String> {
    let wanted = program::root().join("benches/peers").join(requirements);
    let python = if cfg!(windows) { "python" } else { "python3" };
    create(python, &wanted, &program::target()?.join(folder))
}

fn create(python: &str, wanted: &Path, folder: &Path) -> Result<PathBuf, String> {
    let requirements = std::fs::read_to_string(wanted)
        .map_err(|error| format!("{}: {error}", wanted.display()))?;
    let inside = if cfg!(windows) {
        "Scripts/python.exe"
    } else {
        "bin/python"
    };
    let interpreter = folder.join(inside);
    // Written last: it exists only if the environment is complete.
    let stamp = folder.join("installed.txt");
    let installed = std::fs::read_to_string(&stamp).ok();
    if interpreter.exists() && installed.is_some_and(|installed| installed == requirements) {
        return Ok(interpreter);
    }
    eprintln!(
        "creating a Python environment with PyTorch in {}; pip may take minutes",
        folder.display()
    );
    let mut venv = Command::new(python);
    venv.args(["-m", "venv", "--clear"]).arg(folder);
    run_quietly(&mut venv).map_err(|reason| {
        format!(
            "there is no PyTorch to compare with: `{python} -m venv` failed ({reason}); install Python 3.11 to 3.13 with its module venv, \
             or name a Python that has PyTorch with `--python`"
        )
    })?;
    let mut pip = Command::new(&interpreter);
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "-r",
    ])
    .arg(wanted);
    run_quietly(&mut pip).map_err(|reason| {
        format!(
            "there is no PyTorch to compare with: pip could not install {} ({reason}); connect to a network, or name a Python that has \
             PyTorch with `--python`",
            wanted.display()
        )
    })?;
    files::write(&stamp, &requirements)?;
    Ok(interpreter)
}

/// Runs a command without output. The error is one line.
fn run_quietly(command: &mut Command) -> Result<(), String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    let (stdout, stderr) = (
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    );
    let lines = || stdout.lines().chain(stderr.lines()).map(str::trim);
    let error = lines().rfind(|line| line.to_lowercase().starts_with("error"));
    let last = lines().rfind(|line| !line.is_empty());
    Err(error
        .or(last)
        .map_or_else(|| output.status.to_string(), str::to_owned))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    /// A shell script in place of Python. Its `venv` copies the script, whose `pip` succeeds or fails.
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
        // Written by another process, since a file that this process or a child has open cannot be executed.
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
    fn an_environment_is_created_again_only_for_other_requirements() {
        let folder = tempfile::tempdir().expect("a folder");
        let (wanted, environment) = (
            folder.path().join("wanted.txt"),
            folder.path().join("environment"),
        );
        let python = python(folder.path(), true);
        let installs = || {
            let text = std::fs::read_to_string(folder.path().join("installs"));
            text.map_or(0, |text| text.lines().count())
        };
        for (versions, expected) in [("torch==1", 1), ("torch==1", 1), ("torch==2", 2)] {
            std::fs::write(&wanted, versions).expect("it can be written");
            let found = create(&python, &wanted, &environment);
            assert_eq!(found, Ok(environment.join("bin/python")));
            assert_eq!(installs(), expected);
        }
    }

    #[test]
    fn without_python_or_a_network_the_error_says_what_to_do() {
        let folder = tempfile::tempdir().expect("a folder");
        let (wanted, environment) = (
            folder.path().join("wanted.txt"),
            folder.path().join("environment"),
        );
        std::fs::write(&wanted, "torch==1").expect("it can be written");
        let error = create("/nowhere/python3", &wanted, &environment).expect_err("there is none");
        assert!(
            error.contains("`/nowhere/python3 -m venv` failed") && error.contains("`--python`"),
            "{error}"
        );
        let python = python(folder.path(), false);
        for _ in 0..2 {
            // A failed environment is not used.
            let error = create(&python, &wanted, &environment).expect_err("there is no network");
            assert!(
                error.contains("(ERROR: No network)") && error.contains("`--python`"),
                "{error}"
            );
            assert_eq!(error.lines().count(), 1);
        }
    }
}
