//! CIFAR-10 in each of its forms, sound and not.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use dnw_data::archive::ArchiveError;
use dnw_data::cifar10::{CLASSES, CifarError, Form, PER_FILE, binary_files, locate, read_file};
use dnw_data::folder::FolderError;
use dnw_data::{self as data, DataError, DataSet, Part, Verdict};

use crate::folders::{jpeg, write};
use crate::{gzip, largest_allocation};

/// Two training images and one test image of each class: name in the folder, content.
fn images() -> Vec<(String, Vec<u8>)> {
    let mut images = Vec::new();
    for (label, class) in CLASSES.iter().enumerate() {
        let colour = |number: u8| jpeg(32, 32, [20 * label as u8, 40 * number, 128]);
        images.push((format!("train/{class}/0000.jpg"), colour(0)));
        images.push((format!("train/{class}/0001.jpg"), colour(1)));
        images.push((format!("test/{class}/0000.jpg"), colour(2)));
    }
    images
}

fn write_folder(folder: &Path) {
    for (name, content) in images() {
        write(folder.join(name), &content);
    }
}

fn tar(images: &[(String, Vec<u8>)], prefix: &str) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, content) in images {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        let path = format!("{prefix}{name}");
        builder
            .append_data(&mut header, path, &content[..])
            .unwrap();
    }
    builder.into_inner().unwrap()
}

fn open(root: &Path) -> Result<DataSet, DataError> {
    data::open("cifar10", Some(root))
}

fn pixels(part: &dyn Part) -> Vec<u8> {
    let picture = |index| part.picture(index).unwrap().pixels.into_owned();
    (0..part.len()).flat_map(picture).collect()
}

#[test]
fn a_folder_and_the_same_folder_packed_are_the_same_set() {
    let root = tempfile::tempdir().unwrap();
    write_folder(&root.path().join("cifar10-jpeg"));
    let folder = open(root.path()).unwrap();
    assert_eq!(folder.shape(), [3, 32, 32]);
    assert_eq!(folder.classes, CLASSES);
    assert_eq!((folder.train.len(), folder.test.len()), (20, 10));
    assert_eq!(folder.train.labels()[..5], [0, 0, 1, 1, 2]);
    assert_eq!(
        folder.train.size(),
        Some([32, 32]),
        "decoded once, into memory"
    );
    let image = folder.train.picture(7).unwrap();
    let colour = [image.pixels[0], image.pixels[1024], image.pixels[2048]];
    let off = [60u8, 40, 128]
        .iter()
        .zip(colour)
        .map(|(a, b)| a.abs_diff(b));
    assert!(off.max() < Some(4), "{colour:?}");

    // The data folder itself, too.
    assert!(open(&root.path().join("cifar10-jpeg")).is_ok());

    let mut shuffled = images();
    shuffled.reverse();
    shuffled.push(("train/readme.txt".to_owned(), b"no image".to_vec()));
    shuffled.push(("train/cat/._0000.jpg".to_owned(), b"no image".to_vec()));
    for prefix in ["", "./", "cifar10/"] {
        let root = tempfile::tempdir().unwrap();
        let archive = root.path().join("cifar10-jpeg.tar.gz");
        write(archive.clone(), &gzip(&tar(&shuffled, prefix)));
        let packed = open(root.path()).unwrap();
        assert_eq!(pixels(&*packed.train), pixels(&*folder.train));
        assert_eq!(pixels(&*packed.test), pixels(&*folder.test));
        assert_eq!(packed.train.labels(), folder.train.labels());
        let found = data::list(Some(root.path())).remove(2).found.unwrap();
        assert_eq!(found.folder, Some(archive));
        assert_eq!((found.train_images, found.test_images), (20, 10));
        assert!(data::check("cifar10", Some(root.path())).unwrap().passed());
    }
}

