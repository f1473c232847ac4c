//! Files of images and labels in every way in which they can be wrong.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::shell::{Answer, Shell};

const FILES: [&str; 4] = [
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
];

fn idx(dims: &[u32], data: &[u8]) -> Vec<u8> {
    let mut file = vec![0, 0, 8, dims.len() as u8];
    file.extend(dims.iter().flat_map(|dim| dim.to_be_bytes()));
    file.extend(data);
    file
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

/// A folder with so many training and test images in the form of MNIST. An image is as bright as its class is high.
pub fn small_mnist([train, test]: [u32; 2]) -> Shell {
    let shell = Shell::new();
    for (part, count) in [(0, train), (2, test)] {
        let labels: Vec<u8> = (0..count).map(|i| (i % 10) as u8).collect();
        let pixels: Vec<u8> = labels
            .iter()
            .flat_map(|&label| (0..784u32).map(move |at| (at % 28) as u8 * (1 + label / 2)))
            .collect();
        fs::write(shell.path(FILES[part]), idx(&[count, 28, 28], &pixels)).unwrap();
        fs::write(shell.path(FILES[part + 1]), idx(&[count], &labels)).unwrap();
    }
    shell
}

/// A short training on the data in a folder, into `run` beside it.
fn train(data: &Shell) -> Answer {
    data.run("train mnist --quiet --data . --out run --epochs 1 --set batch=20")
}

#[test]
fn sound_files_are_trained_on_packed_or_not() {
    let data = small_mnist([40, 10]);
    train(&data).succeeded();
    fs::remove_dir_all(data.path("run")).unwrap();
    let packed = gzip(&fs::read(data.path(FILES[0])).unwrap());
    fs::remove_file(data.path(FILES[0])).unwrap();
    fs::write(data.path(format!("{}.gz", FILES[0])), packed).unwrap();
    train(&data).succeeded();
    // An evaluation finds the data the same way, and says so where it does not.
    data.run("eval run --data .").succeeded();
    data.run("eval run")
        .refused(&["`mnist` was not found", "--data"]);
}

#[test]
fn a_wrong_file_is_named_with_what_is_wrong_and_what_to_do() {
    let whole = |data: &Shell, file: usize| fs::read(data.path(FILES[file])).unwrap();
    type Spoil<'a> = &'a dyn Fn(&Shell) -> (usize, Option<Vec<u8>>);
    let cases: [(Spoil<'_>, &[&str]); 14] = [
        (
            &|_| (0, None),
            &["lacks train-images-idx3-ubyte", "dnw data fetch mnist"],
        ),
        (&|_| (3, None), &["lacks t10k-labels-idx1-ubyte"]),
        (
            &|d| (0, Some(whole(d, 0)[..20_000].to_vec())),
            &["promises 40 images of 28x28", "ends after 25", "cut short"],
        ),
        (
            &|d| (0, Some(whole(d, 0)[..9].to_vec())),
            &["inside its header"],
        ),
        (&|_| (0, Some(vec![])), &["inside its header"]),
        (
            &|_| (0, Some(b"<html>not found</html>".to_vec())),
            &["not an IDX file", "error page"],
        ),
        (
            &|_| (0, Some(idx(&[u32::MAX, u32::MAX, u32::MAX], &[]))),
            &["at most"],
        ),
        (
            &|_| (0, Some(idx(&[300_000_000, 28, 28], &[0; 99]))),
            &["at most"],
        ),
        (
            &|_| (0, Some(gzip(&idx(&[1_000_000, 28, 28], &[0; 784])))),
            &["ends after 1"],
        ),
        (
            &|d| (0, Some(gzip(&whole(d, 0))[..60].to_vec())),
            &["train-images"],
        ),
        (&|_| (0, Some(idx(&[0, 28, 28], &[]))), &["holds nothing"]),
        (
            &|_| (1, Some(idx(&[39], &[1; 39]))),
            &["40 images", "39 labels"],
        ),
        (
            &|_| (1, Some(idx(&[40], &[10; 40]))),
            &["label 0 is 10", "from 0 to 9"],
        ),
        (
            &|_| (2, Some(idx(&[10, 7, 7], &[0; 490]))),
            &["7x7", "28x28"],
        ),
    ];
    for (spoil, words) in cases {
        let data = small_mnist([40, 10]);
        let (file, bytes) = spoil(&data);
        match bytes {
            Some(bytes) => fs::write(data.path(FILES[file]), bytes).unwrap(),
            None => fs::remove_file(data.path(FILES[file])).unwrap(),
        }
        let answer = train(&data).refused(words);
        assert!(
            answer
                .stderr
                .contains(FILES[file].split("-idx").next().unwrap()),
            "{answer:?}"
        );
        assert!(!data.path("run").exists(), "nothing is written: {answer:?}");
        data.run("data check mnist --data .")
            .code
            .filter(|&code| code == 1)
            .expect("refused");
    }
}

#[test]
fn a_network_of_plain_layers_has_a_page_too() {
    let data = small_mnist([20, 10]);
    let shell = Shell::new();
    let changes =
        ["batch=10", "model.hidden=[6, 5]", "wiring.density=0.5"].map(|change| ["--set", change]);
    let train = [
        "train",
        "mnist-lenet",
        "--out",
        "run",
        "--quiet",
        "--epochs",
        "1",
        "--data",
    ];
    let data = [data.path("").to_str().unwrap().to_owned()];
    let arguments = [&train[..], &[data[0].as_str()], changes.as_flattened()].concat();
    shell.dnw(&arguments).succeeded();
    shell.run("report run").succeeded();
}

#[test]
fn a_batch_larger_than_the_data_is_refused() {
    let data = small_mnist([19, 10]);
    train(&data).refused(&[
        "a batch of 20 is larger than the data, which has 19 training images",
        "at most 19",
    ]);
    assert!(!data.path("run").exists());
}

#[test]
fn a_download_is_refused_where_another_file_lies() {
    let data = small_mnist([40, 10]);
    let before = data.files(".");
    let answer = data.run("data fetch mnist --data .");
    answer.refused(&["not the published file", "not overwritten", "--data DIR"]);
    assert_eq!(data.files("."), before);
}

#[test]
fn the_real_mnist_is_listed_and_trained_on() {
    let root = match std::env::var_os("DNW_DATA") {
        Some(root) => PathBuf::from(root),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
    };
    if dnw_train::data::mnist::locate(&root).is_err() {
        println!("skipped: no MNIST in `{}`; set DNW_DATA", root.display());
        return;
    }
    let shell = Shell::new();
    let root = root.to_str().unwrap();
    let list = shell.dnw(&["data", "--data", root]).succeeded();
    list.prints(&["60000 training and 10000 test images"]);
    // Fifteen updates of 4,000 images of a small network.
    let changes =
        ["batch=4000", "model.levels=[4]", "model.outputs=6"].map(|change| ["--set", change]);
    let train = [
        "train", "mnist", "--epochs", "1", "--out", "run", "--json", "--quiet", "--data", root,
    ];
    let trained = shell
        .dnw(&[&train[..], changes.as_flattened()].concat())
        .succeeded()
        .json();
    let found = shell
        .dnw(&["eval", "run", "--json", "--data", root])
        .succeeded()
        .json();
    assert_eq!(found["test_accuracy"], trained["test_accuracy"]);
}
