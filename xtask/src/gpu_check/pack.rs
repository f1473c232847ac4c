//! Packs programs, libraries, scripts and records for a machine that has a GPU and nothing else.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::elf::{self, Version};
use crate::program;

/// What is packed where no backend is named: WGSL shaders, and SPIR-V shaders, which may use matrix units.
const BACKENDS: [&str; 2] = ["wgpu", "vulkan"];
/// The oldest C library that a packed program may need: Ubuntu 24.04 has it.
const C_LIBRARY: [u32; 2] = [2, 39];
/// The most bytes of a pack.
const MOST: u64 = 60 << 20;
/// The Vulkan loader, and the libraries that NVIDIA's driver is linked with and a container may lack.
const LIBRARIES: [&str; 8] = [
    "libvulkan.so.1",
    "libX11.so.6",
    "libXext.so.6",
    "libxcb.so.1",
    "libXau.so.6",
    "libXdmcp.so.6",
    "libbsd.so.0",
    "libmd.so.0",
];

/// Packs into `folder`, whose contents are replaced. `programs` are of the form `backend=path`.
///
/// # Errors
/// If a program cannot be built, needs a newer C library, or the pack is too large.
pub fn pack(folder: &Path, backends: &[String], programs: &[String]) -> Result<(), String> {
    let built = programs.iter().map(|program| {
        let (backend, path) = program
            .split_once('=')
            .ok_or_else(|| format!("`{program}` is not of the form backend=path"))?;
        Ok((backend.to_owned(), PathBuf::from(path)))
    });
    let built = built.collect::<Result<Vec<_>, String>>()?;
    let backends: Vec<String> = match (backends, built.as_slice()) {
        ([], []) => BACKENDS.map(str::to_owned).into(),
        ([], built) => built.iter().map(|(backend, _)| backend.clone()).collect(),
        (backends, _) => backends.to_vec(),
    };
    empty(folder)?;
    let root = program::root();
    // First: a folder with it is a pack, which the next call replaces if this one is interrupted.
    copy(
        &root.join("benches/gpu-check/run.sh"),
        &folder.join("run.sh"),
    )?;
    for backend in &backends {
        let path = match built.iter().find(|(name, _)| name == backend) {
            Some((_, path)) => path.clone(),
            None => program::build_bench_backend(backend)?,
        };
        let name = format!("bench-{backend}");
        let stripped = folder.join("bin").join(&name);
        call(Command::new("strip").arg("-o").arg(&stripped).arg(&path))?;
        check_library(&name, &stripped)?;
        call(Command::new("xz").args(["-9", "-T0"]).arg(&stripped))?;
    }
    let listed = Command::new("/sbin/ldconfig").arg("-p").output();
    let listed = listed.map_err(|error| format!("ldconfig cannot be run: {error}"))?;
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    for name in LIBRARIES {
        let Some(path) = library(&listed, name) else {
            if name == LIBRARIES[0] {
                return Err(format!("there is no {name}: install libvulkan1"));
            }
            eprintln!("{name} is not here and not packed");
            continue;
        };
        let packed = folder.join("lib").join(name);
        copy(&path, &packed)?;
        check_library(name, &packed)?;
    }
    for script in ["torch_dnw.py", "torch_gpu.py"] {
        let from = root.join("benches/peers").join(script);
        copy(&from, &folder.join("torch").join(script))?;
    }
    copy_all(
        &root.join("crates/dnw-conformance/records"),
        &folder.join("records"),
    )?;
    let bytes = size(folder)?;
    if bytes > MOST {
        return Err(format!(
            "{} has {:.1} MiB, more than {} MiB: pack fewer backends",
            folder.display(),
            mib(bytes),
            MOST >> 20
        ));
    }
    println!(
        "{}: {:.1} MiB. On the other machine: OUT=results bash {}/run.sh",
        folder.display(),
        mib(bytes),
        folder.display()
    );
    Ok(())
}

/// Says which C library a file needs.
///
/// # Errors
/// If it is newer than the other machine's may be.
fn check_library(name: &str, file: &Path) -> Result<(), String> {
    let limit = Version(C_LIBRARY.to_vec());
    match elf::wanted_by(file)? {
        Some(version) if version > limit => Err(format!(
            "{name} needs version {version} of the GNU C library, and {limit} has to suffice: build it on an older system"
        )),
        Some(version) => {
            println!("{name} needs version {version} of the GNU C library or newer");
            Ok(())
        }
        None => Ok(()),
    }
}