#[test]
fn an_archive_that_is_cut_altered_or_too_large_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("cifar10-jpeg.tar.gz");
    let packed = gzip(&tar(&images(), ""));
    let problem = |content: &[u8]| {
        write(path.clone(), content);
        match largest_allocation::during(|| open(root.path())) {
            (Err(DataError::Archive { problem, path: at }), largest) => {
                assert_eq!(at, path);
                assert!(largest < 1 << 20, "{largest} bytes were asked for");
                problem
            }
            (other, _) => panic!("{other:?}"),
        }
    };
    for cut in [0, 1, 5, 100, packed.len() / 2, packed.len() - 4] {
        assert!(matches!(problem(&packed[..cut]), ArchiveError::Damaged(_)));
    }
    assert!(matches!(problem(b"not gzip"), ArchiveError::Damaged(_)));
    let mut altered = packed.clone();
    let checksum = altered.len() - 8;
    altered[checksum] ^= 1;
    assert!(matches!(problem(&altered), ArchiveError::Damaged(_)));

    let mut large = images();
    large.push(("train/cat/large.jpg".to_owned(), vec![0; (1 << 20) + 1]));
    let error = problem(&gzip(&tar(&large, "")));
    assert!(matches!(
        error,
        ArchiveError::Entry {
            bytes: 0x10_0001,
            ..
        }
    ));
}

#[test]
fn an_archive_that_unpacks_without_end_is_stopped_and_takes_no_memory() {
    let root = tempfile::tempdir().unwrap();
    let mut header = tar::Header::new_gnu();
    header.set_path("train/cat/padding.bin").unwrap();
    header.set_size(4 << 30);
    header.set_cksum();
    // Gzip streams that follow each other are one: a header, then 2 GiB of nothing.
    let mut packed = gzip(header.as_bytes());
    let nothing = gzip(&vec![0; 64 << 20]);
    for _ in 0..32 {
        packed.extend(&nothing);
    }
    write(root.path().join("cifar10.tar.gz"), &packed);
    let (result, largest) = largest_allocation::during(|| open(root.path()));
    let Err(DataError::Archive { problem, .. }) = result else {
        panic!("{result:?}");
    };
    assert!(matches!(problem, ArchiveError::Oversized), "{problem}");
    assert!(largest < 1 << 20, "{largest} bytes were asked for");
}

#[test]
fn images_of_another_size_or_of_no_kind_are_all_listed() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("cifar10");
    write_folder(&folder);
    let paths = ["train/bird/0001.jpg", "train/cat/0000.jpg"].map(|name| folder.join(name));
    write(paths[0].clone(), &jpeg(31, 32, [9; 3]));
    write(paths[1].clone(), b"text");
    let DataError::BadImages { images } = open(root.path()).unwrap_err() else {
        panic!("another error");
    };
    let listed: Vec<_> = images.iter().map(|image| image.path.clone()).collect();
    assert_eq!(listed, paths);
    assert!(
        images[0]
            .to_string()
            .contains("it has 32x31 pixels where 32x32 are needed")
    );
}

#[test]
fn classes_other_than_the_ten_are_refused() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("cifar10");
    write_folder(&folder);
    for part in ["train", "test"] {
        let [cat, lion] = ["cat", "lion"].map(|class| folder.join(part).join(class));
        fs::rename(cat, lion).unwrap();
    }
    let Err(DataError::Folder { problem, .. }) = open(root.path()) else {
        panic!("another error");
    };
    let wanted = FolderError::Classes {
        of: "cifar10".into(),
        lacks: vec!["cat".into()],
        has: vec!["lion".into()],
    };
    assert_eq!(problem, wanted);
}

const RECORD: usize = 3073;

/// Label and pixels of an image by its number.
fn label(number: usize) -> u8 {
    (number * 7 % 10) as u8
}

fn pixel(number: usize, place: usize) -> u8 {
    ((number * 31 + place) % 253) as u8
}

/// A file of the published length that begins with image `first`.
fn binary(first: usize) -> Vec<u8> {
    let mut file = Vec::with_capacity(PER_FILE * RECORD);
    for number in first..first + PER_FILE {
        file.push(label(number));
        file.extend((0..RECORD - 1).map(|place| pixel(number, place)));
    }
    file
}

fn write_binary(folder: &Path) -> [PathBuf; 6] {
    fs::create_dir_all(folder).unwrap();
    let paths = binary_files().map(|name| folder.join(name));
    for (index, path) in paths.iter().enumerate() {
        fs::write(path, binary(index * PER_FILE)).unwrap();
    }
    fs::write(folder.join("batches.meta.txt"), CLASSES.join("\n") + "\n\n").unwrap();
    paths
}

