//! Where the files of data sets lie.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The data folder: `given`, else `DNW_DATA`, else `data`.
pub fn root(given: Option<&Path>) -> PathBuf {
    root_from(given, std::env::var_os("DNW_DATA"))
}

fn root_from(given: Option<&Path>, variable: Option<OsString>) -> PathBuf {
    given
        .map(Path::to_owned)
        .or_else(|| variable.filter(|it| !it.is_empty()).map(PathBuf::from))
        .unwrap_or_else(|| PathBuf::from("data"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_given_folder_comes_before_the_variable_and_that_before_data() {
        let given = Path::new("given");
        let variable = || Some(OsString::from("variable"));
        assert_eq!(root_from(Some(given), variable()), Path::new("given"));
        assert_eq!(root_from(None, variable()), Path::new("variable"));
        assert_eq!(root_from(None, None), Path::new("data"));
        assert_eq!(root_from(None, Some(OsString::new())), Path::new("data"));
    }
}
