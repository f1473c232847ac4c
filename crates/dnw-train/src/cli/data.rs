//! `dnw data`.

use std::io::{IsTerminal, Write};

use dnw_train::data::{self, DataError, Verdict};

use super::args::{DataAction, DataArgs};
use super::failure::Failure;
use super::output::{line, note};
use super::values::non_empty;

/// Lists, checks or fetches data sets.
pub fn data(args: &DataArgs) -> Result<u8, Failure> {
    let root = non_empty(&args.data);
    match &args.action {
        None | Some(DataAction::List) => {
            for listing in data::list(root) {
                let (name, about) = (listing.source.name(), listing.source.description());
                line(format!("{name:<8} {about}"))?;
                match listing.found {
                    Ok(found) => {
                        let place = found
                            .folder
                            .map_or("built in".into(), |folder| folder.display().to_string());
                        let (train, test) = (found.train_images, found.test_images);
                        line(format!(
                            "         {train} training and {test} test images, {place}"
                        ))?;
                    }
                    Err(error @ DataError::NotFound { .. }) => {
                        line(format!(
                            "         not found; {}",
                            error.help().lines().next().unwrap_or("")
                        ))?;
                    }
                    Err(error) => line(format!("         cannot be used: {error}"))?,
                }
            }
            Ok(0)
        }
        Some(DataAction::Check { name }) => {
            let check = data::check(name, root)?;
            for file in &check.files {
                let verdict = match &file.verdict {
                    Verdict::Published { count } => format!("as published, {count} entries"),
                    Verdict::Sound { count } => format!("sound, {count} images"),
                    Verdict::Differs { count, md5 } => {
                        format!(
                            "readable, {count} entries, but not as published: MD5 {md5} instead of {}",
                            file.published_md5.as_deref().unwrap_or("a known one")
                        )
                    }
                    Verdict::Broken(error) => format!("broken: {error}"),
                };
                line(format!("{}: {verdict}", file.path.display()))?;
            }
            let passed = check.passed();
            match check.problem {
                Some(problem) => Err(problem.into()),
                None if !passed => Err(Failure::new(
                    "what is listed above is broken or not as published",
                    format!("`dnw data fetch {name}` brings it again, or says how to get it"),
                )),
                None => {
                    line(format!("{name} is sound"))?;
                    Ok(0)
                }
            }
        }
        Some(DataAction::Fetch { name }) => {
            let shown = std::io::stderr().is_terminal();
            let mut last = String::new();
            let fetched = data::fetch(name, root, &mut |progress| {
                if shown {
                    let (file, number, files) = (progress.file, progress.index + 1, progress.files);
                    let kilobytes = progress.bytes / 1024;
                    let _ = write!(
                        std::io::stderr(),
                        "\r{file} ({number} of {files}): {kilobytes} KB "
                    );
                } else if last != progress.file {
                    last = progress.file.to_owned();
                    note(format!(
                        "{} ({} of {})",
                        progress.file,
                        progress.index + 1,
                        progress.files
                    ));
                }
            })?;
            if shown {
                note("");
            }
            for path in &fetched.downloaded {
                line(format!("fetched {}", path.display()))?;
            }
            for path in &fetched.kept {
                line(format!("had     {}", path.display()))?;
            }
            if fetched.folder.is_none() {
                line(format!("{name} is built into this program"))?;
            }
            Ok(0)
        }
    }
}
