//! Folders of images in the layout of ImageNet, sound and not.

use std::fs;
use std::path::{Path, PathBuf};

use dnw_data::folder::FolderError;
use dnw_data::{
    self as data, DataError, ImageError, Loader, TestTransform, TrainTransform, Transforms, Verdict,
};

/// A JPEG of one colour.
pub fn jpeg(height: u16, width: u16, colour: [u8; 3]) -> Vec<u8> {
    let mut file = Vec::new();
    let pixels = colour.repeat(usize::from(height) * usize::from(width));
    jpeg_encoder::Encoder::new(&mut file, 95)
        .encode(&pixels, width, height, jpeg_encoder::ColorType::Rgb)
        .unwrap();
    file
}

pub fn write(path: PathBuf, content: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

/// Two classes of differing images: three and two to learn from, one each to be judged by.
fn small() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let images = [
        ("train/n02/b.JPEG", 30, 50),
        ("train/n02/a.JPEG", 60, 40),
        ("train/n02/c.jpg", 33, 33),
        ("train/n01/z.jpeg", 8, 90),
        ("train/n01/y.JPEG", 50, 50),
        ("val/n01/1.JPEG", 20, 70),
        ("val/n02/2.JPEG", 70, 20),
    ];
    for (index, (name, height, width)) in images.into_iter().enumerate() {
        let colour = [40 * index as u8, 100, 200];
        let path = root.path().join("imagenet").join(name);
        write(path, &jpeg(height, width, colour));
    }
    root
}

fn in_folder(root: &tempfile::TempDir, name: &str) -> PathBuf {
    root.path().join("imagenet").join(name)
}

fn open(root: &tempfile::TempDir) -> Result<data::DataSet, DataError> {
    data::open("imagenet", Some(root.path()))
}

fn folder_error(root: &tempfile::TempDir) -> FolderError {
    match open(root) {
        Err(DataError::Folder { problem, .. }) => problem,
        other => panic!("{other:?}"),
    }
}

#[test]
fn classes_and_images_are_listed_in_the_order_of_their_names() {
    let root = small();
    write(in_folder(&root, "train/n01/.hidden.jpg"), b"no image");
    write(in_folder(&root, "train/n01/notes.txt"), b"no image");
    write(in_folder(&root, "train/README.md"), b"no class");
    fs::create_dir_all(in_folder(&root, "train/.cache")).unwrap();
    fs::create_dir_all(in_folder(&root, "train/n01/more.jpg")).unwrap();
    let set = open(&root).unwrap();
    assert_eq!(set.classes, ["n01", "n02"]);
    assert_eq!(set.train.labels(), [0, 0, 1, 1, 1]);
    let places: Vec<_> = (0..5).map(|index| set.train.place(index)).collect();
    let names = [
        "n01/y.JPEG",
        "n01/z.jpeg",
        "n02/a.JPEG",
        "n02/b.JPEG",
        "n02/c.jpg",
    ];
    let wanted = names.map(|name| in_folder(&root, "train").join(name));
    assert_eq!(places, wanted);
    assert_eq!(set.shape(), [3, 224, 224]);
    assert_eq!(set.train.picture(2).unwrap().shape, [3, 60, 40]);
}

#[test]
fn a_folder_is_found_where_it_is_or_as_the_data_folder_with_val_or_test() {
    let root = small();
    assert!(data::open("imagenet", Some(&root.path().join("imagenet"))).is_ok());
    fs::rename(in_folder(&root, "val"), in_folder(&root, "test")).unwrap();
    let set = open(&root).unwrap();
    assert_eq!((set.train.len(), set.test.len()), (5, 2));
    let listed = data::list(Some(root.path()));
    let imagenet = |it: &&data::Listing| it.source.name() == "imagenet";
    let listing = listed.iter().find(imagenet).unwrap();
    let found = listing.found.as_ref().unwrap();
    assert_eq!(
        found.folder.as_deref(),
        Some(&*root.path().join("imagenet"))
    );
    assert_eq!((found.train_images, found.test_images), (5, 2));

    fs::rename(in_folder(&root, "test"), in_folder(&root, "other")).unwrap();
    let error = open(&root).unwrap_err();
    assert!(error.to_string().contains("lacks val/"), "{error}");
    assert!(error.help().contains("dnw data fetch imagenet"));
}