/// The path of a library for this processor in what `ldconfig -p` prints.
fn library(listed: &str, name: &str) -> Option<PathBuf> {
    let mut lines = listed.lines().filter_map(|line| {
        let (left, path) = line.split_once(" => ")?;
        let (found, kind) = left.trim().split_once(' ')?;
        let fits = cfg!(not(target_arch = "x86_64")) || kind.contains("x86-64");
        (found == name && fits).then(|| PathBuf::from(path.trim()))
    });
    lines.next()
}

/// Makes the folder and its subfolders; only a folder that was packed before is emptied.
fn empty(folder: &Path) -> Result<(), String> {
    let said = |error: std::io::Error| format!("{}: {error}", folder.display());
    if folder.exists() {
        let is_empty = fs::read_dir(folder).map_err(said)?.next().is_none();
        if !is_empty && !folder.join("run.sh").is_file() {
            return Err(format!(
                "{} has other files: name an empty folder",
                folder.display()
            ));
        }
        fs::remove_dir_all(folder).map_err(said)?;
    }
    for part in ["bin", "lib", "torch", "records"] {
        fs::create_dir_all(folder.join(part)).map_err(said)?;
    }
    Ok(())
}

fn call(command: &mut Command) -> Result<(), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let status = command.stdin(Stdio::null()).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{name} ended with {status}")),
        Err(error) => Err(format!("{name} cannot be run: {error}")),
    }
}

fn copy(from: &Path, to: &Path) -> Result<(), String> {
    let copied = fs::copy(from, to);
    copied.map_err(|error| format!("{}: {error}", from.display()))?;
    Ok(())
}

fn copy_all(from: &Path, to: &Path) -> Result<(), String> {
    let said = |error: std::io::Error| format!("{}: {error}", from.display());
    fs::create_dir_all(to).map_err(said)?;
    for entry in fs::read_dir(from).map_err(said)? {
        let entry = entry.map_err(said)?;
        let target = to.join(entry.file_name());
        match entry.file_type().map_err(said)?.is_dir() {
            true => copy_all(&entry.path(), &target)?,
            false => copy(&entry.path(), &target)?,
        }
    }
    Ok(())
}

/// The bytes of all files in a folder.
fn size(folder: &Path) -> Result<u64, String> {
    let said = |error: std::io::Error| format!("{}: {error}", folder.display());
    let mut bytes = 0;
    for entry in fs::read_dir(folder).map_err(said)? {
        let entry = entry.map_err(said)?;
        let metadata = entry.metadata().map_err(said)?;
        bytes += match metadata.is_dir() {
            true => size(&entry.path())?,
            false => metadata.len(),
        };
    }
    Ok(bytes)
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn a_library_is_found_for_this_processor() {
        let listed = "125 libs found in cache `/etc/ld.so.cache'\n\
            \tlibvulkan.so.1 (libc6) => /lib/i386-linux-gnu/libvulkan.so.1\n\
            \tlibvulkan.so.1 (libc6,x86-64) => /lib/x86_64-linux-gnu/libvulkan.so.1\n\
            \tlibvulkan.so (libc6,x86-64) => /lib/x86_64-linux-gnu/libvulkan.so\n";
        let path = library(listed, "libvulkan.so.1");
        assert_eq!(path, Some("/lib/x86_64-linux-gnu/libvulkan.so.1".into()));
        assert_eq!(library(listed, "libX11.so.6"), None);
    }

    #[test]
    fn a_folder_with_other_files_is_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("pack");
        empty(&path).expect("it did not exist");
        fs::write(path.join("bin/one"), "12345").expect("it can be written");
        assert_eq!(size(&path), Ok(5));
        assert!(empty(&path).is_err_and(|error| error.contains("other files")));
        assert!(path.join("bin/one").exists());
        fs::write(path.join("run.sh"), "").expect("it can be written");
        empty(&path).expect("it was packed before");
        assert_eq!(size(&path), Ok(0));
    }
}
