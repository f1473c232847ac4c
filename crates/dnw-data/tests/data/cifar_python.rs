//! CIFAR-10 and CIFAR-100 as they are published besides the binary files: for Python, and packed.

use std::fs;
use std::path::Path;

use dnw_data::DataError;
use flate2::Compression;
use flate2::write::GzEncoder;

const PIXELS: usize = 3072;

/// Writes pickles as one of the programs that have written such files does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Writer {
    /// Python 2, protocol 2, as the published files are.
    Python2,
    /// Python 3 with protocol 2: bytes become text, and a call that encodes it.
    Python3Protocol2,
    /// Python 3 with protocol 4, numpy 2.
    Python3Protocol4,
}

impl Writer {
    fn bytes(self, out: &mut Vec<u8>, bytes: &[u8]) {
        match self {
            Self::Python2 => {
                out.push(b'T');
                out.extend((bytes.len() as u32).to_le_bytes());
                out.extend(bytes);
            }
            Self::Python3Protocol2 => {
                out.extend(b"c_codecs\nencode\n");
                let text: String = bytes.iter().map(|&byte| char::from(byte)).collect();
                out.push(b'X');
                out.extend((text.len() as u32).to_le_bytes());
                out.extend(text.as_bytes());
                out.extend(b"X\x06\0\0\0latin1\x86R");
            }
            Self::Python3Protocol4 => {
                out.push(b'B');
                out.extend((bytes.len() as u32).to_le_bytes());
                out.extend(bytes);
            }
        }
    }

    fn global(self, out: &mut Vec<u8>, module: &str, name: &str) {
        if self == Self::Python3Protocol4 {
            for text in [module, name] {
                out.extend([0x8c, text.len() as u8]);
                out.extend(text.as_bytes());
            }
            out.push(0x93);
        } else {
            out.extend(format!("c{module}\n{name}\n").as_bytes());
        }
    }

    fn int(out: &mut Vec<u8>, number: usize) {
        out.push(b'J');
        out.extend((number as u32).to_le_bytes());
    }

