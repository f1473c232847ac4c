use std::fs;
use std::path::{Path, PathBuf};

use dnw_data::{self as data, DataError, Images, Verdict};

use crate::{gzip, idx_file};

/// A small set in the form of MNIST: `train` and `test` images.
fn write_small(folder: &Path, [train, test]: [u32; 2], dot: &str, end: &str) {
    fs::create_dir_all(folder).unwrap();
    for (stem, count) in [("train", train), ("t10k", test)] {
        let pixels = vec![7; count as usize * 784];
        let labels: Vec<u8> = (0..count).map(|label| (label % 10) as u8).collect();
        let images = idx_file(&[count, 28, 28], &pixels);
        let labels = idx_file(&[count], &labels);
        for (kind, file) in [("images", images), ("labels", labels)] {
            let rank = if kind == "images" { 3 } else { 1 };
            let name = format!("{stem}-{kind}{dot}idx{rank}-ubyte{end}");
            let file = if end.is_empty() { file } else { gzip(&file) };
            fs::write(folder.join(name), file).unwrap();
        }
    }
}

#[test]
fn mnist_is_found_in_all_places_under_all_names() {
    for place in ["", "mnist", "MNIST/raw"] {
        for dot in ["-", "."] {
            for end in ["", ".gz"] {
                let root = tempfile::tempdir().unwrap();
                write_small(&root.path().join(place), [12, 3], dot, end);
                let mnist = data::open("mnist", Some(root.path())).unwrap();
                assert_eq!((mnist.train.len(), mnist.test.len()), (12, 3));
                assert_eq!(mnist.train.labels()[9..], [9, 0, 1]);
            }
        }
    }
}

#[test]
fn a_missing_set_says_where_it_was_looked_for_and_what_to_do() {
    let root = tempfile::tempdir().unwrap();
    let error = data::open("mnist", Some(root.path())).unwrap_err();
    for place in ["", "mnist", "MNIST/raw"] {
        let folder = match place {
            "" => root.path().to_owned(),
            _ => root.path().join(place),
        };
        assert!(
            error
                .to_string()
                .contains(&format!("`{}`", folder.display()))
        );
    }
    for remedy in ["dnw data fetch mnist", "--data DIR", "DNW_DATA"] {
        assert!(error.help().contains(remedy));
    }

    write_small(&root.path().join("mnist"), [12, 3], "-", ".gz");
    fs::remove_file(root.path().join("mnist/t10k-labels-idx1-ubyte.gz")).unwrap();
    let error = data::open("mnist", Some(root.path())).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("lacks t10k-labels-idx1-ubyte.gz")
    );
}

#[test]
fn images_and_labels_that_differ_in_number_are_refused() {
    let root = tempfile::tempdir().unwrap();
    write_small(root.path(), [12, 3], "-", "");
    fs::write(
        root.path().join("train-labels-idx1-ubyte"),
        idx_file(&[11], &[0; 11]),
    )
    .unwrap();
    let error = data::open("mnist", Some(root.path())).unwrap_err();
    assert!(error.to_string().contains("holds 12 images"));
    assert!(error.to_string().contains("holds 11 labels"));
}

#[test]
fn images_of_another_size_are_refused() {
    let root = tempfile::tempdir().unwrap();
    write_small(root.path(), [12, 3], "-", "");
    fs::write(
        root.path().join("t10k-images-idx3-ubyte"),
        idx_file(&[3, 2, 2], &[0; 12]),
    )
    .unwrap();
    assert!(matches!(
        data::open("mnist", Some(root.path())),
        Err(DataError::ImageSize { found: [2, 2], .. })
    ));
}

#[test]
fn a_check_reports_every_file_and_the_list_reads_headers_only() {
    let root = tempfile::tempdir().unwrap();
    write_small(root.path(), [12, 3], "-", "");
    let images = root.path().join("t10k-images-idx3-ubyte");
    let whole = fs::read(&images).unwrap();
    fs::write(&images, &whole[..1000]).unwrap();

    let check = data::check("mnist", Some(root.path())).unwrap();
    assert!(!check.passed());
    let verdicts: Vec<_> = check.files.iter().map(|file| &file.verdict).collect();
    assert!(matches!(
        verdicts[..],
        [
            Verdict::Differs { count: 12, .. },
            Verdict::Differs { count: 12, .. },
            Verdict::Broken(DataError::Idx { .. }),
            Verdict::Differs { count: 3, .. },
        ]
    ));

    let listed = data::list(Some(root.path()));
    let found = listed[1].found.as_ref().unwrap();
    assert_eq!(found.folder.as_deref(), Some(root.path()));
    assert_eq!((found.train_images, found.test_images), (12, 3));
}

/// Where the real MNIST is, if it is.
fn real() -> Option<PathBuf> {
    let root = match std::env::var_os("DNW_DATA") {
        Some(root) => PathBuf::from(root),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
    };
    let found = data::mnist::locate(&root).is_ok();
    if !found {
        println!("skipped: no MNIST in `{}`; set DNW_DATA", root.display());
    }
    found.then_some(root)
}

#[test]
fn the_real_mnist_is_the_published_one() {
    let Some(root) = real() else { return };
    assert!(data::check("mnist", Some(&root)).unwrap().passed());

    let mnist = data::open("mnist", Some(&root)).unwrap();
    assert_eq!((mnist.train.len(), mnist.test.len()), (60_000, 10_000));
    assert_eq!(mnist.train.labels()[..5], [5, 0, 4, 1, 9]);
    let pixels =
        (0..60_000).flat_map(|index| mnist.train.picture(index).unwrap().pixels.into_owned());
    let labels = mnist.train.labels().to_vec();
    let (mean, std) = Images::new([1, 28, 28], pixels.collect(), labels)
        .unwrap()
        .statistics();
    assert!((mean[0] - mnist.mean[0]).abs() < 5e-5);
    assert!((std[0] - mnist.std[0]).abs() < 5e-5);
}