#[test]
fn batches_show_the_images_at_the_size_asked_for() {
    let transforms = Transforms {
        train: TrainTransform::RandomResizedCrop {
            size: 16,
            mirror: true,
        },
        test: TestTransform::ResizeCentreCrop {
            resize: 20,
            size: 16,
        },
    };
    let set = open(&small()).map(|it| it.with_transforms(transforms));
    // The folder is gone by now; its listing is not.
    assert!(set.unwrap().is_ok());

    let root = small();
    let set = open(&root).unwrap().with_transforms(transforms).unwrap();
    assert_eq!(set.shape(), [3, 16, 16]);
    let batches = Loader::train(&set, 2).unwrap().epoch(1, 0, 0).unwrap();
    let batches: Vec<_> = batches.map(Result::unwrap).collect();
    assert_eq!(batches.len(), 3);
    for batch in batches {
        for (slot, &index) in batch.indices.iter().enumerate() {
            // Of an image of one colour, every part has that colour.
            let values = &batch.images[slot * 768..][..768];
            let number = [4, 3, 1, 0, 2][index as usize];
            let colour = [f64::from(40 * number), 100.0, 200.0];
            for (place, value) in values.iter().enumerate() {
                let channel = place / 256;
                let wanted = (colour[channel] / 255.0 - f64::from(set.mean[channel]))
                    / f64::from(set.std[channel]);
                assert!(
                    (f64::from(*value) - wanted).abs() < 0.06,
                    "{value} {wanted}"
                );
            }
        }
    }
    let judged = Loader::test(&set, 9).unwrap().in_order().unwrap().next();
    let judged = judged.unwrap().unwrap();
    assert_eq!((judged.labels, judged.indices), (vec![0, 1], vec![0, 1]));
    let bytes = set.test_image(1).unwrap();
    let value = (f32::from(bytes[300]) / 255.0 - set.mean[1]) / set.std[1];
    assert_eq!(judged.images[768 + 300], value);
}

#[test]
fn one_class_no_class_and_empty_classes_are_refused() {
    let root = small();
    write(in_folder(&root, "train/n03/.keep"), b"");
    write(in_folder(&root, "val/n03/x.jpg"), &jpeg(4, 4, [0; 3]));
    let empty = FolderError::EmptyClasses {
        classes: vec!["n03".into()],
    };
    assert_eq!(folder_error(&root), empty);
    assert!(open(&root).unwrap_err().to_string().contains("`n03`"));

    let root = small();
    fs::remove_dir_all(in_folder(&root, "train/n02")).unwrap();
    let one = FolderError::OneClass {
        class: "n01".into(),
    };
    assert_eq!(folder_error(&root), one);
    fs::remove_dir_all(in_folder(&root, "train/n01")).unwrap();
    assert_eq!(folder_error(&root), FolderError::NoClasses);
}

#[test]
fn classes_that_differ_between_the_parts_are_named() {
    let root = small();
    fs::rename(in_folder(&root, "val/n02"), in_folder(&root, "val/n07")).unwrap();
    let FolderError::Classes { lacks, has, of } = folder_error(&root) else {
        panic!("another error");
    };
    assert_eq!((lacks, has), (vec!["n02".into()], vec!["n07".into()]));
    assert_eq!(of, in_folder(&root, "train").display().to_string());
    let message = open(&root).unwrap_err().to_string();
    assert!(
        message.contains("it lacks `n02`; it also has `n07`"),
        "{message}"
    );
}

/// The paths of the images that an error lists.
fn bad(error: DataError) -> Vec<PathBuf> {
    match error {
        DataError::BadImages { images } => images.into_iter().map(|it| it.path).collect(),
        other => panic!("{other}"),
    }
}

#[test]
fn every_unusable_image_of_a_batch_is_listed_and_the_epoch_ends() {
    let root = small();
    let [text, empty] = ["train/n01/y.JPEG", "train/n02/b.JPEG"].map(|it| in_folder(&root, it));
    write(text.clone(), b"<html>no such image</html>");
    write(empty.clone(), b"");
    let set = open(&root).unwrap();
    let gone = in_folder(&root, "train/n02/c.jpg");
    fs::remove_file(&gone).unwrap();
    for threads in [0, 1, 3] {
        let loader = Loader::train(&set, 5).unwrap().with_threads(threads);
        let mut epoch = loader.epoch(0, 0, 0).unwrap();
        let error = epoch.next().unwrap().unwrap_err();
        assert!(
            error.to_string().contains("3 images cannot be used"),
            "{error}"
        );
        let mut listed = bad(error);
        listed.sort();
        assert_eq!(listed, [text.clone(), empty.clone(), gone.clone()]);
        assert!(epoch.next().is_none());
    }
    // Alone, those that can be used are.
    let loader = Loader::train(&set, 1).unwrap();
    let batches: Vec<_> = loader.epoch(0, 0, 0).unwrap().collect();
    assert!(batches.last().unwrap().is_err());
}

