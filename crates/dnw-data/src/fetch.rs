//! Downloads a data set.
//!
//! Each file is downloaded from the first mirror with the published contents. It is written to a temporary
//! file in the target folder, unpacked, compared with its MD5 sum and then renamed, so that a folder never
//! contains a partial file. MD5 protects against damage. Against malicious content, mirrors are accessed only
//! over HTTPS, and the size is limited and the content is parsed as untrusted.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::NamedTempFile;
use ureq::Agent;

use crate::mnist::{self, Publication, PublishedFile};
use crate::{Attempt, DataError, Source, root as data_folder};

/// The maximum size of a download; the largest published file has 9.9 MB.
const MAX_DOWNLOAD: u64 = 16 << 20;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
const SILENCE_TIMEOUT: Duration = Duration::from_secs(60);

/// The progress of a download.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress<'a> {
    /// The file's name.
    pub file: &'a str,
    /// The index of the file, from 0.
    pub index: usize,
    /// The number of files.
    pub files: usize,
    /// Received bytes.
    pub bytes: u64,
    /// Total bytes, if the mirror reports them.
    pub total: Option<u64>,
}

/// The result of [`fetch`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fetched {
    /// The folder of the set; `None` if it is built in.
    pub folder: Option<PathBuf>,
    /// Downloaded files.
    pub downloaded: Vec<PathBuf>,
    /// Files that existed already, as published.
    pub kept: Vec<PathBuf>,
}

