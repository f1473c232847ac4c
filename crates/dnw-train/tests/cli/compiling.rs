//! `dnw compile` and what is done with its files.

use std::fs;
use std::path::Path;

use dnw_data::{Picture, digits, idx::Idx};

use crate::published::{NARROW, TINY, narrow};
use crate::shell::{Answer, Shell};

/// A folder with a trained run and its compiled model `model.dnw`.
fn with_model() -> Shell {
    let shell = Shell::with_run();
    shell
        .dnw(&["compile", "run", "-o", "model.dnw"])
        .succeeded();
    shell
}

/// Standard output as JSON, a value a line.
#[track_caller]
fn lines_of_json(answer: &Answer) -> Vec<serde_json::Value> {
    let lines = answer.stdout.lines();
    lines
        .map(|line| serde_json::from_str(line).expect(line))
        .collect()
}

/// Writes a picture as a PNG with these colours.
fn write_png(path: &Path, picture: &Picture<'_>, colour: png::ColorType) {
    let [_, height, width] = picture.shape;
    let file = fs::File::create(path).unwrap();
    let mut encoder = png::Encoder::new(file, width as u32, height as u32);
    encoder.set_color(colour);
    encoder.set_depth(png::BitDepth::Eight);
    let pixels: Vec<u8> = match colour {
        png::ColorType::Rgb => picture.pixels.iter().flat_map(|&p| [p; 3]).collect(),
        _ => picture.pixels.to_vec(),
    };
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(&pixels).unwrap();
}

#[test]
fn a_compiled_run_has_the_accuracy_of_eval_to_the_last_image() {
    let shell = Shell::new();
    shell.train("run", &["--set", "epochs=12"]).succeeded();
    let compile = ["compile", "run", "-o", "model.dnw", "--json"];
    let compiled = shell.dnw(&compile).succeeded().json();
    let bytes = fs::metadata(shell.path("model.dnw")).unwrap().len();
    assert_eq!(compiled["bytes"], bytes);
    assert_eq!(compiled["edges_real"], shell.facts("run")["edges_real"]);
    assert_eq!(
        compiled["edges_possible"],
        shell.facts("run")["edges_possible"]
    );
    assert!(compiled["edges_live"].as_u64() <= compiled["edges_real"].as_u64());

    let evaluated = shell.dnw(&["eval", "run", "--json"]).succeeded().json();
    let accuracy = &evaluated["test_accuracy"];
    assert!(accuracy.as_f64().unwrap() > 0.3, "it learned something");
    let verify = ["verify", "model.dnw", "run", "--json"];
    let verified = shell.dnw(&verify).succeeded().json();
    assert_eq!(&verified["accuracy_of_model"], accuracy);
    assert_eq!(&verified["accuracy_of_run"], accuracy);
    assert_eq!(verified["images"], 355);
    assert_eq!(verified["passes"], true);
    assert!(verified["relative_difference"].as_f64().unwrap() < 1e-4);

    // The same number by another way: the built-in digits, each with its label.
    let predicted = shell.dnw(&["predict", "model.dnw", "--json"]).succeeded();
    let predicted = lines_of_json(&predicted);
    assert_eq!(predicted.len(), 355);
    let right = predicted
        .iter()
        .filter(|line| line["label"] == line["top"][0]["class"])
        .count();
    assert_eq!(right as f64 / 355.0, accuracy.as_f64().unwrap());
    let words = shell.dnw(&["predict", "model.dnw"]).succeeded().stdout;
    assert!(
        words.contains(&format!("{right} of all 355 built-in test digits")),
        "{words}"
    );
}

#[test]
fn thresholds_of_a_rule_are_in_the_compiled_weights() {
    for rule in ["st-3", "feather", "str", "fan-in"] {
        let shell = Shell::new();
        let set = match rule {
            "fan-in" => "wiring.unit=fan-in".to_owned(),
            rule => format!("wiring.rule={rule}"),
        };
        let density: &[&str] = match rule {
            "str" => &[],
            _ => &["--set", "wiring.density=0.3"],
        };
        let train = [
            "train",
            "mnist-lenet",
            "--quiet",
            "--epochs",
            "2",
            "--out",
            "run",
        ];
        let digits = ["--set", "data=digits", "--set", &set];
        shell
            .dnw(&[&train[..], &digits, density].concat())
            .succeeded();
        shell.dnw(&["compile", "run", "-o", "m"]).succeeded();
        shell.dnw(&["verify", "m", "run"]).succeeded();
    }
}

