//! How the program runs: its command line, build, device and settings.

use std::path::Path;

use dnw_device::{DeviceName, processor};
use dnw_kernels::settings::InstructionSet;

use super::train_args::KernelOption;

/// The command line as typed.
pub fn command_line() -> String {
    // A path need not be valid UTF-8.
    let arguments = std::env::args_os()
        .skip(1)
        .map(|argument| argument.to_string_lossy().into_owned());
    std::iter::once("dnw".to_owned())
        .chain(arguments.map(quoted))
        .collect::<Vec<_>>()
        .join(" ")
}

/// The kernels on CPUs, which determine the bits of a run.
pub fn kernels(option: KernelOption) -> String {
    if option == KernelOption::Reference {
        return "reference: plain tensors".to_owned();
    }
    let products = std::env::var("DNW_PRODUCTS").unwrap_or_default();
    let products = match products.as_str() {
        "" => String::new(),
        products => format!(", products by DNW_PRODUCTS={products}"),
    };
    format!("fastest, with {}{products}", InstructionSet::in_use())
}

/// How the program was built. `DNW_REVISION`, set at compile time, is its revision. (A build script that asks git would rebuild the program
/// after each commit, and would fail for a package without git.)
fn build() -> String {
    let profile = match cfg!(debug_assertions) {
        true => "debug",
        false => "release",
    };
    let environment = match () {
        () if cfg!(target_env = "gnu") => " gnu",
        () if cfg!(target_env = "musl") => " musl",
        () if cfg!(target_env = "msvc") => " msvc",
        () => "",
    };
    let revision =
        option_env!("DNW_REVISION").map_or(String::new(), |it| format!(", revision {it}"));
    let (system, machine) = (std::env::consts::OS, std::env::consts::ARCH);
    format!("{profile}, {machine} {system}{environment}{revision}")
}

/// Program, libraries, device, threads: label and value.
pub fn environment(
    device: &DeviceName,
    model: &str,
    threads: Option<usize>,
) -> Vec<(String, String)> {
    let entry = |label: &str, value: String| (label.to_owned(), value);
    let mut entries = vec![
        entry("dnw", env!("CARGO_PKG_VERSION").into()),
        entry("build", build()),
        entry("Burn", dnw_train::BURN_VERSION.into()),
        entry("device", format!("{device} ({model})")),
    ];
    entries.extend(threads.map(|threads| entry("threads", threads.to_string())));
    let cpu = processor().unwrap_or_else(|| "unknown".to_owned());
    // Burn and gemm use all instructions, whatever DNW_SIMD says.
    entries.push(entry("CPU", format!("{cpu}, {}", InstructionSet::widest())));
    entries
}

/// An argument as a shell reads it.
fn quoted(argument: String) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=,:".contains(c);
    if !argument.is_empty() && argument.chars().all(plain) {
        argument
    } else {
        format!("'{}'", argument.replace('\'', r"'\''"))
    }
}

/// The command that continues the run in a folder.
pub fn resume_command(folder: &Path) -> String {
    let folder = quoted(folder.to_string_lossy().into_owned());
    format!("dnw train --resume {folder}")
}
