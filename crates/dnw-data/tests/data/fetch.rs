//! Downloads, from a server on this machine.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;

use dnw_data::mnist::Publication;
use dnw_data::{DataError, fetch, fetch_from};

use crate::{gzip, idx_file};

// The sums are those of `md5sum`.
const IMAGES_MD5: &str = "990eacc553792c3ae6bb8279bece2a3b";
const LABELS_MD5: &str = "1e811a5578e179d1441be42edd440758";

fn images() -> Vec<u8> {
    gzip(&idx_file(&[2, 1, 2], &[1, 2, 3, 4]))
}

fn labels() -> Vec<u8> {
    gzip(&idx_file(&[2], &[7, 9]))
}

/// Two tiny parts in place of MNIST, from `mirrors`.
fn publication(mirrors: &[String]) -> Publication {
    let mut publication = Publication::mnist();
    publication.mirrors = mirrors.to_vec();
    for file in &mut publication.files {
        file.md5 = match file.dimensions {
            3 => IMAGES_MD5.to_owned(),
            _ => LABELS_MD5.to_owned(),
        };
    }
    publication
}

/// All four files under a path.
fn mirror(path: &str, images: &[u8], labels: &[u8]) -> HashMap<String, Vec<u8>> {
    ["train", "t10k"]
        .iter()
        .flat_map(|part| {
            [
                (
                    format!("{path}{part}-images-idx3-ubyte.gz"),
                    images.to_vec(),
                ),
                (
                    format!("{path}{part}-labels-idx1-ubyte.gz"),
                    labels.to_vec(),
                ),
            ]
        })
        .collect()
}

/// Serves `pages` for as long as the test runs, announcing `more` bytes than it sends. Returns the URL.
fn serve(pages: HashMap<String, Vec<u8>>, more: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let request = lines.next().unwrap().unwrap();
            // The rest of the request, up to the empty line.
            lines.find(|line| line.as_ref().unwrap().is_empty());
            let path = request.split(' ').nth(1).unwrap();
            let (status, body) = match pages.get(path) {
                Some(body) => ("200 OK", &body[..]),
                None => ("404 Not Found", &b"no such page"[..]),
            };
            let length = body.len() + more;
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
            );
            // The client may hang up early; that is its right.
            let _ = stream.write_all(&[head.as_bytes(), body].concat());
        }
    });
    url
}

fn names_in(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn files_come_from_the_first_mirror_that_has_them_and_are_kept_the_second_time() {
    let other = gzip(&idx_file(&[1, 1, 2], &[1, 2]));
    let mut pages = mirror("/good/", &images(), &labels());
    pages.extend(mirror("/other/", &other, b"<html>Sign in</html>"));
    let url = serve(pages, 0);
    let mirrors = ["/gone/", "/other/", "/good/"].map(|path| format!("{url}{path}"));
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("new/mnist");

    let mut last = HashMap::new();
    let fetched = fetch_from(&publication(&mirrors), &folder, &mut |progress| {
        last.insert(progress.file.to_owned(), (progress.bytes, progress.total));
    })
    .unwrap();

    let names = [
        "t10k-images-idx3-ubyte.gz",
        "t10k-labels-idx1-ubyte.gz",
        "train-images-idx3-ubyte.gz",
        "train-labels-idx1-ubyte.gz",
    ];
    assert_eq!(names_in(&folder), names);
    assert_eq!(fs::read(folder.join(names[0])).unwrap(), images());
    assert_eq!(fs::read(folder.join(names[3])).unwrap(), labels());
    assert_eq!(fetched.downloaded.len(), 4);
    let size = images().len() as u64;
    assert_eq!(last[names[0]], (size, Some(size)));

    let nowhere = publication(&[]);
    let again = fetch_from(&nowhere, &folder, &mut |_| {}).unwrap();
    assert_eq!((again.kept.len(), again.downloaded.len()), (4, 0));
}

#[test]
fn without_a_network_the_error_says_which_files_to_put_where() {
    // A port that was free a moment ago and that nobody listens on.
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut unreachable = Publication::mnist();
    unreachable.mirrors = vec![format!("http://{port}/a/"), format!("http://{port}/b/")];
    let error = fetch_from(&unreachable, folder.path(), &mut |_| {}).unwrap_err();

    let message = error.to_string();
    assert!(message.starts_with("cannot download `train-images-idx3-ubyte.gz`; http://127.0.0.1:"));
    assert!(message.contains("/b/train-images-idx3-ubyte.gz: "));
    let help = error.help();
    assert!(help.contains(&format!("`{}`", folder.path().display())));
    for line in [
        "train-images-idx3-ubyte.gz  (MD5 when unpacked: 6bbc9ace898e44ae57da46a324031adb)",
        "train-labels-idx1-ubyte.gz  (MD5 when unpacked: a25bea736e30d166cdddb491f175f624)",
        "t10k-images-idx3-ubyte.gz  (MD5 when unpacked: 2646ac647ad5339dbf082846283269ea)",
        "t10k-labels-idx1-ubyte.gz  (MD5 when unpacked: 27ae3e4e09519cfbb04c329615203637)",
    ] {
        assert!(help.contains(line), "{line} is not in\n{help}");
    }
    assert_eq!(names_in(folder.path()), [""; 0]);
}

#[test]
fn a_download_that_breaks_off_or_never_ends_leaves_nothing_behind() {
    let broken = serve(mirror("/", &images(), &labels()), 100);
    let endless = serve(mirror("/", &vec![0; 17 << 20], &labels()), 0);
    let folder = tempfile::tempdir().unwrap();
    let mirrors = [format!("{broken}/"), format!("{endless}/")];
    let error = fetch_from(&publication(&mirrors), folder.path(), &mut |_| {}).unwrap_err();
    let DataError::Download { attempts, .. } = error else {
        panic!("another error: {error}");
    };
    assert!(attempts[0].reason.contains("broke off"), "{attempts:?}");
    assert!(
        attempts[1].reason.contains("more than 16 MiB"),
        "{attempts:?}"
    );
    assert_eq!(names_in(folder.path()), [""; 0]);
}

#[test]
fn a_damaged_file_is_replaced_under_whatever_name() {
    let url = serve(mirror("/", &images(), &labels()), 0);
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("train-images.idx3-ubyte"), b"cut").unwrap();
    fs::write(folder.path().join("t10k-labels-idx1-ubyte.gz"), b"cut").unwrap();
    let publication = publication(&[format!("{url}/")]);
    let fetched = fetch_from(&publication, folder.path(), &mut |_| {}).unwrap();
    assert_eq!(fetched.downloaded.len(), 4);
    for file in &publication.files {
        let path = file.find(folder.path()).unwrap();
        assert_eq!(file.unpacked_md5(&path).unwrap().0, file.md5);
    }
}

#[test]
fn a_sound_file_with_other_contents_is_not_overwritten() {
    let url = serve(mirror("/", &images(), &labels()), 0);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t10k-images-idx3-ubyte");
    let own = idx_file(&[1, 1, 1], &[5]);
    fs::write(&path, &own).unwrap();
    let publication = publication(&[format!("{url}/")]);
    let error = fetch_from(&publication, folder.path(), &mut |_| {}).unwrap_err();
    assert!(matches!(error, DataError::Occupied { path: in_the_way, .. } if in_the_way == path));
    assert_eq!(fs::read(&path).unwrap(), own);
}

#[test]
fn the_built_in_digits_need_no_download() {
    let fetched = fetch("digits", None, &mut |_| {}).unwrap();
    assert_eq!(fetched.folder, None);
    assert!(fetch("digit", None, &mut |_| {}).is_err());
}
