//! The C library that a program needs.

use std::fmt;
use std::path::Path;
use std::process::Command;

/// A version of the GNU C library.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub Vec<u32>);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> = self.0.iter().map(u32::to_string).collect();
        f.write_str(&parts.join("."))
    }
}

/// The newest version of the C library that a program or library wants symbols of, as `objdump -T` prints them; none if it wants none.
pub fn wanted(symbols: &str) -> Option<Version> {
    let versions = symbols.lines().filter_map(|line| {
        // Defined symbols are in a section, wanted ones are undefined.
        if !line.contains("*UND*") {
            return None;
        }
        let (_, version) = line.split_once("GLIBC_")?;
        let version = version.split([')', ' ', '\t']).next()?;
        let parts = version.split('.').map(str::parse);
        parts.collect::<Result<Vec<u32>, _>>().ok().map(Version)
    });
    versions.max()
}

/// [`wanted`] of a file.
///
/// # Errors
/// If `objdump` cannot read it.
pub fn wanted_by(file: &Path) -> Result<Option<Version>, String> {
    let output = Command::new("objdump")
        .arg("-T")
        .arg(file)
        .output()
        .map_err(|error| format!("objdump cannot be run: {error}; install binutils"))?;
    if !output.status.success() {
        let error = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{}: {}", file.display(), error.trim()));
    }
    Ok(wanted(&String::from_utf8_lossy(&output.stdout)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYMBOLS: &str = "\
/tmp/program:     file format elf64-x86-64

DYNAMIC SYMBOL TABLE:
0000000000000000      DF *UND*	0000000000000000 (GLIBC_2.2.5) free
0000000000000000      DF *UND*	0000000000000000 (GLIBC_2.35) hypot
0000000000000000  w   DF *UND*	0000000000000000 (GLIBC_2.4)  __stack_chk_fail
0000000000000000      DF *UND*	0000000000000000 (GCC_3.3)    _Unwind_GetIP
0000000000000000      DO *UND*	0000000000000000  GLIBC_2.17  environ
0000000000004060 g    DF .text	0000000000000033 (GLIBC_2.99) own
";

    #[test]
    fn the_newest_wanted_version_counts_by_its_numbers() {
        assert_eq!(wanted(SYMBOLS), Some(Version(vec![2, 35])));
        let version = |parts: &[u32]| Version(parts.to_vec());
        assert!(version(&[2, 4]) < version(&[2, 35]));
        assert!(version(&[2, 2, 5]) < version(&[2, 3]));
        assert_eq!(version(&[2, 2, 5]).to_string(), "2.2.5");
    }

    #[test]
    fn a_library_without_the_c_library_wants_none() {
        assert_eq!(wanted("DYNAMIC SYMBOL TABLE:\nno symbols\n"), None);
        assert_eq!(wanted("0 DF *UND* 0 (GLIBC_PRIVATE) _dl_x\n"), None);
    }
}
