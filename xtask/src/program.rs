//! Building and running programs of this workspace.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The repository's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .map_or_else(PathBuf::new, Path::to_owned)
}

/// Builds `dnw` and returns its path.
pub fn build() -> Result<PathBuf, String> {
    build_with(&["-p", "dnw-train"])
}

fn cargo() -> Command {
    let mut command = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".into()));
    // `cargo xtask` describes xtask's own package here. Build scripts that look at these variables (`ring`) would run again.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    command
}

/// Builds in release mode with these arguments of `cargo build`, and returns the path of the last program.
pub fn build_with(what: &[&str]) -> Result<PathBuf, String> {
    let output = cargo()
        .args(["build", "--release"])
        .args(["--message-format", "json-render-diagnostics"])
        .args(what)
        .current_dir(root())
        .stderr(std::process::Stdio::inherit())
        .output()
        .map_err(|error| format!("cargo cannot be run: {error}"))?;
    if !output.status.success() {
        return Err("the program does not build".into());
    }
    // Cargo reports the path, whatever the target folder.
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter_map(|message| message["executable"].as_str().map(PathBuf::from))
        .next_back()
        .ok_or_else(|| "cargo did not say where the program is".into())
}

/// Builds `bench-backend` with these features, separated by commas, and returns its path.
pub fn build_bench_backend(features: &str) -> Result<PathBuf, String> {
    let program = ["-p", "dnw-benches", "--bin", "bench-backend"];
    build_with(&[&program[..], &["--features", features]].concat())
}

/// The folder that cargo builds into.
pub fn target() -> Result<PathBuf, String> {
    let output = cargo()
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .current_dir(root())
        .output()
        .map_err(|error| format!("cargo cannot be run: {error}"))?;
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("cargo metadata: {error}"))?;
    let folder = metadata["target_directory"].as_str();
    let folder = folder.ok_or("cargo did not say where it builds")?;
    Ok(folder.into())
}

/// The path of a program of this workspace that was built in release mode.
pub fn built(name: &str) -> Result<PathBuf, String> {
    let file = format!("{name}{}", std::env::consts::EXE_SUFFIX);
    let path = target()?.join("release").join(file);
    if path.is_file() {
        Ok(path)
    } else {
        let path = path.display();
        Err(format!("there is no {path}: leave out `--no-build`"))
    }
}

/// Where [`build_rust_runtimes`] puts its program.
pub fn rust_runtimes() -> Result<PathBuf, String> {
    let file = format!("rust-runtimes{}", std::env::consts::EXE_SUFFIX);
    Ok(target()?.join("peers-rust/release").join(file))
}

/// Builds the program that runs tract and rten, a workspace of its own, and returns its path.
pub fn build_rust_runtimes() -> Result<PathBuf, String> {
    let path = rust_runtimes()?;
    let folder = path.parent().and_then(Path::parent);
    let status = cargo()
        .args(["build", "--release", "--locked", "--manifest-path"])
        .arg(root().join("benches/peers/rust-runtimes/Cargo.toml"))
        .arg("--target-dir")
        .args(folder)
        .status()
        .map_err(|error| format!("cargo cannot be run: {error}"))?;
    match status.success() {
        true => Ok(path),
        false => Err("tract and rten could not be built".into()),
    }
}

/// Runs a program and shows its output.
pub fn call(program: &Path, arguments: &[String]) -> Result<(), String> {
    let status = Command::new(program)
        .args(arguments)
        .current_dir(root())
        .status()
        .map_err(|error| format!("{} cannot be run: {error}", program.display()))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("dnw {} failed", arguments.join(" ")))
    }
}

/// Runs a program and returns its standard output.
pub fn output(program: &Path, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(root())
        .output()
        .map_err(|error| format!("{} cannot be run: {error}", program.display()))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(format!("dnw {} failed", arguments.join(" ")))
    }
}