#[test]
fn a_check_decodes_everything_and_lists_what_is_bad() {
    let root = small();
    let check = data::check("imagenet", Some(root.path())).unwrap();
    assert!(check.passed());
    let counts: Vec<_> = check.files.iter().map(|file| &file.verdict).collect();
    assert!(matches!(
        counts[..],
        [Verdict::Sound { count: 5 }, Verdict::Sound { count: 2 }]
    ));

    let paths = ["train/n01/z.jpeg", "train/n02/a.JPEG"].map(|it| in_folder(&root, it));
    write(paths[0].clone(), b"text");
    let whole = fs::read(&paths[1]).unwrap();
    write(paths[1].clone(), &whole[..whole.len() / 2]);
    let check = data::check("imagenet", Some(root.path())).unwrap();
    assert!(!check.passed());
    let broken: Vec<_> = check
        .files
        .iter()
        .filter(|file| matches!(file.verdict, Verdict::Broken(_)))
        .map(|file| file.path.clone())
        .collect();
    assert_eq!(broken, paths);
}

#[cfg(unix)]
#[test]
fn links_are_followed_and_those_that_lead_nowhere_are_listed() {
    use std::os::unix::fs::symlink;
    let root = small();
    let elsewhere = root.path().join("elsewhere.jpg");
    write(elsewhere.clone(), &jpeg(5, 5, [1, 2, 3]));
    symlink(&elsewhere, in_folder(&root, "train/n01/linked.jpg")).unwrap();
    let set = open(&root).unwrap();
    assert_eq!(set.train.len(), 6);
    fs::remove_file(&elsewhere).unwrap();
    symlink("nowhere", in_folder(&root, "train/n02/lost.jpg")).unwrap();
    let error = open(&root).unwrap_err();
    let paths = ["train/n01/linked.jpg", "train/n02/lost.jpg"].map(|it| in_folder(&root, it));
    assert_eq!(bad(error), paths);
}

#[test]
fn of_very_many_bad_images_an_error_names_some_and_counts_the_rest() {
    let image = |index: usize| data::BadImage {
        path: format!("{index}.jpg").into(),
        problem: ImageError::Empty,
    };
    let error = DataError::BadImages {
        images: (0..50).map(image).collect(),
    };
    let message = error.to_string();
    assert!(message.starts_with("50 images cannot be used: `0.jpg`: the file is empty; `1.jpg`"));
    assert!(
        message.ends_with("`19.jpg`: the file is empty; and 30 more"),
        "{message}"
    );
}

#[test]
fn what_cannot_be_downloaded_is_explained() {
    for (name, words) in [
        ("imagenet", ["image-net.org", "tar xf", "val/"]),
        (
            "cifar10",
            [
                "www.cs.toronto.edu/~kriz/cifar.html",
                "tar xzf",
                "data check cifar10",
            ],
        ),
    ] {
        let error = data::fetch(name, Some(Path::new("nowhere")), &mut |_| {}).unwrap_err();
        assert!(error.to_string().contains(name));
        for word in words {
            assert!(error.help().contains(word), "{word}");
        }
    }
}

/// A set of which only the training part is written, and pictures to be judged by without folders of classes.
fn flat(pictures: &[&str], labels: Option<(&str, &str)>) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for (index, name) in ["train/n01/a.JPEG", "train/n02/b.JPEG"]
        .iter()
        .chain(pictures)
        .enumerate()
    {
        let colour = [50 * index as u8, 7, 9];
        write(in_folder(&root, name), &jpeg(9, 9, colour));
    }
    if let Some((file, text)) = labels {
        write(in_folder(&root, file), text.as_bytes());
    }
    root
}

#[test]
fn images_in_further_folders_belong_to_the_class_around_them() {
    let root = flat(
        &[
            "val/n01/1.JPEG",
            "val/n02/2.JPEG",
            "train/n01/images/c.JPEG",
            "train/n01/more/of/d.png.jpg",
        ],
        None,
    );
    write(in_folder(&root, "train/n01/n01_boxes.txt"), b"a list");
    let set = open(&root).unwrap();
    assert_eq!(set.train.labels(), [0, 0, 0, 1]);
    let places: Vec<PathBuf> = (0..3).map(|index| set.train.place(index)).collect();
    let expected = ["a.JPEG", "images/c.JPEG", "more/of/d.png.jpg"];
    assert_eq!(
        places,
        expected.map(|name| in_folder(&root, "train/n01").join(name))
    );
    assert_eq!(set.train.picture(2).unwrap().shape, [3, 9, 9]);
}