/// Downloads the data set `name` and reports to `progress`.
///
/// The target is `mnist/` in `root` (see [`root`](crate::root)), or the folder of existing files: valid ones
/// are kept, damaged ones are replaced.
///
/// # Errors
/// [`DataError::UnknownName`]; [`DataError::ByHand`] if it is only to be had by hand, with how in its
/// [`help`](DataError::help); [`DataError::Download`] if no mirror has a file, with a
/// [`help`](DataError::help) that lists what to put where by hand; [`DataError::Occupied`] if a sound
/// file with other contents is in the way; [`DataError::Io`] if the folder cannot be written.
pub fn fetch(
    name: &str,
    root: Option<&Path>,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Fetched, DataError> {
    match Source::named(name)? {
        Source::Digits => Ok(Fetched::default()),
        Source::Mnist => {
            let root = data_folder(root);
            // Missing files are downloaded to the folder of existing ones.
            let folder = match mnist::locate(&root) {
                Ok((folder, _)) => folder,
                Err(DataError::NotFound {
                    incomplete: Some((folder, _)),
                    ..
                }) => folder,
                Err(_) => root.join("mnist"),
            };
            fetch_from(&Publication::mnist(), &folder, progress)
        }
        source @ (Source::Cifar10 | Source::Cifar100 | Source::Imagenet) => {
            Err(DataError::ByHand {
                name: source.name(),
            })
        }
    }
}

/// Downloads the files of `publication` into `folder`, as [`fetch`] does.
///
/// # Errors
/// As [`fetch`].
pub fn fetch_from(
    publication: &Publication,
    folder: &Path,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Fetched, DataError> {
    fs::create_dir_all(folder).map_err(|cause| DataError::Io {
        action: "create the folder",
        path: folder.to_owned(),
        cause,
    })?;
    let mut fetched = Fetched {
        folder: Some(folder.to_owned()),
        ..Fetched::default()
    };
    for (index, file) in publication.files.iter().enumerate() {
        let present = file.find(folder);
        match present.as_deref().map(|path| file.unpacked_md5(path)) {
            Some(Ok((md5, _))) if md5 == file.md5 => {
                fetched.kept.extend(present);
                continue;
            }
            Some(Ok((md5, _))) => {
                return Err(DataError::Occupied {
                    path: present.unwrap_or_default(),
                    md5,
                });
            }
            Some(Err(_)) | None => {}
        }
        let name = file.packed_name();
        let mut report = |bytes, total| {
            progress(Progress {
                file: &name,
                index,
                files: publication.files.len(),
                bytes,
                total,
            });
        };
        let attempts = match download(&publication.mirrors, file, folder, &mut report)? {
            Ok(target) => {
                // A damaged file with another name would be found before the new one.
                if let Some(damaged) = present.filter(|damaged| *damaged != target) {
                    fs::remove_file(&damaged).map_err(|cause| DataError::Io {
                        action: "remove the damaged file",
                        path: damaged,
                        cause,
                    })?;
                }
                fetched.downloaded.push(target);
                continue;
            }
            Err(attempts) => attempts,
        };
        let wanted = |file: &PublishedFile| (file.packed_name(), file.md5.clone());
        return Err(DataError::Download {
            folder: folder.to_owned(),
            files: publication.files[index..].iter().map(wanted).collect(),
            attempts,
        });
    }
    Ok(fetched)
}

/// Tries the mirrors in order. The inner error lists their errors; the outer one is about the folder.
fn download(
    mirrors: &[String],
    file: &PublishedFile,
    folder: &Path,
    report: &mut dyn FnMut(u64, Option<u64>),
) -> Result<Result<PathBuf, Vec<Attempt>>, DataError> {
    let target = folder.join(file.packed_name());
    let local = |action, cause| DataError::Io {
        action,
        path: target.clone(),
        cause,
    };
    let mut attempts = Vec::new();
    for mirror in mirrors {
        let url = format!("{mirror}{}", file.packed_name());
        let mut temporary = temporary_file(folder).map_err(|cause| local("write", cause))?;
        let arrived = receive(&url, report).and_then(|mut stream| {
            let mut buffer = vec![0; 64 * 1024];
            let mut bytes = 0;
            loop {
                let got = match stream.body.read(&mut buffer) {
                    Ok(0) => return Ok(Ok(())),
                    Ok(got) => got,
                    Err(error) => return Err(format!("the download broke off: {error}")),
                };
                bytes += got as u64;
                if bytes > MAX_DOWNLOAD {
                    return Err(format!("it sends more than {} MiB", MAX_DOWNLOAD >> 20));
                }
                if let Err(cause) = temporary.write_all(&buffer[..got]) {
                    return Ok(Err(cause));
                }
                report(bytes, stream.total);
            }
        });
        let reason = match arrived {
            Ok(written) => {
                written
                    .and_then(|()| temporary.as_file().sync_all())
                    .map_err(|cause| local("write", cause))?;
                match file.unpacked_md5(temporary.path()) {
                    Ok((md5, _)) if md5 == file.md5 => {
                        temporary
                            .persist(&target)
                            .map_err(|error| local("write", error.error))?;
                        return Ok(Ok(target));
                    }
                    Ok((md5, _)) => format!(
                        "it sends another file (MD5 when unpacked: {md5} instead of {})",
                        file.md5
                    ),
                    Err(DataError::Idx { problem, .. }) => {
                        format!("what it sends is damaged: {problem}")
                    }
                    Err(error) => return Err(error),
                }
            }
            Err(reason) => reason,
        };
        attempts.push(Attempt { url, reason });
    }
    Ok(Err(attempts))
}

struct Stream {
    body: Box<dyn Read>,
    total: Option<u64>,
}

fn receive(url: &str, report: &mut dyn FnMut(u64, Option<u64>)) -> Result<Stream, String> {
    let mut config = Agent::config_builder()
        .https_only(url.starts_with("https:"))
        .accept_encoding("identity")
        .timeout_resolve(Some(CONNECT_TIMEOUT))
        .timeout_connect(Some(CONNECT_TIMEOUT))
        .timeout_recv_response(Some(SILENCE_TIMEOUT))
        .timeout_per_read(Some(SILENCE_TIMEOUT));
    if url.starts_with("http://127.0.0.1") {
        // No proxy for this machine.
        config = config.proxy(None);
    }
    let response = Agent::from(config.build())
        .get(url)
        .call()
        .map_err(|error| error.to_string())?;
    let body = response.into_body();
    let total = body.content_length();
    report(0, total);
    Ok(Stream {
        body: Box::new(body.into_reader()),
        total,
    })
}

fn temporary_file(folder: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".download-").suffix(".tmp");
    #[cfg(unix)]
    {
        // With the default permissions, because data may be shared.
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(folder)
}