    /// A matrix of bytes, as numpy pickles it.
    fn array(self, out: &mut Vec<u8>, rows: usize, bytes: &[u8]) {
        let numpy = match self {
            Self::Python3Protocol4 => "numpy._core.multiarray",
            _ => "numpy.core.multiarray",
        };
        self.global(out, numpy, "_reconstruct");
        self.global(out, "numpy", "ndarray");
        out.extend(b"K\0\x85");
        self.bytes(out, b"b");
        out.extend(b"\x87R(K\x01");
        Self::int(out, rows);
        Self::int(out, bytes.len() / rows);
        out.push(0x86);
        self.global(out, "numpy", "dtype");
        match self {
            Self::Python2 => out.extend(b"U\x02u1"),
            _ => out.extend(b"X\x02\0\0\0u1"),
        }
        out.extend(b"K\0K\x01\x87R(K\x03");
        match self {
            Self::Python2 => out.extend(b"U\x01|"),
            _ => out.extend(b"X\x01\0\0\0|"),
        }
        out.extend(b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb\x89");
        self.bytes(out, bytes);
        out.extend(b"tb");
    }

    fn list(self, out: &mut Vec<u8>, texts: &[String]) {
        out.extend(b"](");
        for text in texts {
            self.bytes(out, text.as_bytes());
        }
        out.push(b'e');
    }

    /// A batch: labels under `keys`, and images whose pixels follow from their number.
    fn batch(self, first: usize, labels: &[(&str, Vec<usize>)]) -> Vec<u8> {
        let mut out = vec![0x80, if self == Self::Python3Protocol4 { 4 } else { 2 }];
        out.extend(b"}(");
        self.bytes(&mut out, b"batch_label");
        self.bytes(&mut out, b"training batch");
        let rows = labels[0].1.len();
        for (key, labels) in labels {
            self.bytes(&mut out, key.as_bytes());
            out.extend(b"](");
            for &label in labels {
                out.extend([b'K', label as u8]);
            }
            out.push(b'e');
        }
        self.bytes(&mut out, b"data");
        let bytes: Vec<u8> = (0..rows).flat_map(|i| image(first + i)).collect();
        self.array(&mut out, rows, &bytes);
        self.bytes(&mut out, b"filenames");
        let names: Vec<String> = (0..rows).map(|i| format!("image_{i}.png")).collect();
        self.list(&mut out, &names);
        out.extend(b"u.");
        out
    }

    fn meta(self, key: &str, names: &[&str]) -> Vec<u8> {
        let mut out = b"\x80\x02}(".to_vec();
        self.bytes(&mut out, key.as_bytes());
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        self.list(&mut out, &names);
        out.extend(b"u.");
        out
    }
}

/// Image number `i`: every byte value occurs.
fn image(i: usize) -> Vec<u8> {
    (0..PIXELS).map(|p| ((7 * i + 3 * p) % 256) as u8).collect()
}

const CIFAR10_FILES: [&str; 6] = [
    "data_batch_1",
    "data_batch_2",
    "data_batch_3",
    "data_batch_4",
    "data_batch_5",
    "test_batch",
];

/// Two images a file, image `i` of class `i % 10`.
fn cifar10(writer: Writer) -> Vec<(String, Vec<u8>)> {
    let file = |(number, name): (usize, &&str)| {
        let labels = vec![2 * number % 10, (2 * number + 1) % 10];
        let batch = writer.batch(2 * number, &[("labels", labels)]);
        ((*name).to_owned(), batch)
    };
    let mut files: Vec<_> = CIFAR10_FILES.iter().enumerate().map(file).collect();
    let meta = writer.meta("label_names", &dnw_data::cifar10::CLASSES);
    files.push(("batches.meta".into(), meta));
    files
}

/// Three training images and two of the test.
fn cifar100(writer: Writer) -> Vec<(String, Vec<u8>)> {
    let part = |first, coarse: &[usize], fine: &[usize]| {
        let labels = [
            ("coarse_labels", coarse.to_vec()),
            ("fine_labels", fine.to_vec()),
        ];
        writer.batch(first, &labels)
    };
    vec![
        ("train".into(), part(0, &[1, 2, 3], &[99, 0, 41])),
        ("test".into(), part(3, &[19, 0], &[7, 98])),
        (
            "meta".into(),
            writer.meta("fine_label_names", &dnw_data::cifar100::CLASSES),
        ),
    ]
}

fn put(folder: &Path, files: &[(String, Vec<u8>)]) {
    fs::create_dir_all(folder).unwrap();
    for (name, bytes) in files {
        fs::write(folder.join(name), bytes).unwrap();
    }
}

fn pack(path: &Path, folder: &str, files: &[(String, Vec<u8>)]) {
    let encoder = GzEncoder::new(fs::File::create(path).unwrap(), Compression::fast());
    let mut archive = tar::Builder::new(encoder);
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        archive
            .append_data(&mut header, format!("{folder}/{name}"), bytes.as_slice())
            .unwrap();
    }
    archive.into_inner().unwrap().finish().unwrap();
}

fn assert_images(name: &str, root: &Path, labels: [&[u16]; 2]) {
    let data = dnw_data::open(name, Some(root)).unwrap();
    assert_eq!(data.train.labels(), labels[0], "{root:?}");
    assert_eq!(data.test.labels(), labels[1]);
    assert_eq!(data.shape(), [3, 32, 32]);
    for i in 0..labels[0].len() {
        assert_eq!(*data.train.picture(i).unwrap().pixels, image(i));
    }
    for i in 0..labels[1].len() {
        let number = labels[0].len() + i;
        assert_eq!(*data.test.picture(i).unwrap().pixels, image(number));
    }
    assert!(dnw_data::check(name, Some(root)).unwrap().passed());
    let list = dnw_data::list(Some(root));
    let listed = list.iter().find(|listing| listing.source.name() == name);
    let found = listed.unwrap().found.as_ref().unwrap();
    let counts = [found.train_images, found.test_images];
    assert_eq!(counts, labels.map(<[u16]>::len));
}

const WRITERS: [Writer; 3] = [
    Writer::Python2,
    Writer::Python3Protocol2,
    Writer::Python3Protocol4,
];
const LABELS10: [&[u16]; 2] = [&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9], &[0, 1]];
const LABELS100: [&[u16]; 2] = [&[99, 0, 41], &[7, 98]];

