//! Data sets of images in folders, from the command line.

use std::fs;
use std::path::Path;

use crate::shell::{Answer, SHORT, Shell};

/// A PNG of one colour.
fn image(side: u32, colour: [u8; 3]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, side, side);
    encoder.set_color(png::ColorType::Rgb);
    let mut writer = encoder.write_header().unwrap();
    let pixels = colour.repeat((side * side) as usize);
    writer.write_image_data(&pixels).unwrap();
    writer.finish().unwrap();
    file
}

fn write(shell: &Shell, name: &str, content: &[u8]) {
    let path = shell.path(name);
    fs::create_dir_all(Path::new(&path).parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

/// Two classes of images of various sizes in the layout of ImageNet.
fn photographs() -> Shell {
    let shell = Shell::new();
    for index in 0..6u8 {
        let class = ["n01", "n02"][usize::from(index % 2)];
        let image = image(20 + u32::from(index), [40 * index, 99, 7]);
        write(
            &shell,
            &format!("imagenet/train/{class}/{index}.png"),
            &image,
        );
        write(&shell, &format!("imagenet/val/{class}/{index}.png"), &image);
    }
    shell
}

#[test]
fn the_list_says_of_every_set_where_it_is_or_how_to_get_it() {
    let shell = photographs();
    let said = shell.run("data list --data .").succeeded();
    for words in [
        "digits",
        "mnist",
        "`dnw data fetch mnist`",
        "cifar10",
        "`dnw data fetch cifar10` says how to get it",
        "imagenet",
        "6 training and 6 test images",
    ] {
        assert!(
            said.stdout.contains(words),
            "{words} is not in {}",
            said.stdout
        );
    }
}

#[test]
fn a_check_of_a_folder_lists_every_image_that_is_none() {
    let shell = photographs();
    let check = ["data", "check", "imagenet", "--data", "."];
    let said = shell.dnw(&check).succeeded();
    assert!(said.stdout.contains("imagenet is sound"), "{}", said.stdout);
    write(&shell, "imagenet/train/n01/2.png", b"text");
    write(&shell, "imagenet/val/n02/1.png", b"");
    let answer = shell.dnw(&check);
    assert_eq!(answer.code, Some(1));
    assert!(answer.stdout.contains("n01/2.png"), "{answer:?}");
    assert!(answer.stdout.contains("n02/1.png"), "{answer:?}");
    assert!(answer.stderr.contains("listed above"), "{answer:?}");
}

#[test]
fn sets_that_are_not_downloaded_say_how_to_get_them() {
    let shell = Shell::new();
    for (name, page) in [
        ("cifar10", "https://www.cs.toronto.edu/~kriz/cifar.html"),
        ("imagenet", "https://image-net.org"),
    ] {
        let fetch = ["data", "fetch", name];
        shell.dnw(&fetch).refused(&[name, page, "tar x"]);
    }
}

#[test]
fn a_class_that_only_one_part_has_is_refused_before_a_run_folder_is_made() {
    let shell = photographs();
    fs::rename(
        shell.path("imagenet/val/n02"),
        shell.path("imagenet/val/n03"),
    )
    .unwrap();
    let answer = shell.run("train digits --set data=imagenet --data . --out run");
    answer.refused(&["imagenet/val", "lacks `n02`", "has `n03`"]);
    assert!(!Path::new(&shell.path("run")).exists());
}

/// A short training on a set in the folder.
fn train(shell: &Shell, set: &str, more: &[&str]) -> Answer {
    let data = format!("data={set}");
    let begin = [
        "train", "digits", "--quiet", "--json", "--data", ".", "--out", "run",
    ];
    shell.dnw(&[&begin[..], &SHORT, &["--set", &data], more].concat())
}

#[test]
fn coloured_images_in_memory_are_trained_on() {
    let shell = Shell::new();
    let classes = "airplane automobile bird cat deer dog frog horse ship truck";
    for (label, class) in classes.split(' ').enumerate() {
        let image = image(32, [25 * label as u8, 80, 255 - 25 * label as u8]);
        for name in ["0.jpg", "1.jpg"] {
            write(&shell, &format!("cifar10/train/{class}/{name}"), &image);
        }
        write(&shell, &format!("cifar10/test/{class}/0.jpg"), &image);
    }
    let shifted = "transforms.train={kind=\"shift-crop\",shift=2,mirror=true}";
    let more = ["--set", "batch=10", "--set", shifted];
    train(&shell, "cifar10", &more).succeeded();
    let facts = shell.facts("run");
    assert_eq!(facts["train_images"], 20);
    assert_eq!(facts["image"], serde_json::json!([3, 32, 32]));
}

#[test]
fn images_on_disk_are_trained_on_and_one_that_goes_bad_ends_the_run_readably() {
    let shell = photographs();
    let small = ["--set", "batch=3", "--set", "model.fold=8"];
    train(&shell, "imagenet", &small).succeeded();
    let facts = shell.facts("run");
    assert_eq!(facts["image"], serde_json::json!([3, 224, 224]));
    assert_eq!(facts["classes"], serde_json::json!(["n01", "n02"]));

    fs::remove_dir_all(shell.path("run")).unwrap();
    let smaller = "transforms={train={kind=\"random-resized-crop\",size=32,mirror=true},\
                   test={kind=\"resize-centre-crop\",resize=36,size=32}}";
    train(&shell, "imagenet", &["--set", "batch=3", "--set", smaller]).succeeded();
    assert_eq!(shell.facts("run")["image"], serde_json::json!([3, 32, 32]));
    shell.run("eval run --data .").succeeded();
    let as_is = ["--set", "batch=3", "--set", "transforms={}"];
    let unfit = train(&shell, "imagenet", &as_is);
    unfit.refused(&["training images differ in size", "random resized crop"]);

    fs::remove_dir_all(shell.path("run")).unwrap();
    write(&shell, "imagenet/train/n02/3.png", b"text");
    let answer = train(&shell, "imagenet", &small);
    answer.refused(&[
        "train/n02/3.png",
        "neither a JPEG nor a PNG",
        "dnw data check",
    ]);
    assert!(shell.facts("run")["status"].to_string().contains("3.png"));
}
