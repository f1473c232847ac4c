//! Exported files as other programs read them: programs that know nothing of wirings.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use dnw_data::Picture;
use dnw_train::recipe::Recipe;
use safetensors::SafeTensors;

use crate::published::tensors;
use crate::shell::Shell;

/// Trains LeNet-300-100 on the built-in digits by this rule.
fn lenet(shell: &Shell, out: &str, rule: &str) {
    // `str` decides by itself how many edges stay.
    let density: &[&str] = match rule {
        "str" => &[],
        _ => &["--set", "wiring.density=0.3"],
    };
    let rule = format!("wiring.rule={rule}");
    let train = [
        "train",
        "mnist-lenet",
        "--quiet",
        "--epochs",
        "3",
        "--out",
        out,
    ];
    let digits = ["--set", "data=digits", "--set", &rule];
    shell
        .dnw(&[&train[..], &digits, density].concat())
        .succeeded();
}

/// A safetensors file as the format's own library reads it.
fn read(path: &Path) -> BTreeMap<String, Vec<f32>> {
    let bytes = fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let floats = |data: &[u8]| {
        let (words, _) = data.as_chunks::<4>();
        words.iter().map(|&word| f32::from_le_bytes(word)).collect()
    };
    let tensors = file.tensors().into_iter();
    tensors
        .map(|(name, tensor)| (name, floats(tensor.data())))
        .collect()
}

/// How many test images a plain multilayer perceptron with these weights classifies correctly.
fn right(weights: &BTreeMap<String, Vec<f32>>) -> usize {
    let data = Recipe::named("mnist-lenet", &["data=digits".into()]).unwrap();
    let data = data.open_data(None).unwrap();
    let layer = |name: &str, inputs: &[f32]| -> Vec<f32> {
        let (weight, bias) = (
            &weights[&format!("{name}.weight")],
            &weights[&format!("{name}.bias")],
        );
        let rows = weight.chunks_exact(inputs.len()).zip(bias);
        rows.map(|(row, bias)| bias + row.iter().zip(inputs).map(|(w, x)| w * x).sum::<f32>())
            .collect()
    };
    let relu = |values: Vec<f32>| values.into_iter().map(|x| x.max(0.0)).collect::<Vec<f32>>();
    let labels = data.test.labels();
    let is_right = |&(index, label): &(usize, &u16)| {
        let Picture { pixels, .. } = data.test.picture(index).unwrap();
        let pixels = pixels.iter().map(|&pixel| f32::from(pixel) / 255.0);
        let image: Vec<f32> = pixels.map(|x| (x - data.mean[0]) / data.std[0]).collect();
        let hidden = relu(layer("fc2", &relu(layer("fc1", &image))));
        let scores = layer("fc3", &hidden);
        let best = scores.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
        best.unwrap().0 == usize::from(*label)
    };
    labels.iter().enumerate().filter(is_right).count()
}

/// How many `dnw eval` finds right.
fn right_by_eval(shell: &Shell, run: &str) -> usize {
    let found = shell.dnw(&["eval", run, "--json"]).succeeded().json();
    let accuracy = found["test_accuracy"].as_f64().unwrap();
    (accuracy * 355.0).round() as usize
}

#[test]
fn a_program_that_knows_no_wirings_gets_the_accuracy_of_the_run() {
    for rule in ["dnw", "rigl", "st-3", "feather", "str"] {
        let shell = Shell::new();
        lenet(&shell, "run", rule);
        let expected = right_by_eval(&shell, "run");
        assert!(expected > 100, "{rule}: {expected} right");
        shell.run("export run --out plain").succeeded();
        let plain = read(&shell.path("plain"));
        // Sums are taken in another order, so a close call may go the other way.
        assert!(right(&plain).abs_diff(expected) <= 1, "{rule}");

        let edges = |name: &str| plain[name].iter().filter(|&&w| w != 0.0).count();
        let real: usize = ["fc1.weight", "fc2.weight", "fc3.weight"]
            .map(edges)
            .iter()
            .sum();
        assert_eq!(shell.facts("run")["edges_real"], real, "{rule}");

        shell.run("export run --masks --out masked").succeeded();
        let masked = read(&shell.path("masked"));
        let mut product: BTreeMap<String, Vec<f32>> = BTreeMap::new();
        for (name, values) in &masked {
            if let Some(weight) = name.strip_suffix("_orig") {
                let mask = &masked[&format!("{weight}_mask")];
                let pairs = values.iter().zip(mask);
                product.insert(weight.into(), pairs.map(|(w, m)| w * m).collect());
            } else if !name.ends_with("_mask") {
                product.insert(name.clone(), values.clone());
            }
        }
        assert_eq!(product, plain, "{rule}");
    }
}