#[test]
fn the_files_for_python_are_read_whatever_python_wrote_them() {
    for writer in WRITERS {
        let root = tempfile::tempdir().unwrap();
        put(&root.path().join("cifar-10-batches-py"), &cifar10(writer));
        put(&root.path().join("cifar-100-python"), &cifar100(writer));
        assert_images("cifar10", root.path(), LABELS10);
        assert_images("cifar100", root.path(), LABELS100);
        // The folder itself may be given.
        assert_images(
            "cifar10",
            &root.path().join("cifar-10-batches-py"),
            LABELS10,
        );
        assert_images("cifar100", &root.path().join("cifar-100-python"), LABELS100);
    }
}

#[test]
fn archives_are_read_as_they_are_downloaded() {
    let root = tempfile::tempdir().unwrap();
    let path = |name: &str| root.path().join(name);
    let python = Writer::Python2;
    pack(
        &path("cifar-10-python.tar.gz"),
        "cifar-10-batches-py",
        &cifar10(python),
    );
    pack(
        &path("cifar-100-python.tar.gz"),
        "cifar-100-python",
        &cifar100(python),
    );
    assert_images("cifar10", root.path(), LABELS10);
    assert_images("cifar100", root.path(), LABELS100);
}

/// Records of a coarse label, a fine label and the pixels.
#[test]
fn the_binary_files_of_cifar_100_are_read_unpacked_and_packed() {
    let record = |i: usize, fine: u16| [&[20 + i as u8, fine as u8][..], &image(i)].concat();
    let part = |first: usize, labels: &[u16]| -> Vec<u8> {
        let records = labels.iter().enumerate();
        records
            .flat_map(|(i, &label)| record(first + i, label))
            .collect()
    };
    let files = [
        ("train.bin".to_owned(), part(0, LABELS100[0])),
        ("test.bin".to_owned(), part(3, LABELS100[1])),
    ];
    let root = tempfile::tempdir().unwrap();
    put(&root.path().join("cifar-100-binary"), &files);
    assert_images("cifar100", root.path(), LABELS100);
    let packed = tempfile::tempdir().unwrap();
    pack(
        &packed.path().join("cifar-100-binary.tar.gz"),
        "cifar-100-binary",
        &files,
    );
    assert_images("cifar100", packed.path(), LABELS100);
}

fn message(files: &[(String, Vec<u8>)]) -> String {
    let root = tempfile::tempdir().unwrap();
    put(&root.path().join("cifar-10-batches-py"), files);
    match dnw_data::open("cifar10", Some(root.path())) {
        Err(error @ DataError::Cifar { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn files_for_python_that_are_something_else_are_refused_by_what_is_wrong() {
    let writer = Writer::Python2;
    let with = |name: &str, bytes: Vec<u8>| {
        let mut files = cifar10(writer);
        let file = files.iter_mut().find(|(found, _)| found == name).unwrap();
        file.1 = bytes;
        message(&files)
    };
    let system = b"\x80\x02cos\nsystem\nU\x02ls\x85R.".to_vec();
    assert!(with("data_batch_3", system).contains("`os.system`"));
    let cut = cifar10(writer)[1].1[..2000].to_vec();
    assert!(with("data_batch_2", cut).contains("data_batch_2"));
    let label = writer.batch(0, &[("labels", vec![3, 10])]);
    assert!(with("test_batch", label).contains("image 1 has the label 10, labels go from 0 to 9"));
    let hundred = writer.batch(0, &[("fine_labels", vec![3, 10])]);
    assert!(with("test_batch", hundred).contains("`labels`"));
    let names = writer.meta("label_names", &["cat", "dog"]);
    assert!(with("batches.meta", names).contains("classes"));
    assert!(with("data_batch_1", b"<html>".to_vec()).contains("data_batch_1"));
    assert!(with("data_batch_1", Vec::new()).contains("data_batch_1"));
}

#[test]
fn a_missing_file_for_python_is_named() {
    let root = tempfile::tempdir().unwrap();
    let mut files = cifar10(Writer::Python2);
    files.retain(|(name, _)| name != "data_batch_4");
    put(&root.path().join("cifar-10-batches-py"), &files);
    let error = dnw_data::open("cifar10", Some(root.path())).unwrap_err();
    assert!(error.to_string().contains("lacks data_batch_4"), "{error}");
}