#[test]
fn pictures_of_any_form_are_the_digits_that_they_show() {
    let shell = with_model();
    let digits = digits::open().unwrap();
    let all = shell.dnw(&["predict", "model.dnw", "--json"]).succeeded();
    let expected: Vec<serde_json::Value> = lines_of_json(&all)
        .iter()
        .map(|line| line["top"].clone())
        .collect();
    fs::create_dir_all(shell.path("pictures/deep")).unwrap();
    let picture = |index: usize| digits.test.picture(index).unwrap();
    write_png(
        &shell.path("pictures/0.png"),
        &picture(0),
        png::ColorType::Grayscale,
    );
    write_png(
        &shell.path("pictures/1.PNG"),
        &picture(1),
        png::ColorType::Rgb,
    );
    write_png(
        &shell.path("pictures/deep/2.png"),
        &picture(2),
        png::ColorType::Grayscale,
    );
    fs::write(shell.path("pictures/notes.txt"), "not a picture").unwrap();
    let idx = Idx {
        dims: vec![355, 8, 8],
        data: (0..355).flat_map(|i| picture(i).pixels.to_vec()).collect(),
    };
    let bytes = [idx.header(), idx.data].concat();
    fs::write(shell.path("some-idx3-ubyte"), &bytes).unwrap();

    let from_folder = shell
        .dnw(&["predict", "model.dnw", "pictures", "--json"])
        .succeeded();
    let from_folder = lines_of_json(&from_folder);
    assert_eq!(from_folder.len(), 3);
    for (line, expected) in from_folder.iter().zip(&expected) {
        assert_eq!(&line["top"], expected, "{line}");
    }
    let from_idx = shell
        .dnw(&["predict", "model.dnw", "some-idx3-ubyte", "--json"])
        .succeeded();
    let from_idx = lines_of_json(&from_idx);
    assert_eq!(from_idx.len(), 355);
    for (index, (line, expected)) in from_idx.iter().zip(&expected).enumerate() {
        assert_eq!((&line["top"], &line["place"]), (expected, &index.into()));
    }
    // Five classes with probabilities that add up to at most one, the largest first.
    let top = expected[0].as_array().unwrap();
    let of = |entry: &serde_json::Value| entry["probability"].as_f64().unwrap();
    assert_eq!(top.len(), 5);
    assert!(top.windows(2).all(|pair| of(&pair[0]) >= of(&pair[1])));
    assert!(top.iter().map(of).sum::<f64>() <= 1.0 + 1e-9);
    let one = shell.dnw(&[
        "predict",
        "model.dnw",
        "pictures/0.png",
        "--top",
        "1",
        "--json",
    ]);
    assert_eq!(
        lines_of_json(&one.succeeded())[0]["top"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn a_broken_picture_is_named_and_the_others_are_predicted() {
    let shell = with_model();
    let digits = digits::open().unwrap();
    fs::create_dir(shell.path("pictures")).unwrap();
    for name in ["a.png", "c.png"] {
        let picture = digits.test.picture(0).unwrap();
        write_png(
            &shell.path(format!("pictures/{name}")),
            &picture,
            png::ColorType::Grayscale,
        );
    }
    // Twice the size of the model's images: resized.
    let large = Picture {
        shape: [1, 16, 16],
        pixels: vec![200; 256].into(),
    };
    write_png(
        &shell.path("pictures/d.png"),
        &large,
        png::ColorType::Grayscale,
    );
    let whole = fs::read(shell.path("pictures/a.png")).unwrap();
    fs::write(shell.path("pictures/b.png"), &whole[..whole.len() / 2]).unwrap();
    fs::create_dir(shell.path("empty")).unwrap();
    let named = [
        "predict",
        "model.dnw",
        "pictures",
        "absent.png",
        "empty",
        "--json",
    ];
    let answer = shell.dnw(&named);
    assert_eq!(answer.code, Some(1), "{answer:?}");
    assert_eq!(lines_of_json(&answer).len(), 3);
    for name in [
        "pictures/b.png`",
        "absent.png`",
        "empty`",
        "3 of 6",
        "help: ",
    ] {
        assert!(answer.stderr.contains(name), "{name}: {answer:?}");
    }
    assert!(!answer.stderr.contains("panicked"), "{answer:?}");
}

#[cfg(unix)]
#[test]
fn a_pipe_that_nobody_writes_to_is_no_picture() {
    let shell = with_model();
    let pipe = shell.path("pipe.png");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let answer = shell.dnw(&["predict", "model.dnw", "pipe.png"]);
    assert_eq!(answer.code, Some(1), "{answer:?}");
    for words in [
        "`pipe.png`: it is not a regular file",
        "no picture can be used",
    ] {
        assert!(answer.stderr.contains(words), "{answer:?}");
    }
}

#[test]
fn weights_of_fewer_bits_make_smaller_files_and_verify_says_what_they_cost() {
    let shell = with_model();
    let size = |file: &str| fs::metadata(shell.path(file)).unwrap().len();
    let mut last = size("model.dnw");
    for weights in ["f16", "int8"] {
        let compile = ["compile", "run", "-o", weights, "--weights", weights];
        shell.dnw(&compile).succeeded();
        assert!(size(weights) < last, "{weights}");
        last = size(weights);
        let verify = ["verify", weights, "run", "--allow", "100", "--json"];
        let verified = shell.dnw(&verify).succeeded().json();
        assert_eq!(verified["weights"], weights);
        let difference = verified["relative_difference"].as_f64().unwrap();
        assert!(
            difference > 1e-6 && difference < 0.2,
            "{weights}: {difference}"
        );
    }
}

#[test]
fn another_model_of_the_same_shape_is_not_verified() {
    let shell = with_model();
    shell.train("other", &["--seed", "7"]).succeeded();
    let answer = shell.dnw(&["verify", "model.dnw", "other"]);
    assert_eq!(answer.code, Some(1), "{answer:?}");
    assert!(answer.stderr.contains("logits differ"), "{answer:?}");
    let other = ["--set", "model.fold=1", "--set", "data=digits"];
    shell.train("third", &other).succeeded();
    let answer = shell.dnw(&["verify", "model.dnw", "third"]);
    assert_eq!(answer.code, Some(1), "{answer:?}");
}

#[test]
#[cfg(unix)]
fn a_comparison_that_cannot_be_made_is_refused_with_what_it_needs() {
    use std::os::unix::fs::PermissionsExt;

    let shell = with_model();
    let refused = |more: &[&str], words: &[&str]| {
        let bench = ["bench", "model.dnw", "--seconds", "0", "--onnx"];
        shell.dnw(&[&bench[..], more].concat()).refused(words);
    };
    refused(
        &["missing.onnx"],
        &["missing.onnx", "dnw export RUN --onnx"],
    );
    std::fs::write(shell.path("model.onnx"), "never read").unwrap();
    let absent = ["model.onnx", "--python", "no-such-python"];
    refused(
        &absent,
        &["no-such-python", "pip install onnxruntime numpy"],
    );
    // Programs in the place of Python: one without the package, one that ends, one with another network.
    let missing = r#"echo '{"error": "No module named onnxruntime", "missing": true}'"#;
    let other =
        r#"echo '{"version": "1"}'; echo '{"error": "an image of another size"}'; cat >/dev/null"#;
    for (program, message, remedy) in [
        (missing, "No module named onnxruntime", "pip install"),
        ("true", "ended without an answer", "pip install"),
        (other, "an image of another size", "of the same network"),
    ] {
        let python = shell.path("python");
        std::fs::write(&python, format!("#!/bin/sh\n{program}\n")).unwrap();
        std::fs::set_permissions(&python, PermissionsExt::from_mode(0o755)).unwrap();
        let python = python.to_str().unwrap();
        refused(&["model.onnx", "--python", python], &[message, remedy]);
    }
}

#[test]
fn measurements_and_explanations_are_json_too() {
    let shell = with_model();
    let bench = [
        "bench",
        "model.dnw",
        "--seconds",
        "0",
        "--threads",
        "1",
        "--batch",
        "2",
    ];
    let words = shell.dnw(&bench).succeeded().stdout;
    for word in ["images/s", "p99", "fc", "first result"] {
        assert!(words.contains(word), "{words}");
    }
    let found = shell
        .dnw(&[&bench[..], &["--json"]].concat())
        .succeeded()
        .json();
    let measured = found["measured"].as_array().unwrap();
    assert_eq!(measured.len(), 1);
    assert_eq!(
        (&measured[0]["batch"], &measured[0]["threads"]),
        (&2.into(), &1.into())
    );
    assert!(measured[0]["seconds"]["median"].as_f64().unwrap() > 0.0);

    let explain = ["explain", "model.dnw", "--seconds", "0"];
    let words = shell.dnw(&explain).succeeded().stdout;
    for word in ["density", "roofline", "why", "in all", "faster"] {
        assert!(words.contains(word), "{words}");
    }
    let found = shell
        .dnw(&[&explain[..], &["--json"]].concat())
        .succeeded()
        .json();
    let steps = found["steps"].as_array().unwrap();
    let shares = steps.iter().map(|step| step["share"].as_f64().unwrap());
    assert!((shares.sum::<f64>() - 1.0).abs() < 1e-6);
    assert!(found["limits"]["bytes_per_second"].as_f64().unwrap() > 0.0);
    assert!(
        steps
            .iter()
            .all(|step| step["roofline"].as_f64().unwrap() > 0.0)
    );
    // The classifier is dense: its 10 classes read the 9 cells of 6 nodes.
    let last = steps.last().unwrap();
    assert_eq!(last["output"], serde_json::json!([10, 1, 1]));
}

#[test]
fn a_checkpoint_is_compiled_as_its_import_is() {
    let shell = with_model();
    shell
        .dnw(&["export", "run", "--out", "weights.safetensors"])
        .succeeded();
    let set = [
        "--recipe",
        "digits",
        "--set",
        "model.fold=2",
        "--set",
        "model.levels=[6, 6]",
        "--set",
        "model.outputs=6",
    ];
    let compile = ["compile", "weights.safetensors", "-o", "other.dnw"];
    shell.dnw(&[&compile[..], &set].concat()).succeeded();
    let verified = shell
        .dnw(&["verify", "other.dnw", "run", "--json"])
        .succeeded()
        .json();
    assert_eq!(verified["passes"], true);
    assert!(!shell.path("runs").exists(), "no run is left behind");
    let compile = [
        "compile",
        "weights.safetensors",
        "-o",
        "none.dnw",
        "--recipe",
        "mnist-lenet",
    ];
    shell.dnw(&compile).refused(&["mnist-lenet"]);
    assert!(!shell.path("none.dnw").exists());
}

#[test]
fn what_cannot_be_compiled_is_refused_and_nothing_is_written() {
    let shell = Shell::with_run();
    let compile = |run: &str, more: &[&str]| {
        shell.dnw(&[&["compile", run, "-o", "model.dnw"], more].concat())
    };
    compile("absent", &[]).refused(&["absent", "`dnw train`"]);
    fs::write(shell.path("notes.txt"), "hello").unwrap();
    compile("notes.txt", &[]).refused(&["notes.txt"]);
    compile("run", &["--recipe", "digits"]).refused(&["its own recipe"]);
    fs::remove_file(shell.path("run/weights/best.safetensors")).unwrap();
    compile("run", &["--epoch", "best"]).refused(&["best.safetensors", "`--epoch last`"]);
    shell
        .dnw(&["compile", "run", "-o", "absent/model.dnw"])
        .refused(&["absent/model.dnw", "--out"]);
    let weights = shell.path("run/weights/last.safetensors");
    let bytes = fs::read(&weights).unwrap();
    fs::write(&weights, &bytes[..bytes.len() - 9]).unwrap();
    compile("run", &[]).refused(&["last.safetensors", "`--epoch best`"]);
    // A weight that is not a number: the last four bytes are one of a norm or a weight.
    let mut diverged = bytes.clone();
    let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let text = std::str::from_utf8(&bytes[8..8 + header]).unwrap();
    let json: serde_json::Value = serde_json::from_str(text.trim_end()).unwrap();
    let at = json["fc.bias"]["data_offsets"][0].as_u64().unwrap() as usize;
    diverged[8 + header + at..][..4].copy_from_slice(&f32::NAN.to_le_bytes());
    fs::write(&weights, diverged).unwrap();
    compile("run", &[]).refused(&["not finite"]);
    assert!(!shell.path("model.dnw").exists());
}

#[test]
fn recorded_checkpoints_compile_unless_their_steps_follow_the_image() {
    let shell = Shell::new();
    for (record, recipe, changes) in NARROW {
        let file = narrow(record, "initial.safetensors");
        let compile = [
            "compile",
            file.to_str().unwrap(),
            "-o",
            record,
            "--recipe",
            recipe,
        ];
        let compile = [&compile[..], changes].concat();
        if record != "tiny_continuous_dnw" {
            shell.dnw(&compile).succeeded();
            continue;
        }
        let answer = shell.dnw(&compile);
        assert_eq!(answer.code, Some(1), "{answer:?}");
        for words in ["the solver's steps depend on the image", "model.steps="] {
            assert!(answer.stderr.contains(words), "{answer:?}");
        }
        assert!(!shell.path(record).exists());
        let fixed = ["--set", "model.steps=3"];
        shell.dnw(&[&compile[..], &fixed].concat()).succeeded();
    }
}

#[test]
fn files_that_are_no_models_are_named_for_what_they_are() {
    let shell = with_model();
    let again = ["compile", "model.dnw", "-o", "again.dnw"];
    shell.dnw(&again).refused(&["a compiled model already"]);
    let sound = fs::read(shell.path("model.dnw")).unwrap();
    let mut flipped = sound.clone();
    *flipped.last_mut().unwrap() ^= 1;
    fs::write(shell.path("flipped"), flipped).unwrap();
    fs::write(shell.path("short"), &sound[..sound.len() / 2]).unwrap();
    fs::write(shell.path("empty"), "").unwrap();
    for command in ["predict", "bench", "explain", "verify"] {
        let of = |file: &str| match command {
            "verify" => shell.dnw(&[command, file, "run"]),
            _ => shell.dnw(&[command, file]),
        };
        of("absent.dnw").refused(&["absent.dnw", "`dnw compile RUN"]);
        of("run").refused(&["a folder", "`dnw compile run -o"]);
        of("run/run.json").refused(&["a text file", "dnw compile"]);
        of("run/weights/last.safetensors").refused(&["a safetensors file", "dnw compile"]);
        of("flipped").refused(&["damaged", "copy"]);
        of("short").refused(&["ends after", "copy"]);
        of("empty").refused(&["empty"]);
    }
    shell
        .dnw(&["verify", "model.dnw", "absent"])
        .refused(&["absent"]);
}

#[test]
fn a_model_of_other_images_asks_for_pictures_and_resizes_them() {
    let shell = Shell::new();
    let file = narrow("tiny_static_dnw", "initial.safetensors");
    let compile = ["compile", file.to_str().unwrap(), "-o", "model.dnw"];
    let recipe = ["--recipe", "cifar10-tiny-static-dnw"];
    shell
        .dnw(&[&compile[..], &recipe, &TINY].concat())
        .succeeded();
    shell.dnw(&["predict", "model.dnw"]).refused(&[
        "3 x 32 x 32",
        "name pictures",
        "dnw predict model.dnw",
    ]);
    // Grey, and larger.
    let picture = Picture {
        shape: [1, 50, 40],
        pixels: (0..2000)
            .map(|i| (i % 251) as u8)
            .collect::<Vec<u8>>()
            .into(),
    };
    write_png(&shell.path("grey.png"), &picture, png::ColorType::Grayscale);
    let said = shell
        .dnw(&["predict", "model.dnw", "grey.png"])
        .succeeded()
        .stdout;
    assert!(said.starts_with("grey.png: "), "{said}");
    let named = [
        "airplane",
        "automobile",
        "bird",
        "cat",
        "deer",
        "dog",
        "frog",
        "horse",
        "ship",
        "truck",
    ];
    let shown = named.iter().filter(|name| said.contains(*name)).count();
    assert_eq!(shown, 5, "{said}");
    let answer = shell.dnw(&["predict", "model.dnw", "model.dnw"]);
    assert_eq!(answer.code, Some(1));
    assert!(
        answer.stderr.contains("neither a JPEG nor a PNG"),
        "{answer:?}"
    );
}