#[test]
fn the_raw_file_is_another_network_to_such_a_program_and_says_so() {
    let shell = Shell::new();
    lenet(&shell, "run", "dnw");
    shell.run("export run --raw --out raw").succeeded();
    let raw = read(&shell.path("raw"));
    assert!(raw["fc1.weight"].iter().all(|&weight| weight != 0.0));
    let form = |file: &str| {
        let bytes = fs::read(shell.path(file)).unwrap();
        let (_, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
        metadata.metadata().clone().unwrap()
    };
    shell.run("export run --out plain").succeeded();
    let (raw, plain) = (form("raw"), form("plain"));
    assert!(raw["dnw.form"].starts_with("raw: stored weights of all possible edges"));
    assert!(plain["dnw.form"].starts_with("zeros"));
    assert_eq!(plain["dnw.rule"], "dnw");
    assert_eq!(plain["dnw.budget"], "density 0.3");
    assert_eq!(plain["format"], "pt");
    let facts = shell.facts("run");
    let edges = format!(
        "{} real of {} possible",
        facts["edges_real"], facts["edges_possible"]
    );
    assert_eq!(plain["dnw.edges"], edges);
    // The same file every time.
    shell.run("export run --out again").succeeded();
    assert_eq!(
        fs::read(shell.path("again")).unwrap(),
        fs::read(shell.path("plain")).unwrap()
    );
}

#[test]
fn every_form_is_imported_as_the_network_that_it_is() {
    for rule in ["dnw", "rigl"] {
        let shell = Shell::new();
        lenet(&shell, "run", rule);
        for form in [&["--raw"][..], &[], &["--masks"]] {
            let export = [&["export", "run", "--out", "file"], form].concat();
            shell.dnw(&export).succeeded();
            let rule = format!("wiring.rule={rule}");
            let import = [
                "import",
                "file",
                "--recipe",
                "mnist-lenet",
                "--set",
                "data=digits",
                "--set",
                &rule,
                "--set",
                "wiring.density=0.3",
                "--out",
                "again",
                "--json",
            ];
            let imported = shell.dnw(&import).succeeded().json();
            assert_eq!(
                imported["edges_real"],
                shell.facts("run")["edges_real"],
                "{form:?}"
            );
            let judged = |run: &str| {
                let found = shell.dnw(&["eval", run, "--json"]).succeeded().json();
                (found["test_loss"].clone(), found["confusion"].clone())
            };
            assert_eq!(judged("run"), judged("again"), "{rule}, {form:?}");
            fs::remove_dir_all(shell.path("again")).unwrap();
        }
    }
}

#[test]
fn a_form_beside_another_layout_is_refused() {
    let shell = Shell::with_run();
    for form in ["--masks", "--raw"] {
        let answer = shell.dnw(&["export", "run", "--layout", "burn", form, "--out", "x"]);
        assert_eq!(answer.code, Some(2), "{answer:?}");
    }
}

/// MNIST, if it is here.
fn mnist() -> Option<PathBuf> {
    let folder = PathBuf::from(std::env::var_os("DNW_DATA")?).join("mnist");
    folder
        .join("t10k-images-idx3-ubyte.gz")
        .exists()
        .then_some(folder)
}

#[test]
fn pytorch_gets_the_accuracy_of_the_run() {
    let imports = ["-c", "import torch, numpy, safetensors"];
    let has_torch = Command::new("python3").args(imports).output();
    if !has_torch.is_ok_and(|output| output.status.success()) {
        println!("skipped: python3 has no torch, numpy and safetensors");
        return;
    }
    let Some(folder) = mnist() else {
        println!("skipped: DNW_DATA has no MNIST");
        return;
    };
    let shell = Shell::new();
    let data = folder.to_str().unwrap();
    let train = [
        "train",
        "mnist-lenet",
        "--quiet",
        "--epochs",
        "1",
        "--data",
        data,
        "--out",
        "run",
    ];
    shell
        .dnw(&[&train[..], &["--set", "train-images=12800"]].concat())
        .succeeded();
    let found = shell
        .dnw(&["eval", "run", "--json", "--data", data])
        .succeeded()
        .json();
    let accuracy = found["test_accuracy"].as_f64().unwrap();
    let script =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/pytorch/evaluate_lenet.py");
    for form in [&[][..], &["--masks"]] {
        shell
            .dnw(&[&["export", "run", "--out", "lenet"], form].concat())
            .succeeded();
        let output = Command::new("python3")
            .args([script.as_path(), &shell.path("lenet"), &folder])
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let right: f64 = text
            .split(' ')
            .next()
            .unwrap()
            .parse()
            .unwrap_or_else(|_| panic!("{output:?}"));
        assert!((right - 1e4 * accuracy).abs() <= 2.0, "{text} {accuracy}");
    }
    // The file of all possible edges is another network.
    shell.run("export run --raw --out raw").succeeded();
    let raw = tensors(&shell.path("raw"));
    assert!(raw["fc1.weight"].data.iter().all(|&weight| weight != 0.0));
}