#[test]
fn a_file_says_the_classes_of_images_without_folders() {
    let tiny = "x1.JPEG\tn02\t0\t0\t62\t62\nx2.JPEG\tn01\t1\t2\t3\t4\nx3.JPEG\tn02\t0\t0\t9\t9\n";
    let kaggle = "ImageId,PredictionString\nx2,n01 85 1 499 272\nx1,n02 1 2 3 4 n02 5 6 7 8\nx3,n02 0 0 1 1\n";
    for (folder, file, text) in [
        ("val/images", "val/val_annotations.txt", tiny),
        ("val", "LOC_val_solution.csv", kaggle),
        ("test", "test/LOC_val_solution.csv", kaggle),
    ] {
        let names = ["x1", "x2", "x3"].map(|name| format!("{folder}/{name}.JPEG"));
        let root = flat(&names.each_ref().map(String::as_str), Some((file, text)));
        let set = open(&root).unwrap();
        assert_eq!(set.classes, ["n01", "n02"]);
        assert_eq!(set.test.labels(), [1, 0, 1], "{file}");
        assert_eq!(set.test.place(1), in_folder(&root, &names[1]));
        assert_eq!(set.test.picture(1).unwrap().shape, [3, 9, 9]);
    }
}

#[test]
fn images_whose_class_nothing_says_are_named_for_what_they_are() {
    for folder in ["val", "val/images"] {
        let names = ["x1", "x2"].map(|name| format!("{folder}/{name}.JPEG"));
        let names = names.each_ref().map(String::as_str);
        assert_eq!(
            folder_error(&flat(&names, None)),
            FolderError::Unlabelled { images: 2 }
        );
        let labels = Some(("val/val_annotations.txt", "x1.JPEG\tn01\n"));
        let image = names[1].strip_prefix("val/").unwrap().to_owned();
        assert_eq!(
            folder_error(&flat(&names, labels)),
            FolderError::NoLabel { image }
        );
        let labels = Some(("val/val_annotations.txt", "x1.JPEG\tn01\nx2.JPEG\tn09\n"));
        let FolderError::Classes { has, .. } = folder_error(&flat(&names, labels)) else {
            panic!("another error");
        };
        assert_eq!(has, ["n09"]);
    }
}

/// A PNG of two by one pixels.
fn png(
    colour: png::ColorType,
    depth: png::BitDepth,
    palette: Option<&[u8]>,
    data: &[u8],
) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, 2, 1);
    encoder.set_color(colour);
    encoder.set_depth(depth);
    if let Some(palette) = palette {
        encoder.set_palette(palette.to_vec());
    }
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(data).unwrap();
    writer.finish().unwrap();
    file
}

#[test]
fn pictures_of_every_colour_format_lie_beside_each_other() {
    use png::{BitDepth, ColorType};
    let root = flat(&["val/n01/1.JPEG", "val/n02/2.JPEG"], None);
    let pictures: [(&str, Vec<u8>, [u8; 6]); 5] = [
        (
            "b_grey",
            png(ColorType::Grayscale, BitDepth::Eight, None, &[10, 200]),
            [10, 200, 10, 200, 10, 200],
        ),
        (
            "c_bits",
            png(ColorType::Grayscale, BitDepth::One, None, &[0b0100_0000]),
            [0, 255, 0, 255, 0, 255],
        ),
        (
            "d_palette",
            png(
                ColorType::Indexed,
                BitDepth::Eight,
                Some(&[1, 2, 3, 4, 5, 6]),
                &[1, 0],
            ),
            [4, 1, 5, 2, 6, 3],
        ),
        (
            "e_sixteen",
            png(
                ColorType::Grayscale,
                BitDepth::Sixteen,
                None,
                &[0x80, 0x00, 0xff, 0xff],
            ),
            [128, 255, 128, 255, 128, 255],
        ),
        (
            "f_alpha",
            png(
                ColorType::Rgba,
                BitDepth::Eight,
                None,
                &[1, 2, 3, 0, 4, 5, 6, 255],
            ),
            [1, 4, 2, 5, 3, 6],
        ),
    ];
    for (name, bytes, _) in &pictures {
        write(in_folder(&root, &format!("train/n01/{name}.png")), bytes);
    }
    let set = open(&root).unwrap();
    for (index, (name, _, pixels)) in pictures.iter().enumerate() {
        let picture = set.train.picture(index + 1).unwrap();
        assert_eq!(picture.shape, [3, 1, 2], "{name}");
        assert_eq!(picture.pixels[..], pixels[..], "{name}");
    }
}