#[test]
fn the_published_binary_form_is_read_record_by_record() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("cifar-10-batches-bin");
    let paths = write_binary(&folder);
    // It comes before the lossy forms.
    write_folder(&root.path().join("cifar10-jpeg"));
    assert_eq!(locate(root.path()).unwrap(), Form::Binary(folder.clone()));
    let found = data::list(Some(root.path())).remove(2).found.unwrap();
    assert_eq!((found.train_images, found.test_images), (50_000, 10_000));

    let set = open(root.path()).unwrap();
    assert_eq!((set.train.len(), set.test.len()), (50_000, 10_000));
    assert_eq!(set.classes, CLASSES);
    for (part, index, number) in [
        (&set.train, 0, 0),
        (&set.train, 49_999, 49_999),
        (&set.test, 4321, 54_321),
    ] {
        assert_eq!(part.labels()[index], u16::from(label(number)));
        let picture = part.picture(index).unwrap();
        assert_eq!(picture.shape, [3, 32, 32]);
        for place in [0, 1023, 1024, 3071] {
            assert_eq!(picture.pixels[place], pixel(number, place));
        }
    }
    drop(set);

    // One damaged file does not hide another.
    File::options()
        .append(true)
        .open(&paths[1])
        .unwrap()
        .write_all(&[0])
        .unwrap();
    File::options()
        .write(true)
        .open(&paths[5])
        .unwrap()
        .set_len(1000)
        .unwrap();
    let check = data::check("cifar10", Some(root.path())).unwrap();
    let broken = |index: usize| match &check.files[index].verdict {
        Verdict::Sound { count: PER_FILE } => None,
        Verdict::Broken(error) => Some(error.to_string()),
        other => panic!("{other:?}"),
    };
    let wrong: Vec<_> = (0..6).filter_map(broken).collect();
    assert_eq!(wrong.len(), 2);
    assert!(
        wrong[0].contains("data_batch_2.bin`: it has 30730001 bytes where 30730000 are needed")
    );
    assert!(wrong[1].contains("test_batch.bin`: it has 1000 bytes"));

    fs::remove_file(&paths[3]).unwrap();
    fs::remove_dir_all(root.path().join("cifar10-jpeg")).unwrap();
    let error = open(root.path()).unwrap_err();
    assert!(
        error.to_string().ends_with("lacks data_batch_4.bin"),
        "{error}"
    );
    assert!(error.help().contains("dnw data fetch cifar10"));
}

#[test]
fn a_binary_file_with_a_label_or_names_that_are_wrong_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("data_batch_1.bin");
    let mut file = binary(0);
    file[1234 * RECORD] = 10;
    fs::write(&path, &file).unwrap();
    let error = read_file(&path).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "cannot read `{}`: image 1234 has the label 10, labels go from 0 to 9",
            path.display()
        )
    );
    assert!(error.help().contains("cifar-10-binary.tar.gz"));
    assert!(matches!(
        read_file(&root.path().join("none")),
        Err(DataError::Cifar {
            problem: CifarError::Io(_),
            ..
        })
    ));

    for name in binary_files() {
        fs::write(root.path().join(name), b"never read").unwrap();
    }
    fs::write(root.path().join("batches.meta.txt"), "airplane\ncat\n").unwrap();
    let error = open(root.path()).unwrap_err();
    assert!(matches!(
        error,
        DataError::Cifar {
            problem: CifarError::Names,
            ..
        }
    ));
}

#[test]
fn the_real_images_are_all_there_and_have_the_published_statistics() {
    let root = match std::env::var_os("DNW_DATA") {
        Some(root) => PathBuf::from(root),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
    };
    if locate(&root).is_err() {
        println!("skipped: no CIFAR-10 in `{}`; set DNW_DATA", root.display());
        return;
    }
    let set = open(&root).unwrap();
    for (part, per_class) in [(&set.train, 5000), (&set.test, 1000)] {
        for class in 0..10 {
            let of_class = part.labels().iter().filter(|&&label| label == class);
            assert_eq!(of_class.count(), per_class);
        }
    }
    let train = data::Images::new(
        set.shape(),
        pixels(&*set.train),
        set.train.labels().to_vec(),
    );
    let (mean, std) = train.unwrap().statistics();
    for channel in 0..3 {
        // The files may be lossy.
        assert!(
            (mean[channel] - set.mean[channel]).abs() < 0.003,
            "{mean:?}"
        );
        assert!((std[channel] - set.std[channel]).abs() < 0.006, "{std:?}");
    }
}
